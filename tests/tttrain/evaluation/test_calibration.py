"""Temperatures and reliability with known answers; windows that share their convolutions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ttmodels import SSTC, FlowNet, LateFusion, ModelCard, RGBNet
from tttrain.data.sampling import ClipInfo, StoredClip
from tttrain.evaluation import calibration
from tttrain.evaluation.calibration import (
    LIMITS,
    Calibration,
    fit_temperature,
    fit_temperatures,
    reliability,
)
from tttrain.evaluation.scoring import METHODS, ClipScores, window_scores


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_temperature_of_scores_that_exaggerate_is_found() -> None:
    """Classes are drawn with calibrated scores, and stated with logits three times as large."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 1.5
    calibrated = softmax(logits)
    truth = (calibrated.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    stated = softmax(3 * logits)
    found = fit_temperature(stated, truth.tolist())
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert found.n == 20_000
    before, after = reliability(stated, truth), reliability(found.apply(stated), truth)
    assert before["error"] > 0.15
    assert after["error"] < 0.02
    assert after["loss"] < before["loss"]
    assert found.apply(stated) == pytest.approx(calibrated, abs=0.02)


def test_the_best_temperature_of_two_clips_by_hand() -> None:
    # Logits 0 and 1, right in three of four: the score of class 1 must become 3 / 4.
    scores = np.tile(softmax(np.array([0.0, 1.0])), (4, 1))
    found = fit_temperature(scores, [1, 1, 1, 0])
    assert found.temperature == pytest.approx(1 / np.log(3))
    assert found.apply(scores)[0] == pytest.approx([0.25, 0.75])


def test_clips_all_right_or_at_odds_stop_at_the_limits() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert fit_temperature(scores, [0, 1]).temperature == LIMITS[0]
    assert fit_temperature(scores, [1, 0]).temperature == LIMITS[1]
    assert fit_temperature(np.zeros((0, 2)), []) == Calibration(1.0, 0)
    extreme = Calibration(LIMITS[0], 2).apply(np.array([[1.0, 0.0]]))
    assert extreme == pytest.approx(np.array([[1.0, 0.0]]))


def test_reliability_by_hand() -> None:
    scores = np.array([[0.95, 0.05], [0.91, 0.09], [0.4, 0.6], [0.0, 1.0]])
    found = reliability(scores, [0, 1, 1, 1])
    by_low = {round(10 * item["low"]): item for item in found["bins"] if item["n"]}
    assert {low: item["n"] for low, item in by_low.items()} == {9: 3, 6: 1}
    assert by_low[9]["score"] == pytest.approx((0.95 + 0.91 + 1) / 3)
    assert by_low[9]["right"] == pytest.approx(2 / 3)
    gap = abs(0.953333 - 0.666667) * 3 / 4 + 0.4 / 4
    assert found["error"] == pytest.approx(gap, abs=1e-5)
    expected = -np.log([0.95, 0.09, 0.6, 1.0]).mean()
    assert found["loss"] == pytest.approx(expected)


def test_a_stored_temperature_belongs_to_its_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    RGBNet(3, (8, 8, 8)).save_pretrained(tmp_path)
    assert calibration.stored(tmp_path) is None
    found = {method: Calibration(1.7 + n, 9) for n, method in enumerate(METHODS)}
    calibration.store(tmp_path, found)
    assert calibration.stored(tmp_path) == found
    RGBNet(3, (8, 8, 8)).save_pretrained(tmp_path)
    assert calibration.stored(tmp_path) is None


def test_a_temperature_of_an_earlier_release_is_that_of_central_windows(tmp_path: Path) -> None:
    RGBNet(3, (8, 8, 8)).save_pretrained(tmp_path)
    weights = json.loads((tmp_path / "config.json").read_text())["weights_sha256"]
    values = {"schema_version": 1, "weights_sha256": weights, "temperature": 1.7, "n": 9}
    (tmp_path / "calibration.json").write_text(json.dumps(values))
    assert calibration.stored(tmp_path) == {"test": Calibration(1.7, 9)}
    (tmp_path / "calibration.json").write_text(json.dumps(values | {"schema_version": 3}))
    assert calibration.stored(tmp_path) is None


def test_each_method_gets_the_temperature_of_the_scores_it_answers_with() -> None:
    """Central windows right in 3 of 4 clips, means of windows, half as sure, too."""
    clip = ClipInfo("a", 0, 8, 8, 30.0, 1)
    clips = [clip, clip, clip, ClipInfo("b", 0, 8, 8, 30.0, 0)]
    central, mean = softmax(np.array([0.0, 1.0])), softmax(np.array([0.0, 0.5]))
    apart = np.array([0.1, -0.1])
    windows = np.stack([mean + apart, mean - apart])
    found = fit_temperatures([ClipScores(clip, central, windows) for clip in clips])
    assert found["test"].temperature == pytest.approx(1 / np.log(3))
    assert found["test_avg"].temperature == pytest.approx(0.5 / np.log(3))
    assert found["test_vote"] == found["test_avg"]
    assert found["test_avg"].apply(mean) == pytest.approx([0.25, 0.75])
    assert fit_temperatures([]) == dict.fromkeys(METHODS, Calibration(1.0, 0))


@pytest.mark.parametrize("kind", ["siamese", "late"])
def test_shared_windows_score_as_windows_one_by_one(kind: str) -> None:
    torch.manual_seed(1)
    shape = (32, 16, 16)
    model = SSTC(3, shape)
    if kind == "late":
        model = LateFusion.from_streams(RGBNet(3, shape), FlowNet(3, shape))
    model.card = ModelCard(flow_scale_px=(2.0, 3.0))
    model.eval()
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (80, 24, 24, 3)).astype(np.uint8)
    flow = rng.integers(-90, 90, (80, 2, 24, 24)).astype(np.int16)
    stored = StoredClip("clip", (100, 180), 400, rgb, flow)
    starts = [103, 113, 123, 133]
    together = window_scores(model, stored, starts)
    apart = np.concatenate([window_scores(model, stored, [start]) for start in starts])
    assert together == pytest.approx(apart, abs=1e-6)
    assert np.abs(np.diff(apart, axis=0)).max() > 1e-4
