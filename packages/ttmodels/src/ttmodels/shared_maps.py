"""Maps of a branch over a clip that comes in pieces, each convolution output computed once.

Pooling pairs cells, so a level (after l poolings) has up to 2^l *phases*: cell a of phase p begins
at frame p + 2^l a. Each phase is made of one at the level below, whose pairs it takes from the
even outputs on or from the odd ones:

    level 0  phase 0        frames    0 1 2 3 4 5 6 7 ...
    level 1  phase 0, 1     cells     [0 1][2 3][4 5] ...     and  [1 2][3 4][5 6] ...
    level 2  phase 0, 2     of phase 0 above,   1, 3  of phase 1

Only what the next convolution or a reader still needs is held, so memory does not depend on how
long the clip is.

Source: this project; `sliding` and `video_stream` read these maps.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.blocks import LEVELS, Branch, fastest_layout
from ttmodels.chunked_conv import convolve

CHUNK_VALUES = 2**22
"""Convolution outputs computed at a time before they are pooled: 16 MB of float32."""


class SharedMaps:
    """The maps of one branch by level and phase, for a batch of one clip.

    Args:
        branch: whose convolutions are computed, without gradients.
        phases: which phases each level has, from level 0, which has {0}, to the last that is
            wanted; the phase below each of them must be there.
        from_start: whether phase 0 begins as the network's own clip does, with a frame of zeros
            before the first. Else the first cell of every level is left out, as it depends on
            what is before the clip.
    """

    def __init__(self, branch: Branch, phases: Sequence[set[int]], from_start: bool) -> None:
        self._convolutions = branch.convolutions()
        first = _Maps(0, from_start)
        self._levels: list[dict[int, _Maps]] = [{0: first}]
        for level, wanted in enumerate(phases[1:]):
            above: dict[int, _Maps] = {}
            for phase, maps in self._levels[level].items():
                for offset in (0, 1):
                    if (child := phase + offset * 2**level) in wanted:
                        above[child] = maps.add_child(offset)
            self._levels.append(above)

    @property
    def num_levels(self) -> int:
        """How many poolings the last maps have behind them."""
        return len(self._levels) - 1

    def push(self, frames: Tensor) -> None:
        """Add the next frames, (1, channels, n, height, width)."""
        self._levels[0][0].append(fastest_layout(frames))
        self._convolve()

    def finish(self) -> None:
        """End the clip as the network's own does, with a frame of zeros; phase 0 becomes whole."""
        for level in range(self.num_levels):
            self._levels[level][0].append_zeros()
            self._convolve(level)

    def _convolve(self, first_level: int = 0) -> None:
        for level in range(first_level, self.num_levels):
            for maps in self._levels[level].values():
                maps.feed_children(self._convolutions[level])

    def end(self, level: int, phase: int = 0) -> int:
        """Return one more than the last cell that is known; 0 at the beginning."""
        return self._levels[level][phase].end

    def cells(self, level: int, phase: int, begin: int, end: int) -> Tensor:
        """Return cells [begin, end), (1, channels, end - begin, height, width)."""
        return self._levels[level][phase].cells_between(begin, end)

    def like(self, level: int) -> Tensor:
        """Return some cells of a level, for their sides and their type."""
        return next(iter(self._levels[level].values())).held

    def drop_before(self, level: int, first_cells: dict[int, int]) -> None:
        """Free the cells of a level before these, by phase, once the convolution has seen them."""
        for phase, maps in self._levels[level].items():
            maps.drop_before(first_cells.get(phase, maps.end))


class _Maps:
    """Cells of one level and phase, from cell `begin` on, and what is computed of them.

    `next_output` is the first output of their convolution that is still to come; output i takes
    cells i - 1, i and i + 1. Without what is before the clip, output 0 cannot be known, and output
    1 would only serve a pooled cell that no window shares.
    """

    def __init__(self, begin: int, from_start: bool) -> None:
        self.begin = begin
        self.end = begin
        self.next_output = 0 if from_start else 2
        self._from_start = from_start
        self._cells: Tensor | None = None
        self._children: list[tuple[_Pairs, _Maps]] = []

    def add_child(self, offset: int) -> "_Maps":
        """Return the maps that pooling makes of the pairs from even (0) or odd (1) outputs on."""
        child = _Maps(self.next_output // 2, self._from_start and offset == 0)
        self._children.append((_Pairs(offset), child))
        return child

    @property
    def held(self) -> Tensor:
        assert self._cells is not None
        return self._cells

    def append(self, cells: Tensor) -> None:
        self.end += cells.shape[2]
        if self._cells is None and self._from_start:
            cells = functional.pad(cells, (0, 0, 0, 0, 1, 0))
            self.begin -= 1
        self._cells = fastest_layout(
            cells if self._cells is None else torch.cat((self._cells, cells), dim=2)
        )

    def append_zeros(self) -> None:
        if self._cells is not None:
            self.append(torch.zeros_like(self._cells[:, :, :1]))

    def cells_between(self, begin: int, end: int) -> Tensor:
        assert self.begin <= begin <= end <= self.end, "cells that are dropped or not yet known"
        return self.held[:, :, begin - self.begin : end - self.begin]

    def drop_before(self, cell: int) -> None:
        first = min(cell, self.end)
        if self._children:
            first = min(first, self.next_output - 1)
        if self._cells is not None and first > self.begin:
            self._cells = self._cells[:, :, first - self.begin :].clone(
                memory_format=torch.preserve_format
            )
            self.begin = first

    def feed_children(self, conv: nn.Conv3d) -> None:
        if self._cells is None or not self._children:
            return
        pooled: list[list[Tensor]] = [[] for _ in self._children]
        for outputs in self._new_outputs(conv):
            for cells, (pairs, _) in zip(pooled, self._children, strict=True):
                cells += pairs.pooled(outputs)
        for cells, (_, child) in zip(pooled, self._children, strict=True):
            if cells:
                child.append(torch.cat(cells, dim=2))

    def _new_outputs(self, conv: nn.Conv3d) -> Iterator[Tensor]:
        height, width = self.held.shape[3:]
        most = max(2, CHUNK_VALUES // (conv.out_channels * height * width) // 2 * 2)
        while (count := min(most, self.end - 1 - self.next_output)) > 0:
            low = self.next_output - 1 - self.begin
            self.next_output += count
            yield convolve(self.held[:, :, low : low + count + 2], conv.weight, conv.bias)


class _Pairs:
    """Pools pairs of outputs; one without its partner waits."""

    def __init__(self, skipped_outputs: int) -> None:
        self._skip = skipped_outputs
        self._waiting: Tensor | None = None

    def pooled(self, outputs: Tensor) -> list[Tensor]:
        cells: list[Tensor] = []
        outputs, self._skip = outputs[:, :, self._skip :], 0
        if self._waiting is not None and outputs.shape[2]:
            cells.append(pool(torch.cat((self._waiting, outputs[:, :, :1]), dim=2)))
            outputs, self._waiting = outputs[:, :, 1:], None
        if outputs.shape[2] % 2:
            self._waiting = outputs[:, :, -1:].clone()
        if outputs.shape[2] > 1:
            cells.append(pool(outputs))
        return cells


def pool(outputs: Tensor) -> Tensor:
    """Return the pooled outputs of a convolution after the ReLU, without gradients."""
    return functional.relu(functional.max_pool3d(outputs, kernel_size=2))


def endless_phases(step: int) -> list[set[int]]:
    """Return the phases of the windows that begin every `step` frames, by level."""
    return [{k * step % 2**level for k in range(2**level)} for level in range(LEVELS + 1)]
