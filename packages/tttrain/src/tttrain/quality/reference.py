"""What reference strokes do, and how unusual another stroke is among them (specification 7.5).

Source: Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
Biometrics 1946; Schaefer and Strimmer, "A Shrinkage Approach to Large-Scale Covariance Matrix
Estimation", 2005 (correlations shrunk to 0; the amount is estimated).
"""

from collections.abc import Sequence
from math import exp, lgamma, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttdata.settings import FrozenModel

Floats = NDArray[np.float64]

FEWEST_REFERENCES = 3
NOMINAL = 0.05
"""Share of unchanged strokes that may be called outside."""
LEAST_SHRUNK = 1e-3
"""Of correlations: equal products have no variance, and unshrunk they may be singular."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


class Spread(FrozenModel):
    """How a measure varies over reference strokes."""

    n: int
    """Strokes that have the measure."""
    sessions: int
    """Sessions that they are of."""
    mean: float
    within: float | None
    """Standard deviation from stroke to stroke of a session; null where no session has two."""
    between: float | None
    """Standard deviation of sessions' means beyond that; null with a single session."""
    deviation: float
    """Of what a new stroke of a new session may differ from `mean`."""
    degrees: float
    """Degrees of freedom of `deviation`."""


def spread(values: ArrayLike, sessions: Sequence[str]) -> Spread | None:
    """Variance components of a one-way layout, strokes in sessions.

    Args:
        values: (n,), NaN where a stroke has none; these do not count.
        sessions: n names.

    Returns:
        None for fewer than three values.
    """
    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    numbers = numbers[known]
    names = [name for name, there in zip(sessions, known, strict=True) if there]
    if len(numbers) < FEWEST_REFERENCES:
        return None
    _, place, counts = np.unique(names, return_inverse=True, return_counts=True)
    n, k = len(numbers), len(counts)
    mean = float(numbers.mean())
    means = np.bincount(place, weights=numbers) / counts
    inner = float(((numbers - means[place]) ** 2).sum())
    outer = float((counts * (means - mean) ** 2).sum())
    deviation, degrees, within, between = _components(inner, outer, n, counts)
    return Spread(
        n=n, sessions=k, mean=mean, within=within, between=between,
        deviation=deviation, degrees=degrees,
    )  # fmt: skip


def _components(
    inner: float, outer: float, n: int, counts: NDArray[np.int64]
) -> tuple[float, float, float | None, float | None]:
    """Deviation of a new stroke, its degrees of freedom, and both standard deviations."""
    k = len(counts)
    total = (inner + outer) / (n - 1)
    if k in (1, n):  # the components cannot be told apart
        return sqrt(total * (1 + 1 / n)), float(n - 1), sqrt(total) if k == 1 else None, None
    mean_within, mean_between = inner / (n - k), outer / (k - 1)
    size = (n - (counts**2).sum() / n) / (k - 1)
    excess = (mean_between - mean_within) / size
    if excess <= 0:
        return sqrt(total * (1 + 1 / n)), float(n - 1), sqrt(mean_within), 0.0
    # A new stroke: its session, itself, and the error of the mean, as a sum of mean squares.
    share = (1 + float((counts**2).sum()) / n**2) / size
    parts = share * mean_between, (1 + 1 / n - share) * mean_within
    variance = sum(parts)
    degrees = variance**2 / (parts[0] ** 2 / (k - 1) + parts[1] ** 2 / (n - k))
    return sqrt(variance), float(degrees), sqrt(mean_within), sqrt(excess)


def at_least(value: float, references: ArrayLike) -> float:
    """(1 + the number of references >= value) / (n + 1); NaN in either is not counted.

    >>> at_least(2.5, [1, 2, 3, 4])
    0.6
    """
    numbers = np.asarray(references, np.float64)
    numbers = numbers[np.isfinite(numbers)]
    return (1 + int((numbers >= value).sum())) / (len(numbers) + 1)


def two_sided(t: float, degrees: float) -> float:
    """The chance that Student's t is at least as far from 0.

    >>> round(two_sided(12.706, 1), 4), round(two_sided(2.228, 10), 4)
    (0.05, 0.05)
    """
    angle = np.arctan(abs(t) / sqrt(degrees))
    nodes = (_NODES + 1) / 2 * angle
    area = angle / 2 * float((_WEIGHTS * np.cos(nodes) ** (degrees - 1)).sum())
    whole = sqrt(pi) / 2 * exp(lgamma(degrees / 2) - lgamma((degrees + 1) / 2))
    return float(np.clip(1 - area / whole, 0.0, 1.0))


def quantile(degrees: float, chance: float = NOMINAL) -> float:
    """The t beyond which, on both sides together, Student's t lies with a chance.

    >>> round(quantile(1), 2), round(quantile(10), 3)
    (12.71, 2.228)
    """
    low, high = 0.0, 1.0
    while two_sided(high, degrees) > chance:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, degrees) > chance else (low, middle)
    return (low + high) / 2


def shrunk_correlation(values: ArrayLike) -> Floats:
    """The correlations of columns, shrunk towards 0 as far as they are uncertain.

    Args:
        values: (n, p) with n >= 3.

    Returns:
        (p, p), positive definite.
    """
    numbers = np.asarray(values, np.float64)
    n, p = numbers.shape
    deviation = numbers.std(axis=0, ddof=1)
    scaled = (numbers - numbers.mean(axis=0)) / np.where(deviation > 1e-12, deviation, np.inf)
    products = scaled[:, :, None] * scaled[:, None, :]
    correlation = products.sum(axis=0) / (n - 1)
    # Variance of each estimated correlation, from the spread of the products.
    variance = n / (n - 1) ** 3 * ((products - products.mean(axis=0)) ** 2).sum(axis=0)
    aside = ~np.eye(p, dtype=bool)
    size = float((correlation[aside] ** 2).sum())
    amount = min(1.0, float(variance[aside].sum()) / size) if size > 0 else 1.0
    amount = max(amount, LEAST_SHRUNK)
    result = (1 - amount) * correlation
    np.fill_diagonal(result, 1.0)
    return np.asarray(result)


def distance(scores: ArrayLike, correlation: Floats) -> float:
    """The Mahalanobis distance of standardised scores, per root of their number.

    About 1 for a reference stroke. A score that is NaN counts as 0, the references' mean.
    """
    z = np.nan_to_num(np.asarray(scores, np.float64))
    return float(np.sqrt(z @ np.linalg.solve(correlation, z) / len(z)))
