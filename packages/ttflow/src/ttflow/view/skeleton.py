"""The skeleton of BlazePose's 33 landmarks as lines, in pixels of a stored patch."""

from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ttflow.pose.clip_pose import ClipPose
from ttflow.schema import FlowConfig

_SIDES = (
    ("left", ((1, 2), (2, 3), (3, 7))),
    ("left", ((11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19))),
    ("left", ((11, 23), (23, 25), (25, 27), (27, 29), (27, 31), (29, 31))),
    ("right", ((4, 5), (5, 6), (6, 8))),
    ("right", ((12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20))),
    ("right", ((12, 24), (24, 26), (26, 28), (28, 30), (28, 32), (30, 32))),
    ("middle", ((0, 1), (0, 4), (9, 10), (11, 12), (23, 24))),
)
"""Face, arm, trunk and leg of each side; even landmarks from 8 on are the player's right."""
BONES = tuple((side, start, end) for side, pairs in _SIDES for start, end in pairs)
COLORS_RGB = {"left": (255, 140, 0), "right": (0, 190, 255), "middle": (240, 240, 240)}
"""The player's own left and right."""
_VISIBLE = 0.5
"""A bone is drawn where both of its ends are at least so visible."""

Line = tuple[str, tuple[float, float], tuple[float, float]]
"""Side, and both ends x, y."""


def patch_points(
    pose: ClipPose, row: Mapping[str, Any], config: FlowConfig
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The landmarks in every stored frame of a clip, in pixels of its patches.

    Args:
        pose: of the clip.
        row: its `PartRow`: stored frames, patch_left_top.
        config: of the shards.

    Returns:
        points: (n, 33, 2) x, y; whole numbers are the centres of pixels.
        visibility: (n, 33).
    """
    frames = np.arange(row["stored_start_frame"], row["stored_end_frame"])
    points, visibility = pose.at(frames)
    height, width = pose.picture_hw
    scale = np.array([config.frame_width / width, config.frame_height / height])
    left_top = np.array(row["patch_left_top"], float).reshape(-1, 1, 2)
    return (points + 0.5) * scale - 0.5 - left_top, visibility


def lines(points: NDArray[np.float64], visibility: NDArray[np.float32]) -> Iterator[Line]:
    """The bones of one frame that are to be drawn.

    Args:
        points: (33, 2) x, y.
        visibility: (33,).
    """
    for side, start, end in BONES:
        if min(visibility[start], visibility[end]) >= _VISIBLE:
            (x0, y0), (x1, y1) = points[start], points[end]
            yield side, (float(x0), float(y0)), (float(x1), float(y1))


def draw_on_axes(
    axes: Axes, points: NDArray[np.float64], visibility: NDArray[np.float32], side_px: int
) -> None:
    """Draw the skeleton of one frame over a square picture that is shown in the axes."""
    for side, (x0, y0), (x1, y1) in lines(points, visibility):
        color = tuple(value / 255 for value in COLORS_RGB[side])
        axes.plot([x0, x1], [y0, y1], color=color, linewidth=1.6, solid_capstyle="round")
    axes.set_xlim(-0.5, side_px - 0.5)
    axes.set_ylim(side_px - 0.5, -0.5)


def draw_on_picture(
    picture: NDArray[np.uint8],
    points: NDArray[np.float64],
    visibility: NDArray[np.float32],
    enlarged: int,
) -> None:
    """Draw the skeleton of one frame into an enlarged RGB picture, which is changed."""
    for side, *ends in lines(points, visibility):
        start, end = (
            (round(enlarged * (x + 0.5) - 0.5), round(enlarged * (y + 0.5) - 0.5)) for x, y in ends
        )
        cv2.line(picture, start, end, COLORS_RGB[side], 2, cv2.LINE_AA)
