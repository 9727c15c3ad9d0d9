"""Intervals of shares."""

import math

_Z_95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


def wilson(correct: int, n: int, z: float = _Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share; (0, 1) for n = 0.

    >>> low, high = wilson(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)

    Raises:
        ValueError: unless 0 <= correct <= n.

    Source: E. B. Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if not 0 <= correct <= n:
        raise ValueError(f"expected 0 <= correct <= n, found {correct} of {n}")
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding may leave -1e-18 where the interval starts at exactly 0.
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == n else centre + half
    return low, high
