"""Inner loops of the robust mode for one pair on a CPU, compiled by numba.

Planes are float32 (H, W). The checkerboard is packed row-wise: entry k of row i holds the pixel
(i, 2 k + p), p = (i + colour) % 2, so that a sweep reads and writes contiguous memory and
vectorises; a ring of zeros stands for the neighbours that do not exist.

One file: numba's cache of a function does not see that one it calls has changed in another file.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ttflow.flow.variational.equations import DIAGONAL, EPSILON, GRAY

Planes = NDArray[np.float32]
Workspace = tuple[Planes, Planes, Planes, Planes, Planes, Planes]
F = TypeVar("F", bound=Callable[..., Any])
f32 = np.float32


def _jit(function: F) -> F:
    # No flag that assumes finite numbers: a start from elsewhere may hold others.
    flags = {"contract", "arcp", "reassoc", "nsz"}
    compiled = njit(nogil=True, cache=True, fastmath=flags, error_model="numpy")(function)
    return cast(F, compiled)


@_jit
def warp(first: Planes, padded: Planes, flow: Planes, out: Planes) -> None:
    """The second image seen from the first (C, H, W) along the flow (2, H, W), into out.

    padded is the second, (C, H + 1, W + 1), its last row and column repeated. Where the target lies
    outside, the first. Positions are computed a row at a time, so that the loops over channels only
    gather and blend.
    """
    channels, height, width = first.shape
    pitch = width + 1
    index = np.empty(width, np.int64)
    wx, wy, keep = np.empty((3, width), np.float32)
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
            index[j] = np.int64(y0 * np.int32(pitch) + x0)
        for c in range(channels):
            source = padded[c].reshape(-1)
            right, below, across = source[1:], source[pitch:], source[pitch + 1 :]
            here, line = first[c, i], out[c, i]
            for j in range(width):
                at = np.uint64(index[j])
                top = source[at] + wx[j] * (right[at] - source[at])
                low = below[at] + wx[j] * (across[at] - below[at])
                value = top + wy[j] * (low - top)
                line[j] = value if keep[j] > f32(0) else here[j]


@_jit
def features(image: Planes, gain: Planes, out: Planes) -> None:
    """Gray, its x and y derivatives, G - R and G - B of gain (H, W) times image (3, H, W)."""
    _, height, width = image.shape
    near, far = f32(8 / 12), f32(1 / 12)
    line = np.empty(width + 4, np.float32)
    for i in range(height):
        red, green, blue, g = image[0, i], image[1, i], image[2, i], gain[i]
        for j in range(width):
            r, m, b = g[j] * red[j], g[j] * green[j], g[j] * blue[j]
            out[0, i, j] = f32(GRAY[0]) * r + f32(GRAY[1]) * m + f32(GRAY[2]) * b
            out[3, i, j] = m - r
            out[4, i, j] = m - b
    for i in range(height):
        gray = out[0]
        line[:2] = gray[i, 0]
        line[width + 2 :] = gray[i, width - 1]
        for j in range(width):
            line[j + 2] = gray[i, j]
        above2, above = gray[max(i - 2, 0)], gray[max(i - 1, 0)]
        below, below2 = gray[min(i + 1, height - 1)], gray[min(i + 2, height - 1)]
        across, down = out[1, i], out[2, i]
        for j in range(width):
            across[j] = near * (line[j + 3] - line[j + 1]) - far * (line[j + 4] - line[j])
            down[j] = near * (below[j] - above[j]) - far * (below2[j] - above2[j])


@_jit
def smooth(plane: Planes, taps: Planes, rows: Planes, out: Planes) -> None:
    """Correlate (H, W) with five symmetric taps along both axes, borders replicated, into out.

    rows (H, W) is working space.
    """
    height, width = plane.shape
    t0, t1, t2 = taps[2], taps[1], taps[0]
    line = np.empty(width + 4, np.float32)
    for i in range(height):
        source, total = plane[i], rows[i]
        line[:2] = source[0]
        line[width + 2 :] = source[width - 1]
        for j in range(width):
            line[j + 2] = source[j]
        for j in range(width):
            total[j] = t0 * line[j + 2] + t1 * (line[j + 1] + line[j + 3])
            total[j] += t2 * (line[j] + line[j + 4])
    for i in range(height):
        above2, above = rows[max(i - 2, 0)], rows[max(i - 1, 0)]
        below, below2 = rows[min(i + 1, height - 1)], rows[min(i + 2, height - 1)]
        source, total = rows[i], out[i]
        for j in range(width):
            total[j] = t0 * source[j] + t1 * (above[j] + below[j]) + t2 * (above2[j] + below2[j])


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
            uy, vy = u_below[j] - u[j], v_below[j] - v[j]
            right[i, j] = uy * uy + vy * vy + epsilon
        for j in range(width - 1):
            ux, vx = u[j + 1] - u[j], v[j + 1] - v[j]
            right[i, j] += ux * ux + vx * vx
        for j in range(width):
            weight = f32(0.5) * alpha / np.sqrt(right[i, j])
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

    i11 i12 i22 is the inverse of a pixel's 2 x 2 block times omega. A row is computed in its own
    order and then taken apart two pixels at a time, as words of 64 bits (little-endian): LLVM
    vectorises that, and no loop over every other float.
    """
    height, width = right.shape
    half = packed.shape[3]
    nothing, left = np.zeros(width, np.float32), np.zeros(width, np.float32)
    row = np.zeros((9, 2 * half), np.float32)
    ridge = alpha * f32(DIAGONAL)
    for i in range(height):
        wr, wd, wu = right[i], down[i], down[i - 1] if i > 0 else nothing
        for j in range(1, width):
            left[j] = wr[j - 1]
        a11, a12, a22 = system[0, i], system[1, i], system[2, i]
        i11, i12, i22 = row[0], row[1], row[2]
        for j in range(width):
            d = left[j] + wr[j] + wu[j] + wd[j] + ridge
            p, q = a11[j] + d, a22[j] + d
            s = omega / (p * q - a12[j] * a12[j])
            i11[j] = q * s
            i12[j] = -a12[j] * s
            i22[j] = p * s
        for n, line in ((3, system[3, i]), (4, system[4, i]), (5, left), (6, wr), (7, wu), (8, wd)):
            for j in range(width):
                row[n, j] = line[j]
        colour = i & 1
        for n in range(9):
            two = row[n].view(np.uint64)
            even = packed[colour, i, n].view(np.uint32)
            odd = packed[1 - colour, i, n].view(np.uint32)
            for k in range(half):
                even[k] = np.uint32(two[k])
            for k in range(half):
                odd[k] = np.uint32(two[k] >> np.uint64(32))


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
def linearise(
    first: Planes,
    first_smooth: Planes,
    padded: Planes,
    flow: Planes,
    taps: Planes,
    shares: Planes,
    numbers: Planes,
    sweeps: int,
    features: Planes,
    planes: Planes,
    mixed: Planes,
    system: Planes,
    packed: Planes,
    update: Planes,
    out: Planes,
) -> None:
    """One linearisation at the flow (2, H, W), from the warp to the new flow in out.

    A single call, so that threads over pairs seldom meet at the interpreter's lock. numbers are
    alpha, epsilon, omega; from features to update it is working space of `workspace`.
    """
    alpha, epsilon, omega = numbers[0], numbers[1], numbers[2]
    rows, smoothed = planes[0], planes[1]
    warp(first, padded, flow, features)
    system[:] = f32(0)
    for c in range(len(first)):
        smooth(features[c], taps, rows, smoothed)
        data_term(first_smooth[c], smoothed, shares[c], mixed, system)
    right, down = planes[0], planes[1]
    edge_weights(flow, alpha, epsilon, right, down)
    add_divergence(flow[0], right, down, system[3])
    add_divergence(flow[1], right, down, system[4])
    pack(system, right, down, alpha, omega, packed)
    update[:] = f32(0)
    sweep(packed, update, sweeps, omega)
    out[:] = flow
    add_update(update, out)


def workspace(shape: tuple[int, ...], scratch: Callable[..., Planes]) -> Workspace:
    """What `linearise` works in at features of a shape (C, H, W)."""
    channels, height, width = shape
    half = (width + 1) // 2
    return (
        scratch("features", channels, height, width),
        scratch("planes", 2, height, width),
        scratch("mixed", height + 4, width + 4),
        scratch("system", 5, height, width),
        scratch("packed", 2, height, 9, half),
        scratch("update", 2, 2, height + 2, half + 2),
    )


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
