"""Intersection over union of intervals, in integer frames, so that a threshold is exact.

A threshold is a number of twentieths: IoU >= k / 20 holds where 20 intersection >= k union.
"""

import numpy as np

from tttrain.indexing.measures.tables import Intervals

TWENTIETHS = np.arange(10, 20)
"""The ten thresholds .5, .55, ..., .95."""
THRESHOLDS = tuple(float(number) for number in np.round(TWENTIETHS / 20, 2))
HALF = 10
"""IoU .5 in twentieths."""


def overlaps(first: Intervals, second: Intervals) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the intersection, frames of the union, each (N, M) int64, of one video's rows.

    An empty interval meets nothing; of two empty ones the union is 1, so that no threshold holds.
    """
    start = np.maximum(first.start[:, None], second.start[None])
    end = np.minimum(first.end[:, None], second.end[None])
    both = np.maximum(end - start, 0)
    lengths = (first.end - first.start)[:, None] + (second.end - second.start)[None]
    return both, np.maximum(lengths - both, 1)


def pairs_by_overlap(both: np.ndarray, union: np.ndarray, twentieths: int) -> np.ndarray:
    """One-to-one pairs with IoU >= twentieths / 20, the largest IoU first.

    Equal IoU: the earlier row, then the earlier column; with rows in the order of time nothing
    depends on the order of the tables.

    Args:
        both: (N, M) frames of intersections.
        union: (N, M) frames of unions.
        twentieths: the threshold.

    Returns:
        (pairs, 2) int64: row, column.
    """
    rows, columns = np.nonzero(20 * both >= twentieths * union)
    iou = both[rows, columns] / union[rows, columns]
    used_rows, used_columns, pairs = set(), set(), []
    for place in np.lexsort((columns, rows, -iou)):
        row, column = int(rows[place]), int(columns[place])
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            pairs.append((row, column))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def union_of(intervals: Intervals) -> np.ndarray:
    """The frames that any interval of one video covers, as (pieces, 2) int64, in order."""
    order = np.argsort(intervals.start, kind="stable")
    pieces: list[list[int]] = []
    for start, end in zip(intervals.start[order], intervals.end[order], strict=True):
        if end <= start:
            continue
        if pieces and start <= pieces[-1][1]:
            pieces[-1][1] = max(pieces[-1][1], int(end))
        else:
            pieces.append([int(start), int(end)])
    return np.array(pieces, dtype=np.int64).reshape(-1, 2)


def common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The frames in both unions, (pieces, 2) int64, in order."""
    start = np.maximum(first[:, None, 0], second[None, :, 0]).ravel()
    end = np.minimum(first[:, None, 1], second[None, :, 1]).ravel()
    pieces = np.stack([start, end], axis=1)[start < end]
    ordered: np.ndarray = pieces[np.argsort(pieces[:, 0])]
    return ordered


def num_frames(pieces: np.ndarray) -> int:
    """How many frames a union has."""
    return int((pieces[:, 1] - pieces[:, 0]).sum())
