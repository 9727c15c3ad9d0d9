"""Images, clips and stored patches by integer arithmetic: the same numbers on every machine."""

import numpy as np
from numpy.typing import NDArray

FINE = 4
"""Shifts are in units of 1 / FINE px: a frame is the mean of FINE x FINE cells of a canvas."""


CONTRAST = 40
"""Per cent of full contrast that the images of a pair have. On stronger edges the iterations of the
flow magnify rounding: two engines of one CPU then differ by 2e-3 px in the mean, here by 5e-5."""


def texture(seed: int, height: int, width: int, contrast: int = 100) -> NDArray[np.int64]:
    """Smooth noise (height, width, 3), 0 to 255: two sizes of patches, blurred."""
    y, x = np.mgrid[:height, :width].astype(np.uint32)
    planes = []
    for channel in range(3):
        key = seed * 3 + channel
        coarse, fine = (_noise(x // size, y // size, key) for size in (40, 12))
        smooth = _blurred(_blurred((2 * coarse + fine) // 3, 0), 1)
        planes.append(128 + (smooth - 128) * contrast // 100)
    return np.stack(planes, axis=-1)


def _noise(x: NDArray[np.uint32], y: NDArray[np.uint32], key: int) -> NDArray[np.int64]:
    mixed = x * np.uint32(374761393) + y * np.uint32(668265263)
    mixed = mixed + np.uint32(key * 974711 % 2**32)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177)
    return ((mixed ^ (mixed >> np.uint32(16))) & np.uint32(255)).astype(np.int64)


def _blurred(plane: NDArray[np.int64], axis: int, radius: int = 4) -> NDArray[np.int64]:
    """Mean over 2 radius + 1 cells along an axis, borders replicated, rounded down."""
    pads = [(radius + 1, radius) if at == axis else (0, 0) for at in range(2)]
    sums = np.pad(plane, pads, mode="edge").cumsum(axis=axis)
    size = 2 * radius + 1
    high = np.take(sums, range(size, sums.shape[axis]), axis)
    return (high - np.take(sums, range(sums.shape[axis] - size), axis)) // size


def frame(canvas: NDArray[np.int64], top: int, left: int, height: int, width: int) -> NDArray:
    """(height, width, 3) of a canvas from the cell (top, left) on."""
    cells = canvas[top : top + height * FINE, left : left + width * FINE]
    return cells.reshape(height, FINE, width, FINE, 3).sum(axis=(1, 3)) // FINE**2


def pair(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """(2, 3, height, width): a background moves by (0.5, -0.25) px, a square by (2.5, 1.5) px."""
    margin = 16
    size = height * FINE + 2 * margin, width * FINE + 2 * margin
    back, front = (texture(key, *size, CONTRAST) for key in (seed, seed + 1000))
    images = []
    for time in (0, 1):
        image = frame(back, margin + time, margin - 2 * time, height, width)
        rows = slice(height // 4 + 2 * time, height * 3 // 4 + time)
        columns = slice(width // 3 + 3 * time, width * 2 // 3 + 2 * time)
        inner = frame(front, margin - 6 * time, margin - 10 * time, height, width)
        image[rows, columns] = inner[rows, columns]
        images.append(image.transpose(2, 0, 1))
    return np.array(images).astype(np.uint8)


def clip(seed: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(5, T, H, W) uint8: three channels of a moving picture and two of another one."""
    frames, height, width = shape
    planes = [
        texture(seed + part, height * 2 + frames * 2, width * 2 + frames * 2) for part in (0, 500)
    ]
    made = np.empty((5, *shape), np.uint8)
    for t in range(frames):
        moved = [plane[2 * t :: 2, t::2][:height, :width].transpose(2, 0, 1) for plane in planes]
        made[:3, t], made[3:, t] = moved[0], moved[1][:2]
    return made


def inputs(seed: int, batch: int, shape: tuple[int, int, int]) -> dict[str, NDArray[np.float32]]:
    """Clips for networks: "rgb" (B, 3, T, H, W) in [0, 1], "flow" (B, 2, T, H, W) in [-1, 1]."""
    clips = np.stack([clip(seed + item, shape) for item in range(batch)]).astype(np.float32)
    return {"rgb": clips[:, :3] / 255, "flow": clips[:, 3:] / 127.5 - 1}


def patches(seed: int, frames: int, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """A stored clip: rgb (T, S, S, 3), and flow (T, 2, S, S) in 1/32 px, up to 4 px."""
    made = clip(seed, (frames, side, side))
    flow = made[3:].astype(np.int16) - 128
    return np.ascontiguousarray(made[:3].transpose(1, 2, 3, 0)), flow.transpose(1, 0, 2, 3).copy()
