"""Max pooling whose cells may overlap, with a gradient that is the same every time, also on a GPU.

    PyTorch on a GPU:  every cell adds its gradient to its largest input, in whatever order the
                       threads come: sums differ from run to run, and in bfloat16 every addition
                       rounds
    here:              one position of all cells at a time, first to last: an input gets its sum in
                       a fixed order, in float32 where the maps have fewer bits

A tie goes to the first input in (t, y, x) order, as in `torch.nn.functional.max_pool3d`. On CPUs
PyTorch's own gradient has a fixed order, and is used.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Sides = tuple[int, int, int]
Slices = tuple[slice, ...]


def max_pool(
    maps: Float[Tensor, "batch channel time height width"],
    kernel: Sides,
    stride: Sides,
    padding: Sides = (0, 0, 0),
    ceil_mode: bool = False,
) -> Float[Tensor, "batch channel time2 height2 width2"]:
    """Return `torch.nn.functional.max_pool3d` of the same arguments.

    Args:
        maps: in any memory format.
        kernel: sides of a cell (time, height, width).
        stride: steps from cell to cell.
        padding: what is put before and after each axis; it never wins.
        ceil_mode: whether a last cell may reach beyond the end.
    """
    learns = torch.is_grad_enabled() and maps.requires_grad and maps.numel() > 0
    if maps.is_cuda and learns and not torch.compiler.is_exporting():
        pooled: Tensor = _MaxPool.apply(  # type: ignore[no-untyped-call]
            maps, kernel, stride, padding, ceil_mode
        )
        return pooled
    return functional.max_pool3d(maps, kernel, stride, padding, ceil_mode=ceil_mode)


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, kernel: Sides, stride: Sides, padding: Sides, ceil_mode: bool
    ) -> Tensor:
        pooled, index = functional.max_pool3d(
            maps, kernel, stride, padding, ceil_mode=ceil_mode, return_indices=True
        )
        ctx.save_for_backward(index.to(torch.int32))
        ctx.cells, ctx.sides = (kernel, stride, padding), tuple(maps.shape[2:])
        # Asked of the input, not of the gradient: where all its sides are 1 it has both layouts.
        last = maps.is_contiguous(memory_format=torch.channels_last_3d) and not maps.is_contiguous()
        ctx.layout = torch.channels_last_3d if last else torch.contiguous_format
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (index,) = ctx.saved_tensors
        (gradient,) = gradients
        total = _zeros(gradient, ctx.sides, ctx.layout)
        for cells, inputs in _positions(ctx.sides, index.shape[2:], *ctx.cells):
            here = index[cells] == _flat_positions(inputs, ctx.sides, index.device)
            # Not a product with 0 and 1: 0 times infinity is no zero.
            total[inputs] += gradient[cells].masked_fill(~here, 0)
        return total.to(gradient.dtype), None, None, None, None


def _zeros(gradient: Tensor, sides: Sides, layout: torch.memory_format) -> Tensor:
    """Return zeros of the inputs' shape, of at least float32."""
    return torch.empty(
        (*gradient.shape[:2], *sides),
        dtype=torch.promote_types(gradient.dtype, torch.float32),
        device=gradient.device,
        memory_format=layout,
    ).zero_()


def _positions(
    sides: Sides, counts: Sides, kernel: Sides, stride: Sides, padding: Sides
) -> Iterator[tuple[Slices, Slices]]:
    """Yield for each position in a cell the cells that have an input there, and these inputs."""
    axes = [
        [_cells_with(place - before, step, count, side) for place in range(size)]
        for side, count, size, step, before in zip(
            sides, counts, kernel, stride, padding, strict=True
        )
    ]
    every = (slice(None), slice(None))
    for position in product(*axes):
        cells, inputs = zip(*position, strict=True)
        yield every + cells, every + inputs


def _cells_with(start: int, step: int, count: int, side: int) -> tuple[slice, slice]:
    """Return the cells c of an axis with 0 <= start + c step < side, and these inputs.

    >>> _cells_with(-1, 2, 3, 5)  # c = 0 looks at -1, which is padding
    (slice(1, 3, None), slice(1, 4, 2))
    """
    first = max(0, -(start // step))
    stop = max(first, min(count, -(-(side - start) // step)))
    low = start + first * step
    return slice(first, stop), slice(low, low + max(0, (stop - first - 1) * step + 1), step)


def _flat_positions(inputs: Slices, sides: Sides, device: torch.device) -> Tensor:
    """Return (t H + y) W + x of these inputs, int32, as `max_pool3d` counts them."""
    t, y, x = (
        torch.arange(part.start, part.stop, part.step, dtype=torch.int32, device=device)
        for part in inputs[2:]
    )
    return (t[:, None, None] * sides[1] + y[:, None]) * sides[2] + x
