"""Blurred, resized images and their features as Triton kernels: pyramids on a GPU.

A coarser level is made at once from the level that it is a blur of: each of its pixels is a sum
over (2 radius + 2)^2 pixels, less than what a blur of the whole source moves.

Needs the extra `ttflow[gpu]`; import it only where it is used.
"""

import math

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from ttflow.flow.variational.device_tables import on
from ttflow.flow.variational.gpu.fused_system import COLUMNS, ROWS, WARPS, place, tiles
from ttflow.flow.variational.pyramid import RATIO, Flow, Image, level_sizes


def sample_weights(size: int, count: int, ratio: float, sigma: float) -> NDArray[np.float32]:
    """(1 + 2 radius + 2, count): where each sample of a blurred line begins, and its weights.

    As `pyramid.resize` of a `pyramid.blur`, in one step; pixels outside are those of the border.

    >>> sample_weights(4, 3, 0.75, 0)
    array([[0.        , 1.        , 3.        ],
           [0.6666667 , 0.33333334, 1.        ],
           [0.33333334, 0.6666667 , 0.        ]], dtype=float32)
    """
    radius = int(3 * sigma)
    taps = [math.exp(-(k**2) / (2 * sigma**2)) if k else 1.0 for k in range(-radius, radius + 1)]
    padded = np.array([0.0, *taps, 0.0])[:, None] / math.fsum(taps)
    position = (np.arange(1, count + 1) / ratio - 1).clip(0, size - 1)
    low = np.floor(position)
    between = position - low
    weights = (1 - between) * padded[1:] + between * padded[:-1]
    return np.concatenate(((low - radius)[None], weights)).astype(np.float32)


@triton.jit(do_not_specialize=["height", "width", "out_height"])
def _sample(
    image, result, rows_table, columns_table, height, width, out_height, out_width, times,
    TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Weighted sums of TAPS x TAPS pixels of planes (items, H, W), times a number."""
    item, y, x, here = place(out_height, out_width, ROWS, COLUMNS)
    at_y, at_x = tl.minimum(y, out_height - 1), tl.minimum(x, out_width - 1)
    top = tl.load(rows_table + at_y).to(tl.int32)
    left = tl.load(columns_table + at_x).to(tl.int32)
    plane = image + item * height * width
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for i in tl.static_range(TAPS):
        row = plane + tl.minimum(tl.maximum(top + i, 0), height - 1) * width
        line = tl.zeros((ROWS, COLUMNS), tl.float32)
        for j in tl.static_range(TAPS):
            column = tl.minimum(tl.maximum(left + j, 0), width - 1)
            line += tl.load(columns_table + (1 + j) * out_width + at_x) * tl.load(row + column)
        total += tl.load(rows_table + (1 + i) * out_height + at_y) * line
    tl.store(result + (item * out_height + y) * out_width + x, total * times, mask=here)


@triton.jit
def _gray(red, y, x, height, width):
    """Of the pixel (y, x), moved into the image."""
    y, x = tl.minimum(tl.maximum(y, 0), height - 1), tl.minimum(tl.maximum(x, 0), width - 1)
    at = red + y * width + x
    size = height * width
    return 0.299 * tl.load(at) + 0.587 * tl.load(at + size) + 0.114 * tl.load(at + 2 * size)


@triton.jit(do_not_specialize=["height"])
def _features(
    image, result, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    """`equations.features`: (B, 3, H, W) to (B, 5, H, W)."""
    item, y, x, here = place(height, width, ROWS, COLUMNS)
    size = height * width
    red = image + item * 3 * size
    dx = -8 * _gray(red, y, x - 1, height, width) + 8 * _gray(red, y, x + 1, height, width)
    dx += _gray(red, y, x - 2, height, width) - _gray(red, y, x + 2, height, width)
    dy = -8 * _gray(red, y - 1, x, height, width) + 8 * _gray(red, y + 1, x, height, width)
    dy += _gray(red, y - 2, x, height, width) - _gray(red, y + 2, x, height, width)
    at = y * width + x
    green = tl.load(red + size + at, mask=here, other=0.0)
    own = result + item * 5 * size + at
    tl.store(own, _gray(red, y, x, height, width), mask=here)
    tl.store(own + size, dx / 12, mask=here)
    tl.store(own + 2 * size, dy / 12, mask=here)
    tl.store(own + 3 * size, green - tl.load(red + at, mask=here, other=0.0), mask=here)
    tl.store(own + 4 * size, green - tl.load(red + 2 * size + at, mask=here, other=0.0), mask=here)


def _resampled(
    image: Tensor,
    size_hw: tuple[int, int],
    ratio_yx: tuple[float, float],
    sigma: float = 0.0,
    times: float = 1.0,
) -> Tensor:
    """`pyramid.resize` (B, C, H2, W2) of (B, C, H, W) blurred with `sigma` px, times a number."""
    image = image.contiguous()
    result = image.new_empty(*image.shape[:2], *size_hw)
    tables = [
        on(image.device, sample_weights, image.shape[axis], size_hw[axis], ratio_yx[axis], sigma)
        for axis in (-2, -1)
    ]
    with torch.cuda.device_of(image):  # Triton launches on the current device
        _sample[tiles(*size_hw, result.shape[0] * result.shape[1])](
            *(image, result, *tables, *image.shape[-2:], *size_hw, times, len(tables[0]) - 1),
            *(ROWS, COLUMNS),
            num_warps=WARPS,
        )
    return result


def pyramid(image: Image) -> list[Image]:
    """As `pyramid.pyramid`, to rounding."""
    levels = [image.contiguous()]
    for source, sigma, ratio, size_hw in level_sizes(image.shape[-2], image.shape[-1]):
        levels.append(_resampled(levels[source], size_hw, (ratio, ratio), sigma))
    return levels


def resize_flow(flow: Flow, size_hw: tuple[int, int]) -> Flow:
    """As `pyramid.resize_flow`, to rounding."""
    height, width = flow.shape[-2:]
    return _resampled(flow, size_hw, (size_hw[0] / height, size_hw[1] / width), times=1 / RATIO)


def features(rgb: Image) -> Image:
    """As `equations.features`, to rounding."""
    rgb = rgb.contiguous()
    batch, _, height, width = rgb.shape
    result = rgb.new_empty(batch, 5, height, width)
    with torch.cuda.device_of(rgb):  # Triton launches on the current device
        _features[tiles(height, width, batch)](
            rgb, result, height, width, ROWS, COLUMNS, num_warps=WARPS
        )
    return result
