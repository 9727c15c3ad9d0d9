"""Landmarks at any frame of a clip: known answers, and rules that hold for all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttflow.pose.clip_pose import ClipPose, estimated_frames


def make_pose(frames: list[int], xs: list[float], visibility: list[float]) -> ClipPose:
    """All 33 landmarks at (x, 2 x), each as visible as its frame says."""
    number = len(frames)
    points = np.array([[[x, 2 * x]] * 33 for x in xs], np.float32)
    return ClipPose(
        frames=np.array(frames, np.int64),
        points=points,
        world=np.zeros((number, 33, 3), np.float32),
        visibility=np.array([[value] * 33 for value in visibility], np.float32),
        presence=np.ones(number, np.float32),
        clip_id="c",
        fps=120.0,
    )


def answers(pose: ClipPose, frames: list[int]) -> list[tuple[float, float, float]]:
    """x, y, visibility of the first landmark, once all landmarks are the same."""
    points, visibility = pose.at(np.array(frames))
    assert (points.dtype, points.shape) == (np.float32, (len(frames), 33, 2))
    assert (visibility.dtype, visibility.shape) == (np.float32, (len(frames), 33))
    assert (points == points[:, :1]).all()
    assert (visibility == visibility[:, :1]).all()
    return [(*map(float, p[0]), float(v[0])) for p, v in zip(points, visibility, strict=True)]


def test_between_two_frames_the_landmarks_are_linear() -> None:
    pose = make_pose([40, 44, 45], [8.0, 16.0, 32.0], [0.5, 1.0, 0.25])
    assert answers(pose, [40, 41, 42, 44, 45]) == [
        (8.0, 16.0, 0.5),
        (10.0, 20.0, 0.625),
        (12.0, 24.0, 0.75),
        (16.0, 32.0, 1.0),
        (32.0, 64.0, 0.25),
    ]


def test_outside_the_nearest_holds() -> None:
    pose = make_pose([40, 44], [8.0, 16.0], [0.5, 1.0])
    assert answers(pose, [46, -3, 39, 1000]) == [
        (16.0, 32.0, 1.0),
        (8.0, 16.0, 0.5),
        (8.0, 16.0, 0.5),
        (16.0, 32.0, 1.0),
    ]


def test_beside_a_frame_without_a_person_nothing_is_visible() -> None:
    pose = make_pose([0, 4, 8, 12], [8.0, 0.0, 0.0, 4.0], [0.5, 0.0, 0.0, 1.0])
    assert answers(pose, [0, 1, 4, 6, 11, 12]) == [
        (8.0, 16.0, 0.5),
        (8.0, 16.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (4.0, 8.0, 0.0),
        (4.0, 8.0, 1.0),
    ]


def test_a_single_frame_is_that_of_all() -> None:
    assert answers(make_pose([7], [3.0], [0.5]), [0, 7, 9]) == [(3.0, 6.0, 0.5)] * 3


@given(st.data())
def test_linear_motion_is_recovered_everywhere(data: st.DataObject) -> None:
    frames = sorted(data.draw(st.sets(st.integers(0, 400), min_size=1, max_size=20)))
    slope, start = data.draw(st.integers(-8, 8)), data.draw(st.integers(-100, 100))
    pose = make_pose(frames, [start + slope * frame for frame in frames], [0.75] * len(frames))
    asked = data.draw(st.lists(st.integers(-10, 410), min_size=1, max_size=20))
    points, visibility = pose.at(np.array(asked))
    expected = start + slope * np.clip(asked, frames[0], frames[-1])
    np.testing.assert_allclose(points[:, 5, 0], expected, atol=1e-3)
    np.testing.assert_allclose(points[:, 32, 1], 2 * expected, atol=2e-3)
    assert (visibility == 0.75).all()


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9),
    st.lists(st.integers(-5, 60), min_size=1, max_size=30),
)
def test_landmarks_never_leave_those_of_their_neighbours(
    values: list[float], asked: list[int]
) -> None:
    frames = [4 * number for number in range(len(values))]
    pose = make_pose(frames, values, values)
    points, visibility = pose.at(np.array(asked))
    for frame, x, seen in zip(asked, points[:, 0, 0], visibility[:, 0], strict=True):
        before = values[min(max(frame // 4, 0), len(values) - 1)]
        after = values[min(max(-(-frame // 4), 0), len(values) - 1)]
        low, high = min(before, after), max(before, after)
        assert low - 1e-6 <= x <= high + 1e-6
        assert seen == 0 if low == 0 else low - 1e-6 <= seen <= high + 1e-6


@pytest.mark.parametrize(
    ("fps", "rate_hz", "expected"),
    [
        (120.0, 30.0, [40, 44, 48, 52, 54]),
        (30.0, 30.0, list(range(40, 55))),
        (25.0, 30.0, list(range(40, 55))),
        (120.0, 10.0, [40, 52, 54]),
        (119.88, 30.0, [40, 44, 48, 52, 54]),
        (120.0, 1.0, [40, 54]),
    ],
)
def test_which_frames_are_estimated(fps: float, rate_hz: float, expected: list[int]) -> None:
    assert estimated_frames(40, 55, fps, rate_hz).tolist() == expected


@given(st.integers(0, 99), st.integers(1, 99), st.floats(1, 300), st.floats(1, 300))
def test_the_last_frame_comes_once(start: int, length: int, fps: float, rate_hz: float) -> None:
    found = estimated_frames(start, start + length, fps, rate_hz)
    assert found[0] == start
    assert found[-1] == start + length - 1
    assert (np.diff(found) > 0).all()


def test_landmarks_in_space_come_from_the_frames_that_show_somebody() -> None:
    pose = make_pose([0, 4, 8, 12], [0.0] * 4, [1.0] * 4)
    pose = replace(
        pose,
        world=np.array([[[x, 0, -x]] * 33 for x in (8.0, 99.0, 16.0, 99.0)], np.float32),
        presence=np.array([1, 0, 1, 0], np.float32),
        visibility=np.array([[value] * 33 for value in (1, 0, 1, 0)], np.float32),
    )
    found = pose.world_at([-3, 0, 2, 4, 8, 11, 12])
    assert (found.dtype, found.shape) == (np.float32, (7, 33, 3))
    assert found[:, 5, 0].tolist() == [8, 8, 10, 12, 16, 16, 16]
    assert (found[..., 2] == -found[..., 0]).all()
    nobody = replace(pose, presence=0 * pose.presence, visibility=0 * pose.visibility)
    assert not nobody.world_at([0, 4]).any()
