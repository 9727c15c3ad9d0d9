"""A clip as the signal of a stroke: invariances, gaps, what is smoothed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttflow import ClipPose
from tttrain.quality.comparable import apart, camera_problem, direction, facing, track_problem
from tttrain.quality.landmarks import (
    ELBOW,
    HIP,
    SHOULDER,
    WRIST,
    StrokeSignal,
    smoothed,
    stroke_signal,
)

Make = Callable[..., StrokeSignal]
MakePose = Callable[..., ClipPose]


def test_units_are_torso_lengths_from_the_hips(make_signal: Make, even: np.ndarray) -> None:
    signal = make_signal(even)
    assert signal.torso_px == pytest.approx(50)
    assert signal.times[[0, -1]] == pytest.approx([0, 1])
    assert signal.xy[0, SHOULDER] == pytest.approx([0.3, -1.0], abs=1e-5)
    assert signal.xy[0, HIP] == pytest.approx([0.2, 0.0], abs=1e-5)
    # Smoothing over 20 ms leaves a stroke of a second nearly as large as it is.
    assert signal.arm[:, 0].max() == pytest.approx(1.6, abs=0.02)


@pytest.mark.parametrize(
    "how", [{"scale": 0.7}, {"scale": 1.3}, {"shift": -40.0}, {"left": True}], ids=str
)
def test_scale_place_and_hand_do_not_matter(
    make_signal: Make, even: np.ndarray, how: dict[str, object]
) -> None:
    one, other = make_signal(even, 0.8), make_signal(even, 0.8, **how)
    assert other.mirrored == bool(how.get("left"))
    assert np.abs(one.xy - other.xy).max() < 1e-4
    assert np.abs(one.world - other.world).max() < 1e-6


@settings(deadline=None, max_examples=25)
@given(
    slope=st.floats(-5, 5), start=st.floats(-5, 5), rate=st.sampled_from([15.0, 29.97, 30.0, 60.0])
)
def test_a_straight_line_stays_one(slope: float, start: float, rate: float) -> None:
    seconds = np.arange(0, 1.5, 1 / rate)
    times = np.arange(61) / 60
    found = smoothed(seconds, (start + slope * seconds)[:, None], times)
    assert found[:, 0] == pytest.approx(start + slope * times, abs=1e-9)


def test_a_gap_is_bridged_up_to_its_limit(make_pose: MakePose, even: np.ndarray) -> None:
    pose = make_pose(even)
    for lost, problem in ((12, None), (20, "for 0.35 s of the stroke, at most 0.25")):
        seen = pose.visibility.copy()
        points = pose.points.copy()
        seen[30 : 30 + lost], points[30 : 30 + lost] = 0, 0
        signal = stroke_signal(replace(pose, visibility=seen, points=points), 0, 61)
        assert signal is not None
        assert signal.longest_gap == pytest.approx((lost + 1) / 60)
        assert signal.torso_px == pytest.approx(50)
        found = track_problem(signal)
        assert found is None if problem is None else problem in str(found)
        # Between the two frames seen, the wrist is on the line between its places.
        middle = signal.at(signal.arm, (29.5 + lost / 2) / 60)[0]
        ends = signal.at(signal.arm, [29 / 60, (30 + lost) / 60])
        assert middle == pytest.approx(ends.mean(axis=0), abs=0.05)


def test_a_gap_at_an_end_counts(make_pose: MakePose, even: np.ndarray) -> None:
    pose = make_pose(even)
    seen = pose.visibility.copy()
    seen[:20] = 0
    signal = stroke_signal(replace(pose, visibility=seen), 0, 61)
    assert signal is not None
    assert signal.longest_gap == pytest.approx(20 / 60)


def test_nobody_is_no_signal(make_pose: MakePose, even: np.ndarray) -> None:
    pose = make_pose(even)
    nobody = replace(pose, visibility=np.zeros_like(pose.visibility))
    assert stroke_signal(nobody, 0, 61) is None
    assert "no player was tracked" in str(track_problem(None))


def test_joints_are_those_of_the_bat(make_signal: Make, even: np.ndarray) -> None:
    signal = make_signal(even, left=True)
    moves = np.ptp(signal.xy, axis=0).sum(axis=1)
    assert sorted(np.flatnonzero(moves > 0.1).tolist()) == [ELBOW, WRIST]


def turned(pose: ClipPose, degrees: float) -> ClipPose:
    """The same, filmed from a camera that went round the player."""
    angle = np.deg2rad(degrees)
    world = pose.world.copy()
    x, z = pose.world[..., 0], pose.world[..., 2]
    world[..., 0] = np.cos(angle) * x - np.sin(angle) * z
    world[..., 2] = np.sin(angle) * x + np.cos(angle) * z
    return replace(pose, world=world)


def test_the_cameras_direction(make_pose: MakePose, even: np.ndarray) -> None:
    directions = []
    for degrees in (0.0, 10.0, 40.0):
        signal = stroke_signal(turned(make_pose(even), degrees), 0, 61)
        assert signal is not None
        directions.append(direction([facing(signal, 0.0)] * 3))
    assert directions == pytest.approx([0, 10, 40], abs=1e-3)
    assert camera_problem(directions[1], directions[:1]) is None
    assert "another camera angle: 40 degrees" in str(camera_problem(directions[2], directions[:1]))
    assert camera_problem(directions[2], directions) is None  # one of them is near
    assert camera_problem(None, directions) is None
    assert camera_problem(0.0, [None]) is None


def test_directions_that_contradict_each_other_say_nothing() -> None:
    assert direction([np.array([1.0, 0.0]), np.array([-1.0, 0.0])]) is None
    assert direction([]) is None
    assert apart(170, -170) == 20
    assert apart(0, 180) == 180
