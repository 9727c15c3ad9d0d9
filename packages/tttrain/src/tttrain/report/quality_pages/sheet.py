"""The film of one stroke: all of its frames in one picture, and where its player's joints are.

One JPEG rather than a video: a page cuts frame i out of it, so a step shows that frame by
construction, in every browser; a seek in a video shows it by the browser's courtesy, and two films
that play side by side drift apart.
"""

import json
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttdata.video.decode import DecodedFrame
from ttflow import ClipPose
from ttflow.shards.patches import encode_rgb
from tttrain.report.quality_pages.framing import Box, Cropper, Framing, framing_of

LONGER_SIDE_PX = 320
"""Of the player's surroundings in a film, at most; a film is never larger than its video."""
MOST_SHEET_PX = 24_000_000
"""Pixels of all frames together: a browser holds them at four bytes each, of two films."""
MARGIN_SECONDS = 0.25
"""Shown before and after the stroke."""
JOINTS = (0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Landmarks that a page draws: nose, then left and right shoulders, elbows, wrists, hips, knees,
ankles."""
_LEEWAY = 1.4
"""The square around the player, over the longer side of his landmarks' box."""
_LEAST_SIDE_PX = 16
_SEEN = 0.5
"""Visibility of a landmark that is drawn."""
_QUALITY = 72


@dataclass(frozen=True)
class Cut:
    """Which part of a video a film shows; `end_frame` is exclusive."""

    start_frame: int
    end_frame: int
    box: Box | None
    """Around the player, as the picture is shown; None: all of it."""


def cut_of(start_frame: int, end_frame: int, fps: float, pose: ClipPose | None) -> Cut:
    """The part of the video around a stroke and its player."""
    margin = round(MARGIN_SECONDS * fps)
    return Cut(max(start_frame - margin, 0), end_frame + margin, player_box(pose))


def player_box(pose: ClipPose | None) -> Box | None:
    """A square around all landmarks of a clip, in shares of the picture; None without any."""
    if pose is None:
        return None
    points = pose.points[pose.visibility >= _SEEN].astype(np.float64)
    if not len(points):
        return None
    size = np.array(pose.picture_hw[::-1], np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(_LEEWAY * float((high - low).max()), _LEAST_SIDE_PX)
    sides = np.minimum(side, size)
    first = np.clip((low + high - sides) / 2, 0, size - sides)
    box = np.concatenate([first / size, (first + sides) / size])
    return tuple(round(float(value), 4) for value in box)  # type: ignore[return-value]


class SheetMaker:
    """Takes the frames of a stroke in order, and makes its film."""

    def __init__(self, cut: Cut, pose: ClipPose | None) -> None:
        self.cut, self._pose = cut, pose
        self._framing: Framing | None = None
        self._cropper = Cropper()
        self._sheet = np.zeros((0, 0, 3), np.uint8)
        self._columns = 1
        self._seconds: list[float] = []

    def add(self, frame: DecodedFrame) -> None:
        """Put a frame into the sheet."""
        if self._framing is None:
            self._begin(frame)
        assert self._framing is not None
        height, width = self._framing.film_hw
        row, column = divmod(len(self._seconds), self._columns)
        down, right = row * height, column * width
        picture = self._cropper.cropped(frame, self._framing).image((height, width))
        self._sheet[down : down + height, right : right + width] = picture
        self._seconds.append(round(frame.time_seconds, 5))

    def _begin(self, frame: DecodedFrame) -> None:
        # A film may change its shape midway; its pictures stand in one sheet.
        count = max(self.cut.end_frame - self.cut.start_frame, 1)
        scale = sqrt(MOST_SHEET_PX / count)
        self._framing = framing_of(frame, self.cut.box, LONGER_SIDE_PX, scale)
        height, width = self._framing.film_hw
        self._columns = columns_of(count, (height, width))
        rows = ceil(count / self._columns)
        self._sheet = np.zeros((rows * height, self._columns * width, 3), np.uint8)

    def finish(self) -> tuple[bytes, dict[str, Any]] | None:
        """The JPEG and what a page must know of it; None where the video ended before."""
        if self._framing is None:
            return None
        height, width = self._framing.film_hw
        rows = ceil(len(self._seconds) / self._columns)  # fewer where the video ended early
        facts = {
            "columns": self._columns, "width": width, "height": height,
            "first": self.cut.start_frame, "seconds": self._seconds,
        }  # fmt: skip
        return encode_rgb(self._sheet[: rows * height], _QUALITY), facts | self._skeleton()

    def _skeleton(self) -> dict[str, Any]:
        if self._pose is None or self._framing is None:
            return {"points": None, "torso": None}
        frames = self.cut.start_frame + np.arange(len(self._seconds))
        points, seen = film_points(self._pose, frames, self._framing)
        return {"points": _rounded(points, seen), "torso": _torso(points, seen)}


def columns_of(count: int, film_hw: tuple[int, int]) -> int:
    """How many frames stand beside each other, so that the sheet is about square.

    >>> columns_of(120, (320, 240)), columns_of(1, (16, 16))
    (13, 1)
    """
    height, width = film_hw
    return max(1, min(count, round(sqrt(count * height / width))))


def film_points(
    pose: ClipPose, frames: NDArray[np.int64], framing: Framing
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The drawn landmarks in each frame of a film.

    Args:
        pose: of the clip.
        frames: (T,) frames of the video.
        framing: of the film.

    Returns:
        points: (T, 13, 2) x, y in pixels of the film; whole numbers are the centres of pixels.
        seen: (T, 13); nothing is outside of the frames in which landmarks were estimated.
    """
    points, visibility = pose.at(frames)
    (height, width), (down, right) = pose.picture_hw, framing.picture_hw
    scale = np.array([right / width, down / height])
    found = (points[:, list(JOINTS)].astype(np.float64) + 0.5) * scale - 0.5 - framing.left_top
    inside = (frames >= pose.frames[0]) & (frames <= pose.frames[-1])
    return found, (visibility[:, list(JOINTS)] >= _SEEN) & inside[:, None]


def _rounded(points: NDArray[np.float64], seen: NDArray[np.bool_]) -> list[list[Any]]:
    """Per frame 26 numbers, x and y in turn; null where a landmark is not seen."""
    tenths = np.round(points, 1).tolist()
    return [
        [value for pair, there in zip(row, known, strict=True)
         for value in (pair if there else (None, None))]
        for row, known in zip(tenths, seen.tolist(), strict=True)
    ]  # fmt: skip


def _torso(points: NDArray[np.float64], seen: NDArray[np.bool_]) -> float | None:
    """Median distance from the middle of the shoulders to that of the hips, film pixels."""
    shoulders, hips = [JOINTS.index(11), JOINTS.index(12)], [JOINTS.index(23), JOINTS.index(24)]
    known = seen[:, shoulders + hips].all(axis=1)
    if not known.any():
        return None
    apart = points[known][:, shoulders].mean(axis=1) - points[known][:, hips].mean(axis=1)
    return round(float(np.median(np.linalg.norm(apart, axis=1))), 2)


def film_script(name: str, facts: dict[str, Any]) -> str:
    """What a page loads to know a film: a page read from the disk may load scripts, no data."""
    text = json.dumps(facts | {"file": f"{name}.jpg"}, separators=(",", ":"), allow_nan=False)
    return f"film({json.dumps(name)}, {text});\n"
