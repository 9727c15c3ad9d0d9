"""Measures in a teacher's words, central strokes, motion without pose."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tttrain.quality.coarse import at_one_rate, judge_coarse, motion_histograms
from tttrain.quality.landmarks import StrokeSignal
from tttrain.quality.strokes import Stroke
from tttrain.quality.suggest import central
from tttrain.quality.words import words


@pytest.mark.parametrize(
    ("phase", "name", "value", "mean", "chance", "told"),
    [
        ("backswing", "duration_s", 0.2, 0.32, 0.06,
         "backswing 120 ms shorter than the references, outside nine of ten of them"),
        ("forward", "gain", 0.8, 1.0, 0.04,
         "forward swing: arm's movement 20 % smaller than in the references, outside nineteen of "
         "twenty of them"),
        ("forward", "wrist_y", 0.5, 0.3, 0.001,
         "hand 0.20 torso lengths higher at contact than in the references, outside ninety-nine of "
         "a hundred of them"),
        ("follow_through", "peak_speed", 6.0, 5.0, 0.6,
         "follow-through: fastest movement of the hand 20 % faster than in the references, as the "
         "references vary, too"),
        ("backswing", "trunk_turn", 10.0, 30.0, None,
         "trunk turned back 20 degrees less at the end of the backswing than in the references, "
         "how unusual that is cannot be told"),
        ("follow_through", "gain", 0.2, -0.1, 0.5, None),
        ("backswing", "duration_s", 0.3204, 0.32, 0.9, "backswing as long as in the references"),
        ("forward", "duration_share", 0.296, 0.3, None,
         "forward swing takes as much of the stroke's time as in the references"),
        ("backswing", "trunk_turn", 30.4, 30.0, 0.8,
         "trunk at the end of the backswing turned back as in the references"),
        ("forward", "wrist_y", 0.296, 0.3, 0.8, "hand at contact as high as in the references"),
        ("forward", "wrist_x", 0.3, 0.3, 0.8, "hand at contact sideways as in the references"),
        ("stroke", "gain", 0.996, 1.0, 0.8, "whole stroke: arm's movement as in the references"),
        ("forward", "peak_speed", 5.0, 5.0, 0.8,
         "forward swing: fastest movement of the hand as in the references"),
        # Where so little is outside its direction is told all the same.
        ("forward", "wrist_y", 0.296, 0.3, 0.04,
         "hand 0.00 torso lengths lower at contact than in the references, outside nineteen of "
         "twenty of them"),
    ],
)  # fmt: skip
def test_words(
    phase: str, name: str, value: float, mean: float, chance: float | None, told: str | None
) -> None:
    assert words(phase, name, value, mean, chance) == told


def test_sides_are_those_of_the_film_for_both_hands() -> None:
    """A left-hander is measured in the mirrored picture; his teacher looks at the film."""
    for mirrored, side in ((False, "right"), (True, "left")):
        told = words("forward", "wrist_x", 0.8, 0.5, 0.01, mirrored=mirrored)
        assert f"hand 0.30 torso lengths to the {side} at contact" in str(told)
        told = words("forward", "wrist_y", 0.8, 0.5, 0.01, mirrored=mirrored)
        assert "hand 0.30 torso lengths higher at contact" in str(told)


def test_the_medoid_comes_first(make_signal: Callable[..., StrokeSignal], even: np.ndarray) -> None:
    """The pace in the middle is nearest to all; sessions take turns."""
    paces = {"a": -0.1, "b": -0.04, "c": 0.0, "d": 0.05, "e": 0.11}
    shape = np.sin(np.pi * even) ** 2
    signals = {name: make_signal(even + pace * shape) for name, pace in paces.items()}
    assert central(signals, dict.fromkeys(signals, "s"), 3)[0][0] == "c"
    sessions = {name: "t" if name == "e" else "s" for name in signals}
    assert [name for name, _ in central(signals, sessions, 2)] == ["c", "e"]
    assert central({"a": signals["a"]}, {"a": "s"}, 3) == [("a", 0.0)]
    # One in which the hand is hidden comes last, be it the medoid or alone in its session.
    for name in ("c", "e"):
        unseen = replace(signals[name], visible=np.full(len(signals[name].times), 0.2))
        found = [clip for clip, _ in central(signals | {name: unseen}, sessions, 5)]
        assert (len(found), found[-1]) == (5, name)


def test_motion_by_place_and_direction() -> None:
    flow = np.zeros((2, 2, 9, 9))
    flow[0, 0, 0, 0] = 3  # to the right, in the first cell
    flow[0, 1, 4, 8] = 2  # down, in the middle row's last cell
    flow[1, :, 8, 8] = -1  # up and to the left, in the last cell
    found = motion_histograms(flow).reshape(2, 9, 8)
    assert found[0, 0].tolist() == [3, 0, 0, 0, 0, 0, 0, 0]
    assert found[0, 5].tolist() == [0, 0, 2, 0, 0, 0, 0, 0]
    assert found[1, 8, 5] == pytest.approx(np.sqrt(2))
    assert found.sum() == pytest.approx(5 + np.sqrt(2))


def test_motion_is_compared_at_one_rate() -> None:
    """The same ramp at 60 and 15 frames a second: 31 and 16 samples of one second at 30 Hz."""
    fast, slow = np.arange(61.0)[:, None], 4 * np.arange(16.0)[:, None]
    found = at_one_rate(fast, 60.0), at_one_rate(slow, 15.0)
    assert found[0].shape == found[1].shape == (31, 1)
    assert found[0] == pytest.approx(found[1])
    assert (found[0] ** 2).mean() == pytest.approx(1)


def test_without_pose_another_movement_is_further(even: np.ndarray) -> None:
    rows = [
        {"clip_id": str(k), "video_id": "v", "player_id": None, "session_id": None, "label": "Hit",
         "start_frame": 0, "end_frame": 9, "fps": 30.0}
        for k in range(6)
    ]  # fmt: skip
    draw = np.random.default_rng(0)
    base = np.abs(draw.normal(size=(20, 72)))
    motion = [base + 0.1 * draw.normal(size=base.shape) for _ in range(5)] + [base[::-1]]
    found = judge_coarse([Stroke(row) for row in rows], motion, [0, 1, 2])
    assert [item.is_reference for item in found] == [True] * 3 + [False] * 3
    assert found[5].distance is not None
    assert found[5].distance > 5 * max(item.distance or 0 for item in found[:5])
    assert found[5].distance_percentile == 1 / 4
    # Each reference is among the other two; the last of three is further than both.
    places = sorted(item.distance_percentile or 0 for item in found[:3])
    assert places == pytest.approx([1 / 3, 2 / 3, 1], abs=1e-6)
    few = judge_coarse([Stroke(row) for row in rows], motion, [0, 1])
    assert {item.refused for item in few} == {"2 references, expected at least 3; mark more"}
