"""The landmarks of a clip: in which frames they are estimated, and what they are in any other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttflow.pose.tracker import PoseTrack


def estimated_frames(
    start_frame: int, end_frame: int, fps: float, rate_hz: float
) -> NDArray[np.int64]:
    """The frames of `[start_frame, end_frame)` that are estimated: every k-th, and the last.

    k = max(1, round(fps / rate_hz)), so times are kept at any frame rate.

    >>> estimated_frames(40, 50, 120.0, 30.0).tolist()
    [40, 44, 48, 49]
    >>> estimated_frames(7, 10, 25.0, 30.0).tolist()
    [7, 8, 9]
    """
    step = max(1, round(fps / rate_hz))
    return np.array([*range(start_frame, end_frame - 1, step), end_frame - 1], np.int64)


@dataclass(frozen=True)
class ClipPose(PoseTrack):
    """The landmarks of one person through a stored clip; at least one frame is estimated."""

    clip_id: str
    fps: float
    """Of the video."""
    picture_hw: tuple[int, int] = (0, 0)
    """Height and width in pixels of the displayed picture that `points` are in; 0: unknown."""

    def at(
        self, frames: Sequence[int] | NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Landmarks at any frames: linear between estimated ones, the nearest outside of them.

        Between a frame where somebody is seen and one where nobody is, the visibility is 0, and the
        points are those of the former.

        Args:
            frames: (T,) frame indices of the video, any order.

        Returns:
            points: (T, 33, 2) float32 pixels x, y of the displayed picture.
            visibility: (T, 33) float32 in [0, 1].
        """
        wanted = np.asarray(frames, np.int64)
        later = np.minimum(np.searchsorted(self.frames, wanted), len(self.frames) - 1)
        earlier = np.where(self.frames[later] > wanted, np.maximum(later - 1, 0), later)
        span = self.frames[later] - self.frames[earlier]
        share = np.where(span > 0, wanted - self.frames[earlier], 0) / np.maximum(span, 1)
        seen = self.found
        # Where one of two neighbours shows nobody, all weight is the other's.
        share = np.where(seen[earlier] & seen[later], share, np.where(seen[earlier], 0.0, 1.0))
        points = _between(self.points[earlier], self.points[later], share[:, None, None])
        visibility = _between(self.visibility[earlier], self.visibility[later], share[:, None])
        visibility[seen[earlier] != seen[later]] = 0
        return points, visibility

    def world_at(self, frames: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Landmarks in space at any frames: linear between those in which somebody is seen.

        Before the first and after the last such frame they are as in it.

        Args:
            frames: (T,) frame indices of the video, any order.

        Returns:
            (T, 33, 3) float32 metres x, y, z from the middle of the hips; all 0 where nobody is
            seen in any frame.
        """
        wanted = np.asarray(frames, np.int64)
        known, places = self.frames[self.found], self.world[self.found]
        if not len(known):
            return np.zeros((len(wanted), *self.world.shape[1:]), np.float32)
        later = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        earlier = np.where(known[later] > wanted, np.maximum(later - 1, 0), later)
        span = known[later] - known[earlier]
        share = np.where(span > 0, wanted - known[earlier], 0) / np.maximum(span, 1)
        return _between(places[earlier], places[later], share[:, None, None])


def _between(
    earlier: NDArray[np.float32], later: NDArray[np.float32], share: NDArray[np.float64]
) -> NDArray[np.float32]:
    mixed: NDArray[np.float32] = (earlier * (1 - share) + later * share).astype(np.float32)
    return mixed
