"""What is wrong with the detections of a video: each truth, each detection in one group."""

from dataclasses import dataclass

import numpy as np

from tttrain.indexing.measures.overlap import HALF, overlaps, pairs_by_overlap
from tttrain.indexing.measures.tables import Intervals

NEAR = 2
"""IoU .1 in twentieths: below it a detection has nothing to do with a truth."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Pairs (P, 2) of detection, truth, and lone detections, by their numbers (specification 6.2).

    Source: the idea of Alwassel, Caba Heilbron, Escorcia, Ghanem, "Diagnosing error in temporal
    action detectors", ECCV 2018. Differs: every truth and every detection counts once.
    """

    correct: np.ndarray
    wrong_name: np.ndarray
    boundaries: np.ndarray
    duplicates: np.ndarray
    false_alarms: np.ndarray
    missed: np.ndarray
    class_blind: np.ndarray
    """Pairs with IoU >= .5 whatever their labels."""


def group(truths: Intervals, detections: Intervals) -> Groups:
    """Sort one video's rows into groups, the best first, each row into one.

    Args:
        truths: distinct, in the order of time.
        detections: in the order of time, so that equal overlaps are decided by time.
    """
    both, union = overlaps(detections, truths)
    same = detections.label[:, None] == truths.label[None]
    correct = pairs_by_overlap(np.where(same, both, 0), union, HALF)
    free = _without(both, correct)
    wrong_name = pairs_by_overlap(free, union, HALF)
    free = _without(free, wrong_name)
    boundaries = pairs_by_overlap(free, union, NEAR)
    pairs = np.concatenate([correct, wrong_name, boundaries])
    alone = np.setdiff1d(np.arange(len(detections)), pairs[:, 0])
    near = np.any(20 * both >= NEAR * union, axis=1)
    return Groups(
        correct,
        wrong_name,
        boundaries,
        np.intersect1d(alone, np.flatnonzero(near)),
        np.setdiff1d(alone, np.flatnonzero(near)),
        np.setdiff1d(np.arange(len(truths)), pairs[:, 1]),
        pairs_by_overlap(both, union, HALF),
    )


def _without(both: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Intersections in which the rows and columns of pairs meet nothing."""
    rest = both.copy()
    rest[pairs[:, 0]] = 0
    rest[:, pairs[:, 1]] = 0
    return rest
