"""The true joints of every frame, in the order and units of BlazePose."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ttdata.storage.atomic import atomic_path
from ttdata.synth.body.figure import project, to_world
from ttdata.synth.body.skeleton import Array, skeleton
from ttdata.synth.motion import channels, track
from ttdata.synth.plan import VideoPlan

NUM_JOINTS = 33
_PLACES = {"shoulder": 11, "elbow": 13, "wrist": 15, "hip": 23, "knee": 25, "ankle": 27, "toe": 31}
"""Of the left side; the right one is next."""

Joints = NDArray[np.float32]


def true_pose(plan: VideoPlan, start: int, stop: int) -> tuple[Joints, Joints, Joints]:
    """What a perfect pose network would say of frames [start, stop) of a video with one player.

    Args:
        plan: the video.
        start: first frame.
        stop: end, exclusive.

    Returns:
        `points` (T, 33, 2) float32, x and y in pixels, without the camera's shake; `world` (T, 33,
        3) float32, metres from the middle of the hips: x to the right of the picture, y down, z
        away from the camera; `visibility` (T, 33) float32, 1 for the joints that the body has, 0
        for all else, whose numbers are 0.
    """
    seat = plan.seats[0]
    joints = skeleton(channels(plan, 0, track(plan, 0), start, stop), seat.player)
    hips = _in_view(plan, joints["hips"])[1]
    points = np.zeros((stop - start, NUM_JOINTS, 2), np.float32)
    world = np.zeros((stop - start, NUM_JOINTS, 3), np.float32)
    visibility = np.zeros((stop - start, NUM_JOINTS), np.float32)
    for name, left in _PLACES.items():
        for side, is_left in (("bat", seat.player.handedness < 0),
                              ("free", seat.player.handedness > 0)):  # fmt: skip
            place = left if is_left else left + 1
            points[:, place], metres = _in_view(plan, joints[f"{name}_{side}"])
            world[:, place] = metres - hips
            visibility[:, place] = 1
    return points, world, visibility


def write_poses(folder: Path, plans: Sequence[VideoPlan]) -> None:
    """Write `<video_id>.parquet` of each video, a row per frame; files that are there are kept.

    Columns: `frame` Int64, and `points`, `world`, `visibility` as lists of float32, row-major.

    Args:
        folder: made when missing.
        plans: the videos.
    """
    folder.mkdir(exist_ok=True)
    for plan in plans:
        target = folder / f"{plan.video_id}.parquet"
        if target.is_file():
            continue
        count = plan.num_frames
        names = ("points", "world", "visibility")
        parts = zip(names, true_pose(plan, 0, count), strict=True)
        columns = {name: pl.Series(part.reshape(count, -1)).arr.to_list() for name, part in parts}
        with atomic_path(target) as temporary:
            pl.DataFrame({"frame": pl.int_range(count, eager=True), **columns}).write_parquet(
                temporary
            )


def _in_view(plan: VideoPlan, local: Array) -> tuple[Array, Array]:
    """Image points (T, 2) in pixels, and (T, 3) metres along the picture's axes and away."""
    xy, near = project(plan.view, to_world(plan.seats[0], local))
    return xy, np.column_stack([xy / plan.view.px_per_m, -near])
