"""Where the gain between two images is measured, and the field it spans: geometry, in numpy.

A gain field is given by one number per block of a grid over the image. Its knots are the centres of
the blocks; between them it is linear, beyond the outer ones it goes on as it came. Pixel j of a
pyramid level stands for the place (j + 1) / r - 1 of the image, r being the ratio of their sizes.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DARK = 1e-6
"""An intensity below this is black: it says nothing of the gain."""


def pixel_positions(size: int, level_size: int) -> NDArray[np.float64]:
    """Where the pixels of a level lie in the image, along one axis, px."""
    return np.arange(1, level_size + 1, dtype=np.float64) * (size / level_size) - 1


@lru_cache(maxsize=256)
def block_weights(size: int, level_size: int, blocks: int) -> NDArray[np.float32]:
    """(level_size, blocks): what each block contributes to each pixel along one axis.

    >>> block_weights(8, 8, 2)[[0, 1, 2, 5]]  # knots at 1.5 and 5.5
    array([[ 1.375, -0.375],
           [ 1.125, -0.125],
           [ 0.875,  0.125],
           [ 0.125,  0.875]], dtype=float32)
    """
    if blocks == 1:
        return np.ones((level_size, 1), np.float32)
    position = (pixel_positions(size, level_size) + 0.5) * (blocks / size) - 0.5
    low = position.astype(int).clip(0, blocks - 2)
    weights = np.zeros((level_size, blocks), np.float32)
    rows = np.arange(level_size)
    weights[rows, low] = 1 - (position - low)
    weights[rows, low + 1] = position - low
    return weights


@lru_cache(maxsize=64)
def block_pixels(
    size_hw: tuple[int, int], level_hw: tuple[int, int], blocks: tuple[int, int]
) -> NDArray[np.int64]:
    """(rows * columns, L): the pixels of each block in a flattened level, filled up with -1."""
    axes = [
        np.floor((pixel_positions(size, level_size) + 0.5) * (count / size))
        .clip(0, count - 1)
        .astype(int)
        for size, level_size, count in zip(size_hw, level_hw, blocks, strict=True)
    ]
    block = (axes[0][:, None] * blocks[1] + axes[1]).ravel()
    lists = [np.flatnonzero(block == index) for index in range(blocks[0] * blocks[1])]
    table = np.full((len(lists), max(len(pixels) for pixels in lists)), -1)
    for line, pixels in zip(table, lists, strict=True):
        line[: len(pixels)] = pixels
    return table
