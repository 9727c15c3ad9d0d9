"""The flow of one frame: masked, and where its pixels move (specification 2.2, 2.3)."""

import numpy as np
from numpy.typing import NDArray

from ttflow.compiled.jit import jit

f32 = np.float32
i32 = np.int32

_ANYWHERE = np.ones((1, 1), np.bool_)


@jit
def keep_inside(flow: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    """Set a flow (2, H, W) to zero where the mask (H, W) is false."""
    for c in range(2):
        for i in range(flow.shape[1]):
            line, inside = flow[c, i], mask[i]
            for j in range(flow.shape[2]):
                line[j] = line[j] if inside[j] else f32(0)


@jit
def moving_pixels(
    flow: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    limited: bool,
    threshold_px: np.float32,
) -> tuple[int, int, int, int]:
    """Which pixel is the fastest, how many move, and the sums of their x and of their y.

    Args:
        flow: (2, H, W). A pixel moves when |Vx| + |Vy| exceeds the threshold and is finite.
        allowed: (H, W), where pixels may move.
        limited: whether `allowed` counts.
        threshold_px: see above.

    Returns:
        the row-major index of the fastest, of equally fast ones the first, 0 if none moves.
    """
    _, height, width = flow.shape
    speeds = np.empty(width, np.float32)
    order = speeds.view(np.int32)  # ordered as the speeds are; that of -1 is below all
    best, fastest, total, sum_x, sum_y = i32(-1), 0, 0, 0, 0
    for i in range(height):
        across, down, open_here = flow[0, i], flow[1, i], allowed[i if limited else 0]
        number, place = i32(0), i32(0)
        for j in range(width):
            speed = abs(across[j]) + abs(down[j])
            moves = (speed > threshold_px) & (speed < f32(np.inf))
            if limited:
                moves &= open_here[j]
            speeds[j] = speed if moves else f32(-1)
            number = i32(number + i32(moves))
            place = i32(place + i32(moves) * i32(j))
        total += int(number)
        sum_x += int(place)
        sum_y += i * int(number)
        highest = best
        for j in range(width):
            highest = max(highest, order[j])
        if highest > best:
            best = highest
            for j in range(width):
                if order[j] == best:
                    fastest = i * width + j
                    break
    return fastest, total, sum_x, sum_y


def frame_center(
    flow: NDArray[np.float32],
    allowed: NDArray[np.bool_] | None,
    crop_hw: tuple[int, int],
    alpha: float,
    threshold_px: float,
) -> tuple[float, float] | None:
    """The centre (x, y) of one frame, None without motion: one pass, no operators on two numbers.

    Args:
        flow: (2, H, W) pixels per frame.
        allowed: (H, W), where pixels may move; None: everywhere.
        crop_hw: and the others: see `roi.centers`.
        alpha: see there.
        threshold_px: see there.
    """
    _, height, width = flow.shape
    fastest, count, *sums = moving_pixels(
        np.ascontiguousarray(flow, np.float32),
        _ANYWHERE if allowed is None else allowed,
        allowed is not None,
        np.float32(threshold_px),
    )
    if not count:
        return None
    x, y = (
        alpha * _clamped(peak, crop, size) + (1 - alpha) * _clamped(total / count, crop, size)
        for peak, total, crop, size in zip(
            (fastest % width, fastest // width), sums, crop_hw[::-1], (width, height), strict=True
        )
    )
    return x, y


def _clamped(place: float, crop: int, size: int) -> float:
    """The function of `roi.clamp_to_crop` for one number."""
    return max(min(float(place), size - crop / 2), crop / 2)
