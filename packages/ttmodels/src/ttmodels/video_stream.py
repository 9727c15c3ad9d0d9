"""A network over a whole video that comes in chunks: features per 8 frames, logits of its windows.

    chunks (1, C, n, H, W) of RGB, flow, any n
        | shared maps: each convolution computed once per frame and phase
        +--> last maps of phase 0 -> means over 3 x 3 fields -> features (cells, 1440)
        +--> maps of each window, its ends computed apart    -> logits (windows, classes)

Only the frames and cells of the windows to come are held, so memory depends on the length of
a window and of a chunk, not of the video. Cell a of the features covers frames [8 a, 8 a + 8).

Source: this project; specification 4.5.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ttmodels.base import BranchModel
from ttmodels.blocks import FILTERS, LEVELS
from ttmodels.inputs import check_clips
from ttmodels.plain_values import plain
from ttmodels.shared_maps import SharedMaps, endless_phases
from ttmodels.sliding import check_windows, grouped, shared_levels, window_maps

FIELDS = 3
"""Fields along height and along width, over which the last maps are averaged."""


class StreamOutput(NamedTuple):
    """What a chunk made certain."""

    first_cell: int
    features: Float[Tensor, "cells values"]
    """Of cells `first_cell` on."""
    starts: range
    """First frame of each window."""
    logits: Float[Tensor, "windows classes"]


class VideoStream:
    """Runs one of the SSTC family over a video that comes in chunks, in constant memory.

    The features are those of `dense_features` for the whole video, the logits those of
    `SlidingWindows`, to rounding. No gradients are kept.

    >>> import torch, ttmodels
    >>> stream = ttmodels.VideoStream(ttmodels.FlowNet(3, (16, 24, 24)), step=8)
    >>> for chunk in torch.zeros(1, 2, 40, 24, 24).split(10, dim=2):
    ...     found = stream.push(chunk)
    ...     print(found.first_cell, len(found.features), list(found.starts))
    0 0 []
    0 1 [0]
    1 1 [8]
    2 2 [16, 24]
    >>> stream.finish().features.shape
    torch.Size([1, 720])

    Args:
        model: SSTC, RGBNet, FlowNet, EarlyFusion or LateFusion. It is used, not copied.
        step: frames from one window's start to the next; None: no windows.
        features: whether features are wanted.
        group: windows classified together; more need more memory.

    Raises:
        ValueError: if the model has no branches to share, a number is not positive, or nothing is
            wanted.
    """

    def __init__(
        self, model: BranchModel, step: int | None = None, features: bool = True, group: int = 16
    ) -> None:
        step, group = plain(step), plain(group)
        check_windows(model, 1 if step is None else step, group)
        if step is None and not features:
            raise ValueError("step is None and features False, expected one of the two")
        self.model = model
        self.step = step
        self.group = group
        self._features = features
        self._length = model.config.clip_shape[0]
        self._shared = [SharedMaps(b, self._phases(), features) for b in model.branches()]
        self._num_frames = 0
        self._next_start = 0
        self._next_cell = 0
        self._finished = False

    def _phases(self) -> list[set[int]]:
        windows: list[set[int]] = [{0}]
        if self.step is not None:
            windows = shared_levels(endless_phases(self.step), self._length)
        if not self._features:
            return windows
        missing: list[set[int]] = [set() for _ in range(LEVELS + 1 - len(windows))]
        return [phases | {0} for phases in windows + missing]

    @torch.no_grad()
    def push(self, *clips: Float[Tensor, "1 _ frames height width"]) -> StreamOutput:
        """Add the next frames of the video; returns what they make certain.

        Args:
            *clips: what the model takes, of any number of frames, the same for all.

        Raises:
            ValueError: if a clip has another size or dtype than the model takes, or the stream is
                finished.
        """
        if self._finished:
            raise ValueError("the stream is finished, expected a new one for another video")
        self._check(*clips)
        pairs = zip(self._shared, self.model.branch_clips(*clips), strict=True)
        for shared, clip in pairs:
            shared.push(clip)
        self._num_frames += clips[0].shape[2]
        return self._output()

    @torch.no_grad()
    def finish(self) -> StreamOutput:
        """End the video: returns the features that its end makes certain; no window is left."""
        if self._features and not self._finished:
            for shared in self._shared:
                shared.finish()
        self._finished = True
        return self._output()

    def _check(self, *clips: Tensor) -> None:
        named = dict(zip(self.model.inputs, clips, strict=True))
        _, height, width = self.model.config.clip_shape
        frames = clips[0].shape[2] if clips[0].ndim == 5 else 1
        check_clips((frames, height, width), next(self.model.parameters()).dtype, named)
        if clips[0].shape[0] != 1 or frames < 1:
            raise ValueError(
                f"{self.model.inputs[0]} has shape {tuple(clips[0].shape)}, "
                "expected a batch of one with at least one frame: a stream is one video"
            )

    def _output(self) -> StreamOutput:
        first_cell, features = self._new_features()
        starts, logits = self._new_logits()
        self._drop()
        return StreamOutput(first_cell, features, starts, logits)

    def _new_features(self) -> tuple[int, Tensor]:
        first = self._next_cell
        if not self._features:
            return first, self._empty(num_features(self.model))
        # One more than the last cell; the zeros that end a clip are no cell of the last level.
        self._next_cell = max(first, min(shared.end(LEVELS) for shared in self._shared))
        if self._next_cell == first:
            return first, self._empty(num_features(self.model))
        maps = [shared.cells(LEVELS, 0, first, self._next_cell) for shared in self._shared]
        return first, field_means(*maps)[0]

    def _new_logits(self) -> tuple[range, Tensor]:
        first = self._next_start
        if self.step is None or first + self._length > self._num_frames:
            return range(first, first), self._empty(self.model.config.num_classes)
        starts = range(first, self._num_frames - self._length + 1, self.step)
        self._next_start = starts[-1] + self.step
        pairs = list(zip(self.model.branches(), self._shared, strict=True))
        rows = [
            self.model.forward_head(
                *[window_maps(branch, shared, group, self._length) for branch, shared in pairs]
            )
            for group in grouped(starts, self.group)
        ]
        return starts, torch.cat(rows)

    def _empty(self, columns: int) -> Tensor:
        return next(self.model.parameters()).new_zeros(0, columns)

    def _drop(self) -> None:
        """Free the cells that no window and no feature to come reads."""
        for shared in self._shared:
            for level in range(shared.num_levels + 1):
                needed: dict[int, int] = {}
                if self.step is not None:
                    # For a phase that windows do not have, this keeps a few cells for nothing.
                    needed = {p: (self._next_start - p) >> level for p in range(2**level)}
                if self._features and level == LEVELS and self.step is None:
                    needed = {0: self._next_cell}
                shared.drop_before(level, needed)


def dense_features(
    model: BranchModel, *clips: Float[Tensor, "batch _ frames height width"]
) -> Float[Tensor, "batch cells values"]:
    """Return the features of a whole video or a stretch of one, per 8 frames, with gradients.

    The convolutions run over all frames without window ends; their last maps are averaged over
    3 x 3 fields. At 120 x 120 pixels SSTC gives 2 x 80 x 3 x 3 = 1440 values: branch by branch, RGB
    first, then channel, row and column. Frames beyond the last multiple of 8 belong to no cell.

    Args:
        model: SSTC, RGBNet, FlowNet, EarlyFusion or LateFusion.
        *clips: what the model takes, of any number of frames from 8 on.

    Raises:
        ValueError: if the model is of another family, or a clip has another size or dtype.
    """
    check_windows(model, 1, 1)
    _, height, width = model.config.clip_shape
    frames = max(8, clips[0].shape[2]) if clips[0].ndim == 5 else 8
    named = dict(zip(model.inputs, clips, strict=True))
    check_clips((frames, height, width), next(model.parameters()).dtype, named)
    pairs = zip(model.branches(), model.branch_clips(*clips), strict=True)
    return field_means(*[branch.forward_convs(clip) for branch, clip in pairs])


def num_features(model: BranchModel) -> int:
    """Return how many values `dense_features` and `VideoStream` give per cell: 1440 for SSTC."""
    return len(model.branches()) * FILTERS[-1] * FIELDS**2


def field_means(
    *maps: Float[Tensor, "batch 80 cells height8 width8"],
) -> Float[Tensor, "batch cells values"]:
    """Return the means of last maps over 3 x 3 fields, one stream after the other.

    Where a side is no multiple of 3, neighbouring fields overlap.
    """
    means = [functional.adaptive_avg_pool3d(m, (m.shape[2], FIELDS, FIELDS)) for m in maps]
    return torch.cat([m.transpose(1, 2).flatten(2) for m in means], dim=2)
