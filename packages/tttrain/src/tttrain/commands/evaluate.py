"""Tests a run on clips it has not learned from: Test, TestVote, TestAvg (specification 3.5, 5)."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ttdata.console import track
from ttdata.errors import InputError
from ttdata.storage.atomic import write_json
from ttdata.storage.outputs import check_output_folder
from ttmodels import StrokeModel
from tttrain.data.dataset import TrainingData, open_data
from tttrain.evaluation import baselines
from tttrain.evaluation.calibration import Calibration, calibrate, reliability, store, stored
from tttrain.evaluation.metrics import Accuracy, accuracy, coarser, confusion, per_class
from tttrain.evaluation.scoring import METHODS, ClipScores, load_model, score_clip
from tttrain.report.page import reported, write_report
from tttrain.run import WRITTEN, Run, available_threads, stored_json

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 2


def evaluate(run_folder: Path, data: Path, split: str = "test") -> dict[str, Any]:
    """Test a run's model on one split, and write `evaluation/<split>.json` and the report.

    A result that is there already, of the same model and the same clips, is kept.

    Args:
        run_folder: that `tttrain fit` wrote.
        data: shards; the run's own, or others with the same classes.
        split: "train", "validation" or "test".

    Returns:
        The content of `evaluation/<split>.json`.

    Raises:
        InputError: if the run has no model, the shards do not suit it, or the run lies in them.
    """
    run = Run(run_folder.absolute())
    info = run.info()
    check_output_folder(run_folder, "a run", [data], writes=WRITTEN, may_hold_inputs=True)
    shards = open_data(data.absolute())
    model = load_model(run.model_folder)
    _check(shards, info.classes, split, run)
    calibration = _calibration(run, model, shards)
    key = _key(run, shards, split, calibration)
    path = run.folder / "evaluation" / f"{split}.json"
    result = stored_json(path, {"key": key})
    if result is not None and reported(run) == key:
        logger.info("%s: unchanged; nothing to compute", path)
        return result
    if result is None:
        result = test_model(model, shards, split, calibration) | {"key": key}
    write_report(run, result, shards)
    write_json(path, result)
    return result


def _calibration(run: Run, model: StrokeModel, data: TrainingData) -> Calibration:
    """The temperature stored with the model, or a new one from the run's own validation clips."""
    found = stored(run.model_folder)
    if found is None and data.hash == run.info().dataset_hash:
        found = calibrate(model, data)
        store(run.model_folder, found)
    return found or Calibration()


def test_model(
    model: StrokeModel, data: TrainingData, split: str, calibration: Calibration
) -> dict[str, Any]:
    """What `evaluate` returns, of any network, without a run folder, a report or a `key`.

    Args:
        model: in evaluation mode, with the classes of the data.
        data: shards.
        split: "train", "validation" or "test".
        calibration: of the model.
    """
    torch.set_num_threads(available_threads())
    clips = track(data.clips[split], f"testing on {split}")
    scores = [score_clip(model, data, clip) for clip in clips]
    result = summarise(scores, data, split) | _calibrated(scores, calibration)
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
    return {
        "schema_version": SCHEMA_VERSION,
        "split": split,
        "classes": list(data.classes),
        "methods": {method: accuracy(truth, answers[method]).as_dict() for method in METHODS},
        "largest_class": {
            "label": data.classes[int(counts.argmax())],
            "share": int(counts.max()) / max(len(truth), 1),
        },
        "baselines": {name: item.as_dict() for name, item in _baselines(data, split).items()},
        "levels": {name: item.as_dict() for name, item in levels.items()},
        "per_class": [item.as_dict() for item in per_class(matrix)],
        "confusion": matrix.tolist(),
        "clips": [_clip(item, data) for item in scores],
    }


def _calibrated(scores: list[ClipScores], calibration: Calibration) -> dict[str, Any]:
    """The temperature, and the reliability of central windows' scores without and with it.

    `clips` hold the scores as the network gives them; `Calibration.apply` calibrates them.
    """
    plain = np.stack([item.central for item in scores])
    truth = [item.clip.class_index for item in scores]
    return {
        "calibration": calibration.as_dict(),
        "reliability": {
            "as the network says": reliability(plain, truth),
            "calibrated": reliability(calibration.apply(plain), truth),
        },
    }


def _baselines(data: TrainingData, split: str) -> dict[str, Accuracy]:
    """The accuracies of the baselines: background, duration, start time, largest class."""
    train, test = data.clips["train"], data.clips[split]
    known = [clip.class_index for clip in train]
    truth = [clip.class_index for clip in test]

    def nearest(feature: Any) -> Accuracy:
        return baselines.nearest_neighbour(
            np.stack([feature(clip) for clip in train]),
            known,
            np.stack([feature(clip) for clip in test]),
            truth,
        )

    return {
        "largest class": baselines.largest_class(known, truth),
        "background": nearest(lambda clip: data.background(clip.clip_id)),
        "duration": nearest(lambda clip: np.array(data.timing(clip)[1:])),
        "start time": nearest(lambda clip: np.array(data.timing(clip)[:1])),
    }


def _clip(item: ClipScores, data: TrainingData) -> dict[str, Any]:
    return {
        "clip_id": item.clip.clip_id,
        "truth": data.classes[item.clip.class_index],
        "answers": {method: data.classes[item.predicted(method)] for method in METHODS},
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


def _key(run: Run, data: TrainingData, split: str, calibration: Calibration) -> str:
    """Changes when the model, the clips or this code's results change."""
    digest = hashlib.sha256(f"{SCHEMA_VERSION} {split} {data.hash} {calibration}".encode())
    for name in ("config.json", "model.safetensors"):
        with (run.model_folder / name).open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
