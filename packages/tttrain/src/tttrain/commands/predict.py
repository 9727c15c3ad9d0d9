"""`tttrain predict`: the strokes of shards or of a video, named by a trained network.

`score` is the mean of the windows' class scores; `probability` is the same after temperature
scaling, equal to it where the run was not evaluated yet (see `tttrain.evaluation.calibration`).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.errors import InputError
from ttdata.sources.formats import mediaeval_xml
from ttdata.storage.atomic import atomic_path, write_json
from ttdata.storage.outputs import check_output_file, check_output_folder, source_inputs
from ttdata.storage.spreadsheet import escape_formula
from ttflow.jobs.job import Workers
from ttmodels import StrokeModel
from tttrain.data.dataset import TrainingData, open_data
from tttrain.evaluation.calibration import Calibration, stored
from tttrain.evaluation.device import choose_device
from tttrain.evaluation.extraction_check import check_extraction
from tttrain.evaluation.scoring import load_model, score_clips
from tttrain.evaluation.video_input import extracted
from tttrain.run import Run, RunInfo

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 2
_METHOD = "test_avg"
"""Mean of all windows' scores: the steadiest of the three, and the scores belong to the answer."""


def predict(
    run_folder: str | Path,
    source: str | Path,
    out: str | Path,
    strokes: str | Path | None = None,
    *,
    device: str = "auto",
    allow_other_extraction: bool = False,
) -> str:
    """Name every stroke of shards or of a video and write the answers.

    Labels and splits of the source do not matter.

    Args:
        run_folder: that `tttrain fit` wrote.
        source: shards that `ttflow extract` wrote, with the crop and at least the window of the
            run; or a video.
        out: `*.json` (all classes' scores), `*.csv` (a row per stroke), or a folder that gets one
            MediaEval XML file per video.
        strokes: where the strokes of a video are: annotations in any format that ttdata reads.
        device: "auto" (as the run was configured; see `choose_device`), "cpu", "cuda" or "cuda:N";
            "cpu" holds for the extraction of a video, too.
        allow_other_extraction: take also shards that were extracted with other settings than those
            the network learned from. (A video is extracted with the run's own.)

    Returns:
        How many strokes were named, and where that stands.

    Raises:
        InputError: if the run has no model, the source does not suit it or was extracted otherwise,
            the device is not here, or `out` has another suffix, or is, holds or lies in what is
            read.
    """
    run_folder, source, out = Path(run_folder), Path(source), Path(out)
    strokes = None if strokes is None else Path(strokes)
    write = _writer(out)
    _check_place(out, run_folder, source, strokes)
    run = Run(run_folder.absolute())
    info = run.info()
    on = choose_device(device, info.resolved.execution.device)
    model = load_model(run.model_folder, on)
    with _shards(info, source, strokes, on.type) as shards:
        data = open_data(shards)
        if source.is_dir():
            check_extraction(data, run, allow_other=allow_other_extraction)
        rows = _name_strokes(model, _calibration(run), data, info)
    if not rows:
        raise InputError(f"{source}: holds no stroke with pixels")
    write(out, rows, info.classes)
    return f"{len(rows)} strokes named in {out}"


def _check_place(out: Path, run_folder: Path, source: Path, strokes: Path | None) -> None:
    inputs = [run_folder, source, *(source_inputs(strokes) if strokes is not None else ())]
    if out.suffix:
        check_output_file(out, inputs)
    else:
        check_output_folder(out, "a source", inputs)


@contextmanager
def _shards(info: RunInfo, source: Path, strokes: Path | None, device_type: str) -> Iterator[Path]:
    """The shards to read; those of a video exist for as long."""
    if source.is_dir():
        if strokes is not None:
            raise InputError(f"--strokes {strokes}: shards know their strokes; leave it out")
        yield source.absolute()
        return
    if not source.exists():
        raise InputError(f"{source}: no such shards folder or video")
    if strokes is None:
        raise InputError(f"{source}: is a video; --strokes FILE says where its strokes are")
    config = info.extraction or open_data(Path(info.data)).extraction
    workers = Workers(device="cpu" if device_type == "cpu" else "auto")
    pose = info.pose_estimation
    with extracted(source, strokes, config, info.classes, workers, pose) as shards:
        yield shards


def _calibration(run: Run) -> Calibration:
    """Of the means of windows; temperature 1, said where it is a surprise, if there is none."""
    found = stored(run.model_folder) or {}
    if found and _METHOD not in found:
        logger.warning(
            "%s: its temperature is that of central windows, from an earlier release; predictions "
            "are means of windows, so probability equals score until `tttrain evaluate` has run",
            run.model_folder,
        )
    return found.get(_METHOD, Calibration())


def _name_strokes(
    model: StrokeModel, calibration: Calibration, data: TrainingData, info: RunInfo
) -> list[dict[str, Any]]:
    if info.resolved.network.clip_shape is not None:
        data.check_shape(info.resolved.network.clip_shape)
    everything = data.everything()
    scored = score_clips(model, data, [clip for _, clip in everything], "naming")
    rows = []
    for (video_id, clip), answer in zip(everything, scored, strict=True):
        scores = answer.scores(_METHOD)
        calibrated = calibration.apply(scores)
        index = int(scores.argmax())
        rows.append(
            {
                "video_id": video_id,
                "clip_id": clip.clip_id,
                "start_frame": clip.start_frame,
                "end_frame": clip.end_frame,
                "label": info.classes[index],
                "score": round(float(scores[index]), 6),
                "probability": round(float(calibrated[index]), 6),
                "scores": [round(float(value), 6) for value in scores],
                "probabilities": [round(float(value), 6) for value in calibrated],
            }
        )
    return sorted(rows, key=lambda row: (row["video_id"], row["start_frame"], row["end_frame"]))


def _writer(out: Path) -> Callable[[Path, list[dict[str, Any]], tuple[str, ...]], None]:
    writers = {".json": _write_json, ".csv": _write_csv, "": _write_xml}
    if out.suffix.lower() not in writers:
        raise InputError(f"--out {out}: expected a .json or .csv file, or a folder")
    return writers[out.suffix.lower()]


def _write_json(out: Path, rows: list[dict[str, Any]], classes: tuple[str, ...]) -> None:
    write_json(
        out,
        {
            "schema_version": SCHEMA_VERSION,
            "method": _METHOD,
            "classes": list(classes),
            "strokes": rows,
        },
    )


def _write_csv(out: Path, rows: list[dict[str, Any]], _: tuple[str, ...]) -> None:
    table = pl.DataFrame(rows).drop("scores", "probabilities")
    with atomic_path(out) as temporary:
        escape_formula(table, ("video_id", "clip_id", "label")).write_csv(temporary)


def _write_xml(out: Path, rows: list[dict[str, Any]], _: tuple[str, ...]) -> None:
    names = ("video_id", "start_frame", "end_frame", "label")
    mediaeval_xml.write(out, pl.DataFrame(rows).select(names))
