"""Skeletons over stored patches: where bones lie, which are drawn, in which colour."""

from pathlib import Path

import av
import numpy as np
import pytest
from matplotlib.figure import Figure

from ttflow.pose.clip_pose import ClipPose
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.view.film import film_of_clip
from ttflow.view.skeleton import (
    BONES,
    COLORS_RGB,
    draw_on_axes,
    draw_on_picture,
    lines,
    patch_points,
)

ROW = {
    "clip_id": "c",
    "video_id": "v",
    "label": "Serve",
    "start_frame": 10,
    "end_frame": 13,
    "num_frames": 100,
    "stored_start_frame": 10,
    "stored_end_frame": 13,
    "patch_left_top": [10, 5, 10, 5, 12, -3],
}
WRIST, ELBOW = 15, 13
"""Of the left arm."""


def make_pose(frames: list[int], xy: list[tuple[float, float]]) -> ClipPose:
    number = len(frames)
    return ClipPose(
        frames=np.array(frames, np.int64),
        points=np.array([[point] * 33 for point in xy], np.float32),
        world=np.zeros((number, 33, 3), np.float32),
        visibility=np.ones((number, 33), np.float32),
        presence=np.ones(number, np.float32),
        clip_id="c",
        fps=120.0,
        picture_hw=(180, 320),
    )


def test_landmarks_are_moved_into_the_patch(lib) -> None:
    pose = make_pose([10, 12], [(101.0, 51.0), (105.0, 55.0)])
    points, visibility = patch_points(pose, ROW, lib.small)
    assert points[:, 0].tolist() == [[40.25, 20.25], [41.25, 21.25], [40.25, 30.25]]
    assert (points == points[:, :1]).all()
    assert (visibility == 1).all()


def test_the_skeleton_has_two_equal_sides() -> None:
    ends = {side: {frozenset(e) for s, *e in BONES if s == side} for side in COLORS_RGB}
    other = (
        {0: 0}
        | {left: left + 3 for left in (1, 2, 3)}
        | {left: left + 1 for left in range(7, 33, 2)}
    )
    assert {frozenset(other[end] for end in bone) for bone in ends["left"]} == ends["right"]
    assert len(BONES) == len({frozenset(ends) for _, *ends in BONES}) == 35
    assert {end for _, *bone in BONES for end in bone} == set(range(33))


def test_only_bones_with_two_visible_ends_are_drawn() -> None:
    visibility = np.full(33, 0.49, np.float32)
    visibility[[WRIST, ELBOW]] = 0.5
    points = np.arange(66, dtype=float).reshape(33, 2)
    assert list(lines(points, visibility)) == [("left", (26.0, 27.0), (30.0, 31.0))]


@pytest.mark.parametrize(("joint", "side"), [(ELBOW, "left"), (ELBOW + 1, "right")])
def test_a_bone_has_the_colour_of_its_side(joint: int, side: str) -> None:
    visibility = np.zeros(33, np.float32)
    visibility[[joint, joint + 2]] = 1
    points = np.zeros((33, 2))
    points[joint], points[joint + 2] = (2, 5), (12, 5)
    picture = np.zeros((40, 40, 3), np.uint8)
    draw_on_picture(picture, points, visibility, 2)
    assert tuple(picture[10, 14]) == COLORS_RGB[side]
    assert not picture[20:].any()
    axes = Figure().subplots()
    draw_on_axes(axes, points, visibility, 20)
    (line,) = axes.lines
    assert [tuple(map(float, pair)) for pair in line.get_xydata()] == [(2.0, 5.0), (12.0, 5.0)]
    assert tuple(round(255 * part) for part in line.get_color()) == COLORS_RGB[side]


def test_the_film_shows_the_skeleton_in_the_left_half(lib, tmp_path: Path) -> None:
    side = lib.small.patch_side
    pixels = {
        "rgb": [encode_rgb(np.zeros((side, side, 3), np.uint8), 95)] * 3,
        "flow": [encode_flow(np.zeros((2, side, side), np.int16))] * 3,
    }
    pose = make_pose([10, 12], [(60.0, 40.0), (60.0, 40.0)])
    pose.points[:, WRIST] = (100.0, 40.0)

    def frames(name: str, pose: ClipPose | None) -> np.ndarray:
        path = film_of_clip(tmp_path / name, ROW | pixels, lib.small, pose)
        with av.open(str(path)) as film:
            return np.stack([each.to_ndarray(format="rgb24") for each in film.decode(video=0)])

    with_pose, without = frames("a.mp4", pose).astype(int), frames("b.mp4", None).astype(int)
    changed = np.abs(with_pose - without).max(axis=(0, 3)) > 60
    rows, columns = np.nonzero(changed)
    assert 0.9 * 2 * 20 <= np.ptp(columns) <= 2 * 20 + 8
    assert columns.max() < 2 * side
    assert np.ptp(rows) < 2 * 9 + 8
