"""Calibration: how reliable class scores are, and a temperature that makes them more so.

A network that says 90 % should be right in 90 % of such clips. Temperature scaling divides all
logits by one number, chosen on validation clips; which class is likeliest does not change.

Every method has a temperature of its own, from the scores that it answers with: a mean of windows
is less sure than a single window, so the temperature of one is wrong for the other.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ttdata.storage.atomic import write_json
from ttmodels import StrokeModel
from tttrain.data.dataset import TrainingData
from tttrain.evaluation.scoring import METHODS, ClipScores, score_clips
from tttrain.run import stored_json

SCHEMA_VERSION = 2
FILE = "calibration.json"
LIMITS = (0.05, 20.0)
"""Of the temperature; where all validation clips are right, ever smaller ones would be better."""
_FLOOR = 1e-30


@dataclass(frozen=True)
class Calibration:
    """The temperature of a network's scores, and the validation clips it comes from (none: 1)."""

    temperature: float = 1.0
    n: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Class scores (..., classes), calibrated; each row adds up to 1."""
        logits = np.log(np.maximum(scores, _FLOOR)) / self.temperature
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        result: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
        return result


Calibrations = Mapping[str, Calibration]
"""By one of METHODS."""


def fit_temperature(scores: np.ndarray, truth: Sequence[int]) -> Calibration:
    """The temperature at which these clips' true classes are likeliest.

    Args:
        scores: (clips, classes) softmax probabilities.
        truth: class index of each clip.
    """
    if len(truth) == 0:
        return Calibration()
    logits = np.log(np.maximum(scores.astype(np.float64), _FLOOR))
    right = logits[np.arange(len(truth)), list(truth)]

    def slope(inverse: float) -> float:
        """Of the mean loss over 1 / temperature, in which it is convex."""
        powers = np.exp(inverse * (logits - logits.max(axis=1, keepdims=True)))
        mean = (powers * logits).sum(axis=1) / powers.sum(axis=1)
        return float((mean - right).mean())

    low, high = 1 / LIMITS[1], 1 / LIMITS[0]
    if slope(low) >= 0:
        return Calibration(LIMITS[1], len(truth))
    if slope(high) <= 0:
        return Calibration(LIMITS[0], len(truth))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return Calibration(2 / (low + high), len(truth))


def reliability(scores: np.ndarray, truth: Sequence[int], num_bins: int = 10) -> dict[str, Any]:
    """How often the answers are right, by how sure they are.

    Args:
        scores: (clips, classes) class scores.
        truth: class index of each clip.
        num_bins: equal parts of [0, 1] for the score of the answer.

    Returns:
        `bins`: low, high, n, mean score and share right (null where n is 0); `error`: the mean
        gap between the two over all clips (expected calibration error); `loss`: mean -log of the
        true class's score.
    """
    answers, sure = scores.argmax(axis=1), scores.max(axis=1)
    right = answers == np.array(truth, dtype=int)
    place = np.minimum((sure * num_bins).astype(int), num_bins - 1)
    bins, error = [], 0.0
    for index in range(num_bins):
        inside = place == index
        n = int(inside.sum())
        mean = float(sure[inside].mean()) if n else None
        share = float(right[inside].mean()) if n else None
        if mean is not None and share is not None:
            error += n / len(answers) * abs(mean - share)
        edges = {"low": index / num_bins, "high": (index + 1) / num_bins}
        bins.append({**edges, "n": n, "score": mean, "right": share})
    of_truth = np.maximum(scores[np.arange(len(answers)), list(truth)], _FLOOR)
    return {"bins": bins, "error": error, "loss": float(-np.log(of_truth).mean())}


def calibrate(model: StrokeModel, data: TrainingData) -> Calibrations:
    """The temperatures of a network by method, from the validation clips."""
    clips = data.clips["validation"]
    return fit_temperatures(score_clips(model, data, clips, "calibrating"))


def fit_temperatures(scored: Sequence[ClipScores]) -> Calibrations:
    """A temperature for each of METHODS, from the scores that the method answers with."""
    if not scored:
        return uncalibrated()
    truth = [item.clip.class_index for item in scored]
    return {
        method: fit_temperature(np.stack([item.scores(method) for item in scored]), truth)
        for method in METHODS
    }


def uncalibrated() -> Calibrations:
    """Temperature 1 for every method."""
    return dict.fromkeys(METHODS, Calibration())


def store(folder: Path, found: Calibrations) -> None:
    """Write `calibration.json` beside a network's weights."""
    methods = {method: item.as_dict() for method, item in found.items()}
    identity = {"schema_version": SCHEMA_VERSION, "weights_sha256": _weights_sha256(folder)}
    write_json(folder / FILE, identity | {"methods": methods})


def stored(folder: Path) -> Calibrations | None:
    """What `store` wrote for the weights that are there now, or None.

    Version 1 of the file held one temperature, of central windows: it is returned for "test" alone.
    """
    values = stored_json(folder / FILE, {"weights_sha256": _weights_sha256(folder)})
    version = None if values is None else values.get("schema_version")
    if values is None or version not in (1, SCHEMA_VERSION):
        return None
    methods = {"test": values} if version == 1 else values["methods"]
    return {
        method: Calibration(float(item["temperature"]), int(item["n"]))
        for method, item in methods.items()
    }


def _weights_sha256(folder: Path) -> str:
    card = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found: str = card["weights_sha256"]
    return found
