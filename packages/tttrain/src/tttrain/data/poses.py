"""Landmarks of clips as windows, of the frames that the pixels have (specification 3.7)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ttflow import ClipPose, read_poses
from ttflow.shards.intervals import padded_indices
from ttflow.shards.reader import Shards
from ttmodels import normalise_pose, normalise_world_pose
from ttmodels.config import Landmarks
from ttmodels.inputs import POSE
from tttrain.data.sampling import Request, Source, Window
from tttrain.data.spatial_augment import IDENTITY, Draw

STROKE_TIMES = 32
"""Moments of a stroke, evenly from its first frame to its last, for what reads it as a whole."""
_BODY = [point + 1 if point % 2 else point - 1 for point in range(11, 33)]
MIRRORED = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *_BODY]
"""By landmark of BlazePose, that of the other side: nose, eyes, ears, mouth; shoulders to feet."""
_TOGETHER = 64
"""Windows that are normalised at once: by itself each costs more to call than to compute."""


@dataclass(frozen=True, eq=False)
class StoredPose:
    """The landmarks of a clip, and which frames of it are stored."""

    clip_id: str
    interval: tuple[int, int]
    """First stored frame and the one past the last."""
    total_frames: int
    pose: ClipPose
    landmarks: Landmarks = "picture"
    """Which the windows hold."""

    def reading(self, landmarks: Landmarks) -> "StoredPose":
        """The same clip, whose windows hold these landmarks."""
        return replace(self, landmarks=landmarks)

    def window(self, start_frame: int, num_frames: int) -> Window:
        """The landmarks of the frames that a window of pixels with this start holds, normalised.

        Raises:
            ValueError: if T frames are not stored although the video has them.
        """
        return next(pose_windows([self], [start_frame], num_frames))

    def positions(self, start_frame: int, num_frames: int) -> list[int]:
        """Which of the stored frames a window with this start holds.

        Raises:
            ValueError: as `window`.
        """
        try:
            found, _ = padded_indices(start_frame, num_frames, self.interval, self.total_frames)
        except ValueError as error:
            raise ValueError(f"clip {self.clip_id}: {error}") from error
        return found

    @cached_property
    def stored(self) -> tuple[np.ndarray, ...]:
        """The landmarks of every stored frame, as its pose gives them, read once for all windows.

        Those in space (N, 33, 3); or those in the picture (N, 33, 2) and their visibility (N, 33).
        """
        frames = np.arange(*self.interval)
        return (self.pose.world_at(frames),) if self.landmarks == "world" else self.pose.at(frames)

    def stroke(self, start_frame: int, end_frame: int) -> Window:
        """The landmarks in space of a whole stroke, at STROKE_TIMES moments, normalised."""
        world = torch.from_numpy(self.world_of_stroke(start_frame, end_frame))
        return Window(self.clip_id, pose=normalise_world_pose(world))

    def world_of_stroke(self, start_frame: int, end_frame: int) -> np.ndarray:
        """(32, 33, 3) float32: metres at STROKE_TIMES moments, from the first frame to the last."""
        frames = np.linspace(start_frame, end_frame - 1, STROKE_TIMES).round().astype(np.int64)
        return self.pose.world_at(frames)


def stored_poses(shards: Shards, clip_ids: Sequence[str]) -> dict[str, StoredPose]:
    """The landmarks of these clips; reads no pixels.

    Raises:
        ShardError: as `ttflow.read_poses`.
    """
    found = read_poses(shards, clip_ids)
    first, last = "stored_start_frame", "stored_end_frame"
    rows = shards.read_columns(clip_ids, (first, last))
    return {
        clip_id: StoredPose(
            clip_id,
            (rows[clip_id][first], rows[clip_id][last]),
            shards.record(clip_id)["num_frames"],
            pose,
        )
        for clip_id, pose in found.items()
    }


def pose_windows(
    clips: Sequence[StoredPose], starts: Sequence[int], num_frames: int
) -> Iterator[Window]:
    """`StoredPose.window` of each clip with its start, normalised together.

    Args:
        clips: whose windows hold the same landmarks; at least one.
        starts: as many first frames.
        num_frames: T.

    Raises:
        ValueError: as `StoredPose.window`.
    """
    positions = [
        clip.positions(start, num_frames) for clip, start in zip(clips, starts, strict=True)
    ]
    values = [
        torch.from_numpy(np.stack([part[at] for part, at in zip(parts, positions, strict=True)]))
        for parts in zip(*(clip.stored for clip in clips), strict=True)
    ]
    if clips[0].landmarks == "world":
        poses = normalise_world_pose(values[0])
    else:
        poses = normalise_pose(values[0], values[1])
    for clip, pose in zip(clips, poses, strict=True):
        yield Window(clip.clip_id, pose=pose)


class PoseSource:
    """Windows with landmarks: beside the pixels of another source, or alone.

    Landmarks are few numbers, so they stay in memory whichever way the pixels come.

    Args:
        poses: of every clip that will be asked for.
        num_frames: T of the windows.
        pixels: None: windows hold landmarks only, and no pixel is decoded.
    """

    def __init__(
        self, poses: Iterable[StoredPose], num_frames: int, pixels: Source | None = None
    ) -> None:
        self._poses = {pose.clip_id: pose for pose in poses}
        self._num_frames, self._pixels = num_frames, pixels

    def windows(self, requests: Sequence[Request]) -> Iterator[Window]:
        """The windows asked for, in that order."""
        poses = self._windows(requests)
        if self._pixels is None:
            yield from poses
            return
        for pose, window in zip(poses, self._pixels.windows(requests), strict=True):
            yield replace(window, pose=pose.pose)

    def _windows(self, requests: Sequence[Request]) -> Iterator[Window]:
        for at in range(0, len(requests), _TOGETHER):
            part = requests[at : at + _TOGETHER]
            clips = [self._poses[item.clip_id] for item in part]
            yield from pose_windows(clips, [item.start_frame for item in part], self._num_frames)


def move_poses(poses: Tensor, draws: Sequence[Draw], landmarks: Landmarks = "picture") -> Tensor:
    """Landmarks moved as the crop is.

    Rotation, scale and mirror act about the hips, which are the origin of every frame; so the
    shift has no effect. A mirrored person's left hand is on the other side: left and right
    landmarks change places. Landmarks in space lean to a side, as the third axis, about which they
    are turned, is the person's front; along it they are scaled, too.

    Args:
        poses: (B, 3, T, 33) as `ttmodels.normalise_pose` or `normalise_world_pose` gives them.
        draws: B of them.
        landmarks: what they are.

    Returns:
        The same shape; x and y cut to the range of the input again. Missing landmarks stay 0.
    """
    moved = poses.clone()
    for index, item in enumerate(draws):
        if item == IDENTITY:
            continue
        pose = poses[index][..., MIRRORED] if item.mirror else poses[index]
        (xx, xy), (yx, yy) = item.matrix().tolist()
        x, y, third = pose
        if landmarks == "world":
            third = third * item.scale
        moved[index] = torch.stack((x * xx + y * xy, x * yx + y * yy, third))
    placed = 3 if landmarks == "world" else 2
    moved[:, :placed] = moved[:, :placed].clamp(POSE.low, POSE.high)
    return moved
