"""The baseline on pose: its cosine transform, what it does not see, and its answers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ttmodels import PoseSVM, load
from ttmodels.pose.support_vectors import dct_rows
from tttrain.data.dataset import open_data
from tttrain.data.poses import STROKE_TIMES as TIMES
from tttrain.evaluation.baselines import NAMES, answers
from tttrain.evaluation.pose_svm import answer, choose, kept, machine_of, stroke_features


def stroke(amplitude: float, phase: float = 0.0) -> np.ndarray:
    """(32, 33, 3) float32: a body whose right wrist (16) swings."""
    points = np.zeros((TIMES, 33, 3), np.float32)
    points[:, [11, 12], 1] = -50
    points[:, [11, 23], 0], points[:, [12, 24], 0] = 10, -10
    points[:, 16, 0] = amplitude * np.sin(np.arange(TIMES) / 5 + phase)
    return points


def test_the_transform_is_the_orthonormal_one() -> None:
    rows = dct_rows(8, TIMES).numpy()
    assert rows @ rows.T == pytest.approx(np.eye(8), abs=1e-12)
    assert rows @ np.ones(TIMES) == pytest.approx([np.sqrt(TIMES), *[0] * 7], abs=1e-12)
    # Of a cosine of order 3 nothing but the fourth coefficient is left: sqrt(16) of amplitude 1.
    wave = np.cos(np.pi * 3 * (np.arange(TIMES) + 0.5) / TIMES)
    assert rows @ wave == pytest.approx([0, 0, 0, 4, 0, 0, 0, 0], abs=1e-12)


def test_place_size_and_side_of_the_camera_do_not_matter() -> None:
    plain = stroke_features(stroke(30))
    assert plain.shape == (8 * 33 * 3,)
    cos, sin = np.cos(2.0), np.sin(2.0)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
    moved = 1.7 * stroke(30) @ turn + np.array([300, -40, 70], np.float32)
    assert stroke_features(moved) == pytest.approx(plain, abs=1e-4)
    assert np.abs(stroke_features(stroke(10)) - plain).max() > 0.5


def test_the_first_coefficients_come_first() -> None:
    # The swing along x of a person in front of the camera: nothing else changes over time.
    found = stroke_features(stroke(30)).reshape(8, 3, 33)
    assert np.argwhere(np.abs(found[1:]).max(axis=0) > 1e-4).tolist() == [[0, 16]]
    assert found[:, 0, 16] == pytest.approx(
        dct_rows(8, TIMES).numpy() @ stroke(30)[:, 16, 0] / 50, abs=1e-5
    )


def test_a_body_that_is_not_seen_is_all_zero() -> None:
    assert not stroke_features(0 * stroke(30)).any()


def test_large_and_small_swings_are_told_apart() -> None:
    rng = np.random.default_rng(0)

    def some(count: int) -> tuple[np.ndarray, list[int]]:
        labels = [index % 2 for index in range(count)]
        features = [
            stroke_features(stroke(40 if label else 15, rng.normal(0, 0.3))) for label in labels
        ]
        return np.array(features), labels

    (train, known), (test, truth) = some(24), some(10)
    groups = [f"g{index // 4}" for index in range(24)]
    found = answer(train, known, groups, test)
    assert found == truth
    assert answer(train, known, groups, test) == found


def test_one_group_or_one_class_is_enough_to_answer() -> None:
    train = np.array([[0.0], [0.2], [5.0], [5.2]])
    test = np.array([[0.1], [5.1]])
    assert answer(train, [0, 0, 1, 1], ["g"] * 4, test) == [0, 1]
    assert answer(train, [2, 2, 2, 2], list("abcd"), test) == [2, 2]


def some_strokes(classes: list[int]) -> tuple[np.ndarray, list[int], list[str]]:
    """Features, class indices and groups of 12 strokes a class, and noise enough to err."""
    rng = np.random.default_rng(3)
    known = [index for index in classes for _ in range(12)]
    swings = [stroke(10 + 8 * index, rng.normal(0, 0.6)) for index in known]
    noise = [rng.normal(0, 2, swing.shape).astype(np.float32) for swing in swings]
    features = [stroke_features(a + b) for a, b in zip(swings, noise, strict=True)]
    return np.array(features), known, [f"g{at % 5}" for at in range(len(known))]


def poses_like(features: np.ndarray, coefficients: int) -> torch.Tensor:
    """Poses (N, 3, 32, 33) float64 with these coefficients: the transform has orthonormal rows."""
    rows = dct_rows(coefficients, TIMES)
    orders = torch.from_numpy(features).unflatten(1, (-1, 3, 33))[:, :coefficients]
    return torch.einsum("kt,bkcp->bctp", rows, orders)


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2, 3, 4]])
def test_what_is_kept_answers_as_scikit_learn_does(classes: list[int], tmp_path: Path) -> None:
    features, known, groups = some_strokes(classes)
    model = kept(features, known, groups, len(classes), (40, 40))
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert isinstance(again, PoseSVM)
    for name, values in model.state_dict().items():
        assert values.dtype == torch.float64
        assert torch.equal(again.state_dict()[name], values), name
    choice = choose(features, known, groups)
    machine = machine_of(features, np.array(known), choice)
    machine.break_ties = True
    asked = np.random.default_rng(4).permutation(features.ravel()).reshape(features.shape)
    asked = np.concatenate([features, 0.1 * asked])
    part = asked[:, : choice[0] * 99]
    logits = again(poses_like(asked, choice[0])).numpy()
    if len(classes) > 2:
        assert logits == pytest.approx(machine.decision_function(part), abs=1e-9)
    else:  # scikit-learn gives one number for two classes
        sums = machine.decision_function(part)
        # Of two classes one is one pair ahead, and each is by the same amount clear or not.
        clear = sums / (3 * (np.abs(sums) + 1))
        expected = np.stack([(sums <= 0) - clear, (sums > 0) + clear], axis=1)
        assert logits == pytest.approx(expected, abs=1e-9)
    assert logits.argmax(axis=1).tolist() == machine.predict(part).tolist()
    assert 0 < (logits.argmax(axis=1)[: len(known)] == known).mean() <= 1


def test_classes_that_nobody_shows_are_never_answered() -> None:
    features, known, groups = some_strokes([1, 3])
    model = kept(features, known, groups, 5, (40, 40))
    poses = poses_like(features, model.coefficients)
    logits = model(poses)
    assert set(logits.argmax(dim=1).tolist()) == {1, 3}
    assert (logits[:, [1, 3]].amin(dim=1) > logits[:, [0, 2, 4]].amax(dim=1) + 1).all()
    (only,) = {*kept(features, [2] * 24, groups, 3, (40, 40))(poses).argmax(dim=1).tolist()}
    assert only == 2


def test_it_answers_where_shards_hold_poses(shards_with_poses: Path, tmp_path: Path) -> None:
    data = open_data(shards_with_poses)
    found, left_out = answers(data, "test")
    assert (tuple(found), left_out) == (NAMES, {})
    # The wrist moves down, left or right, as the labels say.
    assert found["pose + SVM"] == [clip.class_index for clip in data.clips["test"]]
    shutil.copytree(shards_with_poses, tmp_path / "some")
    for file in (tmp_path / "some" / "pose").glob("*.parquet"):
        file.unlink()
    found, left_out = answers(open_data(tmp_path / "some"), "test")
    assert tuple(found) == NAMES[:-1]
    assert "run `ttflow pose" in left_out["pose + SVM"]
