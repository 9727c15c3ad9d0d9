"""Means of cells against OpenCV's area interpolation."""

import cv2
import numpy as np
import pytest

from ttflow.compiled.cells import cell_means


@pytest.mark.parametrize("cell", [(1, 1), (2, 4), (4, 4), (2, 3), (3, 2), (10, 10)])
def test_the_means_are_opencvs(cell: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    size = (6 * cell[0], 9 * cell[1])
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    image[: size[0] // 2] = rng.integers(0, 2, (size[0] // 2, size[1], 3))  # halves
    out = np.empty((6, 9, 3), np.uint8)
    cell_means(image, out)
    assert np.array_equal(out, cv2.resize(image, (9, 6), interpolation=cv2.INTER_AREA))
