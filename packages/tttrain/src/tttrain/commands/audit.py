"""`tttrain audit`: which labels are probably wrong, for people to look at (specification 5.8)."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ttdata.commands.review import hand_over
from ttdata.errors import InputError
from ttdata.storage.atomic import atomic_path, write_json
from ttdata.storage.dataset import Dataset, load_dataset
from ttdata.storage.outputs import check_output_folder
from ttdata.storage.spreadsheet import escape_formula
from ttdata.storage.tables import write_table
from tttrain.clip_log import read_clip_log
from tttrain.commands.fit import fit
from tttrain.commands.fit_svm import is_fitted
from tttrain.data.dataset import TrainingData, open_data_of
from tttrain.data.relabelled import relabelled
from tttrain.data.sampling import ClipInfo
from tttrain.evaluation.audit.evidence import annotator_groups, fold_predictions, score_rows
from tttrain.evaluation.audit.features import clip_features
from tttrain.evaluation.audit.neighbours import neighbour_shares
from tttrain.evaluation.audit.rate import Rate, flipped, rate_of, wrong_rate
from tttrain.evaluation.audit.suspicion import area_under_margin
from tttrain.evaluation.audit.table import (
    LIST_SHARE,
    TABLE_VERSION,
    AuditRow,
    Measures,
    audit_table,
    by_class,
)
from tttrain.evaluation.device import choose_device
from tttrain.evaluation.scoring import load_model
from tttrain.report.audit_page import write_audit_page
from tttrain.run import Run, clean_folder, lock_folder

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
WRITTEN = ("audit.json", "audit.csv", "audit.parquet", "index.html", "flipped")
"""Names of what is written in the folder."""
_TEXTS = ("clip_id", "video_id", "label", "suggested_label", "group")
_MOST_LISTED = 0.5


def audit(
    run_folder: str | Path,
    data: str | Path,
    dataset: str | Path,
    out: str | Path | None = None,
    *,
    folds: str | Path | None = None,
    estimate_rate: bool = False,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Rank clips by how probably their labels are wrong, and hand the first to `ttdata review`.

    No label is changed. Test clips are ranked and listed apart.

    Args:
        run_folder: a finished run of `tttrain fit`.
        data: the shards that it learned from.
        dataset: of which they were made; its `suspects.parquet` and report are written.
        out: the folder of the audit; None: `audit` in the run folder.
        folds: a folder of `tttrain cross-validate` on these shards. Without it suspicion comes from
            training and from neighbours alone, and finds fewer errors.
        estimate_rate: also train a second time with a tenth of the training labels flipped, and
            estimate how many labels are wrong; the same call goes on where a killed one stopped.
        seed: of the flips and of the interval.
        device: as for `evaluate`.

    Returns:
        The content of `audit.json`.

    Raises:
        InputError: if the run is not finished, learned from other clips or has no log of clips; if
            folds or dataset do not fit the shards; or if `out` holds something else.
        TTError: if the second training failed.
    """
    run, data = Run(Path(run_folder).absolute()), Path(data).absolute()
    out = run.folder / "audit" if out is None else Path(out).absolute()
    inputs = [data, Path(dataset), folds]
    check_output_folder(out, "an audit", inputs, writes=WRITTEN)
    shards, clips_of = open_data_of(run, data), load_dataset(dataset)
    _check(run, shards, clips_of)
    with lock_folder(out, "audit"), clean_folder(out):
        found = _measure(run, shards, clips_of, folds, device)
        rate: Rate | None = None
        by_name: dict[str, dict[str, Any]] = {}
        if estimate_rate:
            rate, by_name = _rates(run, shards, out / "flipped", seed)
        share = LIST_SHARE if rate is None else max(LIST_SHARE, min(2 * rate.rate, _MOST_LISTED))
        table = audit_table(found, shards.classes, share)
        result = _summary(run, shards, table, rate, by_name) | {"folds": folds and str(folds)}
        _write(out, table, result, shards)
        logger.info(hand_over(clips_of, out / "audit.csv"))
    return result


def _check(run: Run, data: TrainingData, dataset: Dataset) -> None:
    info = run.info()
    if len(data.classes) < 2:
        raise InputError(
            f"{data.path}: one class, {data.classes[0]!r}: no other label can be meant"
        )
    if info.state != "finished":
        raise InputError(f"{run.folder}: this run is not finished; run `tttrain fit` to its end")
    if is_fitted(info.resolved):
        raise InputError(
            f"{run.folder}: a support vector machine learns by no epochs, in which it could doubt "
            "a label; audit a run of another recipe, small_turned say"
        )
    found_hash = data.hash_for(info.resolved.network)
    if info.dataset_hash != found_hash:
        raise InputError(
            f"{data.path}: other clips, labels or splits than the run learned from (dataset "
            f"{found_hash[:12]}, expected {info.dataset_hash[:12]}); fit on these shards first"
        )
    known = dict(dataset.clips.select("clip_id", "label").iter_rows())
    for clips in data.clips.values():
        for clip in clips:
            found, label = known.get(clip.clip_id), data.classes[clip.class_index]
            if found != label:
                there = "no such clip" if found is None else f"the label {found!r}"
                raise InputError(
                    f"{dataset.path}: clip {clip.clip_id}: {there}, in the shards {label!r}; run "
                    "`ttflow extract` again, then fit"
                )


def _measure(
    run: Run, data: TrainingData, dataset: Dataset, folds: str | Path | None, device: str
) -> Measures:
    clips = _clips(data)
    num_classes = len(data.classes)
    infos = {clip.clip_id: clip for found in data.clips.values() for clip in found}
    ordered = [infos[clip_id] for clip_id in clips["clip_id"]]
    labels = np.array([clip.class_index for clip in ordered], np.int64)
    groups = annotator_groups(dataset)
    scores = np.full((len(ordered), num_classes), np.nan)
    if folds is None:
        logger.warning(
            "no --folds: suspicion comes from training and neighbours alone; `tttrain "
            "cross-validate` gives the scores that find most"
        )
    else:
        held_out = fold_predictions(folds, clips.select("clip_id", "label"), num_classes)
        scores = score_rows(clips["clip_id"].to_list(), held_out, num_classes)
        if held_out.height < len(ordered):
            logger.warning(
                "%s: scores of %d of %d clips; of the others suspicion comes from training and "
                "neighbours alone",
                *(folds, held_out.height, len(ordered)),
            )
        groups |= dict(held_out.drop_nulls("group").select("clip_id", "group").iter_rows())
    named = [groups[clip_id] for clip_id in clips["clip_id"]]
    model = load_model(
        run.model_folder, choose_device(device, run.info().resolved.execution.device)
    )
    features = clip_features(model, data, ordered)
    return Measures(
        clips=clips.with_columns(group=pl.Series(named, dtype=pl.String)),
        labels=labels,
        aum=_aum(run, ordered),
        neighbours=neighbour_shares(features, labels, named, num_classes),
        folds=scores,
    )


def _clips(data: TrainingData) -> pl.DataFrame:
    """The clips with a split, by clip_id, as the table of an audit begins."""
    videos = {clip.clip_id: video for video, clip in data.everything()}
    rows = [
        (
            *(clip.clip_id, videos[clip.clip_id], clip.start_frame, clip.end_frame),
            *(data.classes[clip.class_index], split),
        )
        for split, clips in data.clips.items()
        for clip in clips
    ]
    names = ("clip_id", "video_id", "start_frame", "end_frame", "label", "split")
    return pl.DataFrame(rows, schema=names, orient="row").sort("clip_id")


def _aum(run: Run, clips: list[ClipInfo]) -> np.ndarray:
    """(clips,) float64, NaN for clips that the run did not learn from."""
    log = read_clip_log(run.clips_path)
    values = dict(zip(log.clip_ids, area_under_margin(log.given, log.other), strict=True))
    return np.array([values.get(clip.clip_id, np.nan) for clip in clips], np.float64)


def _rates(
    run: Run, data: TrainingData, folder: Path, seed: int
) -> tuple[Rate, dict[str, dict[str, Any]]]:
    """Of all training labels, and of each class's, from a second training with flipped labels."""
    clips = {clip.clip_id: clip for clip in data.clips["train"]}
    labels = {clip_id: clip.class_index for clip_id, clip in clips.items()}
    num_classes = len(set(labels.values()))
    if num_classes < 2 or len(labels) < 3:
        raise InputError(
            f"{data.path}: {len(labels)} training clips of {num_classes} classes, expected "
            "at least 3 of 2; leave --estimate-rate out"
        )
    turned = flipped(labels, seed)
    names = {clip_id: data.classes[index] for clip_id, index in turned.items()}
    logger.info("second training, with %d of %d labels flipped", len(turned), len(labels))
    shards = relabelled(data.path, names, folder / "shards")
    info = run.info()
    init = None if info.init is None else info.init.source
    second = fit(info.config, shards, folder / "run", init, division=data.division)
    aum = dict(zip(clips, _aum(second, list(clips.values())), strict=True))
    left = {clip_id: value for clip_id, value in aum.items() if clip_id not in turned}
    rate = wrong_rate(list(left.values()), [aum[clip_id] for clip_id in sorted(turned)], seed)
    found = {}
    for index, name in enumerate(data.classes):
        values = [value for clip_id, value in left.items() if labels[clip_id] == index]
        if values:
            share, low, high = rate_of(values, rate)
            found[name] = {"rate": share, "interval": [low, high], "rate_n": len(values)}
    return rate, found


def _summary(
    run: Run,
    data: TrainingData,
    table: pl.DataFrame,
    rate: Rate | None,
    rates: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    unknown = {"rate": None, "interval": None, "rate_n": 0}
    test = pl.col("split") == "test"
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(run.folder),
        "data": str(data.path),
        "dataset_hash": run.info().dataset_hash,
        "num_clips": {"learn": table.filter(~test).height, "test": table.filter(test).height},
        "num_suspected": {
            "learn": table.filter(~test & pl.col("suspected")).height,
            "test": table.filter(test & pl.col("suspected")).height,
        },
        "rate": None
        if rate is None
        else {
            "rate": rate.rate,
            "interval": [rate.low, rate.high],
            "n": rate.n,
            "num_flipped": rate.num_flipped,
        },
        "per_class": [
            row | rates.get(row["label"], unknown) for row in by_class(table, data.classes)
        ],
    }


def _write(out: Path, table: pl.DataFrame, result: dict[str, Any], data: TrainingData) -> None:
    write_table(table, out / "audit.parquet", AuditRow, TABLE_VERSION)
    with atomic_path(out / "audit.csv") as temporary:
        escape_formula(table, _TEXTS).write_csv(temporary)
    write_audit_page(out / "index.html", table, result, data)
    write_json(out / "audit.json", result)
