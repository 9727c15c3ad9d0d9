"""Tests a run on clips it has not learned from: Test, TestVote, TestAvg (specification 3.5, 5)."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from ttdata.errors import InputError
from ttdata.storage.atomic import write_json
from ttdata.storage.outputs import check_output_folder
from ttflow.shards.poses import poses_folder
from ttmodels import StrokeModel
from tttrain.data.dataset import TrainingData, open_data_of
from tttrain.evaluation import baselines
from tttrain.evaluation.calibration import (
    Calibrations,
    calibrate,
    reliability,
    store,
    stored,
    uncalibrated,
)
from tttrain.evaluation.device import choose_device
from tttrain.evaluation.extraction_check import check_extraction
from tttrain.evaluation.metrics import accuracy, coarser, confusion, per_class
from tttrain.evaluation.scoring import METHODS, ClipScores, load_model, score_clips
from tttrain.report.page import reported, write_report
from tttrain.run import WRITTEN, Run, stored_json

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 4


def evaluate(
    run_folder: str | Path,
    data: str | Path,
    split: str = "test",
    *,
    device: str = "auto",
    allow_other_extraction: bool = False,
) -> dict[str, Any]:
    """Test a run's model on one split, and write `evaluation/<split>.json` and the report.

    A result that is there already, of the same model and the same clips, is kept.

    Args:
        run_folder: that `tttrain fit` wrote.
        data: shards; the run's own, or others with the same classes.
        split: "train", "validation" or "test".
        device: "auto" (as the run was configured; see `choose_device`), "cpu", "cuda" or "cuda:N".
        allow_other_extraction: test also on shards that were extracted with other settings than
            those the network learned from; the result names the difference.

    Returns:
        The content of `evaluation/<split>.json`.

    Raises:
        InputError: if the run has no model, the shards do not suit it or were extracted otherwise,
            the run lies in them, or the device is not here.
    """
    run_folder, data = Path(run_folder), Path(data)
    run = Run(run_folder.absolute())
    info = run.info()
    check_output_folder(run_folder, "a run", [data], writes=WRITTEN, may_hold_inputs=True)
    shards = open_data_of(run, data.absolute())
    on = choose_device(device, info.resolved.execution.device)
    model = load_model(run.model_folder, on)
    _check(shards, info.classes, split, run)
    others = check_extraction(shards, run, allow_other=allow_other_extraction)
    calibrations = _calibrations(run, model, shards)
    key = _key(run, shards, split, calibrations)
    path = run.folder / "evaluation" / f"{split}.json"
    result = stored_json(path, {"key": key})
    if result is not None and reported(run) == key:
        logger.info("%s: unchanged; nothing to compute", path)
        return result
    if result is None:
        result = test_model(model, shards, split, calibrations) | {"key": key}
        result["other_extraction"] = others
    write_report(run, result, shards)
    write_json(path, result)
    return result


def _calibrations(run: Run, model: StrokeModel, data: TrainingData) -> Calibrations:
    """The temperatures stored with the model, or new ones from the run's own validation clips."""
    found = stored(run.model_folder) or {}
    info = run.info()
    missing = not found.keys() >= set(METHODS)
    if missing and data.hash_for(info.resolved.network) == info.dataset_hash:
        found = calibrate(model, data)
        store(run.model_folder, found)
    return {**uncalibrated(), **found}


def test_model(
    model: StrokeModel, data: TrainingData, split: str, calibrations: Calibrations
) -> dict[str, Any]:
    """What `evaluate` returns, of any network, without a run folder, a report or a `key`.

    Args:
        model: in evaluation mode, with the classes of the data.
        data: shards.
        split: "train", "validation" or "test".
        calibrations: of the model.
    """
    scores = score_clips(model, data, data.clips[split], f"testing on {split}")
    result = summarise(scores, data, split) | _calibrated(scores, calibrations)
    result["split_info"] = None if data.split is None else data.split.model_dump(mode="json")
    return result


def summarise(scores: list[ClipScores], data: TrainingData, split: str) -> dict[str, Any]:
    """Everything about the answers that JSON can hold.

    Args:
        scores: one per clip of the split.
        data: the shards, for labels, taxonomy and baselines.
        split: that the clips are of.
    """
    truth = [item.clip.class_index for item in scores]
    answers = {method: [item.predicted(method) for item in scores] for method in METHODS}
    matrix = confusion(truth, answers["test"], len(data.classes))
    levels = coarser(truth, answers["test"], data.taxonomy)
    counts = np.bincount(truth, minlength=len(data.classes))
    others, left_out = baselines.answers(data, split)
    return {
        "schema_version": SCHEMA_VERSION,
        "split": split,
        "classes": list(data.classes),
        "methods": {method: accuracy(truth, answers[method]).as_dict() for method in METHODS},
        "largest_class": {
            "label": data.classes[int(counts.argmax())],
            "share": int(counts.max()) / max(len(truth), 1),
        },
        "baselines": {name: accuracy(truth, item).as_dict() for name, item in others.items()},
        "baselines_left_out": left_out,
        "levels": {name: item.as_dict() for name, item in levels.items()},
        "per_class": [item.as_dict() for item in per_class(matrix)],
        "confusion": matrix.tolist(),
        "clips": [
            _clip(item, data, {name: found[at] for name, found in others.items()})
            for at, item in enumerate(scores)
        ],
    }


def _calibrated(scores: list[ClipScores], calibrations: Calibrations) -> dict[str, Any]:
    """The temperatures, and the reliability of scores without and with them, by method.

    `clips` hold the scores as the network gives them; `Calibration.apply` calibrates them.
    """
    truth = [item.clip.class_index for item in scores]

    def compared(method: str) -> dict[str, Any]:
        plain = np.stack([item.scores(method) for item in scores])
        return {
            "as the network says": reliability(plain, truth),
            "calibrated": reliability(calibrations[method].apply(plain), truth),
        }

    return {
        "calibration": {method: item.as_dict() for method, item in calibrations.items()},
        "reliability": {method: compared(method) for method in METHODS},
    }


def _clip(item: ClipScores, data: TrainingData, others: dict[str, int]) -> dict[str, Any]:
    return {
        "clip_id": item.clip.clip_id,
        "truth": data.classes[item.clip.class_index],
        "answers": {method: data.classes[item.predicted(method)] for method in METHODS},
        "baselines": {name: data.classes[index] for name, index in others.items()},
        "scores": [round(float(value), 6) for value in item.central],
        "mean_scores": [round(float(value), 6) for value in item.scores("test_avg")],
        "num_windows": len(item.windows),
    }


def _check(data: TrainingData, classes: tuple[str, ...], split: str, run: Run) -> None:
    if data.classes != classes:
        raise InputError(
            f"{data.path}: classes {list(data.classes)}, expected those of {run.folder}: "
            f"{list(classes)}"
        )
    shape = run.info().resolved.network.clip_shape
    if shape is not None:
        data.check_shape(shape)
    if split not in data.clips:
        raise InputError(f"--split {split}: expected one of {', '.join(data.clips)}")
    if not data.clips[split]:
        raise InputError(f"{data.path}: no clip has the split {split!r}")


def _key(run: Run, data: TrainingData, split: str, calibrations: Calibrations) -> str:
    """Changes when the model, the clips or this code's results change."""
    shown = data.hash_for(run.info().resolved.network)
    poses = sorted(path.name for path in poses_folder(data.path).glob("*.parquet"))
    told = f"{SCHEMA_VERSION} {baselines.VERSION} {split} {shown} {poses} {calibrations}"
    digest = hashlib.sha256(told.encode())
    for name in ("config.json", "model.safetensors"):
        with (run.model_folder / name).open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
