"""From clips to batches: their order in an epoch, and the window of each (specification 3).

Nothing here depends on the number of workers: an epoch is one permutation, cut into global
batches, and a worker takes every n-th clip of each.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ttflow.shards.intervals import padded_indices
from tttrain.config import TrainConfig
from tttrain.data.rng import generator
from tttrain.data.windows import central_start, training_start


@dataclass(frozen=True)
class ClipInfo:
    """The facts of a clip that choosing a window needs; no pixels."""

    clip_id: str
    start_frame: int
    end_frame: int
    total_frames: int
    fps: float
    class_index: int


@dataclass(frozen=True)
class Stretch(ClipInfo):
    """A clip whose every window between two frames is a negative (specification 3.6)."""

    windows: tuple[int, int]
    """First frame of those windows, and the one past their last."""


Stretches = Mapping[str, Sequence[Stretch]]
"""By kind, `straddling` or `rest`."""


@dataclass(frozen=True)
class Request:
    """A window of a clip that is to be decoded."""

    clip_id: str
    start_frame: int


@dataclass(frozen=True, eq=False)
class Window:
    """A decoded window: rgb (T, S, S, 3) uint8 and flow (T, 2, S, S) int16 in 1/32 px.

    NumPy arrays where they were just decoded, tensors where they are kept on a device. `pose` is a
    tensor (3, T, 33) as `ttmodels.normalise_pose` gives it. What was not asked for is None.
    """

    clip_id: str
    rgb: Any = None
    flow: Any = None
    pose: Any = None


class Source(Protocol):
    """Where windows come from; every source yields the same window for the same request."""

    def windows(self, requests: Sequence[Request]) -> Iterator[Window]:
        """The windows asked for, in that order."""
        ...


def stretch_shares(config: TrainConfig) -> dict[str, float]:
    """The shares above 0 by the kind of stretch that they ask for."""
    augment = config.augment
    shares = {"straddling": augment.straddling_share, "rest": augment.rest_share}
    return {kind: share for kind, share in shares.items() if share}


def with_stretches(
    clips: Sequence[ClipInfo], stretches: Stretches, config: TrainConfig, epoch: int
) -> list[ClipInfo]:
    """The clips of an epoch: all of training, and stretches drawn without replacement.

    Of each kind `share` times the number of clips, half up, at most all there are. The draw follows
    from seed, epoch and kind alone.
    """
    found = list(clips)
    for kind, share in stretch_shares(config).items():
        ordered = sorted(stretches.get(kind, ()), key=lambda stretch: stretch.clip_id)
        count = min(math.floor(share * len(clips) + 0.5), len(ordered))
        order = generator(config.seed, epoch, "stretches", kind).permutation(len(ordered))
        found += [ordered[index] for index in order[:count]]
    return found


def epoch_batches(
    clips: Sequence[ClipInfo], batch_size: int, seed: int, epoch: int
) -> list[list[ClipInfo]]:
    """The global batches of an epoch: a permutation by (seed, epoch); the last may be shorter.

    The order of `clips` does not matter: they are sorted by clip_id first.
    """
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    order = generator(seed, epoch, "order").permutation(len(ordered))
    shuffled = [ordered[index] for index in order]
    return [shuffled[at : at + batch_size] for at in range(0, len(shuffled), batch_size)]


def rank_slice(batch: Sequence[ClipInfo], rank: int, num_workers: int) -> list[ClipInfo]:
    """The clips of a global batch that the worker of this rank takes; none if it is too short."""
    return list(batch[rank::num_workers])


def training_request(clip: ClipInfo, config: TrainConfig, num_frames: int, epoch: int) -> Request:
    """The window of a clip in one epoch of training; of a stretch, each is equally likely."""
    if isinstance(clip, Stretch):
        first, end = clip.windows
        rng = generator(config.seed, epoch, "window", clip.clip_id)
        return Request(
            clip.clip_id, first + math.floor((end - first - num_frames + 1) * rng.random())
        )
    if not config.augment.temporal:
        return central_request(clip, num_frames)
    start = training_start(
        clip_id=clip.clip_id,
        start_frame=clip.start_frame,
        end_frame=clip.end_frame,
        num_frames=num_frames,
        total_frames=clip.total_frames,
        fps=clip.fps,
        seed=config.seed,
        epoch=epoch,
        draw=config.augment.window_draw,
    )
    return Request(clip.clip_id, start)


def central_request(clip: ClipInfo, num_frames: int) -> Request:
    """The central window of a clip, for validation and test."""
    start = central_start(clip.start_frame, clip.end_frame, num_frames, clip.total_frames)
    return Request(clip.clip_id, start)


@dataclass(frozen=True, eq=False)
class StoredClip:
    """Stored frames of a clip, decoded: rgb (N, S, S, 3) uint8, flow (N, 2, S, S) int16."""

    clip_id: str
    interval: tuple[int, int]
    """First stored frame and the one past the last."""
    total_frames: int
    rgb: np.ndarray
    flow: np.ndarray

    def window(self, start_frame: int, num_frames: int) -> Window:
        """The window from `start_frame` on, equal to decoding it directly."""
        positions, real = padded_indices(start_frame, num_frames, self.interval, self.total_frames)
        flow = self.flow[positions]
        flow[real:] = 0
        return Window(self.clip_id, self.rgb[positions], flow)


def resident_bytes(clips: Iterable[ClipInfo], side_px: int, window: int, margin: int) -> int:
    """Memory that keeping these clips decoded takes, from above: 7 bytes a stored pixel."""
    frames = sum(max(clip.end_frame - clip.start_frame, window) + 2 * margin for clip in clips)
    return frames * side_px * side_px * 7
