"""Warp, smoothing and assembly of a linearisation as three Triton kernels, on a GPU.

Eager operations pass over memory about a hundred times for it.

Needs the extra `ttflow[gpu]`; import it only where it is used.
"""

import torch
import triton
import triton.language as tl

from ttflow.flow.variational.equations import DIAGONAL, EPSILON, Energy, System
from ttflow.flow.variational.pyramid import Flow, Image

ROWS, COLUMNS = 4, 64
"""Pixels of a program. On an H200 a system of 64 pairs takes 0.52 ms, with 8 x 32 pixels 0.74."""
WARPS = 4
_EACH = 4
"""Rows that a lane of the smoothing goes down."""


def tiles(height: int, width: int, items: int) -> tuple[int, int, int]:
    """The grid of programs that `place` expects."""
    return triton.cdiv(width, COLUMNS), items, triton.cdiv(height, ROWS)


@triton.jit
def place(height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Pixels (item, y, x) of a tile, and which of it exist."""
    y = tl.program_id(2) * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return tl.program_id(1).to(tl.int64), y, x, (y < height) & (x < width)


@triton.jit(do_not_specialize=["height"])
def _warp(
    first, second, flow, warped, height, width,
    CHANNELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """`pyramid.warp`: the second image where the flow points, outside of it the first one."""
    item, y, x, here = place(height, width, ROWS, COLUMNS)
    size = height * width
    pixel = y * width + x
    to_x = x + tl.load(flow + item * 2 * size + pixel, mask=here, other=0.0)
    to_y = y + tl.load(flow + (item * 2 + 1) * size + pixel, mask=here, other=0.0)
    inside = (to_x >= 0) & (to_x <= width - 1) & (to_y >= 0) & (to_y <= height - 1)
    seen = here & inside
    left, top = tl.floor(to_x), tl.floor(to_y)
    across, down = to_x - left, to_y - top
    column, row = tl.where(seen, left, 0.0).to(tl.int32), tl.where(seen, top, 0.0).to(tl.int32)
    right, low = tl.minimum(column + 1, width - 1), tl.minimum(row + 1, height - 1)
    for channel in tl.static_range(CHANNELS):
        plane = second + (item * CHANNELS + channel) * size
        a = tl.load(plane + row * width + column, mask=seen, other=0.0)
        b = tl.load(plane + row * width + right, mask=seen, other=0.0)
        c = tl.load(plane + low * width + column, mask=seen, other=0.0)
        d = tl.load(plane + low * width + right, mask=seen, other=0.0)
        value = (1 - down) * ((1 - across) * a + across * b)
        value += down * ((1 - across) * c + across * d)
        at = (item * CHANNELS + channel) * size + pixel
        own = tl.load(first + at, mask=here & ~inside, other=0.0)
        tl.store(warped + at, tl.where(inside, value, own), mask=here)


@triton.jit
def _line(plane, y, x, height, width, t0, t1, t2):
    """A row filtered along x."""
    row = plane + tl.minimum(tl.maximum(y, 0), height - 1) * width
    last = width - 1
    outer = tl.load(row + tl.minimum(tl.maximum(x - 2, 0), last))
    outer += tl.load(row + tl.minimum(x + 2, last))
    inner = tl.load(row + tl.minimum(tl.maximum(x - 1, 0), last))
    inner += tl.load(row + tl.minimum(x + 1, last))
    return t0 * tl.load(row + tl.minimum(x, last)) + t1 * inner + t2 * outer


@triton.jit(do_not_specialize=["height"])
def _smooth(
    image, result, height, width, t0, t1, t2,
    EACH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """`equations.smooth` of planes (items, H, W), with the taps t2, t1, t0, t1, t2.

    Every lane goes down EACH rows and filters each row along x once.
    """
    item, group, x, _ = place(height, width, ROWS, COLUMNS)
    y = group * EACH
    plane = image + item * height * width
    a = _line(plane, y - 2, x, height, width, t0, t1, t2)
    b = _line(plane, y - 1, x, height, width, t0, t1, t2)
    c = _line(plane, y, x, height, width, t0, t1, t2)
    d = _line(plane, y + 1, x, height, width, t0, t1, t2)
    for step in tl.static_range(EACH):
        e = _line(plane, y + step + 2, x, height, width, t0, t1, t2)
        smoothed = t0 * c + t1 * (b + d) + t2 * (a + e)
        at = (item * height + y + step) * width + x
        tl.store(result + at, smoothed, mask=(y + step < height) & (x < width))
        a, b, c, d = b, c, d, e


@triton.jit
def _mixed(one, two, row, column, height, width, here):
    """0.4 of the first and 0.6 of the second image, at a pixel moved into the image."""
    row = tl.minimum(tl.maximum(row, 0), height - 1)
    column = tl.minimum(tl.maximum(column, 0), width - 1)
    a = tl.load(one + row * width + column, mask=here, other=0.0)
    b = tl.load(two + row * width + column, mask=here, other=0.0)
    return a + 0.6 * (b - a)


@triton.jit
def _derivative(
    one, two, y, x, DOWN: tl.constexpr, RIGHT: tl.constexpr, height, width, here
):  # fmt: skip
    """`equations.DERIVATIVE` of both images mixed, along an axis."""
    total = -8 * _mixed(one, two, y - DOWN, x - RIGHT, height, width, here)
    total += 8 * _mixed(one, two, y + DOWN, x + RIGHT, height, width, here)
    total += _mixed(one, two, y - 2 * DOWN, x - 2 * RIGHT, height, width, here)
    total -= _mixed(one, two, y + 2 * DOWN, x + 2 * RIGHT, height, width, here)
    return total / 12


@triton.jit
def _edges(u, v, y, x, height, width, alpha, epsilon, here):
    """Of the pixel (y, x): its robust weight, and differences of u and v to right and below.

    A pixel outside has differences of zero.
    """
    here = here & (y >= 0) & (x >= 0)
    at = y * width + x
    right, below = here & (x < width - 1), here & (y < height - 1)
    u0, v0 = tl.load(u + at, mask=here, other=0.0), tl.load(v + at, mask=here, other=0.0)
    ux = tl.where(right, tl.load(u + at + 1, mask=right, other=0.0) - u0, 0.0)
    vx = tl.where(right, tl.load(v + at + 1, mask=right, other=0.0) - v0, 0.0)
    uy = tl.where(below, tl.load(u + at + width, mask=below, other=0.0) - u0, 0.0)
    vy = tl.where(below, tl.load(v + at + width, mask=below, other=0.0) - v0, 0.0)
    phi = 0.5 * alpha * tl.rsqrt(ux * ux + uy * uy + vx * vx + vy * vy + epsilon)
    return phi, ux, uy, vx, vy


@triton.jit(do_not_specialize=["height", "next_plane"])
def _assemble(
    first, second, flow, system, next_plane, height, width,
    alpha, epsilon, gray_share, share, data_epsilon, diagonal,
    CHANNELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """`equations.assemble` of smoothed images: a11 a12 a22 b1 b2 right down, (7, B, H, W)."""
    item, y, x, here = place(height, width, ROWS, COLUMNS)
    size = height * width
    pixel = y * width + x
    nothing = tl.zeros((ROWS, COLUMNS), tl.float32)
    a11, a12, a22, b1, b2 = nothing, nothing, nothing, nothing, nothing
    for channel in range(CHANNELS):  # unrolled, its loads would take all registers
        one = first + (item * CHANNELS + channel) * size
        two = second + (item * CHANNELS + channel) * size
        dx = _derivative(one, two, y, x, 0, 1, height, width, here)
        dy = _derivative(one, two, y, x, 1, 0, height, width, here)
        dt = tl.load(two + pixel, mask=here, other=0.0) - tl.load(one + pixel, mask=here, other=0.0)
        psi = 0.5 * tl.where(channel == 0, gray_share, share) * tl.rsqrt(dt * dt + data_epsilon)
        a11 += psi * dx * dx
        a12 += psi * dx * dy
        a22 += psi * dy * dy
        b1 -= psi * dx * dt
        b2 -= psi * dy * dt
    u, v = flow + item * 2 * size, flow + (item * 2 + 1) * size
    phi, ux, uy, vx, vy = _edges(u, v, y, x, height, width, alpha, epsilon, here)
    left, left_x, _, left_vx, _ = _edges(u, v, y, x - 1, height, width, alpha, epsilon, here)
    up, _, up_y, _, up_vy = _edges(u, v, y - 1, x, height, width, alpha, epsilon, here)
    b1 += phi * (ux + uy) - left * left_x - up * up_y
    b2 += phi * (vx + vy) - left * left_vx - up * up_vy
    at = system + item * size + pixel
    next_plane = next_plane.to(tl.int64)
    tl.store(at, a11 + diagonal, mask=here)
    tl.store(at + next_plane, a12, mask=here)
    tl.store(at + 2 * next_plane, a22 + diagonal, mask=here)
    tl.store(at + 3 * next_plane, b1, mask=here)
    tl.store(at + 4 * next_plane, b2, mask=here)
    tl.store(at + 5 * next_plane, tl.where(x < width - 1, phi, 0.0), mask=here)
    tl.store(at + 6 * next_plane, tl.where(y < height - 1, phi, 0.0), mask=here)


def linearise(
    first: Image, first_smooth: Image, second: Image, flow: Flow, energy: Energy
) -> System:
    """As `torch_path.linearise`, to the rounding of sums.

    Args:
        first: (B, 5, H, W) features of the first image.
        first_smooth: the same, smoothed.
        second: (B, 5, H, W) features of the second image.
        flow: (B, 2, H, W) px.
        energy: what the system is the linearised minimum of.
    """
    images = [image.contiguous() for image in (first, second, flow)]
    warped = torch.empty_like(images[0])
    batch, channels, height, width = first.shape
    system = first.new_empty(7, batch, height, width)
    gray_share, share = energy.channel_weights()[:2]
    grid = tiles(height, width, batch)
    with torch.cuda.device_of(first):  # Triton launches on the current device
        _warp[grid](*images, warped, height, width, channels, ROWS, COLUMNS, num_warps=WARPS)
        smoothed = smooth(warped, energy)
        _assemble[grid](
            *(first_smooth.contiguous(), smoothed, images[2], system),
            *(batch * height * width, height, width),
            *(energy.alpha, energy.epsilon, gray_share, share, EPSILON, DIAGONAL * energy.alpha),
            *(channels, ROWS, COLUMNS),
            num_warps=WARPS,
        )
    return System(*system.unbind(0))


def smooth(image: Image, energy: Energy) -> Image:
    """As `equations.smooth`, to the rounding of sums."""
    image = image.contiguous()
    result = torch.empty_like(image)
    batch, channels, height, width = image.shape
    outer, inner, middle = energy.smoothing[:3]
    grid = tiles(triton.cdiv(height, _EACH), width, batch * channels)
    with torch.cuda.device_of(image):  # Triton launches on the current device
        _smooth[grid](
            *(image, result, height, width, middle, inner, outer, _EACH, ROWS, COLUMNS),
            num_warps=WARPS,
        )
    return result
