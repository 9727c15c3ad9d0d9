"""Bias, max pooling and ReLU in one Triton kernel each way: `pooling` and its convolution's bias.

    forward    reads every output of a convolution without bias once; writes, per cell, the result
               and one byte: the position of the largest input, or that the ReLU is closed
    backward   reads, per cell, the gradient and the byte; writes every input's gradient once, and
               sums the bias's on the way

The bias is added before the maximum and the sum rounded as the layers alone do it, since rounding
makes ties: in bfloat16 many. A tie goes to the first input in (t, y, x) order, as in
`torch.nn.functional.max_pool3d`. Sums have a fixed order: gradients repeat bit for bit.

Legend: an item is what lies in one block of memory, a clip (channels last, N = C numbers a place)
or a channel of a clip (contiguous, N = 1).

Needs Triton and a GPU, or Triton's interpreter; import it only where it is used.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ttmodels.pooling import Kernel, memory_layout

_CLOSED = tl.constexpr(8)
_TILE = 1024


@triton.jit
def _cells(block, times, heights, widths, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """A tile of cells (t, y, x) by numbers c, and which of it exists."""
    row = block * ROWS + tl.arange(0, ROWS)[:, None]
    c = tl.arange(0, COLUMNS)[None, :]
    here = (row < times * heights * widths) & (c < n)
    return row // (heights * widths), (row // widths) % heights, row % widths, c, here


@triton.jit
def _pool(
    maps, bias, pooled, codes,
    blocks, channels, n, frames, height, width, times, heights, widths,
    KT: tl.constexpr, KY: tl.constexpr, KX: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """relu(max + bias) of each cell, and which of its inputs was the largest."""
    item = tl.program_id(0) // blocks
    block = tl.program_id(0) % blocks
    t, y, x, c, here = _cells(block, times, heights, widths, n, ROWS, COLUMNS)
    first = maps + item.to(tl.int64) * frames * height * width * n
    first += ((t * KT * height + y * KY) * width + x * KX) * n + c
    kind = pooled.dtype.element_ty
    shift = tl.load(bias + (item * n + c) % channels, mask=c < n, other=0.0).to(tl.float32)
    best = tl.load(first, mask=here, other=0.0).to(tl.float32)
    best = (best + shift).to(kind).to(tl.float32)
    code = tl.zeros((ROWS, COLUMNS), tl.int32)
    for k in tl.static_range(1, KT * KY * KX):
        dt, dy, dx = k // (KY * KX), k // KX % KY, k % KX
        value = tl.load(first + ((dt * height + dy) * width + dx) * n, mask=here, other=0.0)
        value = (value.to(tl.float32) + shift).to(kind).to(tl.float32)
        wins = (value > best) | (value != value)  # not a number wins
        best = tl.where(wins, value, best)
        code = tl.where(wins, k, code)
    total = best.to(kind)
    shut = total <= 0
    cell = item.to(tl.int64) * times * heights * widths * n
    cell += ((t * heights + y) * widths + x) * n + c
    tl.store(pooled + cell, tl.where(shut, 0.0, total), mask=here)
    tl.store(codes + cell, tl.where(shut, _CLOSED, code).to(tl.uint8), mask=here)


@triton.jit
def _spread(
    gradient, codes, to_maps, to_bias,
    blocks, n, frames, height, width, times, heights, widths,
    KT: tl.constexpr, KY: tl.constexpr, KX: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The gradient of every input, zeros included, and each tile's part of the bias's.

    Cells that the pooling dropped, because they are not whole, are walked through too.
    """
    item = tl.program_id(0) // blocks
    block = tl.program_id(0) % blocks
    all_heights, all_widths = tl.cdiv(height, KY), tl.cdiv(width, KX)
    t, y, x, c, here = _cells(block, tl.cdiv(frames, KT), all_heights, all_widths, n, ROWS, COLUMNS)
    whole = here & (t < times) & (y < heights) & (x < widths)
    cell = item.to(tl.int64) * times * heights * widths * n
    cell += ((t * heights + y) * widths + x) * n + c
    code = tl.load(codes + cell, mask=whole, other=_CLOSED).to(tl.int32)
    value = tl.load(gradient + cell, mask=whole, other=0.0)
    value = tl.where(code == _CLOSED, 0.0, value)  # not a product: 0 times infinity is no zero
    first = to_maps + item.to(tl.int64) * frames * height * width * n
    for k in tl.static_range(0, KT * KY * KX):
        time, row, column = t * KT + k // (KY * KX), y * KY + k // KX % KY, x * KX + k % KX
        inside = here & (time < frames) & (row < height) & (column < width)
        place = ((time * height + row) * width + column) * n + c
        tl.store(first + place, tl.where(code == k, value, 0.0), mask=inside)
    part = tl.sum(value.to(tl.float32), axis=0)
    c = tl.arange(0, COLUMNS)
    tl.store(to_bias + tl.program_id(0).to(tl.int64) * n + c, part, mask=c < n)


class _Tiles(NamedTuple):
    """How a tensor (B, C, T, H, W) is cut."""

    items: int
    n: int
    blocks: int
    rows: int
    columns: int

    @classmethod
    def of(cls, maps: Tensor, layout: torch.memory_format, cells: int) -> "_Tiles":
        batch, channels = maps.shape[:2]
        last = layout == torch.channels_last_3d
        items, n = (batch, channels) if last else (batch * channels, 1)
        columns = triton.next_power_of_2(n)
        rows = max(1, _TILE // columns)
        return cls(items, n, triton.cdiv(cells, rows), rows, columns)


class _PoolBiasReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, bias: Tensor, kernel: Kernel) -> Tensor:
        ctx.layout, ctx.kernel, ctx.sides = memory_layout(maps), kernel, maps.shape[2:]
        pooled, codes = pooled_and_codes(maps, bias, kernel)
        ctx.save_for_backward(codes)
        ctx.bias_type = bias.dtype
        return pooled

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (codes,) = ctx.saved_tensors
        to_maps, to_bias = spread(gradients[0], codes, ctx.sides, ctx.kernel, ctx.layout)
        return to_maps, to_bias.to(ctx.bias_type), None


def pool_bias_relu(maps: Tensor, bias: Tensor, kernel: Kernel) -> Tensor:
    """Return `relu(max_pool3d(maps + bias, kernel))`; see `pooled_and_codes`."""
    pooled: Tensor = _PoolBiasReLU.apply(maps, bias, kernel)  # type: ignore[no-untyped-call]
    return pooled


def pooled_and_codes(maps: Tensor, bias: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Return `relu(max_pool3d(maps + bias, kernel))`, and a byte for each of its numbers.

    Args:
        maps: (B, C, T, H, W), float32, bfloat16 or float16.
        bias: (C,); takes the type of the maps, as a convolution's does under autocast.
        kernel: sides of a cell, each 1 or 2.

    Returns:
        The values, in the memory format of the maps; and, uint8, the position (t, y, x) of the
        largest input in its cell, counted through, or 8 where the value is zero.
    """
    layout = memory_layout(maps)
    maps = maps.contiguous(memory_format=layout)
    counts = [side // step for side, step in zip(maps.shape[2:], kernel, strict=True)]
    pooled = torch.empty(
        (*maps.shape[:2], *counts), dtype=maps.dtype, device=maps.device, memory_format=layout
    )
    codes = torch.empty_like(pooled, dtype=torch.uint8, memory_format=layout)
    tiles = _Tiles.of(maps, layout, counts[0] * counts[1] * counts[2])
    with torch.cuda.device_of(maps):  # Triton launches on the current device
        _pool[(tiles.items * tiles.blocks,)](
            *(maps, bias.to(maps.dtype), pooled, codes),
            *(tiles.blocks, maps.shape[1], tiles.n, *maps.shape[2:], *counts),
            *(*kernel, tiles.rows, tiles.columns),
        )
    return pooled, codes


def spread(
    gradient: Tensor, codes: Tensor, sides: torch.Size, kernel: Kernel, layout: torch.memory_format
) -> tuple[Tensor, Tensor]:
    """Return the gradients of maps and bias, the latter (C,) float32, from that of the values.

    Args:
        gradient: (B, C, T2, H2, W2), of the values.
        codes: from `pooled_and_codes`.
        sides: time, height and width of the maps.
        kernel: sides of a cell.
        layout: memory format of the maps.
    """
    gradient = gradient.contiguous(memory_format=layout)
    shape = (*gradient.shape[:2], *sides)
    to_maps = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=layout)
    cells = [triton.cdiv(side, step) for side, step in zip(sides, kernel, strict=True)]
    tiles = _Tiles.of(to_maps, layout, cells[0] * cells[1] * cells[2])
    parts = torch.empty((tiles.items, tiles.blocks, tiles.n), device=gradient.device)
    with torch.cuda.device_of(gradient):
        _spread[(tiles.items * tiles.blocks,)](
            *(gradient, codes, to_maps, parts),
            *(tiles.blocks, tiles.n, *sides, *gradient.shape[2:]),
            *(*kernel, tiles.rows, tiles.columns),
        )
    return to_maps, parts.sum(1).view(shape[:2]).sum(0)
