"""The stored square of a frame's flow: cut and quantised in one pass (specification 2.6)."""

import numpy as np
from numpy.typing import NDArray

from ttflow.compiled.jit import jit

f32 = np.float32


@jit
def quantized_square(
    flow: NDArray[np.float32], left: int, top: int, unit: np.float32, out: NDArray[np.int16]
) -> None:
    """Write the square of a (2, H, W) flow at (left, top) into out (2, S, S).

    In units of 1 / `unit` px, rounded half to even, saturated at 32767; 0 where the flow is not
    finite, and outside of the frame.
    """
    _, height, width = flow.shape
    side = out.shape[1]
    first, last = max(-left, 0), min(side, width - left)
    limit = f32(32767)
    for c in range(2):
        for i in range(side):
            line = out[c, i]
            row = i + top
            if row < 0 or row >= height or first >= last:
                line[:] = 0
                continue
            line[:first] = 0
            line[last:] = 0
            source, target = flow[c, row, first + left : last + left], line[first:last]
            for j in range(len(source)):
                value = source[j]
                scaled = np.rint(value * unit)
                scaled = min(max(scaled, -limit), limit)
                target[j] = np.int16(scaled) if abs(value) < f32(np.inf) else np.int16(0)
