"""Successive over-relaxation in two orders: lexicographic (the reference's) and red-black.

Both start from zero and return the flow update (B, 2, H, W) in px.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ttflow.flow.variational.equations import System, edge_sum
from ttflow.flow.variational.pyramid import Flow

REFERENCE_OMEGA = 1.8
BLOCK_OMEGA = 1.9


def _skew(plane: Tensor) -> Tensor:
    """(B, H, W) -> (B, H + W + 1, H + 2): row 1 + d holds the anti-diagonal i + j = d, at 1 + i."""
    batch, height, width = plane.shape
    skewed = plane.new_zeros(batch, height + width + 1, height + 2)
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    skewed[:, 1 + row + column, 1 + row] = plane
    return skewed


def _unskew(skewed: Tensor, height: int, width: int) -> Tensor:
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return skewed[:, 1 + row + column, 1 + row]


def lexicographic(system: System, sweeps: int, omega: float = REFERENCE_OMEGA) -> Flow:
    """Row-by-row SOR, du before dv, batched exactly.

    A pixel needs its left and upper neighbours of this sweep and the others of the last one, so
    sweep s can update the anti-diagonal i + j = p - 2 s at step p: all sweeps advance together,
    as a wavefront, and one step is a strided slice of the skewed arrays.
    """
    height, width = system.a11.shape[-2:]
    diagonal = edge_sum(system)
    left = F.pad(system.right, (1, 0))[..., :-1]
    up = F.pad(system.down, (0, 0, 1, 0))[..., :-1, :]
    inverse = (omega / (system.a11 + diagonal), omega / (system.a22 + diagonal))
    planes = (left, system.right, up, system.down, system.a12, system.b1, system.b2, *inverse)
    left, right, up, down, a12, b1, b2, i11, i22 = (_skew(plane) for plane in planes)
    du, dv = torch.zeros_like(left), torch.zeros_like(left)
    diagonals = height + width - 1
    for step in range(diagonals + 2 * (sweeps - 1)):
        low = max(step - 2 * (sweeps - 1), step % 2)
        high = min(step, diagonals - 1 - (diagonals - 1 - step) % 2)
        if low > high:
            continue
        here = (slice(None), slice(1 + low, 2 + high, 2), slice(1, -1))
        rows = slice(low, 1 + high, 2), slice(2 + low, 3 + high, 2)
        edges = tuple(weight[here] for weight in (left, up, right, down))
        residual = b1[here] + _neighbours(du, edges, *rows) - a12[here] * dv[here]
        du[here] = (1 - omega) * du[here] + i11[here] * residual
        residual = b2[here] + _neighbours(dv, edges, *rows) - a12[here] * du[here]
        dv[here] = (1 - omega) * dv[here] + i22[here] * residual
    return torch.stack((_unskew(du, height, width), _unskew(dv, height, width)), dim=1)


def _neighbours(plane: Tensor, edges: tuple[Tensor, ...], before: slice, after: slice) -> Tensor:
    """The weighted sum of the left, upper, right and lower neighbours, in skewed layout."""
    left, up, right, down = edges
    return (
        left * plane[:, before, 1:-1]
        + up * plane[:, before, :-2]
        + right * plane[:, after, 1:-1]
        + down * plane[:, after, 2:]
    )


def relaxation_planes(system: System, omega: float) -> Tensor:
    """(B, 9, H, W): i11 i12 i22 b1 b2 left right up down, what a red-black update reads.

    i11 i12 i22 is the inverse of a pixel's 2 x 2 block times omega; then come the right-hand side
    and the weights of the four edges, zero where no edge is.
    """
    diagonal = edge_sum(system)
    a11, a22 = system.a11 + diagonal, system.a22 + diagonal
    scale = omega / (a11 * a22 - system.a12 * system.a12)
    left = F.pad(system.right, (1, 0))[..., :-1]
    up = F.pad(system.down, (0, 0, 1, 0))[..., :-1, :]
    inverse = (a22 * scale, -system.a12 * scale, a11 * scale)
    planes = (*inverse, system.b1, system.b2, left, system.right, up, system.down)
    return torch.stack(planes, dim=1)


def red_black(system: System, sweeps: int, omega: float = BLOCK_OMEGA) -> Flow:
    """Checkerboard SOR that solves (du, dv) of a pixel together.

    The picture is kept as its four sub-lattices (even or odd row, even or odd column), each
    contiguous; red is even-even and odd-odd. Twice as fast as masked updates.
    """
    height, width = system.a11.shape[-2:]
    planes = relaxation_planes(system, omega)
    even = F.pad(planes, (0, width % 2, 0, height % 2))
    parts = {(i, j): even[:, :, i::2, j::2].contiguous() for i in (0, 1) for j in (0, 1)}
    # One ring of zeros round each sub-lattice: the weights that lead there are zero.
    shape = (*parts[0, 0].shape[-2:],)
    update = {
        key: part.new_zeros(len(part), 2, shape[0] + 2, shape[1] + 2) for key, part in parts.items()
    }
    for _ in range(sweeps):
        for i, j in ((0, 0), (1, 1), (0, 1), (1, 0)):
            _relax(parts[i, j], update, i, j, omega)
    flow = even.new_zeros(len(even), 2, 2 * shape[0], 2 * shape[1])
    for (i, j), part in update.items():
        flow[:, :, i::2, j::2] = part[..., 1:-1, 1:-1]
    return flow[..., :height, :width]


def _relax(
    part: Tensor, update: dict[tuple[int, int], Tensor], i: int, j: int, omega: float
) -> None:
    """Update the sub-lattice (i, j) in place from its neighbours."""
    i11, i12, i22, b1, b2, left, right, up, down = part.unbind(1)
    rows, columns = part.shape[-2:]
    beside, above = update[i, 1 - j], update[1 - i, j]

    def view(plane: Tensor, row: int, column: int) -> Tensor:
        return plane[..., 1 + row : 1 + row + rows, 1 + column : 1 + column + columns]

    total = (
        left[:, None] * view(beside, 0, j - 1)
        + right[:, None] * view(beside, 0, j)
        + up[:, None] * view(above, i - 1, 0)
        + down[:, None] * view(above, i, 0)
    )
    r1, r2 = b1 + total[:, 0], b2 + total[:, 1]
    own = view(update[i, j], 0, 0)
    own.mul_(1 - omega)
    own[:, 0] += i11 * r1 + i12 * r2
    own[:, 1] += i12 * r1 + i22 * r2
