"""Inner loops of the robust mode for one pair on a CPU, compiled by numba.

Planes are float32 (C, H, W). A linearisation runs row by row: a row is warped, smoothed,
differentiated and summed in buffers that stay in the nearest caches, and only what the solver reads
is written to memory. A buffer's row, a line, holds the channels one after the other, each in a
segment with its pixels from MARGIN on, so that one long loop runs over all channels. What stands
between the segments is not used.

The checkerboard is packed row-wise: entry k of row i holds the pixel (i, 2 k + p),
p = (i + colour) % 2, so that a sweep reads and writes contiguous memory and vectorises; zeros stand
for the neighbours that do not exist.

One file: numba's cache of a function does not see that one it calls has changed in another file.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numba.core.compiler import Compiler
from numpy.typing import NDArray

from ttflow.flow.variational.equations import DIAGONAL, EPSILON, GRAY

Planes = NDArray[np.float32]
Indices = NDArray[np.int32]
Words = NDArray[np.uint64]
F = TypeVar("F", bound=Callable[..., Any])
f32 = np.float32
u64 = np.uint64
"""Of indices to which a variable is added: a negative one would count from the end, and where LLVM
cannot see that there is none, it gathers single floats instead of loading eight."""

LINE = 16
"""Floats in a cache line. A load across the border of two costs two, so rows begin at one."""
MARGIN = 2
"""Pixels that the filters need on either side of a segment."""


class _NoAlias(Compiler):  # type: ignore[misc]
    """Compiles functions that never write to what another of their arguments reads.

    Otherwise LLVM compares the addresses of all arrays before each row, which takes longer than
    the row of a coarse level does, or, if they are many, does not vectorise.
    """

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()  # type: ignore[no-untyped-call]


def _jit(function: F) -> F:
    # No flag that assumes finite numbers: a start from elsewhere may hold others.
    flags = {"contract", "arcp", "reassoc", "nsz"}
    compiled = njit(
        nogil=True,
        cache=True,
        fastmath=flags,
        error_model="numpy",
        forceinline=True,  # an array is nine arguments: calls take as long as rows of coarse levels
        pipeline_class=_NoAlias,
    )(function)
    return cast(F, compiled)


@_jit
def whole_lines(count: int) -> int:
    """The next multiple of LINE."""
    return -(-count // LINE) * LINE


@_jit
def segment_of(width: int) -> int:
    """Floats from one channel to the next in a line."""
    return whole_lines(width + 2 * MARGIN)


def line_length(channels: int, width: int) -> int:
    """Floats of a line; filters read a little beyond the last segment."""
    return int(channels * segment_of(width) + LINE)


LINES = 40
"""Lines of the working space: 9 that the solver reads, 15 single ones, 16 of rings."""


# ---- Warp ----


@_jit
def locate(flow: Planes, i: int, dx: Planes, dy: Planes, inside: Planes, index: Indices) -> None:
    """Where row i of the first image lies in the padded second: pixel top left, weights, inside."""
    _, height, width = flow.shape
    for j in range(width):
        x = f32(j) + flow[0, i, j]
        y = f32(i) + flow[1, i, j]
        within = (x >= f32(0)) & (x <= f32(width - 1)) & (y >= f32(0)) & (y <= f32(height - 1))
        x = x if within else f32(0)
        y = y if within else f32(0)
        x0 = np.int32(x)
        y0 = np.int32(y)
        dx[j] = x - f32(x0)
        dy[j] = y - f32(y0)
        inside[j] = f32(1) if within else f32(0)
        index[j] = np.int32(y0 * np.int32(width + 1) + x0)


@_jit
def gather(
    first: Planes,
    flat: Planes,
    i: int,
    index: Indices,
    dx: Planes,
    dy: Planes,
    inside: Planes,
    out: Planes,
) -> None:
    """The second image (C, (H + 1) (W + 1)) seen from row i of the first; outside it, the first.

    The index has 32 bits and the addresses 64: LLVM then gathers eight pixels at a time, not four.
    """
    channels, _, width = first.shape
    right, below, across = u64(1), u64(width + 1), u64(width + 2)
    segment = segment_of(width)
    for c in range(channels):
        start = u64(c * segment + MARGIN)
        for j in range(width):
            at = u64(index[j])
            top, low = flat[c, at], flat[c, at + below]
            top = top + dx[j] * (flat[c, at + right] - top)
            low = low + dx[j] * (flat[c, at + across] - low)
            value = top + dy[j] * (low - top)
            out[start + u64(j)] = value if inside[j] > f32(0) else first[c, i, j]
    replicate(out, channels, width)


# ---- Filters on lines ----


@_jit
def replicate(line: Planes, segments: int, width: int) -> None:
    """Repeat the first and the last pixel of each segment in its margins."""
    for c in range(segments):
        first = c * segment_of(width) + MARGIN
        last = first + width - 1
        line[first - 2] = line[first - 1] = line[first]
        line[last + 1] = line[last + 2] = line[last]


@_jit
def smooth_across(line: Planes, taps: Planes, slot: int, out: Planes) -> None:
    """Correlate with five symmetric taps along a line; the segments of out have no margin left."""
    t0, t1, t2 = taps[2], taps[1], taps[0]
    for q in range(len(line) - LINE):
        near, far = line[q + 1] + line[q + 3], line[q] + line[q + 4]
        out[slot, q] = t0 * line[q + 2] + t1 * near + t2 * far


@_jit
def around(i: int, height: int) -> tuple[int, int, int, int, int]:
    """Entries of a ring of five rows that hold rows i - 2 to i + 2, borders replicated."""
    above2, above = max(i - 2, 0), max(i - 1, 0)
    below, below2 = min(i + 1, height - 1), min(i + 2, height - 1)
    return above2 % 5, above % 5, i % 5, below % 5, below2 % 5


@_jit
def smooth_down(ring: Planes, i: int, height: int, taps: Planes, out: Planes) -> None:
    """Correlate a ring of five lines with five symmetric taps around row i, into a line."""
    t0, t1, t2 = taps[2], taps[1], taps[0]
    above2, above, here, below, below2 = around(i, height)
    for q in range(len(out) - LINE):
        near, far = ring[above, q] + ring[below, q], ring[above2, q] + ring[below2, q]
        out[q] = t0 * ring[here, q] + t1 * near + t2 * far


@_jit
def copy_row(image: Planes, i: int, slot: int, lines: Planes) -> None:
    """Row i of an image (C, H, W) into a line, with its margins."""
    channels, _, width = image.shape
    for c in range(channels):
        start = u64(c * segment_of(width) + MARGIN)
        for j in range(width):
            lines[slot, start + u64(j)] = image[c, i, j]
    replicate(lines[slot], channels, width)


@_jit
def smooth(image: Planes, taps: Planes, lines: Planes, out: Planes) -> None:
    """The smoothed image (C, H, W) as lines (H, n); six of lines are working space."""
    height = image.shape[1]
    line, ring = lines[0], lines[1:6]
    for i in range(height + 2):
        if i < height:
            copy_row(image, i, 0, lines)
            smooth_across(line, taps, i % 5, ring)
        if i >= 2:
            smooth_down(ring, i - 2, height, taps, out[i - 2])


# ---- The system ----


@_jit
def compare(one: Planes, two: Planes, i: int, mixed: Planes, difference: Planes) -> None:
    """Of lines of both smoothed images the mixture whose derivatives count, and two - one."""
    slot, slot3 = i % 5, i % 3
    for q in range(len(two) - LINE):
        mixed[slot, q] = f32(0.4) * one[i, q] + f32(0.6) * two[q]
        difference[slot3, q] = two[q] - one[i, q]


@_jit
def derive(
    mixed: Planes,
    difference: Planes,
    scale: Planes,
    i: int,
    height: int,
    line: Planes,
    dx: Planes,
    dy: Planes,
    px: Planes,
    py: Planes,
) -> None:
    """Derivatives of row i in x and y, plain and times the robust weight; line has margins."""
    above2, above, _, below, below2 = around(i, height)
    near, far = f32(8 / 12), f32(1 / 12)
    slot = i % 3
    for q in range(len(line) - LINE):
        t = difference[slot, q]
        psi = scale[q] / np.sqrt(t * t + f32(EPSILON))
        x = near * (line[q + 3] - line[q + 1]) - far * (line[q + 4] - line[q])
        y = near * (mixed[below, q] - mixed[above, q]) - far * (mixed[below2, q] - mixed[above2, q])
        dx[q] = x
        dy[q] = y
        px[q] = psi * x
        py[q] = psi * y


@_jit
def add_margins(ring: Planes, slot: int, segments: int, width: int, line: Planes) -> None:
    """A line of a ring with margins."""
    for q in range(len(line) - LINE):
        line[q + MARGIN] = ring[slot, q]
    replicate(line, segments, width)


@_jit
def products(one: Planes, two: Planes, width: int, out: Planes) -> None:
    """The sum over the five channels of the products of two lines."""
    s = u64(segment_of(width))
    for j in range(width):
        j1 = u64(j) + s
        j2, j3, j4 = j1 + s, j1 + s + s, j1 + s + s + s
        total = one[j] * two[j] + one[j1] * two[j1] + one[j2] * two[j2]
        out[j] = total + one[j3] * two[j3] + one[j4] * two[j4]


@_jit
def edge_weights(
    flows: Planes,
    i: int,
    height: int,
    width: int,
    half_alpha: np.float32,
    epsilon: np.float32,
    left: Planes,
    right: Planes,
    down: Planes,
) -> None:
    """Weights of the edges left of, right of and below each pixel of row i, 0 where none is."""
    here, below, start = i % 3, min(i + 1, height - 1) % 3, u64(segment_of(width) + MARGIN)
    for j in range(width):
        ux = flows[here, j + 3] - flows[here, j + 2]
        v = u64(j) + start
        vx = flows[here, v + u64(1)] - flows[here, v]
        uy = flows[below, j + 2] - flows[here, j + 2]
        vy = flows[below, v] - flows[here, v]
        weight = half_alpha / np.sqrt(ux * ux + vx * vx + uy * uy + vy * vy + epsilon)
        left[j + 1] = weight
        right[j] = weight
        down[j] = weight
    left[0] = left[width] = right[width - 1] = f32(0)
    if i == height - 1:
        down[:width] = f32(0)


@_jit
def right_side(
    flows: Planes,
    i: int,
    height: int,
    start: int,
    width: int,
    left: Planes,
    right: Planes,
    up: Planes,
    down: Planes,
    data: Planes,
    out: Planes,
) -> None:
    """Of one component of b: divergence of the weighted gradient, less the data term's part."""
    above, here, below = max(i - 1, 0) % 3, i % 3, min(i + 1, height - 1) % 3
    for j in range(width):
        at = u64(start) + u64(j)
        w = flows[here, at]
        total = right[j] * (flows[here, at + u64(1)] - w) - left[j] * (w - flows[here, at - u64(1)])
        total += down[j] * (flows[below, at] - w) - up[j] * (w - flows[above, at])
        out[j] = total - data[j]


@_jit
def invert(
    a11: Planes,
    a12: Planes,
    a22: Planes,
    left: Planes,
    right: Planes,
    up: Planes,
    down: Planes,
    width: int,
    ridge: np.float32,
    omega: np.float32,
    i11: Planes,
    i12: Planes,
    i22: Planes,
) -> None:
    """The inverse of a pixel's 2 x 2 block, times omega."""
    for j in range(width):
        d = left[j] + right[j] + up[j] + down[j] + ridge
        p, q = a11[j] + d, a22[j] + d
        s = omega / (p * q - a12[j] * a12[j])
        i11[j] = q * s
        i12[j] = -a12[j] * s
        i22[j] = p * s


@_jit
def pack_row(words: Words, i: int, even: Planes, odd: Planes) -> None:
    """Row i of both colours (H, 9, K): i11 i12 i22 b1 b2 left right up down.

    A row in its own order is taken apart two pixels at a time, as words of 64 bits (little-endian):
    LLVM vectorises that, and no loop over every other float.
    """
    for n in range(9):
        row = n if n < 7 else 7 + (i + n) % 2  # `down` is a ring of two, and `up` the other one
        for k in range(even.shape[2]):
            even[i, n, k] = np.uint32(words[row, k])
        for k in range(odd.shape[2]):
            odd[i, n, k] = np.uint32(words[row, k] >> u64(32))


@_jit
def pack_rows(
    first: Planes,
    one: Planes,
    flat: Planes,
    flow: Planes,
    taps: Planes,
    shares: Planes,
    numbers: Planes,
    lines: Planes,
    index: Indices,
    red: Planes,
    black: Planes,
) -> None:
    """The system at a flow (2, H, W), as the solver reads it; see `linearise`.

    Row i is smoothed down when row i + 2 has been warped, and differentiated two rows later.
    """
    channels, height, width = first.shape
    x, y, inside, line, two = lines[9], lines[10], lines[11], lines[12], lines[13]
    dx, dy, px, py, scale = lines[14], lines[15], lines[16], lines[17], lines[18]
    a11, a12, a22, c1, c2 = lines[19], lines[20], lines[21], lines[22], lines[23]
    across, mixed, difference, flows = lines[24:29], lines[29:34], lines[34:37], lines[37:40]
    difference0, difference1, difference2 = lines[34], lines[35], lines[36]
    words = lines.view(np.uint64)
    i11, i12, i22, b1, b2 = lines[0], lines[1], lines[2], lines[3], lines[4]
    left, right, even_down, odd_down = lines[5], lines[6], lines[7], lines[8]
    segment = segment_of(width)
    half_alpha, ridge = f32(0.5) * numbers[0], f32(DIAGONAL) * numbers[0]
    lines[:9] = f32(0)  # beyond the last pixel it stays so
    for c in range(channels):
        scale[c * segment : (c + 1) * segment] = f32(0.5) * shares[c]
    copy_row(flow, 0, 0, flows)
    for i in range(height + 4):
        if i < height:
            locate(flow, i, x, y, inside, index)
            gather(first, flat, i, index, x, y, inside, line)
            smooth_across(line, taps, i % 5, across)
        if 2 <= i < height + 2:
            smooth_down(across, i - 2, height, taps, two)
            compare(one, two, i - 2, mixed, difference)
        row = i - 4
        if row < 0:
            continue
        add_margins(mixed, row % 5, channels, width, line)
        derive(mixed, difference, scale, row, height, line, dx, dy, px, py)
        products(px, dx, width, a11)
        products(px, dy, width, a12)
        products(py, dy, width, a22)
        dt = difference0 if row % 3 == 0 else difference1 if row % 3 == 1 else difference2
        products(px, dt, width, c1)
        products(py, dt, width, c2)
        if row < height - 1:
            copy_row(flow, row + 1, (row + 1) % 3, flows)
        up, down = (odd_down, even_down) if row % 2 == 0 else (even_down, odd_down)
        edge_weights(flows, row, height, width, half_alpha, numbers[1], left, right, down)
        right_side(flows, row, height, MARGIN, width, left, right, up, down, c1, b1)
        right_side(flows, row, height, segment + MARGIN, width, left, right, up, down, c2, b2)
        invert(a11, a12, a22, left, right, up, down, width, ridge, numbers[2], i11, i12, i22)
        if row % 2 == 0:
            pack_row(words, row, red, black)
        else:
            pack_row(words, row, black, red)


# ---- Solver ----


@_jit
def relax(
    weights: Planes,
    i: int,
    side: int,
    keep: np.float32,
    other_u: Planes,
    other_v: Planes,
    u: Planes,
    v: Planes,
) -> None:
    """Relax row i of a colour; side is 1 if its pixels lie right of the other's of like entry."""
    shift = u64(LINE - 1 + side)
    for k in range(weights.shape[2]):
        left, right = u64(k) + shift, u64(k) + shift + u64(1)
        wl, wr, wu, wd = (weights[i, 5, k], weights[i, 6, k], weights[i, 7, k], weights[i, 8, k])
        at = k + LINE
        r1 = weights[i, 3, k] + wl * other_u[i + 1, left] + wr * other_u[i + 1, right]
        r1 = r1 + wu * other_u[i, at] + wd * other_u[i + 2, at]
        r2 = weights[i, 4, k] + wl * other_v[i + 1, left] + wr * other_v[i + 1, right]
        r2 = r2 + wu * other_v[i, at] + wd * other_v[i + 2, at]
        i11, i12, i22 = weights[i, 0, k], weights[i, 1, k], weights[i, 2, k]
        u[i + 1, at] = keep * u[i + 1, at] + i11 * r1 + i12 * r2
        v[i + 1, at] = keep * v[i + 1, at] + i12 * r1 + i22 * r2


@_jit
def sweep(packed: Planes, update: Planes, sweeps: int, omega: np.float32) -> None:
    """Relax update (2 colours, 2, H + 2, K + 2 LINE) in place; its margins stay zero.

    The half sweep of a colour may follow the half sweep before it one row behind. So all of them go
    down the picture together: a row of weights comes from memory once, not once a sweep, and the
    result is the same. Two rows behind, so that no row that is read has just been written.
    """
    height, halves, keep = packed.shape[1], 2 * sweeps, f32(1) - omega
    red, black = packed[0], packed[1]
    red_u, red_v, black_u, black_v = update[0, 0], update[0, 1], update[1, 0], update[1, 1]
    for front in range(height + 2 * halves - 2):
        first, last = max(0, (front - height) // 2 + 1), min(halves, front // 2 + 1)
        for half in range(first, last):
            i, side = front - 2 * half, (front + half) & 1  # row + colour, even or odd
            if half & 1:
                relax(black, i, side, keep, red_u, red_v, black_u, black_v)
            else:
                relax(red, i, side, keep, black_u, black_v, red_u, red_v)


@_jit
def join_row(even: Words, odd: Words, i: int, words: Words) -> None:
    """Row i of two colours (H + 2, K + 2 LINE), as 32 bits, in its own order."""
    for k in range(even.shape[1] - 2 * LINE):
        words[k] = u64(even[i + 1, k + LINE]) | u64(odd[i + 1, k + LINE]) << u64(32)


@_jit
def add_row(flow: Planes, line: Planes, c: int, i: int, out: Planes) -> None:
    """Row i of a component of the flow, plus a line."""
    for j in range(flow.shape[2]):
        out[c, i, j] = flow[c, i, j] + line[j]


@_jit
def add_update(update: Planes, flow: Planes, line: Planes, out: Planes) -> None:
    """The flow (2, H, W) plus the checkerboard's update, into out."""
    pixels, words = update.view(np.uint32), line.view(np.uint64)
    for c in range(2):
        red, black = pixels[0, c], pixels[1, c]
        for i in range(flow.shape[1]):
            if i & 1:
                join_row(black, red, i, words)
            else:
                join_row(red, black, i, words)
            add_row(flow, line, c, i, out)


@_jit
def linearise(
    first: Planes,
    one: Planes,
    flat: Planes,
    flow: Planes,
    taps: Planes,
    shares: Planes,
    numbers: Planes,
    sweeps: int,
    lines: Planes,
    index: Indices,
    packed: Planes,
    update: Planes,
    out: Planes,
) -> None:
    """One linearisation at the flow (2, H, W), from the warp to the new flow in out.

    A single call, so that threads over pairs seldom meet at the interpreter's lock. first are the
    features of the first image, one the same as `smooth` makes them, flat the second's with their
    last row and column repeated, (C, (H + 1) (W + 1)); numbers are alpha, epsilon, omega; from
    lines to update it is working space of `workspace`.
    """
    red, black = packed[0].view(np.uint32), packed[1].view(np.uint32)
    pack_rows(first, one, flat, flow, taps, shares, numbers, lines, index, red, black)
    update[:] = f32(0)
    sweep(packed, update, sweeps, numbers[2])
    add_update(update, flow, lines[0], out)


def workspace(shape: tuple[int, ...], scratch: Callable[..., Planes]) -> tuple[Any, Any, Any, Any]:
    """What `linearise` works in at features of a shape (C, H, W)."""
    channels, height, width = shape
    half = int(whole_lines((width + 1) // 2))
    return (
        scratch("lines", LINES, line_length(channels, width)),
        scratch("index", width).view(np.int32),
        scratch("packed", 2, height, 9, half),
        scratch("update", 2, 2, height + 2, half + 2 * LINE),
    )


# ---- Images ----


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
                at = u64(index[j])
                top = source[at] + wx[j] * (right[at] - source[at])
                low = below[at] + wx[j] * (across[at] - below[at])
                value = top + wy[j] * (low - top)
                line[j] = value if keep[j] > f32(0) else here[j]


@_jit
def resize(planes: Planes, ratio_y: float, ratio_x: float, out: Planes) -> None:
    """Bilinear samples of planes (C, h, w) at (j + 1) / ratio - 1, clamped, into out (C, H, W).

    What a column needs is computed once, so that the loops over rows only gather and blend.
    """
    channels, height, width = planes.shape
    left, right = np.empty((2, out.shape[2]), np.int32)
    weight = np.empty(out.shape[2], np.float32)
    for j in range(out.shape[2]):
        x = min(max((j + 1) / ratio_x - 1, 0.0), width - 1.0)
        left[j] = int(x)
        right[j] = min(left[j] + 1, width - 1)
        weight[j] = x - left[j]
    for i in range(out.shape[1]):
        y = min(max((i + 1) / ratio_y - 1, 0.0), height - 1.0)
        y0 = int(y)
        y1 = min(y0 + 1, height - 1)
        dy = f32(y - y0)
        for c in range(channels):
            for j in range(out.shape[2]):
                x0, x1 = u64(left[j]), u64(right[j])
                top = planes[c, y0, x0] + weight[j] * (planes[c, y0, x1] - planes[c, y0, x0])
                low = planes[c, y1, x0] + weight[j] * (planes[c, y1, x1] - planes[c, y1, x0])
                out[c, i, j] = top + dy * (low - top)
