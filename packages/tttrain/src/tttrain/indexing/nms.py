"""Suppression of intervals: of what says the same, the best is kept (specification 6.9)."""

import numpy as np


def interval_iou(
    start: np.ndarray, end: np.ndarray, one_start: float, one_end: float
) -> np.ndarray:
    """IoU (N,) of intervals with one interval."""
    both = np.maximum(np.minimum(end, one_end) - np.maximum(start, one_start), 0.0)
    union = (end - start) + (one_end - one_start) - both
    result: np.ndarray = both / np.maximum(union, 1e-12)
    return result


def nms(start: np.ndarray, end: np.ndarray, score: np.ndarray, max_iou: float) -> np.ndarray:
    """Numbers of the intervals kept, best first: none has IoU > max_iou with a better one.

    Equal scores: the earlier row is better.

    Args:
        start: (N,).
        end: (N,), exclusive.
        score: (N,), larger is better.
        max_iou: in [0, 1].
    """
    order = np.argsort(-score, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[interval_iou(start[order], end[order], start[best], end[best]) <= max_iou]
    return np.array(kept, dtype=np.int64)


def soft_nms(
    start: np.ndarray,
    end: np.ndarray,
    score: np.ndarray,
    *,
    sigma: float = 0.5,
    min_score: float = 1e-3,
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian soft non-maximum suppression: a neighbour of a better interval loses score.

    Each interval that is taken multiplies the scores of the rest by exp(-IoU^2 / sigma); then the
    best of the rest is taken.

    Args:
        start: (N,).
        end: (N,), exclusive.
        score: (N,), in [0, 1].
        sigma: larger suppresses less.
        min_score: intervals whose score falls below it are dropped.

    Returns:
        Numbers (K,) of the intervals in the order in which they are taken, their scores (K,),
        which fall.

    Source: Bodla, Singh, Chellappa, Davis, "Soft-NMS", ICCV 2017, equation 4.
    """
    left = score.astype(np.float64)
    rest = np.flatnonzero(left >= min_score)
    taken: list[int] = []
    scores: list[float] = []
    while len(rest):
        place = int(left[rest].argmax())
        best = int(rest[place])
        taken.append(best)
        scores.append(float(left[best]))
        rest = np.delete(rest, place)
        iou = interval_iou(start[rest], end[rest], start[best], end[best])
        left[rest] *= np.exp(-(iou**2) / sigma)
        rest = rest[left[rest] >= min_score]
    return np.array(taken, dtype=np.int64), np.array(scores)
