"""Scores of all windows of a long clip, each convolution output computed once.

Windows of 100 frames every 10 frames share nine tenths of their frames. Convolutions do not see
where a window starts, except for two things:

- *Phase.* Pooling pairs frames from the window's start, so windows whose starts differ by an odd
  number have other pairs. Level l (after l poolings) keeps one set of shared maps per remainder of
  the starts modulo 2^l; cell a of phase p begins at frame p + 2^l a.
- *Ends.* A window's first and last frame see zero padding, where the clip has frames. At every
  level that reaches the first and the last pooled cell of the window, and no further: those two
  are computed window by window.

      frames       0 0 1 2 3 4 5 ... 98 99 0        0: padding
      conv1          e i i i i i ...  i  e          e: sees the padding, i: shared
      pooled 1       [e ][i ][i ]...   [e ]
      conv2           e   e   i  ...  e e           reaches one cell further ...
      pooled 2       [e      ][i      ]...          ... and pooling brings it back to one

Source: this project; specification 3.5 defines the windows.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.base import BranchModel
from ttmodels.blocks import LEVELS, Branch, fastest_layout
from ttmodels.chunked_conv import convolve
from ttmodels.inputs import check_clips
from ttmodels.plain_values import plain
from ttmodels.shared_maps import SharedMaps, pool

SHORTEST_SHARED = 6
"""Below that many cells a window's ends meet; it is then computed window by window."""


class SlidingWindows(nn.Module):
    """Scores all windows of a clip that is longer than the network's.

    >>> import torch, ttmodels
    >>> windows = ttmodels.SlidingWindows(ttmodels.FlowNet(3, (16, 8, 8)), step=5)
    >>> windows(torch.zeros(1, 2, 30, 8, 8)).shape, list(windows.starts(30))
    (torch.Size([1, 3, 3]), [0, 5, 10])

    Args:
        model: SSTC, RGBNet, FlowNet, EarlyFusion or LateFusion. It is used, not copied.
        step: frames from one window's start to the next.
        group: windows classified together; more need more memory.

    Raises:
        ValueError: if the model has no branches to share, or a number is not positive.
    """

    def __init__(self, model: BranchModel, step: int, group: int = 16) -> None:
        super().__init__()
        step, group = plain(step), plain(group)
        check_windows(model, step, group)
        self.model = model
        self.step = step
        self.group = group

    def starts(self, num_frames: int) -> range:
        """Return the first frames of the windows of a clip; the last window ends within the clip.

        Raises:
            ValueError: if the clip is shorter than a window.
        """
        length = self.model.config.clip_shape[0]
        if num_frames < length:
            raise ValueError(f"clip has {num_frames} frames, expected at least {length}")
        return range(0, num_frames - length + 1, self.step)

    @torch.no_grad()
    def forward(
        self, *clips: Float[Tensor, "batch _ frames height width"]
    ) -> Float[Tensor, "batch windows classes"]:
        """Return the logits of every window, as the model gives them window by window.

        No gradients are kept.

        Args:
            *clips: what the model takes, only longer; all of the same length.

        Raises:
            ValueError: if a clip is shorter than a window, or has another size or dtype than the
                model takes.
        """
        named = dict(zip(self.model.inputs, clips, strict=True))
        length, height, width = self.model.config.clip_shape
        frames = clips[0].shape[2] if clips[0].ndim == 5 else length
        starts = self.starts(frames)
        dtype = next(self.model.parameters()).dtype
        check_clips((frames, height, width), dtype, named)
        shared, apart = self.convolution_work(frames)
        score = self._score_shared if shared < apart else self._score_each_window
        rows = [
            torch.cat(list(score([clip[i : i + 1] for clip in clips], starts)))
            for i in range(clips[0].shape[0])
        ]
        return torch.stack(rows)

    def convolution_work(self, num_frames: int) -> tuple[int, int]:
        """Return the multiply-adds of all convolutions for one clip: shared, window by window.

        Where windows hardly overlap, sharing saves nothing and `forward` does not share.
        """
        starts = self.starts(num_frames)
        _, height, width = self.model.config.clip_shape
        work = [0, 0]
        for branch in self.model.branches():
            for level, conv in enumerate(branch.convolutions()):
                kernel = conv.weight.numel()
                each = kernel * (height >> level) * (width >> level)
                outputs = _num_outputs(num_frames, self.model.config.clip_shape[0], starts, level)
                work = [total + each * count for total, count in zip(work, outputs, strict=True)]
        return work[0], work[1]

    def _score_each_window(self, clips: list[Tensor], starts: range) -> Iterator[Tensor]:
        length = self.model.config.clip_shape[0]
        for group in grouped(starts, self.group):
            yield self.model(
                *[torch.cat([clip[:, :, s : s + length] for s in group]) for clip in clips]
            )

    def _score_shared(self, clips: list[Tensor], starts: range) -> Iterator[Tensor]:
        length = self.model.config.clip_shape[0]
        phases = shared_levels(
            [{s % 2**level for s in starts} for level in range(LEVELS + 1)], length
        )
        streams = []
        for branch, clip in zip(
            self.model.branches(), self.model.branch_clips(*clips), strict=True
        ):
            streams.append((branch, SharedMaps(branch, phases, from_start=False)))
            streams[-1][1].push(clip)
        for group in grouped(starts, self.group):
            yield self.model.forward_head(
                *[window_maps(branch, shared, group, length) for branch, shared in streams]
            )


def check_windows(model: BranchModel, step: int, group: int) -> None:
    """Raise unless the model has branches to share and the numbers are positive.

    Raises:
        ValueError: otherwise.
    """
    if not isinstance(model, BranchModel):
        raise ValueError(f"model is a {type(model).__name__}, expected one of the SSTC family")
    if step < 1 or group < 1:
        raise ValueError(f"step is {step} and group {group}, expected positive integers")


def window_maps(branch: Branch, shared: SharedMaps, starts: Sequence[int], length: int) -> Tensor:
    """Return the last maps of these windows, (windows, 80, T/8, H/8, W/8).

    Args:
        branch: whose maps they are.
        shared: its shared maps, which hold all frames of the windows.
        starts: first frame of each window.
        length: T, frames of a window.
    """
    first: Tensor | None = None  # cell 0 of each window, where it differs from the shared one
    last: Tensor | None = None
    whole_length = length
    for level, conv in enumerate(branch.convolutions()):
        if too_short_to_share(whole_length, level):
            maps = _gather(shared, starts, level, (0, length), first, last)
            for rest in branch.convolutions()[level:]:
                maps = pool(rest(maps))
            return maps
        head = _gather(shared, starts, level, (0, 3), first, None)
        next_first = pool(_convolve(conv, functional.pad(head, (0, 0, 0, 0, 1, 0))))
        if length % 2 == 0:
            tail = _gather(shared, starts, level, (length - 3, length), None, last)
            last = pool(_convolve(conv, functional.pad(tail, (0, 0, 0, 0, 0, 1))))
        elif last is not None:
            tail = _gather(shared, starts, level, (length - 4, length), None, last)
            last = pool(_convolve(conv, tail))
        first, length = next_first, length // 2
    return _gather(shared, starts, LEVELS, (0, length), first, last)


def _gather(
    shared: SharedMaps,
    starts: Sequence[int],
    level: int,
    between: tuple[int, int],
    first: Tensor | None,
    last: Tensor | None,
) -> Tensor:
    """Return cells [begin, end) of windows, with `first` and `last` as their outermost ones."""
    begin, end = between
    some = shared.like(level)
    shape = (len(starts), some.shape[1], end - begin, *some.shape[3:])
    cells = fastest_layout(some.new_empty(shape))
    low = 1 if first is not None else 0
    high = cells.shape[2] - (1 if last is not None else 0)
    for row, start in zip(cells, starts, strict=True):
        cell = (start >> level) + begin
        row[:, low:high] = shared.cells(level, start % 2**level, cell + low, cell + high)[0]
    if first is not None:
        cells[:, :, :1] = first
    if last is not None:
        cells[:, :, -1:] = last
    return cells


def _convolve(conv: nn.Conv3d, maps: Tensor) -> Tensor:
    return convolve(maps, conv.weight, conv.bias)


def too_short_to_share(length: int, level: int) -> bool:
    """Return whether windows of that many frames have too few cells at a level to share any."""
    return length >> level < SHORTEST_SHARED


def shared_levels(phases: list[set[int]], length: int) -> list[set[int]]:
    """Return the phases of those levels at which windows of that many frames share cells."""
    shared = [level for level in range(LEVELS) if not too_short_to_share(length, level)]
    return phases[: len(shared) + 1]


def grouped(starts: range, size: int) -> Iterator[list[int]]:
    """Yield the starts in lists of `size`, the last one perhaps shorter."""
    for begin in range(0, len(starts), size):
        yield list(starts[begin : begin + size])


def _num_outputs(num_frames: int, length: int, starts: range, level: int) -> tuple[int, int]:
    """Return the time steps the convolution of a level computes: shared, window by window."""
    apart = len(starts) * (length >> level)
    if too_short_to_share(length, level):
        return apart, apart
    shared = sum(
        max(0, _num_cells(num_frames, level, phase) - 3)
        for phase in {start % 2**level for start in starts}
    )
    differs_at_end = all((length >> below) % 2 for below in range(level + 1))
    return shared + len(starts) * (2 if differs_at_end else 4), apart


def _num_cells(num_frames: int, level: int, phase: int) -> int:
    """Return the number of cells of a shared map; see `shared_maps`."""
    cells = num_frames
    for below in range(level):
        cells = max(1, (cells - 1 - (phase >> below & 1)) // 2)
    return cells
