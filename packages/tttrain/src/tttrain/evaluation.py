"""Tests a run on clips it has not learned from: Test, TestVote, TestAvg (SPEC 3.5, 5)."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ttdata.console import track
from ttdata.errors import InputError
from ttdata.files import write_json
from ttmodels import ModelFileError, StrokeModel, load
from tttrain import baselines
from tttrain.augment import Augment
from tttrain.config import AugmentConfig
from tttrain.data import TrainingData, open_data
from tttrain.decoding import decode_clip
from tttrain.metrics import Accuracy, accuracy, coarser, confusion, per_class, vote
from tttrain.normalise import normalise_flow
from tttrain.report import write_report
from tttrain.run import Run, available_threads
from tttrain.samples import ClipInfo, Window, central_request
from tttrain.windows import sliding_starts

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1

METHODS = ("test", "test_vote", "test_avg")
"""Central window; majority of all windows' classes; mean of all windows' scores."""


@dataclass(frozen=True, eq=False)
class ClipScores:
    """What the network says of one clip: scores (classes,) and windows (windows, classes)."""

    clip: ClipInfo
    central: np.ndarray
    windows: np.ndarray

    def predicted(self, method: str) -> int:
        """The class index by one of METHODS."""
        if method == "test_vote":
            return vote(self.windows)
        return int(self.scores(method).argmax())

    def scores(self, method: str) -> np.ndarray:
        """Class scores (classes,) that belong to the answer of a method."""
        return self.central if method == "test" else self.windows.mean(axis=0)


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
        InputError: if the run has no model, or the shards do not suit it.
    """
    run = Run(run_folder.absolute())
    info = run.info()
    shards = open_data(data.absolute())
    model = load_model(run.model_folder)
    _check(shards, info.classes, split, run)
    key = _key(run, shards, split)
    path = run.folder / "evaluation" / f"{split}.json"
    found = stored_result(path, key)
    if found is not None and run.report_path.is_file():
        logger.info("%s: unchanged; nothing to compute", path)
        return found
    result = test_model(model, shards, split) | {"key": key}
    write_report(run, result, shards)
    write_json(path, result)
    return result


def test_model(model: StrokeModel, data: TrainingData, split: str) -> dict[str, Any]:
    """What `evaluate` returns, of any network, without a run folder, a report or a `key`.

    Args:
        model: in evaluation mode, with the classes of the data.
        data: shards.
        split: "train", "validation" or "test".
    """
    torch.set_num_threads(available_threads())
    clips = track(data.clips[split], f"testing on {split}")
    result = summarise([score_clip(model, data, clip) for clip in clips], data, split)
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
        "baselines": {name: item.as_dict() for name, item in shortcuts(data, split).items()},
        "levels": {name: item.as_dict() for name, item in levels.items()},
        "per_class": [item.as_dict() for item in per_class(matrix)],
        "confusion": matrix.tolist(),
        "clips": [_clip(item, data) for item in scores],
    }


def shortcuts(data: TrainingData, split: str) -> dict[str, Accuracy]:
    """Answers without a network: what the background, the duration and the start time give away."""
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
        "duration": nearest(
            lambda clip: np.array([(clip.end_frame - clip.start_frame) / clip.fps])
        ),
        "start time": nearest(lambda clip: np.array([clip.start_frame / clip.fps])),
    }


def score_clip(model: StrokeModel, data: TrainingData, clip: ClipInfo) -> ClipScores:
    """Scores of the central window and of all windows of a clip."""
    config = model.config
    num_frames = config.clip_shape[0]
    central = central_request(clip, num_frames).start_frame
    starts = sliding_starts(clip.start_frame, clip.end_frame, num_frames, clip.total_frames)
    stored = decode_clip(data.read(clip.clip_id))
    scores = {
        start: _probabilities(model, stored.window(start, num_frames))
        for start in dict.fromkeys([central, *starts])
    }
    return ClipScores(clip, scores[central], np.stack([scores[start] for start in starts]))


@torch.inference_mode()
def _probabilities(model: StrokeModel, window: Window) -> np.ndarray:
    scale = model.card.flow_scale_px
    _, height, width = model.config.clip_shape
    crop = Augment(AugmentConfig(spatial=False), (height, width), seed=0)
    device = next(model.parameters()).device
    rgb, flow = crop(
        torch.from_numpy(window.rgb)[None].to(device),
        torch.from_numpy(window.flow)[None].to(device),
        [window.clip_id],
        None,
    )
    inputs = {"rgb": rgb, "flow": normalise_flow(flow, scale) if scale else flow}
    clips = [inputs[name].contiguous(memory_format=torch.channels_last_3d) for name in model.inputs]
    scores: np.ndarray = model.predict_proba(*clips)[0].double().cpu().numpy()
    return scores


def _clip(item: ClipScores, data: TrainingData) -> dict[str, Any]:
    return {
        "clip_id": item.clip.clip_id,
        "truth": data.classes[item.clip.class_index],
        "answers": {method: data.classes[item.predicted(method)] for method in METHODS},
        "scores": [round(float(value), 6) for value in item.central],
        "mean_scores": [round(float(value), 6) for value in item.scores("test_avg")],
        "num_windows": len(item.windows),
    }


def load_model(folder: Path) -> StrokeModel:
    """The network of a run's `model/`, ready to be asked, on a GPU where there is one.

    Raises:
        InputError: if the folder holds none.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = load(folder, device)
    except ModelFileError as error:
        raise InputError(f"{error}; run `tttrain fit` to its end first") from error
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    model.eval()
    return model


def _check(data: TrainingData, classes: tuple[str, ...], split: str, run: Run) -> None:
    if data.classes != classes:
        raise InputError(
            f"{data.path}: classes {list(data.classes)}, expected those of {run.folder}: "
            f"{list(classes)}"
        )
    shape = run.info().resolved.clip_shape
    if shape is not None:
        data.check_shape(shape)
    if split not in data.clips:
        raise InputError(f"--split {split}: expected one of {', '.join(data.clips)}")
    if not data.clips[split]:
        raise InputError(f"{data.path}: no clip has the split {split!r}")


def _key(run: Run, data: TrainingData, split: str) -> str:
    """Changes when the model, the clips or this code's results change."""
    digest = hashlib.sha256(f"{SCHEMA_VERSION} {split} {data.hash}".encode())
    for name in ("config.json", "model.safetensors"):
        with (run.model_folder / name).open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def stored_result(path: Path, key: str) -> dict[str, Any] | None:
    """The result in a file, or None where there is none or it was made from something else."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if values.get("key") == key else None
