"""The first stage of a branch in one Triton kernel each way: convolution, bias, pooling, ReLU.

cuDNN takes more than half of a training step for the first convolution, whose two or three channels
its matrix kernels do not know. Here each cell of the pooling is a row of a matrix:

    patch    (cells, 64) the inputs around a cell at one of its four times: 4 rows x 4 columns x
             4 channels (or 8), of which the clip has 2 or 3
    weights  (64, filters x 4) of one of the three taps in time, for the four places in a cell

The products of patches and weights are the eight outputs of a cell. They stay in registers: only
the largest is written, and the byte that says which it was. The backward pass makes the gradient
of the eight outputs from that byte and multiplies it with the patches again; neither the maps nor
their gradient ever lie in memory. The clip itself gets no gradient.

Sums are float32 in a fixed order: gradients repeat bit for bit. Outputs are rounded as the layers
alone do it, and ties go to the first in (t, y, x) order; see `fused_pooling`.

Needs Triton and a GPU, or Triton's interpreter; import it only where it is used.
"""

import math
from typing import Any

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
_BLOCK = 1024


@triton.jit
def _places(tile, times, heights, widths, CELLS: tl.constexpr):
    """Cells (t, y, x) of a tile, counted through, and which of them exist; else the last one."""
    cell = tile * CELLS + tl.arange(0, CELLS)
    last = times * heights * widths - 1
    real = tl.minimum(cell, last)
    return cell, real // (heights * widths), real // widths % heights, real % widths, cell <= last


@triton.jit
def _corner(t, y, x, to_frame, to_row, CHANNELS: tl.constexpr):
    """Where the numbers of each cell's first patch lie in a packed clip: (cells, 16 CHANNELS)."""
    k = tl.arange(0, 16 * CHANNELS)[None, :]
    corner = 2 * t * to_frame + 2 * y * to_row + 2 * CHANNELS * x
    return corner[:, None] + k // (4 * CHANNELS) * to_row + k % (4 * CHANNELS)


@triton.jit
def _better(value, code, other, other_code):
    """The larger of two values with its code; of equal ones the smaller code, and NaN wins."""
    wins = (other > value) | (other != other) | ((other == value) & (other_code < code))
    return tl.where(wins, other, value), tl.where(wins, other_code, code)


@triton.jit
def _convolve(
    clip, weights, bias, pooled, codes,
    blocks, times, heights, widths, to_item, to_frame, to_row,
    CHANNELS: tl.constexpr, FILTERS: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """relu(max(conv + bias)) of each cell, and which of its eight outputs was the largest."""
    item, tile = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks
    cell, t, y, x, here = _places(tile, times, heights, widths, CELLS)
    at = _corner(t, y, x, to_frame, to_row, CHANNELS)
    first = clip + item * to_item
    k, n = tl.arange(0, 16 * CHANNELS), tl.arange(0, 4 * FILTERS)
    tap = weights + k[:, None] * (4 * FILTERS) + n[None, :]
    size: tl.constexpr = 64 * CHANNELS * FILTERS
    early = tl.zeros((CELLS, 4 * FILTERS), tl.float32)
    late = tl.zeros((CELLS, 4 * FILTERS), tl.float32)
    for step in tl.static_range(4):
        patch = tl.load(first + step * to_frame + at)
        if step < 3:
            early = tl.dot(patch, tl.load(tap + step * size), early)
        if step > 0:
            late = tl.dot(patch, tl.load(tap + (step - 1) * size), late)
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
def _spread(code, value, early: tl.constexpr, CELLS: tl.constexpr, FILTERS: tl.constexpr):
    """The gradient of four of a cell's eight outputs, zeros included: (cells, filters x 4)."""
    place = tl.arange(0, 4)[None, None, :] + (0 if early else 4)
    nothing = tl.zeros((CELLS, FILTERS, 4), value.dtype)
    all_four = tl.where(code[:, :, None] == place, value[:, :, None], nothing)
    return tl.reshape(all_four, (CELLS, 4 * FILTERS))


@triton.jit
def _gradients(
    clip, gradient, codes, to_weights, to_bias,
    tiles, blocks, programs, times, heights, widths, to_item, to_frame, to_row,
    CHANNELS: tl.constexpr, FILTERS: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Each program's part of the gradients: of the three taps in time, and of the bias."""
    k, n = tl.arange(0, 16 * CHANNELS), tl.arange(0, 4 * FILTERS)
    taps_0 = tl.zeros((16 * CHANNELS, 4 * FILTERS), tl.float32)
    taps_1 = tl.zeros((16 * CHANNELS, 4 * FILTERS), tl.float32)
    taps_2 = tl.zeros((16 * CHANNELS, 4 * FILTERS), tl.float32)
    total = tl.zeros((FILTERS,), tl.float32)
    for number in range(tl.program_id(0), tiles, programs):
        item = (number // blocks).to(tl.int64)
        cell, t, y, x, here = _places(number % blocks, times, heights, widths, CELLS)
        of = (item * times * heights * widths + cell[:, None]) * FILTERS
        of += tl.arange(0, FILTERS)[None, :]
        code = tl.load(codes + of, mask=here[:, None], other=_CLOSED).to(tl.int32)
        value = tl.load(gradient + of, mask=here[:, None], other=0.0)
        value = tl.where(code == _CLOSED, 0.0, value).to(gradient.dtype.element_ty)
        total += tl.sum(value.to(tl.float32), axis=0)
        early = _spread(code, value, True, CELLS, FILTERS)
        late = _spread(code, value, False, CELLS, FILTERS)
        first = clip + item * to_item
        at = _corner(t, y, x, to_frame, to_row, CHANNELS)
        patch = tl.trans(tl.load(first + at))
        taps_0 = tl.dot(patch, early, taps_0)
        patch = tl.trans(tl.load(first + to_frame + at))
        taps_0 = tl.dot(patch, late, taps_0)
        taps_1 = tl.dot(patch, early, taps_1)
        patch = tl.trans(tl.load(first + 2 * to_frame + at))
        taps_1 = tl.dot(patch, late, taps_1)
        taps_2 = tl.dot(patch, early, taps_2)
        patch = tl.trans(tl.load(first + 3 * to_frame + at))
        taps_2 = tl.dot(patch, late, taps_2)
    size: tl.constexpr = 64 * CHANNELS * FILTERS
    to = to_weights + tl.program_id(0).to(tl.int64) * 3 * size
    to += k[:, None] * (4 * FILTERS) + n[None, :]
    tl.store(to, taps_0)
    tl.store(to + size, taps_1)
    tl.store(to + 2 * size, taps_2)
    tl.store(to_bias + tl.program_id(0) * FILTERS + tl.arange(0, FILTERS), total)


@triton.jit
def _pack(
    clip, packed, total, frames, height, width, channels,
    to_item, to_channel, to_frame, to_row, to_column, all_rows, all_columns,
    CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A clip with a border and with channels of zeros."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    c, place = index % CHANNELS, (index // CHANNELS).to(tl.int32)
    x, place = place % all_columns - 1, place // all_columns
    y, place = place % all_rows - 1, place // all_rows
    t, item = place % (frames + 2) - 1, (place // (frames + 2)).to(tl.int64)
    inside = (c < channels) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    inside &= (t >= 0) & (t < frames) & (index < total)
    at = item * to_item + c * to_channel + t * to_frame + y * to_row + x * to_column
    value = tl.load(clip + at, mask=inside, other=0.0)
    tl.store(packed + index, value.to(packed.dtype.element_ty), mask=index < total)


class _FirstStage(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, clip: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype
    ) -> Tensor:
        cells = tuple(side // 2 for side in clip.shape[2:])
        packed = packed_clip(clip, dtype)
        pooled, codes = pooled_and_codes(packed, weight, bias, cells)
        ctx.save_for_backward(packed, codes)
        ctx.shape, ctx.types = weight.shape, (weight.dtype, bias.dtype)
        return pooled

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor, None]:
        packed, codes = ctx.saved_tensors
        to_weight, to_bias = weight_gradients(packed, gradients[0], codes, ctx.shape)
        return None, to_weight.to(ctx.types[0]), to_bias.to(ctx.types[1]), None


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


def conv_pool_relu(conv: nn.Conv3d, clip: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `relu(max_pool3d(conv(clip), 2))`, with further filters of zeros up to 32.

    Args:
        conv: see `takes`.
        clip: (B, C, T, H, W), in any memory format.
        dtype: to compute in, which clip and weights are rounded to, as under autocast.

    Returns:
        (B, 32, T // 2, H // 2, W // 2), channels last.
    """
    given = clip, conv.weight, conv.bias, dtype
    pooled: Tensor = _FirstStage.apply(*given)  # type: ignore[no-untyped-call]
    return pooled


def packed_clip(clip: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a clip (B, C, T, H, W) as (B, T + 2, H + 2, W + 2 or more, 4 or 8 channels).

    A border of zeros lies round it, so that every patch exists, and rows begin at multiples of 32
    bytes, so that a GPU reads eight numbers at a time.
    """
    batch, channels, frames, height, width = clip.shape
    columns = triton.cdiv(width + 2, 4) * 4
    shape = batch, frames + 2, height + 2, columns, _stored_channels(channels)
    packed = torch.empty(shape, dtype=dtype, device=clip.device)
    with torch.cuda.device_of(clip):  # Triton launches on the current device
        _pack[(triton.cdiv(packed.numel(), _BLOCK),)](
            *(clip, packed, packed.numel(), frames, height, width, channels, *clip.stride()),
            *(height + 2, columns, shape[-1], _BLOCK),
        )
    return packed


def pooled_and_codes(
    packed: Tensor, weight: Tensor, bias: Tensor, cells: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Return the values and a byte for each; see `fused_pooling.pooled_and_codes`.

    Args:
        packed: from `packed_clip`.
        weight: (F, C, 3, 3, 3); takes the type of the clip.
        bias: (F,); likewise.
        cells: of the pooling, along time, height and width.
    """
    blocks = triton.cdiv(math.prod(cells), _CELLS)
    like = {"dtype": packed.dtype, "device": packed.device}
    last = torch.channels_last_3d
    pooled = torch.empty((len(packed), _FILTERS, *cells), **like, memory_format=last)
    codes = torch.empty_like(pooled, dtype=torch.uint8)
    taps = packed_taps(weight.to(packed.dtype))
    shift = nn.functional.pad(bias.to(packed.dtype), (0, _FILTERS - len(bias)))
    with torch.cuda.device_of(packed):
        _convolve[(len(packed) * blocks,)](
            *(packed, taps, shift, pooled, codes, blocks, *cells, *packed.stride()[:3]),
            *(packed.shape[-1], _FILTERS, _CELLS),
            num_warps=_WARPS,
        )
    return pooled, codes


def weight_gradients(
    packed: Tensor, gradient: Tensor, codes: Tensor, shape: torch.Size
) -> tuple[Tensor, Tensor]:
    """Return the gradients of weight and bias, float32, from that of the values.

    Args:
        packed: from `packed_clip`.
        gradient: (B, 32, T // 2, H // 2, W // 2), of the values.
        codes: from `pooled_and_codes`.
        shape: of the weight.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last_3d)
    cells, channels = gradient.shape[2:], packed.shape[-1]
    blocks = triton.cdiv(math.prod(cells), _CELLS_BACK)
    tiles = len(packed) * blocks
    programs = min(tiles, _PROGRAMS)
    to_taps = torch.empty((programs, 3, 16 * channels, 4 * _FILTERS), device=packed.device)
    to_bias = torch.empty((programs, _FILTERS), device=packed.device)
    with torch.cuda.device_of(packed):
        _gradients[(programs,)](
            *(packed, gradient, codes, to_taps, to_bias, tiles, blocks, programs),
            *(*cells, *packed.stride()[:3], channels, _FILTERS, _CELLS_BACK),
            num_warps=_WARPS_BACK,
        )
    return unpacked_taps(to_taps.sum(0), shape), to_bias.sum(0)[: shape[0]]


def _stored_channels(channels: int) -> int:
    return 4 if channels <= 4 else 8


def packed_taps(weight: Tensor) -> Tensor:
    """Return the weights (F, C, 3, 3, 3) as matrices: (3 times, numbers of a patch, filters x 4)."""
    filters, channels = weight.shape[:2]
    taps = weight.new_zeros(3, 4, 4, _stored_channels(channels), _FILTERS, 2, 2)
    for down in range(2):
        for right in range(2):
            place = taps[:, down : down + 3, right : right + 3, :channels, :filters, down, right]
            place.copy_(weight.permute(2, 3, 4, 1, 0))
    return taps.flatten(1, 3).flatten(2)


def unpacked_taps(taps: Tensor, shape: torch.Size) -> Tensor:
    """Return the sum of all that `packed_taps` copied a weight to: its transpose."""
    filters, channels = shape[:2]
    parts = taps.view(3, 4, 4, -1, _FILTERS, 2, 2)[:, :, :, :channels, :filters]
    copies = [
        parts[:, down : down + 3, right : right + 3, ..., down, right]
        for down in range(2)
        for right in range(2)
    ]
    return torch.stack(copies).sum(0).permute(4, 3, 0, 1, 2)
