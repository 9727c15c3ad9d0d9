"""Max pooling, then ReLU, that remembers one byte per output for the backward pass.

    PyTorch:  conv -> ReLU -> max pooling    keeps the whole ReLU output and an int64 per cell
    here:     conv -> max pooling -> ReLU    keeps one byte per cell, the position of the
                                             largest of (at most) eight inputs (argmax), beside
                                             the result, which the next layer keeps anyway

Both are monotone, so they commute and the values are the same. The gradients are the same too:
a tie goes to the first input in (t, y, x) order, as in `torch.nn.functional.max_pool3d`. (Where a
whole cell is below zero, PyTorch's order sends a gradient to its first input, which the ReLU then
stops.)
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Kernel = tuple[int, int, int]


def pool_relu(
    maps: Float[Tensor, "batch channel time height width"], kernel: Kernel = (2, 2, 2)
) -> Float[Tensor, "batch channel time2 height2 width2"]:
    """Return `relu(max_pool3d(maps, kernel))`: cells do not overlap, a remainder is dropped.

    Args:
        maps: outputs of a convolution, in any memory format, which is kept.
        kernel: sides of a cell (time, height, width), each 1 or 2.

    Raises:
        ValueError: if a side of the kernel is neither 1 nor 2.
    """
    if not set(kernel) <= {1, 2}:
        raise ValueError(f"kernel is {kernel}, expected sides of 1 or 2")
    remembers = torch.is_grad_enabled() and maps.requires_grad and maps.numel() > 0
    if remembers and not torch.compiler.is_exporting():
        pooled: Tensor = _PoolReLU.apply(maps, kernel)  # type: ignore[no-untyped-call]
        return pooled
    return functional.relu(functional.max_pool3d(maps, kernel))


class _PoolReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernel: Kernel) -> Tensor:
        pooled, argmax = pool_relu_argmax(maps, kernel)
        ctx.save_for_backward(pooled, argmax)
        ctx.sides, ctx.kernel, ctx.layout = maps.shape[2:], kernel, memory_layout(maps)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        pooled, argmax = ctx.saved_tensors
        outward = torch.ops.aten.threshold_backward(gradients[0], pooled, 0)
        return max_unpool(outward, argmax, ctx.sides, ctx.kernel, ctx.layout), None


def pool_relu_argmax(maps: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Return the pooled values after the ReLU, and which input of each cell was the largest.

    Args:
        maps: (B, C, T, H, W).
        kernel: sides of a cell, each 1 or 2.

    Returns:
        The values; and for each the argmax, one byte: the flat distance (t H + y) W + x of the
        largest input from its cell's first, modulo what keeps these distances apart below 256.
    """
    largest, index = functional.max_pool3d(maps, kernel, return_indices=True)
    corners = _corners(maps.shape[2:], kernel, index.device)
    modulus = _modulus(tuple(_offsets(maps.shape[2:], kernel).values()))
    if modulus == 256:  # the lowest byte alone: no wide arithmetic
        argmax = index.to(torch.uint8).sub_(corners.to(torch.uint8))
    else:
        argmax = (index.to(torch.int32) - corners).remainder_(modulus).to(torch.uint8)
    return functional.relu(largest), argmax


def max_unpool(
    gradient: Tensor, argmax: Tensor, sides: torch.Size, kernel: Kernel, layout: torch.memory_format
) -> Tensor:
    """Return the gradient of the maps from that of the pooled values (max unpooling).

    Args:
        gradient: (B, C, T2, H2, W2), of the pooled values, zero where the ReLU is closed.
        argmax: from `pool_relu_argmax`.
        sides: time, height and width of the maps.
        kernel: sides of a cell.
        layout: memory format of the result.
    """
    unpooled = torch.empty(
        (*gradient.shape[:2], *sides),
        dtype=gradient.dtype,
        device=gradient.device,
        memory_format=layout,
    )
    unpooled.zero_()
    if gradient.is_cuda:  # a few streaming writes instead of a scatter
        _unpool_by_strides(unpooled, gradient, argmax, kernel)
    else:
        _unpool_by_index(unpooled, gradient, argmax, kernel, layout)
    return unpooled


def _corners(sides: torch.Size, kernel: Kernel, device: torch.device) -> Tensor:
    """Return the flat position of every cell's first input, (time2, height2, width2) int32."""
    starts = [
        torch.arange(side // step, dtype=torch.int32, device=device) * step
        for side, step in zip(sides, kernel, strict=True)
    ]
    rows = starts[0][:, None, None] * sides[1] + starts[1][:, None]
    return rows * sides[2] + starts[2]


def _offsets(sides: torch.Size, kernel: Kernel) -> dict[int, int]:
    """Return from position in the cell (bits x, y, t) its flat distance from the corner."""
    _, height, width = sides
    return {
        4 * t + 2 * y + x: (t * height + y) * width + x
        for t in range(kernel[0])
        for y in range(kernel[1])
        for x in range(kernel[2])
    }


def _modulus(offsets: tuple[int, ...]) -> int:
    """Return the largest number up to 256 that leaves every offset another remainder."""
    return next(
        m for m in range(256, 1, -1) if len({offset % m for offset in offsets}) == len(offsets)
    )


def _unpool_by_index(
    unpooled: Tensor, gradient: Tensor, argmax: Tensor, kernel: Kernel, layout: torch.memory_format
) -> None:
    """Write each cell's gradient to its flat position in `unpooled`, which holds zeros."""
    sides = unpooled.shape[2:]
    offsets = tuple(_offsets(sides, kernel).values())
    distance = torch.zeros(256, dtype=torch.int64)
    distance[[offset % _modulus(offsets) for offset in offsets]] = torch.tensor(offsets)
    corners = _corners(sides, kernel, argmax.device).flatten()
    if layout == torch.channels_last_3d:
        order, dim, corners = _channels_to_end, 1, corners[:, None]
    else:
        order, dim = _flat, 2
    cells = order(argmax)
    index = distance.index_select(0, cells.flatten().to(torch.int32)).view(cells.shape)
    order(unpooled).scatter_(dim, index.add_(corners), order(gradient))


def _flat(maps: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B, C, T H W)."""
    return maps.flatten(2)


def _channels_to_end(maps: Tensor) -> Tensor:
    """(B, C, T, H, W) in channels-last order -> (B, T H W, C), a view even of a chunk."""
    return maps.permute(0, 2, 3, 4, 1).flatten(1, 3)


def _unpool_by_strides(unpooled: Tensor, gradient: Tensor, argmax: Tensor, kernel: Kernel) -> None:
    """Write the same as `_unpool_by_index`, one position of all cells at a time."""
    times, heights, widths = gradient.shape[2:]
    cells = unpooled[:, :, : times * kernel[0], : heights * kernel[1], : widths * kernel[2]]
    offsets = _offsets(unpooled.shape[2:], kernel)
    modulus = _modulus(tuple(offsets.values()))
    for position, offset in offsets.items():
        t, y, x = position >> 2, (position >> 1) & 1, position & 1
        largest = argmax == offset % modulus
        part = gradient.masked_fill(~largest, 0)  # not a product: 0 times infinity is no zero
        cells[:, :, t :: kernel[0], y :: kernel[1], x :: kernel[2]] = part


def memory_layout(maps: Tensor) -> torch.memory_format:
    """Return the memory format of maps (B, C, T, H, W); contiguous where they have both."""
    last = maps.permute(0, 2, 3, 4, 1)
    if last[:1].is_contiguous() and not maps[:1].is_contiguous():
        return torch.channels_last_3d
    return torch.contiguous_format
