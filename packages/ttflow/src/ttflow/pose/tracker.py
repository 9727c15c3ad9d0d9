"""One person through the frames of a clip (specification 2.8)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttdata.curation.player_regions import Region
from ttflow.pose.config import PoseConfig
from ttflow.pose.model import NUM_LANDMARKS, Detection, Landmarks, Picture, PoseModel, Square

_LEEWAY = 0.25
"""How far, in widths and heights of the region, a tracked person's hips may leave it."""


@dataclass(frozen=True)
class PoseTrack:
    """The landmarks of one person; zeros in frames where nobody is seen."""

    frames: NDArray[np.int64]
    """(n,) frame indices of the video."""
    points: NDArray[np.float32]
    """(n, 33, 2) pixels x, y of the displayed picture."""
    world: NDArray[np.float32]
    """(n, 33, 3) metres x, y, z, from the middle of the hips."""
    visibility: NDArray[np.float32]
    """(n, 33) in [0, 1]; 0 in all 33 where nobody is seen."""
    presence: NDArray[np.float32]
    """(n,) in [0, 1]: the flag of the last attempt; 0 where the detector saw nobody."""

    @property
    def found(self) -> NDArray[np.bool_]:
        """(n,) whether somebody is seen."""
        return np.asarray(self.visibility.any(axis=1))


def track(
    frames: Iterable[tuple[int, Picture]],
    model: PoseModel,
    config: PoseConfig | None = None,
    region: Region | None = None,
) -> PoseTrack:
    """Follow one person through frames, which are looked at one after the other.

    The person is looked for where the landmarks of the frame before say, and by the detector where
    that is unknown or nobody is found there. Nothing is smoothed over time.

    Args:
        frames: index and (H, W, 3) uint8 RGB picture of each frame, in order of time.
        model: of `open_model`, or another.
        config: thresholds.
        region: x_min, y_min, x_max, y_max as fractions of the picture: where the person's hips
            are when the detector finds them, in the whole picture or in the region alone. None: the
            largest person, wherever.
    """
    tracker = Tracker(model, config, region)
    for index, picture in frames:
        tracker.add(index, picture)
    return tracker.result()


class Tracker:
    """As `track`, for whoever has several clips of one pass: it is given frames as they come."""

    def __init__(
        self, model: PoseModel, config: PoseConfig | None = None, region: Region | None = None
    ) -> None:
        """Start a clip; see `track`."""
        self._model, self._config, self._region = model, config or PoseConfig(), region
        self._indices: list[int] = []
        self._found: list[Landmarks] = []
        self._square: Square | None = None

    def add(self, index: int, picture: Picture) -> None:
        """Look at the next frame."""
        seen = _follow(picture, self._model, self._config, self._region, self._square)
        if seen.presence < self._config.min_presence:
            seen = _nobody(seen.presence)
        self._square = seen.following
        self._indices.append(index)
        self._found.append(seen)

    def result(self) -> PoseTrack:
        """The landmarks of all frames so far."""
        return _stacked(self._indices, self._found)


def _follow(
    picture: Picture,
    model: PoseModel,
    config: PoseConfig,
    region: Region | None,
    square: Square | None,
) -> Landmarks:
    """The landmarks in the expected square, or else where the detector sees the person."""
    if square is not None and _inside(square, picture, region, _LEEWAY):
        seen = model.landmarks(picture, square)
        if seen.presence >= config.min_presence:
            return seen
    detections = _seen(picture, model, config, region)
    if (chosen := choose(detections, config.sure_detection)) is None:
        return _nobody(0.0)
    return model.landmarks(picture, chosen.square)


def _seen(
    picture: Picture, model: PoseModel, config: PoseConfig, region: Region | None
) -> list[Detection]:
    """Whom the detector sees in the whole picture, or, where nobody is seen, in the region alone.

    There a person is larger; in a picture of two players each is often too small.
    """
    whole = model.detect(picture, config.min_detection)
    found = [each for each in whole if _inside(each.square, picture, region, 0.0)]
    if found or region is None:
        return found
    height, width = picture.shape[:2]
    left, right = (max(round(width * x), 0) for x in region[::2])
    top, bottom = (max(round(height * y), 0) for y in region[1::2])
    part = np.ascontiguousarray(picture[top:bottom, left:right])
    near = model.detect(part, config.min_detection) if part.size else ()
    found = [
        replace(each, square=replace(each.square, x=each.square.x + left, y=each.square.y + top))
        for each in near
    ]
    return [each for each in found if _inside(each.square, picture, region, 0.0)]


def choose(detections: Sequence[Detection], sure: float) -> Detection | None:
    """The largest person among the sure ones; the surest where none is; None of none."""
    certain = [each for each in detections if each.score >= sure]
    if certain:
        return max(certain, key=lambda each: each.square.side)
    return max(detections, key=lambda each: each.score, default=None)


def _inside(square: Square, picture: Picture, region: Region | None, leeway: float) -> bool:
    """Whether the middle of the hips lies in the region, widened by so many of its sides."""
    if region is None:
        return True
    height, width = picture.shape[:2]
    x_min, y_min, x_max, y_max = region
    x_more, y_more = leeway * (x_max - x_min), leeway * (y_max - y_min)
    x, y = square.x / width, square.y / height
    across = x_min - x_more <= x <= x_max + x_more
    return bool(across and y_min - y_more <= y <= y_max + y_more)


def _nobody(presence: float) -> Landmarks:
    return Landmarks(
        points=np.zeros((NUM_LANDMARKS, 2), np.float32),
        world=np.zeros((NUM_LANDMARKS, 3), np.float32),
        visibility=np.zeros(NUM_LANDMARKS, np.float32),
        presence=presence,
        following=None,
    )


def _stacked(indices: list[int], found: list[Landmarks]) -> PoseTrack:
    return PoseTrack(
        frames=np.array(indices, np.int64),
        points=np.array([each.points for each in found], np.float32).reshape(-1, NUM_LANDMARKS, 2),
        world=np.array([each.world for each in found], np.float32).reshape(-1, NUM_LANDMARKS, 3),
        visibility=np.array([each.visibility for each in found], np.float32).reshape(
            -1, NUM_LANDMARKS
        ),
        presence=np.array([each.presence for each in found], np.float32),
    )
