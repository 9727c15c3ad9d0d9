"""Landmarks of clips as windows, of the frames that the pixels have (specification 3.7)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ttflow import ClipPose
from ttflow.shards.intervals import padded_indices
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
        try:
            positions, _ = padded_indices(start_frame, num_frames, self.interval, self.total_frames)
        except ValueError as error:
            raise ValueError(f"clip {self.clip_id}: {error}") from error
        return Window(self.clip_id, pose=self._at(self.interval[0] + np.array(positions, np.int64)))

    def stroke(self, start_frame: int, end_frame: int) -> Window:
        """The landmarks in space of a whole stroke, at STROKE_TIMES moments, normalised."""
        world = torch.from_numpy(self.world_of_stroke(start_frame, end_frame))
        return Window(self.clip_id, pose=normalise_world_pose(world))

    def world_of_stroke(self, start_frame: int, end_frame: int) -> np.ndarray:
        """(32, 33, 3) float32: metres at STROKE_TIMES moments, from the first frame to the last."""
        frames = np.linspace(start_frame, end_frame - 1, STROKE_TIMES).round().astype(np.int64)
        return self.pose.world_at(frames)

    def _at(self, frames: np.ndarray) -> Tensor:
        """(3, T, 33) at these frames."""
        if self.landmarks == "world":
            return normalise_world_pose(torch.from_numpy(self.pose.world_at(frames)))
        points, visibility = self.pose.at(frames)
        return normalise_pose(torch.from_numpy(points), torch.from_numpy(visibility))


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
        if self._pixels is None:
            for item in requests:
                yield self._window(item)
            return
        for item, window in zip(requests, self._pixels.windows(requests), strict=True):
            yield replace(window, pose=self._window(item).pose)

    def _window(self, item: Request) -> Window:
        return self._poses[item.clip_id].window(item.start_frame, self._num_frames)


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
