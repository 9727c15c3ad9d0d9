"""How suspect a clip's label is: several measures that find different errors, joined by rank.

Source: Pleiss, Zhang, Elenberg, Weinberger, "Identifying Mislabeled Data using the Area Under the
Margin Ranking", NeurIPS 2020; Northcutt, Jiang, Chuang, "Confident Learning", JAIR 2021 (margins
of scores out of folds). Differs: neither alone, but the mean of their ranks and of neighbours'.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def area_under_margin(given: ArrayLike, other: ArrayLike) -> Floats:
    """The mean over epochs of the given label's logit minus the largest other one.

    Args:
        given: (E, N) logits of the labels that the clips have.
        other: (E, N) the largest of the other classes' logits.

    Returns:
        (N,) float64; low where training kept pulling against the label.

    >>> area_under_margin([[1.0, 0.0], [3.0, 0.0]], [[0.0, 2.0], [0.0, 4.0]]).tolist()
    [2.0, -3.0]
    """
    difference = np.asarray(given, np.float64) - np.asarray(other, np.float64)
    result: Floats = difference.mean(axis=0)
    return result


def margins(scores: ArrayLike, labels: ArrayLike) -> Floats:
    """The score of the given label minus the largest other one.

    Args:
        scores: (N, C) of at least two classes; a row of NaN where there are none.
        labels: (N,) class indices.

    Returns:
        (N,) float64, NaN where the scores are.

    >>> margins([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]], [0, 2]).round(3).tolist()
    [0.5, -0.6]
    """
    values, classes = np.asarray(scores, np.float64), np.asarray(labels, np.int64)
    rows = np.arange(len(classes))
    others = values.copy()
    others[rows, classes] = -np.inf
    result: Floats = values[rows, classes] - others.max(axis=1)
    return result


def percentiles(values: ArrayLike) -> Floats:
    """The place of each value among all, (rank - 1/2) / n; equal values share their mean rank.

    Args:
        values: (N,), NaN where there is none; these do not count.

    Returns:
        (N,) float64 in (0, 1), NaN where the value is.

    >>> percentiles([3.0, 1.0, float("nan"), 1.0]).round(3).tolist()
    [0.833, 0.333, nan, 0.333]
    """
    found = np.asarray(values, np.float64)
    known = ~np.isnan(found)
    result = np.full(found.shape, np.nan)
    _, place, counts = np.unique(found[known], return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    result[known] = middle[place] / max(known.sum(), 1)
    return result


def suspicion(measures: Sequence[ArrayLike]) -> Floats:
    """One minus the mean percentile of the measures that a clip has; near 1 is most suspect.

    Args:
        measures: (N,) each, low where a label is suspect; NaN where a clip has none.

    Returns:
        (N,) float64 in (0, 1); one half where a clip has no measure.

    >>> suspicion([[1.0, 2.0], [5.0, float("nan")]]).tolist()
    [0.625, 0.25]
    """
    places = np.array([percentiles(item) for item in measures], np.float64)
    known = ~np.isnan(places)
    counts = known.sum(axis=0)
    total = np.where(known, places, 0.0).sum(axis=0)
    result: Floats = np.where(counts > 0, 1 - total / np.maximum(counts, 1), 0.5)
    return result


def suggestions(scores: Sequence[ArrayLike], labels: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """The likeliest class other than the given one, by the mean of several scores.

    Args:
        scores: (N, C) each, rows that add up to 1; a row of NaN where there are none.
        labels: (N,) class indices.

    Returns:
        (N,) class indices, -1 where a clip has no scores or all speak for its label; and (N,) the
        mean score of that class, NaN there.
    """
    stacked, classes = np.array(scores, np.float64), np.asarray(labels, np.int64)
    known: NDArray[np.bool_] = ~np.isnan(stacked.sum(axis=2, keepdims=True))
    total: Floats = np.where(known, stacked, 0.0).sum(axis=0)
    counts: NDArray[np.int64] = known.sum(axis=0)
    mean = total / np.maximum(counts, 1)
    mean[np.arange(len(classes)), classes] = 0.0
    best = mean.argmax(axis=1)
    chance = mean.max(axis=1)
    return np.where(chance > 0, best, -1), np.where(chance > 0, chance, np.nan)
