"""The median filter as one Triton kernel: `torch_path.median` on a GPU.

A pixel's values stay in registers. Of the first half and two more neither the smallest nor the
largest can be the median: both go, the next value comes, until one is left.

Needs the extra `ttflow[gpu]`; import it only where it is used.
"""

import torch
import triton
import triton.language as tl

from ttflow.flow.variational.gpu.fused_system import COLUMNS, ROWS, WARPS, place, tiles
from ttflow.flow.variational.pyramid import Flow


@triton.jit
def _without_ends(values):
    """The values without their largest and their smallest one."""
    highest = values[0]
    rest = (tl.minimum(highest, values[1]),)
    highest = tl.maximum(highest, values[1])
    for k in tl.static_range(2, len(values)):
        rest = rest + (tl.minimum(highest, values[k]),)  # noqa: RUF005 - Triton unpacks nothing
        highest = tl.maximum(highest, values[k])
    lowest = rest[0]
    inner = (tl.maximum(lowest, rest[1]),)
    lowest = tl.minimum(lowest, rest[1])
    for k in tl.static_range(2, len(rest)):
        inner = inner + (tl.maximum(lowest, rest[k]),)  # noqa: RUF005
        lowest = tl.minimum(lowest, rest[k])
    return inner


@triton.jit(do_not_specialize=["height"])
def _median(
    planes, result, height, width,
    SIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Of each pixel's square; beyond the border lies the border."""
    item, y, x, here = place(height, width, ROWS, COLUMNS)
    plane = planes + item * height * width
    half: tl.constexpr = SIDE // 2
    corner = tl.maximum(y - half, 0) * width + tl.maximum(x - half, 0)
    values = (tl.load(plane + corner, mask=here, other=0.0),)
    for k in tl.static_range(1, SIDE * SIDE):
        row = tl.minimum(tl.maximum(y + (k // SIDE - half), 0), height - 1)
        column = tl.minimum(tl.maximum(x + (k % SIDE - half), 0), width - 1)
        values = values + (tl.load(plane + row * width + column, mask=here, other=0.0),)  # type: ignore[assignment]  # noqa: RUF005
        if k > SIDE * SIDE // 2:
            values = _without_ends(values)
    tl.store(result + (item * height + y) * width + x, values[0], mask=here)


def median(flow: Flow, side: int) -> Flow:
    """As `torch_path.median`: the same values."""
    flow = flow.contiguous()
    result = torch.empty_like(flow)
    height, width = flow.shape[-2:]
    with torch.cuda.device_of(flow):  # Triton launches on the current device
        _median[tiles(height, width, flow.shape[0] * flow.shape[1])](
            flow, result, height, width, side, ROWS, COLUMNS, num_warps=WARPS
        )
    return result
