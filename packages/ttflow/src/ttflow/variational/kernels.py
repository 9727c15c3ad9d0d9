"""Inner loops of the robust mode for one pair on a CPU, compiled by numba.

Planes are float32 (H, W). The checkerboard is packed row-wise: entry k of row i holds the pixel
(i, 2 k + p), p = (i + colour) % 2, so that a sweep reads and writes contiguous memory and
vectorises; a ring of zeros stands for the neighbours that do not exist.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ttflow.variational.equations import DIAGONAL, EPSILON

Planes = NDArray[np.float32]
F = TypeVar("F", bound=Callable[..., Any])
f32 = np.float32


def _jit(function: F) -> F:
    # No flag that assumes finite numbers: a start from elsewhere may hold others.
    flags = {"contract", "arcp", "reassoc", "nsz"}
    compiled = njit(nogil=True, cache=True, fastmath=flags, error_model="numpy")(function)
    return cast(F, compiled)


@_jit
def warp(first: Planes, second: Planes, flow: Planes, out: Planes) -> None:
    """The second (C, H, W) seen from the first along the flow (2, H, W), into out.

    Where the target lies outside, the first. Positions are computed a row at a time, so that the
    loops over channels only gather and blend.
    """
    channels, height, width = first.shape
    index = np.empty(width, np.int32)
    step_x = np.empty(width, np.int32)
    step_y = np.empty(width, np.int32)
    wx = np.empty(width, np.float32)
    wy = np.empty(width, np.float32)
    keep = np.empty(width, np.float32)
    flat = second.reshape(channels, height * width)
    for i in range(height):
        for j in range(width):
            x = f32(j) + flow[0, i, j]
            y = f32(i) + flow[1, i, j]
            inside = (x >= f32(0)) & (x <= f32(width - 1)) & (y >= f32(0)) & (y <= f32(height - 1))
            x = x if inside else f32(0)
            y = y if inside else f32(0)
            keep[j] = f32(1) if inside else f32(0)
            x0 = np.int32(x)
            y0 = np.int32(y)
            wx[j] = x - f32(x0)
            wy[j] = y - f32(y0)
            index[j] = y0 * np.int32(width) + x0
            step_x[j] = np.int32(1) if x0 < width - 1 else np.int32(0)
            step_y[j] = np.int32(width) if y0 < height - 1 else np.int32(0)
        for c in range(channels):
            source = flat[c]
            for j in range(width):
                at = np.uint32(index[j])
                right = np.uint32(at + np.uint32(step_x[j]))
                below = np.uint32(at + np.uint32(step_y[j]))
                across = np.uint32(below + np.uint32(step_x[j]))
                top = source[at] + wx[j] * (source[right] - source[at])
                low = source[below] + wx[j] * (source[across] - source[below])
                value = top + wy[j] * (low - top)
                out[c, i, j] = value if keep[j] > f32(0) else first[c, i, j]


@_jit
def data_term(first: Planes, second: Planes, share: np.float32, mixed: Planes, out: Planes) -> None:
    """Add one channel's share of a11 a12 a22 b1 b2 to out (5, H, W).

    first and second are the smoothed features (H, W), the second one warped; mixed (H + 4, W + 4)
    is working space, so that the derivatives of a row need no case for the borders.
    """
    height, width = first.shape
    for i in range(height):
        line, one, two = mixed[i + 2], first[i], second[i]
        for j in range(width):
            line[j + 2] = f32(0.4) * one[j] + f32(0.6) * two[j]
        line[0] = line[1] = line[2]
        line[width + 2] = line[width + 3] = line[width + 1]
    for ring in range(2):
        mixed[ring, :] = mixed[2, :]
        mixed[height + 2 + ring, :] = mixed[height + 1, :]
    near, far = f32(8 / 12), f32(1 / 12)
    scale = f32(0.5) * share
    for i in range(height):
        one, two, line = first[i], second[i], mixed[i + 2]
        above2, above, below, below2 = mixed[i], mixed[i + 1], mixed[i + 3], mixed[i + 4]
        o0, o1, o2, o3, o4 = out[0, i], out[1, i], out[2, i], out[3, i], out[4, i]
        for j in range(width):
            dx = near * (line[j + 3] - line[j + 1]) - far * (line[j + 4] - line[j])
            dy = near * (below[j + 2] - above[j + 2]) - far * (below2[j + 2] - above2[j + 2])
            t = two[j] - one[j]
            psi = scale / np.sqrt(t * t + f32(EPSILON))
            px = psi * dx
            py = psi * dy
            o0[j] += px * dx
            o1[j] += px * dy
            o2[j] += py * dy
            o3[j] -= px * t
            o4[j] -= py * t


@_jit
def edge_weights(
    flow: Planes, alpha: np.float32, epsilon: np.float32, right: Planes, down: Planes
) -> None:
    """Write alpha phi' of each edge into right and down, zero where no edge is."""
    height, width = right.shape
    for i in range(height):
        u, v = flow[0, i], flow[1, i]
        below = min(i + 1, height - 1)
        u_below, v_below = flow[0, below], flow[1, below]
        for j in range(width):
            beside = min(j + 1, width - 1)
            ux, vx = u[beside] - u[j], v[beside] - v[j]
            uy, vy = u_below[j] - u[j], v_below[j] - v[j]
            square = ux * ux + vx * vx + uy * uy + vy * vy + epsilon
            weight = f32(0.5) * alpha / np.sqrt(square)
            right[i, j] = weight
            down[i, j] = weight
        right[i, width - 1] = f32(0)
    down[height - 1, :] = f32(0)


@_jit
def add_divergence(flow: Planes, right: Planes, down: Planes, out: Planes) -> None:
    """Add the divergence of the weighted gradient of one component (H, W) to out (H, W)."""
    height, width = flow.shape
    for i in range(height):
        for j in range(width - 1):
            out[i, j] += right[i, j] * (flow[i, j + 1] - flow[i, j])
        for j in range(1, width):
            out[i, j] -= right[i, j - 1] * (flow[i, j] - flow[i, j - 1])
        if i < height - 1:
            for j in range(width):
                out[i, j] += down[i, j] * (flow[i + 1, j] - flow[i, j])
        if i > 0:
            for j in range(width):
                out[i, j] -= down[i - 1, j] * (flow[i, j] - flow[i - 1, j])


@_jit
def pack(
    system: Planes,
    right: Planes,
    down: Planes,
    alpha: np.float32,
    omega: np.float32,
    packed: Planes,
) -> None:
    """The checkerboard (2 colours, H, 9, K): i11 i12 i22 b1 b2 left right up down.

    i11 i12 i22 is the inverse of a pixel's 2 x 2 block times omega. packed comes filled with zeros.
    """
    height, width = right.shape
    nothing, left = np.zeros(width, np.float32), np.zeros(width, np.float32)
    ridge = alpha * f32(DIAGONAL)
    for i in range(height):
        wr, wd, wu = right[i], down[i], down[i - 1] if i > 0 else nothing
        left[1:] = wr[:-1]
        a11, a12, a22, b1, b2 = system[0, i], system[1, i], system[2, i], system[3, i], system[4, i]
        for colour in range(2):
            first = (i + colour) & 1
            c = packed[colour, i]
            for k in range((width - first + 1) // 2):
                j = 2 * k + first
                d = left[j] + wr[j] + wu[j] + wd[j] + ridge
                p, q = a11[j] + d, a22[j] + d
                s = omega / (p * q - a12[j] * a12[j])
                c[0, k] = q * s
                c[1, k] = -a12[j] * s
                c[2, k] = p * s
                c[3, k] = b1[j]
                c[4, k] = b2[j]
                c[5, k] = left[j]
                c[6, k] = wr[j]
                c[7, k] = wu[j]
                c[8, k] = wd[j]


@_jit
def sweep(packed: Planes, update: Planes, sweeps: int, omega: np.float32) -> None:
    """Relax update (2 colours, 2, H + 2, K + 2) in place; its outer ring stays zero.

    The two branches differ only in which entries hold the left and right neighbours: written out,
    because an index that LLVM cannot prove constant keeps the loop from vectorising.
    """
    height, width = packed.shape[1], packed.shape[3]
    keep = f32(1) - omega
    for _ in range(sweeps):
        for colour in range(2):
            other = 1 - colour
            for i in range(height):
                c = packed[colour, i]
                if (i + colour) & 1:
                    for k in range(width):
                        r1 = (
                            c[3, k]
                            + c[5, k] * update[other, 0, i + 1, k + 1]
                            + c[6, k] * update[other, 0, i + 1, k + 2]
                            + c[7, k] * update[other, 0, i, k + 1]
                            + c[8, k] * update[other, 0, i + 2, k + 1]
                        )
                        r2 = (
                            c[4, k]
                            + c[5, k] * update[other, 1, i + 1, k + 1]
                            + c[6, k] * update[other, 1, i + 1, k + 2]
                            + c[7, k] * update[other, 1, i, k + 1]
                            + c[8, k] * update[other, 1, i + 2, k + 1]
                        )
                        u, v = update[colour, 0, i + 1, k + 1], update[colour, 1, i + 1, k + 1]
                        update[colour, 0, i + 1, k + 1] = keep * u + c[0, k] * r1 + c[1, k] * r2
                        update[colour, 1, i + 1, k + 1] = keep * v + c[1, k] * r1 + c[2, k] * r2
                else:
                    for k in range(width):
                        r1 = (
                            c[3, k]
                            + c[5, k] * update[other, 0, i + 1, k]
                            + c[6, k] * update[other, 0, i + 1, k + 1]
                            + c[7, k] * update[other, 0, i, k + 1]
                            + c[8, k] * update[other, 0, i + 2, k + 1]
                        )
                        r2 = (
                            c[4, k]
                            + c[5, k] * update[other, 1, i + 1, k]
                            + c[6, k] * update[other, 1, i + 1, k + 1]
                            + c[7, k] * update[other, 1, i, k + 1]
                            + c[8, k] * update[other, 1, i + 2, k + 1]
                        )
                        u, v = update[colour, 0, i + 1, k + 1], update[colour, 1, i + 1, k + 1]
                        update[colour, 0, i + 1, k + 1] = keep * u + c[0, k] * r1 + c[1, k] * r2
                        update[colour, 1, i + 1, k + 1] = keep * v + c[1, k] * r1 + c[2, k] * r2


@_jit
def add_update(update: Planes, flow: Planes) -> None:
    """Add the checkerboard's update to flow (2, H, W) in place."""
    _, height, width = flow.shape
    for i in range(height):
        for j in range(width):
            colour = (i + j) & 1
            flow[0, i, j] += update[colour, 0, i + 1, (j >> 1) + 1]
            flow[1, i, j] += update[colour, 1, i + 1, (j >> 1) + 1]


@_jit
def resize(planes: Planes, ratio_y: float, ratio_x: float, out: Planes) -> None:
    """Bilinear samples of planes (C, h, w) at (j + 1) / ratio - 1, clamped, into out (C, H, W)."""
    channels, height, width = planes.shape
    for i in range(out.shape[1]):
        y = min(max((i + 1) / ratio_y - 1, 0.0), height - 1.0)
        y0 = int(y)
        y1 = min(y0 + 1, height - 1)
        dy = f32(y - y0)
        for j in range(out.shape[2]):
            x = min(max((j + 1) / ratio_x - 1, 0.0), width - 1.0)
            x0 = int(x)
            x1 = min(x0 + 1, width - 1)
            dx = f32(x - x0)
            for c in range(channels):
                top = planes[c, y0, x0] + dx * (planes[c, y0, x1] - planes[c, y0, x0])
                low = planes[c, y1, x0] + dx * (planes[c, y1, x1] - planes[c, y1, x0])
                out[c, i, j] = top + dy * (low - top)
