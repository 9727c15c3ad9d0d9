"""`tttrain compare`: the rows of table II, trained and tested on the user's own data."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from ttdata.errors import InputError
from ttdata.settings import override
from ttdata.storage.atomic import write_json
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.outputs import check_output_folder
from ttmodels import MODELS, LateFusion, StrokeModel, TwoStreamI3D
from ttmodels.pretrained import read_config
from tttrain import recipes
from tttrain.commands.evaluate import evaluate, test_model
from tttrain.commands.fit import check, fit
from tttrain.config import TrainConfig
from tttrain.data.dataset import TrainingData, open_data
from tttrain.evaluation.calibration import calibrate, store
from tttrain.evaluation.device import choose_device
from tttrain.evaluation.metrics import mcnemar
from tttrain.evaluation.paper_results import PAPER
from tttrain.evaluation.scoring import load_model
from tttrain.run import Run, stored_json

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 4
ROWS = (
    *("siamese", "siamese_no_augmentation", "rgb", "flow", "early", "late"),
    *("i3d_rgb", "i3d_flow", "i3d_two_stream"),
)
"""The rows of the paper's table."""
FEW_CLIPS = (
    *("siamese_pooled", "siamese_pose", "siamese_pose_turned"),
    *("pose", "small", "small_turned", "pose_svm"),
)
"""Rows for few clips, which are made when they are asked for: all but the first need landmarks."""
ALL_ROWS = (*ROWS, *FEW_CLIPS)
"""The rows that can be asked for, in the order of the table."""


def compare(
    data: str | Path,
    out: str | Path,
    rows: Sequence[str] = ROWS,
    *,
    base_recipe: str | None = None,
    overrides: Iterable[str] = (),
    like: str | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Train and test each row, and write `table.json`, `table.md` and `index.html`.

    Every row is a run folder below `out`; rows that are finished are not trained again, and one
    that was interrupted goes on. `late` joins the networks of the rows `rgb` and `flow`, which are
    trained where they are not asked for. Nothing is chosen by looking at the test clips.

    Args:
        data: shards that `ttflow extract` wrote.
        out: the folder of the comparison.
        rows: some of ALL_ROWS.
        base_recipe: the recipe whose training all rows take; each keeps its network and its
            augmentation.
        overrides: `key=value` settings of all rows, `row:key=value` of one.
        like: the former name of base_recipe.
        device: "auto" (as the rows are configured), "cpu", "cuda" or "cuda:N", for training and
            tests. Which GPU trains is Ray's choice; N says which one tests.

    Returns:
        The content of `table.json`.

    Raises:
        InputError: before anything is trained, for an unknown row or setting, base_recipe and like
            together, a device that is not here, shards that do not suit a row or have no test
            clips, or a folder that holds a run with other settings.
    """
    from tttrain.report.comparison_page import write_pages

    if base_recipe is not None and like is not None:
        raise InputError(
            f"base_recipe={base_recipe!r}, like={like!r}: like is the former name of base_recipe; "
            "expected one of them"
        )
    data, out = Path(data), Path(out)
    settings = split_settings(overrides)
    asked, order = _rows_to_do(rows, settings)
    if device != "auto":
        trained_on = choose_device(device, "auto").type
        settings[""].insert(0, f"execution.device={trained_on}")
    configs = {
        name: row_config(name, base_recipe or like, [*settings[""], *settings.get(name, ())])
        for name in order
        if name not in recipes.JOINED
    }
    check_lasting(data, "--data")  # as in `fit`
    check_output_folder(out, "a comparison", [data])
    for name in order:
        check_output_folder(out / name, "a run", [data])
    shards = open_data(data.absolute())
    _check(configs, order, shards, out.absolute())
    results: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(order, 1):
        logger.info("row %d of %d: %s", number, len(order), name)
        folder = out.absolute() / name
        if name in recipes.JOINED:
            parts = {stream: results[stream] for stream in recipes.JOINED[name]}
            results[name] = joined_row(folder, parts, shards, device)
        else:
            results[name] = trained_row(configs[name], folder, shards, device)
    table = _table({name: results[name] for name in asked}, shards)
    write_json(out / "table.json", table)
    write_pages(out, table)
    return table


def _rows_to_do(rows: Sequence[str], settings: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """The rows asked for and, with the streams that these join, those to be made; table order."""
    unknown = [name for name in rows if name not in ALL_ROWS]
    if unknown or not rows:
        raise InputError(
            f"row {', '.join(unknown) or 'none'}: expected some of {', '.join(ALL_ROWS)}"
        )
    asked = [name for name in ALL_ROWS if name in rows]
    streams = [stream for name in asked for stream in recipes.JOINED.get(name, ())]
    order = [name for name in ALL_ROWS if name in (*asked, *streams)]
    if idle := sorted(settings.keys() - {"", *order}):
        raise InputError(
            f"--set {idle[0]}:...: this row is not asked for; rows: {', '.join(order)}"
        )
    return asked, order


def _check(
    configs: dict[str, TrainConfig], order: Sequence[str], data: TrainingData, out: Path
) -> None:
    """Refuse now what a later row would refuse after hours."""
    if not data.clips["test"]:
        raise InputError(f"{data.path}: no clip has the split 'test'; run `ttdata split` first")
    shapes = {name: check(config, data, Run(out / name)) for name, config in configs.items()}
    for name in order:
        parts = recipes.JOINED.get(name, ())
        if len({shapes[part] for part in parts}) > 1:
            told = " and ".join(f"{part} {list(shapes[part])}" for part in parts)
            raise InputError(f"row {name}: clip_shape of {told}, expected the same to join them")


def split_settings(overrides: Iterable[str]) -> dict[str, list[str]]:
    """Settings by the row they are for; those under "" are for all.

    Raises:
        InputError: for a row that is not trained.

    >>> split_settings(["schedule.epochs=9", "rgb:schedule.epochs=4"])
    {'': ['schedule.epochs=9'], 'rgb': ['schedule.epochs=4']}
    """
    found: dict[str, list[str]] = {"": []}
    for item in overrides:
        key, equals, value = item.partition("=")
        row, colon, inner = key.rpartition(":")
        if colon and row not in recipes.RECIPES:
            trained = ", ".join(name for name in ALL_ROWS if name not in recipes.JOINED)
            raise InputError(f"--set {item}: row {row!r}, expected one of {trained}")
        found.setdefault(row, []).append(f"{inner}{equals}{value}")
    return found


def row_config(name: str, base_recipe: str | None, overrides: Iterable[str]) -> TrainConfig:
    """How a row is trained: its recipe, or another's training with its network and augmentation."""
    own = config = recipes.get(name)
    if base_recipe is not None:
        base = recipes.get(base_recipe)
        network = own.network.model_copy(update={"clip_shape": base.network.clip_shape})
        config = base.with_changes(recipe=own.recipe, network=network)
        if not own.augment.spatial:
            config = config.with_changes(augment=own.augment)
    return override(config, overrides)


def trained_row(
    config: TrainConfig, folder: Path, data: TrainingData, device: str, init: Path | None = None
) -> dict[str, Any]:
    """A network trained and tested in a run folder; what is there already is kept."""
    run = fit(config, data.path, folder, init, division=data.division)
    metrics = run.metrics()
    result = evaluate(folder, data.path, device=device)
    return {
        "result": result,
        "parameters": _parameters(run),
        "epochs": len(metrics),
        "training_seconds": sum(entry["seconds"] for entry in metrics),
        "folder": folder,
    }


def _parameters(run: Run) -> int:
    stored = read_config(run.model_folder)
    network = MODELS[stored.model]
    config, _ = stored.check(network.name, network.config_type, network.inputs_for)
    with torch.device("meta"):
        model = network.from_config(config)
    return sum(weight.numel() for weight in model.parameters())


def joined_row(
    folder: Path, parts: dict[str, dict[str, Any]], data: TrainingData, device: str
) -> dict[str, Any]:
    """The row of a network that joins two rows that are there, by name: picture, then flow."""
    keys = [row["result"]["key"] for row in parts.values()]
    key = hashlib.sha256(json.dumps([SCHEMA_VERSION, *keys]).encode()).hexdigest()
    path = folder / "evaluation" / "test.json"
    result = stored_json(path, {"key": key})
    if result is None:
        runs = [Run(row["folder"]) for row in parts.values()]
        on = choose_device(device, runs[0].info().resolved.execution.device)
        streams = [load_model(run.model_folder, on) for run in runs]
        try:
            model = _JOIN[folder.name](*streams)
        except ValueError as error:
            raise InputError(
                f"{folder}: {' and '.join(parts)} cannot be joined: {error}"
            ) from error
        model.eval()
        calibrations = calibrate(model, data)
        result = test_model(model, data, "test", calibrations) | {"key": key}
        model.save_pretrained(folder / "model", model.card)
        store(folder / "model", calibrations)
        write_json(path, result)
    totals = {
        name: sum(row[name] for row in parts.values())
        for name in ("parameters", "epochs", "training_seconds")
    }
    return {"result": result, "folder": folder, **totals}


_JOIN: dict[str, Callable[..., StrokeModel]] = {
    "late": LateFusion.from_streams,
    "i3d_two_stream": TwoStreamI3D.from_streams,
}


def _table(rows: dict[str, dict[str, Any]], data: TrainingData) -> dict[str, Any]:
    """What `table.json` holds: a row per network, the baselines, and what the split leaks."""
    first = next(iter(rows))
    reference = rows[first]["result"]
    return {
        "schema_version": SCHEMA_VERSION,
        "data": str(data.path),
        "dataset_hash": data.hash,
        "num_clips": {name: len(clips) for name, clips in data.clips.items()},
        "num_classes": len(data.classes),
        "split_info": reference["split_info"],
        "largest_class": reference["largest_class"],
        "rows": [
            {
                "name": name,
                "methods": row["result"]["methods"],
                "levels": row["result"]["levels"],
                "paper": PAPER.get(name, (None, None, None)),
                "parameters": row["parameters"],
                "epochs": row["epochs"],
                "training_seconds": round(row["training_seconds"], 1),
                "mcnemar": None if name == first else _against(first, reference, row["result"]),
            }
            for name, row in rows.items()
        ],
        "baselines": reference["baselines"],
        "baselines_left_out": reference["baselines_left_out"],
    }


def _against(name: str, reference: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The test between the first row and another, on the central windows of the same clips."""
    right = [
        [clip["truth"] == clip["answers"]["test"] for clip in result["clips"]]
        for result in (reference, other)
    ]
    return mcnemar(*right).as_dict(name)
