"""The first stage of a branch in one Triton kernel each way: convolution, bias, pooling, ReLU.

cuDNN takes more than half of a training step for the first convolution, whose two or three channels
its matrix kernels do not know. Here each cell of the pooling is a row of a matrix:

    patch    (cells, 64) the inputs around a cell at one of its four times: 4 rows x 4 columns x
             channels, filled up with zeros
    weights  (64, filters x 4) of one of the three taps in time, for the four places in a cell

The products of patches and weights are the eight outputs of a cell. They stay in registers: only
the largest is written, and the byte that says which it was. The backward pass makes the gradient
of the eight outputs from that byte and multiplies it with the patches again; neither the maps nor
their gradient ever lie in memory. The clip itself gets no gradient.

Sums are float32 in a fixed order: gradients repeat bit for bit. Outputs are rounded as the layers
alone do it, and ties go to the first in (t, y, x) order; see `fused_pooling`.

Needs Triton and a GPU, or Triton's interpreter; import it only where it is used.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_CLOSED = tl.constexpr(8)
_CELLS = 64
"""Cells of a forward tile; its outputs, float32, take half of the registers of 4 warps."""
_CELLS_BACK = 64
_WARPS, _WARPS_BACK = 4, 8
_PROGRAMS = 264
"""Of the backward pass, each with sums of its own: two for each processor of an H100."""
_FILTERS = 32
"""The most filters; fewer are filled up with zeros."""
_PATCH_ROW = 16
"""Numbers of a patch's row: 4 columns x channels, filled up; at least what a product takes."""


@triton.jit
def _places(tile, times, heights, widths, CELLS: tl.constexpr):
    """Cells (t, y, x) of a tile, counted through, and which of them exist."""
    cell = tile * CELLS + tl.arange(0, CELLS)
    here = cell < times * heights * widths
    return cell, cell // (heights * widths), cell // widths % heights, cell % widths, here


@triton.jit
def _corner(
    y, x, here, height, width, to_channel, to_row, to_column,
    CHANNELS: tl.constexpr, ROW: tl.constexpr,
):  # fmt: skip
    """Where the numbers of each cell's patch lie in a frame, and which exist: (cells, 4 ROW)."""
    k = tl.arange(0, 4 * ROW)[None, :]
    row, column = 2 * y[:, None] + k // ROW - 1, 2 * x[:, None] + k % ROW // CHANNELS - 1
    inside = here[:, None] & (k % ROW < 4 * CHANNELS)
    inside &= (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return row * to_row + column * to_column + k % ROW % CHANNELS * to_channel, inside


@triton.jit
def _better(value, code, other, other_code):
    """The larger of two values with its code; of equal ones the smaller code, and NaN wins."""
    wins = (other > value) | (other != other) | ((other == value) & (other_code < code))
    return tl.where(wins, other, value), tl.where(wins, other_code, code)


@triton.jit
def _convolve(
    clip, weights, bias, pooled, codes,
    blocks, frames, height, width, times, heights, widths,
    to_item, to_channel, to_frame, to_row, to_column,
    CHANNELS: tl.constexpr, ROW: tl.constexpr, FILTERS: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """relu(max(conv + bias)) of each cell, and which of its eight outputs was the largest."""
    item, tile = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks
    cell, t, y, x, here = _places(tile, times, heights, widths, CELLS)
    at, inside = _corner(
        y, x, here, height, width, to_channel, to_row, to_column, CHANNELS, ROW
    )
    first = clip + item * to_item
    k, n = tl.arange(0, 4 * ROW), tl.arange(0, 4 * FILTERS)
    tap = weights + k[:, None] * (4 * FILTERS) + n[None, :]
    early = tl.zeros((CELLS, 4 * FILTERS), tl.float32)
    late = tl.zeros((CELLS, 4 * FILTERS), tl.float32)
    for step in tl.static_range(4):
        time = 2 * t[:, None] + (step - 1)
        seen = inside & (time >= 0) & (time < frames)
        patch = tl.load(first + (at + time * to_frame), mask=seen, other=0.0)
        if step < 3:
            early = tl.dot(patch, tl.load(tap + step * 16 * ROW * FILTERS), early)
        if step > 0:
            late = tl.dot(patch, tl.load(tap + (step - 1) * 16 * ROW * FILTERS), late)
    kind = pooled.dtype.element_ty
    shift = tl.load(bias + n // 4).to(tl.float32)[None, :]
    early = (early.to(kind).to(tl.float32) + shift).to(kind).to(tl.float32)
    late = (late.to(kind).to(tl.float32) + shift).to(kind).to(tl.float32)
    code = tl.zeros((CELLS, 4 * FILTERS), tl.int32) + n[None, :] % 4
    value, code = _better(early, code, late, code + 4)
    for _ in tl.static_range(2):  # the two columns, then the two rows of a cell
        left, right = tl.split(tl.reshape(value, (CELLS, value.shape[1] // 2, 2)))
        left_code, right_code = tl.split(tl.reshape(code, (CELLS, code.shape[1] // 2, 2)))
        value, code = _better(left, left_code, right, right_code)
    shut = value <= 0
    to = (item * times * heights * widths + cell[:, None]) * FILTERS
    to += tl.arange(0, FILTERS)[None, :]
    tl.store(pooled + to, tl.where(shut, 0.0, value).to(kind), mask=here[:, None])
    tl.store(codes + to, tl.where(shut, _CLOSED, code).to(tl.uint8), mask=here[:, None])


@triton.jit
def _gradients(
    clip, gradient, codes, to_weights, to_bias,
    tiles, blocks, programs, frames, height, width, times, heights, widths,
    to_item, to_channel, to_frame, to_row, to_column,
    CHANNELS: tl.constexpr, ROW: tl.constexpr, FILTERS: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Each program's part of the gradients: of the three taps in time, and of the bias."""
    k, n = tl.arange(0, 4 * ROW), tl.arange(0, 4 * FILTERS)
    first_tap = tl.zeros((4 * ROW, 4 * FILTERS), tl.float32)
    second_tap = tl.zeros((4 * ROW, 4 * FILTERS), tl.float32)
    third_tap = tl.zeros((4 * ROW, 4 * FILTERS), tl.float32)
    total = tl.zeros((FILTERS,), tl.float32)
    place = tl.arange(0, 4)[None, None, :]
    for number in range(tl.program_id(0), tiles, programs):
        item = (number // blocks).to(tl.int64)
        cell, t, y, x, here = _places(number % blocks, times, heights, widths, CELLS)
        at, inside = _corner(
            y, x, here, height, width, to_channel, to_row, to_column, CHANNELS, ROW
        )
        of = (item * times * heights * widths + cell[:, None]) * FILTERS
        of += tl.arange(0, FILTERS)[None, :]
        code = tl.load(codes + of, mask=here[:, None], other=_CLOSED).to(tl.int32)
        value = tl.load(gradient + of, mask=here[:, None], other=0.0)
        value = tl.where(code == _CLOSED, 0.0, value).to(gradient.dtype.element_ty)
        total += tl.sum(value.to(tl.float32), axis=0)
        nothing = tl.zeros((CELLS, FILTERS, 4), gradient.dtype.element_ty)
        early = tl.where(code[:, :, None] == place, value[:, :, None], nothing)
        early = tl.reshape(early, (CELLS, 4 * FILTERS))
        late = tl.where(code[:, :, None] == place + 4, value[:, :, None], nothing)
        late = tl.reshape(late, (CELLS, 4 * FILTERS))
        first = clip + item * to_item
        for step in tl.static_range(4):
            time = 2 * t[:, None] + (step - 1)
            seen = inside & (time >= 0) & (time < frames)
            patch = tl.trans(tl.load(first + (at + time * to_frame), mask=seen, other=0.0))
            if step == 0:
                first_tap = tl.dot(patch, early, first_tap)
            if step == 1:
                first_tap = tl.dot(patch, late, first_tap)
                second_tap = tl.dot(patch, early, second_tap)
            if step == 2:
                second_tap = tl.dot(patch, late, second_tap)
                third_tap = tl.dot(patch, early, third_tap)
            if step == 3:
                third_tap = tl.dot(patch, late, third_tap)
    size: tl.constexpr = 16 * ROW * FILTERS
    to = to_weights + tl.program_id(0).to(tl.int64) * 3 * size
    to += k[:, None] * (4 * FILTERS) + n[None, :]
    tl.store(to, first_tap)
    tl.store(to + size, second_tap)
    tl.store(to + 2 * size, third_tap)
    tl.store(to_bias + tl.program_id(0) * FILTERS + tl.arange(0, FILTERS), total)


class _Cut(NamedTuple):
    """How clips (B, C, T, H, W) are cut into tiles of cells."""

    blocks: int
    sides: tuple[int, ...]
    cells: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, clip: Tensor, tile: int) -> "_Cut":
        cells = tuple(side // 2 for side in clip.shape[2:])
        blocks = triton.cdiv(cells[0] * cells[1] * cells[2], tile)
        return cls(blocks, tuple(clip.shape[2:]), cells, clip.stride())


class _FirstStage(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clip: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        pooled, codes = pooled_and_codes(clip, weight, bias)
        ctx.save_for_backward(clip, codes)
        ctx.shape, ctx.types = weight.shape, (weight.dtype, bias.dtype)
        return pooled

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        clip, codes = ctx.saved_tensors
        to_weight, to_bias = weight_gradients(clip, gradients[0], codes, ctx.shape)
        return None, to_weight.to(ctx.types[0]), to_bias.to(ctx.types[1])


def takes(conv: nn.Conv3d, clip: Tensor, kernel: tuple[int, int, int]) -> bool:
    """Return whether the kernels compute this stage: 3x3x3, padded by 1, pooled by 2x2x2.

    Up to 8 channels, none of which asks for a gradient, and up to 32 filters.
    """
    one, three = (1, 1, 1), (3, 3, 3)
    return (
        not clip.requires_grad
        and (conv.kernel_size, conv.padding, conv.stride, conv.dilation) == (three, one, one, one)
        and kernel == (2, 2, 2)
        and conv.groups == 1
        and conv.in_channels == clip.shape[1] <= 8
        and conv.out_channels <= _FILTERS
    )


def conv_pool_relu(conv: nn.Conv3d, clip: Tensor) -> Tensor:
    """Return `relu(max_pool3d(conv(clip), 2))`, with further filters of zeros up to 32.

    Args:
        conv: see `takes`.
        clip: (B, C, T, H, W), in any memory format, of the type to compute in.

    Returns:
        (B, 32, T // 2, H // 2, W // 2), channels last.
    """
    pooled: Tensor = _FirstStage.apply(clip, conv.weight, conv.bias)  # type: ignore[no-untyped-call]
    return pooled


def pooled_and_codes(clip: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values and a byte for each; see `fused_pooling.pooled_and_codes`.

    Args:
        clip: (B, C, T, H, W).
        weight: (F, C, 3, 3, 3); takes the type of the clip, as under autocast.
        bias: (F,); likewise.
    """
    cut = _Cut.of(clip, _CELLS)
    pooled = torch.empty(
        (len(clip), _FILTERS, *cut.cells),
        dtype=clip.dtype,
        device=clip.device,
        memory_format=torch.channels_last_3d,
    )
    codes = torch.empty_like(pooled, dtype=torch.uint8)
    shift = nn.functional.pad(bias.to(clip.dtype), (0, _FILTERS - len(bias)))
    with torch.cuda.device_of(clip):  # Triton launches on the current device
        _convolve[(len(clip) * cut.blocks,)](
            *(clip, packed(weight.to(clip.dtype)), shift, pooled, codes),
            *(cut.blocks, *cut.sides, *cut.cells, *cut.strides),
            *(clip.shape[1], _patch_row(clip.shape[1]), _FILTERS, _CELLS),
            num_warps=_WARPS,
        )
    return pooled, codes


def weight_gradients(
    clip: Tensor, gradient: Tensor, codes: Tensor, shape: torch.Size
) -> tuple[Tensor, Tensor]:
    """Return the gradients of weight and bias, float32, from that of the values.

    Args:
        clip: (B, C, T, H, W).
        gradient: (B, 32, T // 2, H // 2, W // 2), of the values.
        codes: from `pooled_and_codes`.
        shape: of the weight.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last_3d)
    cut, row = _Cut.of(clip, _CELLS_BACK), _patch_row(clip.shape[1])
    tiles = len(clip) * cut.blocks
    programs = min(tiles, _PROGRAMS)
    to_weights = torch.empty((programs, 3, 4 * row, 4 * _FILTERS), device=clip.device)
    to_bias = torch.empty((programs, _FILTERS), device=clip.device)
    with torch.cuda.device_of(clip):
        _gradients[(programs,)](
            *(clip, gradient, codes, to_weights, to_bias),
            *(tiles, cut.blocks, programs, *cut.sides, *cut.cells, *cut.strides),
            *(clip.shape[1], row, _FILTERS, _CELLS_BACK),
            num_warps=_WARPS_BACK,
        )
    return unpacked(to_weights.sum(0), shape), to_bias.sum(0)[: shape[0]]


def _patch_row(channels: int) -> int:
    return max(_PATCH_ROW, triton.next_power_of_2(4 * channels))


def packed(weight: Tensor) -> Tensor:
    """Return the weights (F, C, 3, 3, 3) as matrices: (3 times, rows of a patch, filters x 4)."""
    filters, channels = weight.shape[:2]
    taps = weight.new_zeros(3, 4, 4, channels, _FILTERS, 2, 2)
    for down in range(2):
        for right in range(2):
            place = taps[:, down : down + 3, right : right + 3, :, :filters, down, right]
            place.copy_(weight.permute(2, 3, 4, 1, 0))
    rows = taps.view(3, 4, 4 * channels, 4 * _FILTERS)
    fill = _patch_row(channels) - 4 * channels
    return nn.functional.pad(rows, (0, 0, 0, fill)).flatten(1, 2)


def unpacked(taps: Tensor, shape: torch.Size) -> Tensor:
    """Return the sum of all that `packed` copied a weight to; its transpose."""
    filters, channels = shape[:2]
    rows = taps.view(3, 4, -1, 4 * _FILTERS)[:, :, : 4 * channels]
    parts = rows.reshape(3, 4, 4, channels, _FILTERS, 2, 2)
    return torch.stack(
        [
            parts[:, down : down + 3, right : right + 3, :, :filters, down, right]
            for down in range(2)
            for right in range(2)
        ]
    ).sum(0).permute(4, 3, 0, 1, 2)
