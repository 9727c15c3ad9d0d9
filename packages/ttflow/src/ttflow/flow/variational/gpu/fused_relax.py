"""Many sweeps of the relaxation in one launch: `flow + solvers.red_black` on a GPU.

A program holds the weights of a tile of one pair in registers and exchanges updates through a
scratch of its own, with a barrier after each half sweep. A coarse level is one tile, and all its
sweeps are one launch. A finer one is cut into tiles that overlap by two pixels a sweep; what the
rim of a tile knows too little about is not kept, and its neighbour has it.

For 320 x 180 3936 launches of half sweeps become 201. A half sweep by itself moves
60 bytes a pixel and sweep; a tile reads 44 once for all its sweeps, of twice the pixels.

Needs the extra `ttflow[gpu]`; import it only where it is used.
"""

import torch
import triton
import triton.language as tl

from ttflow.flow.variational.equations import System
from ttflow.flow.variational.gpu.tiling import tiling
from ttflow.flow.variational.pyramid import Flow

CAPACITY = 1024
"""Pixels of a colour that a program holds."""
PER_WARP = 32
"""Of them, those of a warp."""


@triton.jit
def _weights(
    s11, s12, s22, s1, s2, rights, downs, pair, y, x, inside, height, width, omega
):  # fmt: skip
    """As `solvers.relaxation_planes`, of pixels that may lie outside: there all is zero."""
    here = inside & (y < height) & (x < width)
    at = pair + y * width + x
    right = tl.load(rights + at, mask=here, other=0.0)
    down = tl.load(downs + at, mask=here, other=0.0)
    left = tl.load(rights + at - 1, mask=here & (x > 0), other=0.0)
    up = tl.load(downs + at - width, mask=here & (y > 0), other=0.0)
    edges = right + down + left + up
    a11 = tl.load(s11 + at, mask=here, other=1.0) + edges
    a12 = tl.load(s12 + at, mask=here, other=0.0)
    a22 = tl.load(s22 + at, mask=here, other=1.0) + edges
    scale = tl.where(here, omega / (a11 * a22 - a12 * a12), 0.0)
    b1 = tl.load(s1 + at, mask=here, other=0.0)
    b2 = tl.load(s2 + at, mask=here, other=0.0)
    return a22 * scale, -a12 * scale, a11 * scale, b1, b2, left, right, up, down


@triton.jit
def _half_sweep(
    weights, u, v, own, other, shift, inside, keep, STRIDE: tl.constexpr, RING: tl.constexpr
):
    """New values of a colour from those of the other one around it."""
    i11, i12, i22, r1, r2, w_left, w_right, w_up, w_down = weights
    left = other + shift
    r1 += w_left * tl.load(left - 1, mask=inside, other=0.0)
    r2 += w_left * tl.load(left + (RING - 1), mask=inside, other=0.0)
    r1 += w_right * tl.load(left, mask=inside, other=0.0)
    r2 += w_right * tl.load(left + RING, mask=inside, other=0.0)
    r1 += w_up * tl.load(other - STRIDE, mask=inside, other=0.0)
    r2 += w_up * tl.load(other + (RING - STRIDE), mask=inside, other=0.0)
    r1 += w_down * tl.load(other + STRIDE, mask=inside, other=0.0)
    r2 += w_down * tl.load(other + (RING + STRIDE), mask=inside, other=0.0)
    u = keep * u + i11 * r1 + i12 * r2
    v = keep * v + i12 * r1 + i22 * r2
    tl.store(own, u, mask=inside)
    tl.store(own + RING, v, mask=inside)
    tl.debug_barrier()
    return u, v


@triton.jit
def _finish(u, v, flow, result, at, size, kept, added):
    """Store the update, or the flow with it."""
    u += tl.load(flow + at, mask=kept & added, other=0.0)
    v += tl.load(flow + at + size, mask=kept & added, other=0.0)
    tl.store(result + at, u, mask=kept)
    tl.store(result + at + size, v, mask=kept)


_SIZES = ["height", "width", "sweeps", "started", "added", "down", "across"]
_SIZES += ["rows", "columns", "rim_rows", "rim_columns"]


@triton.jit(do_not_specialize=_SIZES)
def _relax(
    s11, s12, s22, s1, s2, rights, downs, start, flow, result, scratch,
    height, width, sweeps, omega, started, added,
    down, across, rows, columns, rim_rows, rim_columns,
    BLOCK: tl.constexpr, RING: tl.constexpr, STRIDE: tl.constexpr,
):  # fmt: skip
    """Sweeps of one tile, from zero or from `start` (B, 2, H, W); the last ones add the flow."""
    tile, item = tl.program_id(0), tl.program_id(1).to(tl.int64)
    tile_row, tile_column = tile // across, tile % across
    index = tl.arange(0, BLOCK)
    row, column = index // columns, index % columns
    inside = row < rows
    y = tile_row * (rows - 2 * rim_rows) + row
    k = tile_column * (columns - 2 * rim_columns) + column
    odd = y & 1
    x0, x1 = 2 * k + odd, 2 * k + 1 - odd
    size = height * width
    pair = item * size
    w0 = _weights(
        s11, s12, s22, s1, s2, rights, downs, pair, y, x0, inside, height, width, omega
    )  # fmt: skip
    w1 = _weights(
        s11, s12, s22, s1, s2, rights, downs, pair, y, x1, inside, height, width, omega
    )  # fmt: skip

    own = scratch + (item * (down * across) + tile) * (4 * RING)
    for part in tl.static_range(4 * RING // BLOCK):
        tl.store(own + part * BLOCK + index, 0.0)
    tl.debug_barrier()
    first = own + (row + 1) * STRIDE + column + 1
    second = first + 2 * RING
    at0, at1 = 2 * pair + y * width + x0, 2 * pair + y * width + x1
    before = inside & (y < height) & (started != 0)
    u0 = tl.load(start + at0, mask=before & (x0 < width), other=0.0)
    v0 = tl.load(start + at0 + size, mask=before & (x0 < width), other=0.0)
    u1 = tl.load(start + at1, mask=before & (x1 < width), other=0.0)
    v1 = tl.load(start + at1 + size, mask=before & (x1 < width), other=0.0)
    tl.store(second, u1, mask=inside)
    tl.store(second + RING, v1, mask=inside)
    tl.debug_barrier()
    for _ in range(sweeps):
        u0, v0 = _half_sweep(w0, u0, v0, first, second, odd, inside, 1 - omega, STRIDE, RING)
        u1, v1 = _half_sweep(w1, u1, v1, second, first, 1 - odd, inside, 1 - omega, STRIDE, RING)

    kept = inside & (y < height) & ((row >= rim_rows) | (tile_row == 0))
    kept = kept & ((row < rows - rim_rows) | (tile_row == down - 1))
    kept = kept & ((column >= rim_columns) | (tile_column == 0))
    kept = kept & ((column < columns - rim_columns) | (tile_column == across - 1))
    _finish(u0, v0, flow, result, at0, size, kept & (x0 < width), added != 0)
    _finish(u1, v1, flow, result, at1, size, kept & (x1 < width), added != 0)


def relax(
    system: System,
    flow: Flow,
    sweeps: int,
    omega: float,
    capacity: int = CAPACITY,
) -> Flow:
    """As `flow + solvers.red_black`, to the rounding of sums.

    Args:
        system: of pixels (B, H, W).
        flow: (B, 2, H, W) px.
        sweeps: of both colours; none leave the flow as it is.
        omega: over-relaxation.
        capacity: pixels of a colour that a program may hold.
    """
    if sweeps < 1:
        return flow
    planes = [plane.contiguous() for plane in system]
    flow = flow.contiguous()
    batch, _, height, width = flow.shape
    cut = tiling(height, (width + 1) // 2, sweeps, capacity)
    tiles, block = cut.down * cut.across, max(triton.next_power_of_2(cut.rows * cut.columns), 256)
    stride = triton.next_power_of_2(cut.columns + 2)
    # At least a fourth of a block, as the kernel sets it to zero block by block.
    ring = max(triton.next_power_of_2((cut.rows + 2) * stride), block // 4)
    scratch = flow.new_empty(batch * tiles * 4 * ring)
    rims = (2 * cut.sweeps, cut.sweeps)
    update, done = flow, 0
    with torch.cuda.device_of(flow):  # Triton launches on the current device
        while done < sweeps:
            now = min(cut.sweeps, sweeps - done)
            result = torch.empty_like(flow)
            _relax[(tiles, batch)](
                *(*planes, update, flow, result, scratch, height, width, now, omega),
                *(int(done > 0), int(done + now == sweeps), cut.down, cut.across),
                *(cut.rows, cut.columns, *rims, block, ring, stride),
                num_warps=max(block // PER_WARP, 4),
            )
            update, done = result, done + now
    return update
