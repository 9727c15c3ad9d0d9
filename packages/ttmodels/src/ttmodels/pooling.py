"""Max pooling, then ReLU, that remembers one byte per output for the backward pass.

    PyTorch:  conv -> ReLU -> max pooling    keeps the whole ReLU output and an int64 per cell
    here:     conv -> max pooling -> ReLU    keeps one byte per cell: which of the (at most) eight
                                             inputs won (bits 0 to 2: x, y, t), bit 3: ReLU closed

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

_CLOSED = 8


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
        pooled, code = pool_codes(maps, kernel)
        ctx.save_for_backward(code)
        ctx.sides, ctx.kernel, ctx.layout = maps.shape[2:], kernel, _layout(maps)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (code,) = ctx.saved_tensors
        return spread_codes(gradients[0], code, ctx.sides, ctx.kernel, ctx.layout), None


def pool_codes(maps: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Return the pooled values after the ReLU, and their bytes.

    Args:
        maps: (B, C, T, H, W).
        kernel: sides of a cell, each 1 or 2.
    """
    largest, index = functional.max_pool3d(maps, kernel, return_indices=True)
    closed = (largest <= 0).to(torch.uint8) * _CLOSED
    return functional.relu(largest), _encode(index, maps.shape[2:], kernel) | closed


def spread_codes(
    gradient: Tensor, code: Tensor, sides: torch.Size, kernel: Kernel, layout: torch.memory_format
) -> Tensor:
    """Return the gradient of the maps from that of the pooled values; undoes `pool_codes`.

    Args:
        gradient: (B, C, T2, H2, W2), of the pooled values.
        code: their bytes.
        sides: time, height and width of the maps.
        kernel: sides of a cell.
        layout: memory format of the result.
    """
    gradient = gradient.masked_fill(code >= _CLOSED, 0)
    spread = torch.empty(
        (*gradient.shape[:2], *sides),
        dtype=gradient.dtype,
        device=gradient.device,
        memory_format=layout,
    )
    spread.zero_()
    if gradient.is_cuda:  # a few streaming writes instead of a scatter
        _spread_by_strides(spread, gradient, code, kernel)
    else:
        _spread_by_index(spread, gradient, _decode(code, sides, kernel), layout)
    return spread


def _encode(index: Tensor, sides: torch.Size, kernel: Kernel) -> Tensor:
    """Turn flat positions (t H + y) W + x of the winners into 0 to 7 within their cells."""
    corners = _corners(sides, kernel, index.device)
    offsets = _offsets(sides, kernel)
    low = {position: offset % 256 for position, offset in offsets.items()}
    if len(set(low.values())) == len(low):  # the lowest byte tells them apart: no wide arithmetic
        residue = index.to(torch.uint8) - corners.to(torch.uint8)
    else:
        modulus = _modulus(tuple(offsets.values()))
        low = {position: offset % modulus for position, offset in offsets.items()}
        residue = (index.to(torch.int32) - corners).remainder_(modulus).to(torch.uint8)
    code = torch.zeros_like(residue)
    for position, value in low.items():
        if position:
            code.masked_fill_(residue == value, position)
    return code


def _decode(code: Tensor, sides: torch.Size, kernel: Kernel) -> Tensor:
    """Undo `_encode`; bit 3 is ignored."""
    _, height, width = sides
    corners = _corners(sides, kernel, code.device)
    in_cell = (code & 1).to(torch.int32)
    in_cell += ((code >> 1) & 1).to(torch.int32) * width
    if kernel[0] > 1:
        in_cell += ((code >> 2) & 1).to(torch.int32) * (height * width)
    return in_cell.add_(corners).to(torch.int64)


def _corners(sides: torch.Size, kernel: Kernel, device: torch.device) -> Tensor:
    """Flat position of every cell's first input, (time2, height2, width2) int32."""
    starts = [
        torch.arange(side // step, dtype=torch.int32, device=device) * step
        for side, step in zip(sides, kernel, strict=True)
    ]
    rows = starts[0][:, None, None] * sides[1] + starts[1][:, None]
    return rows * sides[2] + starts[2]


def _offsets(sides: torch.Size, kernel: Kernel) -> dict[int, int]:
    """From position in the cell (bits x, y, t) to its distance from the corner, flat."""
    _, height, width = sides
    return {
        4 * t + 2 * y + x: (t * height + y) * width + x
        for t in range(kernel[0])
        for y in range(kernel[1])
        for x in range(kernel[2])
    }


def _modulus(offsets: tuple[int, ...]) -> int:
    """The smallest number that leaves every offset another remainder."""
    return next(m for m in range(2, 257) if len({offset % m for offset in offsets}) == len(offsets))


def _spread_by_index(
    spread: Tensor, gradient: Tensor, index: Tensor, layout: torch.memory_format
) -> None:
    """Write each cell's gradient to its flat position in `spread`, which holds zeros."""
    if layout == torch.channels_last_3d:
        _channels_to_end(spread).scatter_(1, _channels_to_end(index), _channels_to_end(gradient))
    else:
        spread.flatten(2).scatter_(2, index.flatten(2), gradient.flatten(2))


def _channels_to_end(maps: Tensor) -> Tensor:
    """(B, C, T, H, W) in channels-last order -> (B, T H W, C), a view even of a slab."""
    return maps.permute(0, 2, 3, 4, 1).flatten(1, 3)


def _spread_by_strides(spread: Tensor, gradient: Tensor, code: Tensor, kernel: Kernel) -> None:
    """The same, one position of all cells at a time."""
    times, heights, widths = gradient.shape[2:]
    cells = spread[:, :, : times * kernel[0], : heights * kernel[1], : widths * kernel[2]]
    for position in _offsets(spread.shape[2:], kernel):
        t, y, x = position >> 2, (position >> 1) & 1, position & 1
        won = (code & 7) == position
        part = gradient.masked_fill(~won, 0)  # not a product: 0 times infinity is no zero
        cells[:, :, t :: kernel[0], y :: kernel[1], x :: kernel[2]] = part


def _layout(maps: Tensor) -> torch.memory_format:
    last = maps.permute(0, 2, 3, 4, 1)
    if last[:1].is_contiguous() and not maps[:1].is_contiguous():
        return torch.channels_last_3d
    return torch.contiguous_format
