"""`tttrain cross-validate`: every clip named once, by a network that has not seen its group."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ttdata.errors import InputError
from ttdata.schema import SPLITS
from ttdata.storage.atomic import write_json
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.outputs import check_output_folder
from ttdata.storage.tables import write_table
from tttrain import recipes
from tttrain.commands.compare import joined_row, row_config, split_settings, trained_row
from tttrain.commands.fit import beginning, check
from tttrain.commands.fold_tasks import Part, check_parallel, train_at_once
from tttrain.config import TrainConfig
from tttrain.data.dataset import TrainingData, open_data
from tttrain.data.division import Division
from tttrain.data.folds import first_clips, make_folds
from tttrain.data.groups import clips_to_divide, known_group
from tttrain.evaluation.device import choose_device
from tttrain.evaluation.pooled import PREDICTIONS_VERSION, PredictionRow, Rows, predictions, table
from tttrain.run import Run, differences, lock_folder, stored_json
from tttrain.training.weights.learned_from import check_unseen

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
DEFAULT_RECIPES = ("small",)


@dataclass(frozen=True)
class FoldOptions:
    """How clips are divided; numbers that cannot be are refused where they are used.

    Attributes:
        num_folds: at least 2.
        group: "video", "player", "session" or "file"; None: the video, or what `groups` says.
        groups: CSV with the columns `clip_id, group`.
        seed: of the folds; that of training is a setting of the recipes.
        validation_share: of the clips outside a fold.
        learning_curve: numbers of clips to learn from, beside all of them.
    """

    num_folds: int = 6
    group: str | None = None
    groups: str | Path | None = None
    seed: int = 0
    validation_share: float = 0.2
    learning_curve: Sequence[int] = ()

    @staticmethod
    def sizes(text: str) -> tuple[int, ...]:
        """The numbers of a list such as "50,100".

        >>> FoldOptions.sizes("50,100")
        (50, 100)
        """
        try:
            return tuple(int(word) for word in text.split(",") if word.strip())
        except ValueError as error:
            raise InputError(f"--learning-curve {text}: expected numbers as 50,100") from error


def cross_validate(
    data: str | Path,
    out: str | Path,
    rows: Sequence[str] = DEFAULT_RECIPES,
    *,
    options: FoldOptions | None = None,
    base_recipe: str | None = None,
    overrides: Iterable[str] = (),
    parallel: int = 1,
    device: str = "auto",
    init: str | Path | None = None,
) -> dict[str, Any]:
    """Train and test recipes in the same folds; write the pooled table, its page, all predictions.

    Every fold of every recipe is a run folder `out`/fold_<k>/<recipe>; what is finished is checked
    and not trained again, and what was interrupted goes on.

    Args:
        data: shards that `ttflow extract` wrote; their splits do not matter.
        out: the folder of the cross-validation.
        rows: recipes, and rows of `compare` that join two.
        options: how clips are divided.
        base_recipe: as in `compare`.
        overrides: `key=value` settings of all recipes, `recipe:key=value` of one.
        parallel: folds that are trained at once, as Ray tasks.
        device: as in `compare`.
        init: a finished run or a model folder, whose weights every network begins with, as in
            `fit`; of a run that has seen no film of these clips.

    Returns:
        The content of `cross_validation.json`.

    Raises:
        InputError: before anything is trained, for an unknown recipe or setting, clips that cannot
            be divided so, a folder that holds other folds or a run with other settings, or an
            `init` that has seen films of these clips or none of whose layers fits.
    """
    options, data, out = options or FoldOptions(), Path(data), Path(out)
    check_lasting(data, "--data")
    begin = _begin(init)
    check_output_folder(out, "a cross-validation", [data, options.groups, begin])
    asked, configs = _configs(rows, base_recipe, overrides, device)
    check_parallel(configs, parallel, device)
    shards = open_data(data.absolute())
    labels, divisions = _divided(shards, options)
    parts = _parts(shards, out.absolute(), divisions, labels, options)
    plan = _plan(shards, divisions, labels, options) | {"init": begin and str(begin)}
    if begin is not None:
        check_unseen(begin, shards)
    _check(parts, configs, out, plan, begin)
    with lock_folder(out.absolute(), "cross-validate"):
        write_json(out / "folds.json", plan)
        if parallel > 1:
            train_at_once(parts, configs, parallel, device, begin)
        results = {
            size: _rows(
                [part for part in parts if part.size == size], asked, configs, device, begin
            )
            for size in dict.fromkeys(part.size for part in parts)
        }
        tests = {name: [item["result"] for item in row] for name, row in results[None].items()}
        named = predictions(tests, divisions)
        write_table(named, out / "predictions.parquet", PredictionRow, PREDICTIONS_VERSION)
        return _write(out, table(plan, results, shards))


def _begin(init: str | Path | None) -> Path | None:
    """Where all folds find it, also those that are tasks."""
    if init is None:
        return None
    check_lasting(init, "--init")
    return Path(init).absolute()


def _write(out: Path, found: dict[str, Any]) -> dict[str, Any]:
    from tttrain.report.cross_validation_page import write_pages

    write_json(out / "cross_validation.json", found)
    write_pages(out, found)
    return found


def _divided(shards: TrainingData, options: FoldOptions) -> tuple[dict[str, str], list[Division]]:
    """The labels of all clips that take part, and the folds."""
    clips = clips_to_divide(shards, options.group, options.groups)
    divisions = make_folds(
        clips,
        options.num_folds,
        seed=options.seed,
        validation_share=options.validation_share,
        group=known_group(options.group),
    )
    return dict(clips.select("clip_id", "label").iter_rows()), divisions


def _configs(
    rows: Sequence[str], base_recipe: str | None, overrides: Iterable[str], device: str
) -> tuple[list[str], dict[str, TrainConfig]]:
    """The rows asked for, and the configuration of each that is trained; those joined first."""
    settings = split_settings(overrides)
    if device != "auto":
        settings[""].insert(0, f"execution.device={choose_device(device, 'auto').type}")
    asked = list(dict.fromkeys(rows))
    trained = dict.fromkeys(part for name in asked for part in recipes.JOINED.get(name, (name,)))
    if not trained:
        raise InputError("no recipe is named; expected some of `tttrain recipes`")
    if idle := sorted(settings.keys() - {"", *trained}):
        raise InputError(f"--set {idle[0]}:...: not trained here; recipes: {', '.join(trained)}")
    return asked, {
        name: row_config(name, base_recipe, [*settings[""], *settings.get(name, ())])
        for name in trained
    }


def _parts(
    shards: TrainingData,
    out: Path,
    divisions: Sequence[Division],
    labels: Mapping[str, str],
    options: FoldOptions,
) -> list[Part]:
    """All folds, then those of each point of the learning curve."""
    found = []
    for size in (None, *sorted(set(options.learning_curve))):
        if size is not None and size < 1:
            raise InputError(f"--learning-curve {size}: expected at least 1 clip")
        above = out if size is None else out / f"first_{size}"
        for fold, division in enumerate(divisions, 1):
            if size is not None:
                division = first_clips(division, labels, size, seed=options.seed)
            data = open_data(shards.path, division)
            found.append(Part(fold, size, above / f"fold_{fold}", data))
    return found


def _plan(
    shards: TrainingData,
    divisions: Sequence[Division],
    labels: Mapping[str, str],
    options: FoldOptions,
) -> dict[str, Any]:
    """`folds.json`: what decides the folds, and what they are."""
    digest = hashlib.sha256(json.dumps([division.sha256 for division in divisions]).encode())
    leaking = sum(division.leaking() for division in divisions)
    if leaking:  # never, by construction
        raise ValueError(f"{leaking} clips share their group with training")
    return {
        "schema_version": SCHEMA_VERSION,
        "data": str(shards.path),
        "group": options.group or ("file" if options.groups else "video"),
        "seed": options.seed,
        "validation_share": options.validation_share,
        "divisions_sha256": digest.hexdigest(),
        "num_clips": len(labels),
        "num_groups": len(set(divisions[0].groups.values())),
        "classes": list(shards.classes),
        "leakage": leaking / len(labels),
        "folds": [_fold(at, item, labels) for at, item in enumerate(divisions, 1)],
    }


def _fold(number: int, division: Division, labels: Mapping[str, str]) -> dict[str, Any]:
    clips = {name: division.clip_ids(name) for name in SPLITS}
    learned = {labels[clip_id] for clip_id in clips["train"]}
    missing = sorted({labels[clip_id] for clip_id in clips["test"]} - learned)
    if missing:
        logger.warning("fold %d: no clip to learn %s from", number, ", ".join(missing))
    return {
        "fold": number,
        "num_clips": {name: len(found) for name, found in clips.items()},
        "num_groups": {
            name: len({division.groups[clip_id] for clip_id in found})
            for name, found in clips.items()
        },
        "never_learned": missing,
    }


def _check(
    parts: Sequence[Part],
    configs: Mapping[str, TrainConfig],
    out: Path,
    plan: Mapping[str, Any],
    init: Path | None,
) -> None:
    """Refuse now what a later fold would refuse after hours."""
    stored = stored_json(out / "folds.json", {})
    names = ("group", "seed", "validation_share", "divisions_sha256", "folds")
    if stored is not None:
        before, now = ({name: item.get(name) for name in names} for item in (stored, plan))
        if changed := [name for name in names if differences({"": before[name]}, {"": now[name]})]:
            raise InputError(
                f"{out}: holds a cross-validation in other folds ({', '.join(changed)} differ); "
                "take the same options and clips, or another --out"
            )
    for part in parts:
        for name, config in configs.items():
            folder = part.folder / name
            check_output_folder(folder, "a run", [part.data.path])
            check(config, part.data, Run(folder))
            beginning(config, part.data, Run(folder), init)


def _rows(
    parts: Sequence[Part],
    asked: Sequence[str],
    configs: Mapping[str, TrainConfig],
    device: str,
    init: Path | None,
) -> Rows:
    """Train and test everything in these folds, or read what is there."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (*configs, *asked)}
    for part in parts:
        for name, config in configs.items():
            what = "" if part.size is None else f", {part.size} clips to learn from"
            logger.info("fold %d of %d: %s%s", part.fold, len(parts), name, what)
            found[name].append(trained_row(config, part.folder / name, part.data, device, init))
        for name in (name for name in asked if name not in configs):
            streams = {stream: found[stream][-1] for stream in recipes.JOINED[name]}
            found[name].append(joined_row(part.folder / name, streams, part.data, device))
    return {name: found[name] for name in asked}
