"""Dynamic time warping: which moment of one stroke is which of another (specification 7.2).

Source: Sakoe and Chiba, "Dynamic Programming Algorithm Optimization for Spoken Word Recognition",
IEEE ASSP 1978 (band); Herrmann and Webb, "Amercing: an intuitive and effective constraint for
dynamic time warping", Pattern Recognition 2023 (a price per step of waiting). Both are exact: the
path is the cheapest of all in the band.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

BAND = 0.25
"""How far, in shares of the strokes, a moment may lie from its place in proportion."""
WAITING_PRICE = 0.1
"""Of a step in which one stroke stands still; the cost of a pair of samples is a squared
distance."""
_BATCH_BYTES = 2**26
"""Of the costs of pairs that are aligned at once: bounds memory."""
_DIAGONAL, _FIRST, _SECOND = 0, 1, 2
"""The step that led to a pair: both moved on, only the first stroke, only the second."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The cheapest path through two signals of N and M samples."""

    cost: float
    """The sum along the path, divided by N + M."""
    path: NDArray[np.int64]
    """(L, 2): pairs of samples, from (0, 0) to (N - 1, M - 1)."""

    def to_second(self, places: ArrayLike) -> Floats:
        """Where samples of the first signal (not rounded) are in the second."""
        return _carried(self.path[:, 0], self.path[:, 1], places)

    def to_first(self, places: ArrayLike) -> Floats:
        """Where samples of the second signal (not rounded) are in the first."""
        return _carried(self.path[:, 1], self.path[:, 0], places)


def _carried(source: NDArray[np.int64], target: NDArray[np.int64], places: ArrayLike) -> Floats:
    """The mean of all partners of each sample, linear between samples."""
    counts = np.bincount(source)
    partners = np.bincount(source, weights=target) / counts
    return np.asarray(np.interp(np.asarray(places, np.float64), np.arange(len(counts)), partners))


def align(first: Floats, second: Floats, *, band: float = BAND) -> Alignment:
    """Align two signals of shape (N, D) and (M, D)."""
    return align_all(first, [second], band=band)[0]


def align_all(
    first: Floats, others: Sequence[Floats], *, band: float = BAND, price: float = WAITING_PRICE
) -> list[Alignment]:
    """Align a signal with each of others.

    Args:
        first: (N, D) samples; their unit decides what `price` means.
        others: (M, D) each.
        band: samples i and j may be partners where |i / (N - 1) - j / (M - 1)| <= band; never
            so narrow that no path is left.
        price: of each step in which one signal stands still.

    Returns:
        One alignment each.

    Raises:
        ValueError: for a signal without samples, or a value that is not a number.
    """
    if not all(len(item) and np.isfinite(item).all() for item in (first, *others)):
        raise ValueError("expected signals with at least one sample, of finite numbers")
    longest = max((len(item) for item in others), default=1)
    batch = max(1, _BATCH_BYTES // (8 * len(first) * (len(first) + longest)))
    found: list[Alignment] = []
    for begin in range(0, len(others), batch):
        found += _align_batch(first, others[begin : begin + batch], band, price)
    return found


def _align_batch(
    first: Floats, others: Sequence[Floats], band: float, price: float
) -> list[Alignment]:
    count, lengths = len(first), np.array([len(item) for item in others])
    diagonals = count + int(lengths.max()) - 1
    costs = _skewed_costs(first, others, band, diagonals)
    steps = np.zeros(costs.shape, np.int8)
    infinite = np.full((len(others), count), np.inf)
    before, last = infinite, infinite
    ends = np.zeros(len(others))
    for diagonal in range(diagonals):
        both = np.roll(before, 1, axis=1)
        only_first = np.roll(last, 1, axis=1) + price
        both[:, 0] = only_first[:, 0] = np.inf
        ways = np.stack([both, only_first, last + price])
        steps[:, diagonal] = ways.argmin(axis=0)
        reached = ways.min(axis=0) if diagonal else np.where(np.arange(count) == 0, 0.0, infinite)
        before, last = last, reached + costs[:, diagonal]
        done = diagonal == count + lengths - 2
        ends[done] = last[done, -1]
    return [
        Alignment(float(end / (count + length)), _path(step, count, int(length)))
        for end, step, length in zip(ends, steps, lengths, strict=True)
    ]


def _skewed_costs(first: Floats, others: Sequence[Floats], band: float, diagonals: int) -> Floats:
    """(B, diagonals, N): [b, i + j, i] is the squared distance of samples i and j."""
    count = len(first)
    costs = np.full((len(others), diagonals, count), np.inf)
    rows = np.arange(count)[:, None]
    for index, other in enumerate(others):
        columns = np.arange(len(other))[None, :]
        apart = ((first[:, None] - other[None]) ** 2).sum(axis=2)
        share = rows / max(count - 1, 1) - columns / max(len(other) - 1, 1)
        narrowest = 1 / max(min(count, len(other)) - 1, 1)
        allowed = np.abs(share) <= max(band, narrowest) + 1e-9
        costs[index, rows + columns, rows] = np.where(allowed, apart, np.inf)
    return costs


def _path(steps: NDArray[np.int8], count: int, length: int) -> NDArray[np.int64]:
    """From the last pair back to the first."""
    first, second = count - 1, length - 1
    pairs = [(first, second)]
    while first or second:
        step = steps[first + second, first]
        first -= step != _SECOND
        second -= step != _FIRST
        pairs.append((first, second))
    return np.array(pairs[::-1], np.int64)
