"""The measures as ratios of summed counts, for one sum over videos or for many draws of them."""

import numpy as np

from tttrain.indexing.measures.average_precision import ClassRanking, average_precision
from tttrain.indexing.measures.counts import Counts, summed

CHUNK = 100
"""So many draws at once: memory stays a few MB for thousands of detections."""

MEASURES = (
    "map",
    "pxr",
    "global_iou",
    "f1",
    "precision",
    "recall",
    "f1_class_blind",
    "boundary_error_frames",
    "boundary_error_seconds",
    "false_alarms_per_minute",
)


def ratios(sums: Counts) -> dict[str, np.ndarray]:
    """All measures but `map`, each (R,), not a number where there is nothing to divide by."""
    truths, detections = sums["truths"], sums["detections"]
    ends = 2 * sums["class_blind"]
    return {
        "pxr": _pxr(sums),
        "global_iou": _divide(sums["shared_frames"], sums["any_frames"]),
        "f1": _divide(2 * sums["correct"], truths + detections),
        "precision": _divide(sums["correct"], detections),
        "recall": _divide(sums["correct"], truths),
        "f1_class_blind": _divide(2 * sums["class_blind"], truths + detections),
        "boundary_error_frames": _divide(sums["boundary_frames"], ends),
        "boundary_error_seconds": _divide(sums["boundary_seconds"], ends),
        "false_alarms_per_minute": _divide(sums["false_alarms"], sums["minutes"]),
    }


def class_precisions(rankings: list[ClassRanking], weights: np.ndarray) -> np.ndarray:
    """Average precisions (classes, 10, R) of classes at thresholds; not a number without truth."""
    if not rankings:
        return np.empty((0, 10, len(weights)))
    return np.stack([average_precision(ranking, weights) for ranking in rankings])


def resampled(
    per_video: list[Counts], rankings: list[ClassRanking], resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Each measure's 2.5 % and 97.5 % points over draws of videos, with replacement.

    Draws in which a measure is not a number are left out. With fewer than 2 videos, or without
    draws, nothing is known: not a number.

    Source: Efron 1979, the percentile interval of the bootstrap.
    """
    videos = len(per_video)
    if videos < 2 or resamples < 1:
        return dict.fromkeys(MEASURES, (float("nan"), float("nan")))
    drawn = np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), resamples)
    values: dict[str, list[np.ndarray]] = {name: [] for name in MEASURES}
    for start in range(0, resamples, CHUNK):
        weights = drawn[start : start + CHUNK]
        for name, part in ratios(summed(per_video, weights)).items():
            values[name].append(part)
        values["map"].append(mean_known(class_precisions(rankings, weights)).mean(axis=0))
    return {name: _interval(np.concatenate(parts)) for name, parts in values.items()}


def mean_known(precisions: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is a number; not a number where nothing is."""
    known = ~np.isnan(precisions)
    return _divide(np.where(known, precisions, 0).sum(axis=0), known.sum(axis=0))


def _interval(values: np.ndarray) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _pxr(sums: Counts) -> np.ndarray:
    """Mean over thresholds of precision x recall, as MediaEval's evaluator computes them.

    Precision is claims / (claims + detections that claim none), recall claims / truths.
    """
    claims, alone = sums["claims"], sums["without_claim"]
    product = _divide(claims, claims + alone) * _divide(claims, sums["given_truths"][:, None])
    result: np.ndarray = product.mean(axis=1)
    return result


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: np.ndarray = np.where(below > 0, above / below, np.nan)
    return quotient
