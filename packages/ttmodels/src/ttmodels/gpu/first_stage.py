"""The first stage of a branch in one Triton kernel each way: convolution, bias, pooling, ReLU.

cuDNN takes more than half of a training step for the first convolution, whose two or three channels
its matrix kernels do not know. Here each cell of the pooling is a row of a matrix:

    patch    (cells, 64) the inputs around a cell at one of its four times: 4 rows x 4 columns x
             4 channels, of which the clip has 2 or 3
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
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ttmodels.gpu.first_stage_kernels import convolve, gradients, pack

_CELLS = 64
"""Cells of a forward tile; its outputs, float32, take half of the registers of 4 warps."""
_CELLS_BACK = 32
"""Of a backward tile, whose three sums take the registers; on an H200 1.1 ms, of 64 cells and 8
warps 1.7 ms."""
_PROGRAMS = 264
"""Of the backward pass, each with sums of its own: two for each processor of an H100."""
_FILTERS = 32
"""The most filters; fewer are filled up with zeros."""
_CHANNELS = 4
"""The most channels of a clip; as filters."""
_BLOCK = 1024


class _FirstStage(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clip: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        cells = tuple(side // 2 for side in clip.shape[2:])
        packed = packed_clip(clip, dtype)
        pooled, codes = pooled_and_codes(packed, weight, bias, cells)
        ctx.save_for_backward(packed, codes)
        ctx.shape, ctx.types = weight.shape, (weight.dtype, bias.dtype)
        return pooled

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *outward: Tensor) -> tuple[None, Tensor, Tensor, None]:
        packed, codes = ctx.saved_tensors
        to_weight, to_bias = weight_gradients(packed, outward[0], codes, ctx.shape)
        return None, to_weight.to(ctx.types[0]), to_bias.to(ctx.types[1]), None


def takes(conv: nn.Conv3d, clip: Tensor, kernel: tuple[int, int, int]) -> bool:
    """Return whether the kernels compute this stage: 3x3x3, padded by 1, pooled by 2x2x2.

    Up to 4 channels, none of which asks for a gradient, and up to 32 filters.
    """
    one, three = (1, 1, 1), (3, 3, 3)
    packed = _CHANNELS * math.prod(side + 5 for side in clip.shape[2:])
    return (
        not clip.requires_grad
        and (conv.kernel_size, conv.padding, conv.stride, conv.dilation) == (three, one, one, one)
        and (conv.padding_mode, kernel, conv.groups) == ("zeros", (2, 2, 2), 1)
        and conv.in_channels == clip.shape[1] <= _CHANNELS
        and conv.out_channels <= _FILTERS
        and packed < 2**31  # places in a clip are counted in 32 bits
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
    """Return a clip (B, C, T, H, W) as (B, T + 2, H + 2, W + 2 or more, 4).

    A border of zeros lies round it, so that every patch exists, and rows begin at multiples of 32
    bytes, so that a GPU reads eight numbers at a time.
    """
    batch, channels, frames, height, width = clip.shape
    columns = triton.cdiv(width + 2, 4) * 4
    shape = batch, frames + 2, height + 2, columns, _CHANNELS
    packed = torch.empty(shape, dtype=dtype, device=clip.device)
    with torch.cuda.device_of(clip):  # Triton launches on the current device
        pack[(triton.cdiv(packed.numel(), _BLOCK),)](
            *(clip, packed, packed.numel(), frames, height, width, channels, *clip.stride()),
            *(height + 2, columns, _CHANNELS, _BLOCK),
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
    pooled = torch.empty(
        (len(packed), _FILTERS, *cells),
        dtype=packed.dtype,
        device=packed.device,
        memory_format=torch.channels_last_3d,
    )
    codes = torch.empty_like(pooled, dtype=torch.uint8)
    taps = packed_taps(weight.to(packed.dtype))
    shift = nn.functional.pad(bias.to(packed.dtype), (0, _FILTERS - len(bias)))
    with torch.cuda.device_of(packed):
        convolve[(len(packed) * blocks,)](
            *(packed, taps, shift, pooled, codes, blocks, *cells, *packed.stride()[:3]),
            *(_CHANNELS, _FILTERS, _CELLS),
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
    cells = gradient.shape[2:]
    blocks = triton.cdiv(math.prod(cells), _CELLS_BACK)
    tiles = len(packed) * blocks
    programs = min(tiles, _PROGRAMS)
    to_taps = torch.empty((programs, 3, 16 * _CHANNELS, 4 * _FILTERS), device=packed.device)
    to_bias = torch.empty((programs, _FILTERS), device=packed.device)
    with torch.cuda.device_of(packed):
        gradients[(programs,)](
            *(packed, gradient, codes, to_taps, to_bias, tiles, blocks, programs),
            *(*cells, *packed.stride()[:3], _CHANNELS, _FILTERS, _CELLS_BACK),
        )
    return unpacked_taps(to_taps.sum(0), shape), to_bias.sum(0)[: shape[0]]


def packed_taps(weight: Tensor) -> Tensor:
    """Return the weights (F, C, 3, 3, 3) as (3, 64, 128): time, patch, filters x 4."""
    filters, channels = weight.shape[:2]
    taps = weight.new_zeros(3, 4, 4, _CHANNELS, _FILTERS, 2, 2)
    for down in range(2):
        for right in range(2):
            place = taps[:, down : down + 3, right : right + 3, :channels, :filters, down, right]
            place.copy_(weight.permute(2, 3, 4, 1, 0))
    return taps.flatten(1, 3).flatten(2)


def unpacked_taps(taps: Tensor, shape: torch.Size) -> Tensor:
    """Return the sum of all that `packed_taps` copied a weight to: its transpose."""
    filters, channels = shape[:2]
    parts = taps.view(3, 4, 4, _CHANNELS, _FILTERS, 2, 2)[:, :, :, :channels, :filters]
    copies = [
        parts[:, down : down + 3, right : right + 3, ..., down, right]
        for down in range(2)
        for right in range(2)
    ]
    return torch.stack(copies).sum(0).permute(4, 3, 0, 1, 2)
