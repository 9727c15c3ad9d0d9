"""Mean average precision over classes, thresholds .5 to .95 (specification 6.1).

Source: Caba Heilbron, Escorcia, Ghanem, Niebles, "ActivityNet", CVPR 2015, in the form in which
OpenTAD computes it. Differs: IoU in integer frames; equal scores are ordered by video, then time.
"""

from dataclasses import dataclass

import numpy as np

from tttrain.indexing.measures.overlap import TWENTIETHS, overlaps
from tttrain.indexing.measures.tables import Intervals


@dataclass(frozen=True, eq=False)
class ClassRanking:
    """A class's D detections by falling score: their videos, at which thresholds each is right."""

    video: np.ndarray
    """(D,) numbers of videos."""
    right: np.ndarray
    """(10, D) bool."""
    truths: np.ndarray
    """(V,) how many truths of the class each video has."""


def rank(truths: Intervals, detections: Intervals, label: int, num_videos: int) -> ClassRanking:
    """Detections of a class by falling score, matched to the class's truths.

    At each threshold a detection takes the free truth with the largest IoU >= threshold; where
    that is taken, the next best.
    """
    found = detections.take(detections.label == label)
    found = found.take(np.lexsort((found.end, found.start, found.video, -found.score)))
    given = truths.take(truths.label == label)
    right = np.zeros((len(TWENTIETHS), len(found)), dtype=bool)
    for video in np.unique(found.video):
        chosen = np.flatnonzero(found.video == video)
        both, union = overlaps(found.take(chosen), given.of_video(video))
        right[:, chosen] = _matched(both, union)
    return ClassRanking(found.video, right, np.bincount(given.video, minlength=num_videos))


def _matched(both: np.ndarray, union: np.ndarray) -> np.ndarray:
    """(10, D): which of D detections, best score first, get one of M truths."""
    count, truths = both.shape
    right = np.zeros((len(TWENTIETHS), count), dtype=bool)
    if truths == 0:
        return right
    free = np.ones((len(TWENTIETHS), truths), dtype=bool)
    enough = 20 * both[None] >= TWENTIETHS[:, None, None] * union[None]
    iou = both / union
    every = np.arange(len(TWENTIETHS))
    for row in np.flatnonzero(enough[0].any(axis=1)):
        open_iou = np.where(free & enough[:, row], iou[row], -1.0)
        best = open_iou.argmax(axis=1)
        right[:, row] = open_iou[every, best] >= 0
        free[every, best] &= ~right[:, row]
    return right


def average_precision(ranking: ClassRanking, weights: np.ndarray) -> np.ndarray:
    """Area below the interpolated precision envelope, (10, R); not a number without a truth.

    Args:
        ranking: of one class.
        weights: (R, V) how often each video counts; a video twice is as good as two equal videos.
    """
    positives = weights @ ranking.truths
    counted = weights[:, ranking.video]
    seen = np.maximum(counted.cumsum(axis=1), 1)
    areas = np.empty((len(TWENTIETHS), len(weights)))
    for level, right in enumerate(ranking.right):
        hits = counted * right
        precision = hits.cumsum(axis=1) / seen
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        areas[level] = (hits * envelope).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray = areas / positives
    return result
