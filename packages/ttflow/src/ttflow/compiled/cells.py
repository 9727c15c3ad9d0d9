"""Means of the cells of a picture (specification 3.3)."""

import numpy as np
from numpy.typing import NDArray

from ttflow.compiled.jit import jit

f32 = np.float32
i32 = np.int32


@jit
def cell_means(image: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Write the means of equal cells of image (H, W, 3) into out (h, w, 3), half to even.

    H and W are multiples of h and w. The numbers are those of OpenCV's INTER_AREA, but for cells
    of 2 x 2, where it rounds half up.
    """
    high, wide = image.shape[0] // out.shape[0], image.shape[1] // out.shape[1]
    share = f32(1) / f32(high * wide)
    sums = np.empty(image.shape[1] * 3, np.int32)
    for row in range(out.shape[0]):
        sums[:] = 0
        for i in range(row * high, (row + 1) * high):
            line = image[i].reshape(-1)
            for j in range(len(line)):
                sums[j] = i32(sums[j] + i32(line[j]))
        for column in range(out.shape[1]):
            for c in range(3):
                total = i32(0)
                for j in range(column * wide, (column + 1) * wide):
                    total = i32(total + sums[3 * j + c])
                out[row, column, c] = np.uint8(np.rint(f32(total) * share))
