"""Red-black relaxation with one Triton kernel per half sweep: `solvers.red_black` on a GPU.

The checkerboard is packed row-wise, as in `kernels`: entry k of row i holds the pixel
(i, 2 k + p), p = (i + colour) % 2, so that neighbouring threads read neighbouring memory. A half
sweep reads every weight once; eager operations pass over memory about ten times.

Needs the extra `ttflow[gpu]`; import it only where it is used.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from ttflow.flow.variational.equations import System
from ttflow.flow.variational.pyramid import Flow
from ttflow.flow.variational.solvers import BLOCK_OMEGA, relaxation_planes

_BLOCK = 256
_PLANES = 9


@triton.jit
def _half_sweep(
    planes, update, height, columns, colour, keep, total, PLANES: tl.constexpr, BLOCK: tl.constexpr
):
    """Relax one colour of update (B, 2 colours, 2, H + 2, K + 2) in place.

    planes (B, 2 colours, 9, H, K): i11 i12 i22 b1 b2 left right up down. Each pixel of the colour
    reads itself and neighbours of the other colour only: the order within a half sweep is free.
    """
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = index < total
    k = index % columns
    i = (index // columns) % height
    item = index // (columns * height)

    size = height * columns
    weight = planes + ((item * 2 + colour) * PLANES).to(tl.int64) * size + i * columns + k
    stride = columns + 2
    ring = (height + 2) * stride
    own = update + (item * 4 + colour * 2).to(tl.int64) * ring + (i + 1) * stride + k + 1
    other = update + (item * 4 + (1 - colour) * 2).to(tl.int64) * ring + (i + 1) * stride + k + 1
    left = other + (i + colour) % 2 - 1

    w_left = tl.load(weight + 5 * size, mask=here, other=0.0)
    w_right = tl.load(weight + 6 * size, mask=here, other=0.0)
    w_up = tl.load(weight + 7 * size, mask=here, other=0.0)
    w_down = tl.load(weight + 8 * size, mask=here, other=0.0)
    r1 = tl.load(weight + 3 * size, mask=here, other=0.0)
    r1 += w_left * tl.load(left, mask=here, other=0.0)
    r1 += w_right * tl.load(left + 1, mask=here, other=0.0)
    r1 += w_up * tl.load(other - stride, mask=here, other=0.0)
    r1 += w_down * tl.load(other + stride, mask=here, other=0.0)
    r2 = tl.load(weight + 4 * size, mask=here, other=0.0)
    r2 += w_left * tl.load(left + ring, mask=here, other=0.0)
    r2 += w_right * tl.load(left + ring + 1, mask=here, other=0.0)
    r2 += w_up * tl.load(other + ring - stride, mask=here, other=0.0)
    r2 += w_down * tl.load(other + ring + stride, mask=here, other=0.0)

    i11 = tl.load(weight, mask=here, other=0.0)
    i12 = tl.load(weight + size, mask=here, other=0.0)
    i22 = tl.load(weight + 2 * size, mask=here, other=0.0)
    u = tl.load(own, mask=here, other=0.0)
    v = tl.load(own + ring, mask=here, other=0.0)
    tl.store(own, keep * u + i11 * r1 + i12 * r2, mask=here)
    tl.store(own + ring, keep * v + i12 * r1 + i22 * r2, mask=here)


def packed_planes(system: System, omega: float) -> Tensor:
    """(B, 2 colours, 9, H, K): what the sweeps read."""
    return _pack(relaxation_planes(system, omega))


def red_black(system: System, sweeps: int, omega: float = BLOCK_OMEGA) -> Flow:
    """As `solvers.red_black`, to the rounding of sums."""
    height, width = system.a11.shape[-2:]
    planes = packed_planes(system, omega)
    batch, columns = len(planes), planes.shape[-1]
    update = planes.new_zeros(batch, 2, 2, height + 2, columns + 2)
    total = batch * height * columns
    grid = (triton.cdiv(total, _BLOCK),)
    with torch.cuda.device_of(planes):  # Triton launches on the current device
        for _ in range(sweeps):
            for colour in (0, 1):
                _half_sweep[grid](
                    planes, update, height, columns, colour, 1 - omega, total, _PLANES, _BLOCK
                )
    return _unpack(update[..., 1:-1, 1:-1])[..., :width]


def _pack(planes: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 2 colours, C, H, K); an odd width is filled up with zeros."""
    height, width = planes.shape[-2:]
    even, odd = F.pad(planes, (0, width % 2)).unflatten(-1, (-1, 2)).unbind(-1)
    shifted = (torch.arange(height, device=planes.device) % 2 == 1)[:, None]
    return torch.stack((torch.where(shifted, odd, even), torch.where(shifted, even, odd)), dim=1)


def _unpack(packed: Tensor) -> Tensor:
    """The inverse of `_pack`, with an even width."""
    shifted = (torch.arange(packed.shape[-2], device=packed.device) % 2 == 1)[:, None]
    first, second = packed.unbind(1)
    even, odd = torch.where(shifted, second, first), torch.where(shifted, first, second)
    return torch.stack((even, odd), dim=-1).flatten(-2)
