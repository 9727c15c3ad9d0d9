"""Intervals against intervals, without a loop over rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def pair_counts(group: Ints, start: Ints, end: Ints) -> Ints:
    """For every interval the number of later ones in its group that share a frame with it.

    Args:
        group: (n,) not negative; the intervals are sorted by group, then start.
        start: (n,) not negative.
        end: (n,) exclusive, above start.
    """
    if not len(start):
        return np.zeros(0, np.int64)
    span = int(end.max()) + 1
    reach = np.searchsorted(group * span + start, group * span + end, side="left")
    return reach.astype(np.int64) - np.arange(1, len(start) + 1)


def overlapping_pairs(group: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """All pairs (i, j), i < j, of intervals of one group that share a frame.

    >>> first, second = overlapping_pairs(*map(np.array, ([0, 0, 0], [0, 5, 9], [6, 9, 12])))
    >>> list(zip(first.tolist(), second.tolist()))
    [(0, 1)]
    """
    counts = pair_counts(group, start, end)
    first = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    second = np.arange(len(first)) - np.repeat(before, counts) + first + 1
    return first, second


@dataclass(frozen=True)
class AnnotationArrays:
    """Annotations or actions of some videos as arrays of length n: intervals, players, regions."""

    video: Ints
    start: Ints
    end: Ints
    player: Ints
    """A number per player, -1 where unknown."""
    region: Floats
    """(n, 4): x_min, y_min, x_max, y_max as fractions of the frame; NaN where unknown."""

    def take(self, index: Ints | Bools | slice) -> "AnnotationArrays":
        """The rows of an index."""
        return AnnotationArrays(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def time_overlap(one: AnnotationArrays, other: AnnotationArrays) -> tuple[Floats, Floats]:
    """Row by row: intersection / shorter duration, and intersection / union."""
    common = np.minimum(one.end, other.end) - np.maximum(one.start, other.start)
    common = np.maximum(common, 0).astype(np.float64)
    lengths = (one.end - one.start, other.end - other.start)
    return common / np.minimum(*lengths), common / (lengths[0] + lengths[1] - common)


def may_be_same_player(
    one: AnnotationArrays, other: AnnotationArrays, min_region_iou: float
) -> Bools:
    """Row by row: false where both name their player or region, and these differ."""
    either_unknown = (one.player < 0) | (other.player < 0)
    common, union = _region_areas(one, other)
    # NaN, where a region is unknown, compares false.
    apart = common < min_region_iou * union
    same: Bools = (either_unknown | (one.player == other.player)) & ~apart
    return same


def region_overlap(one: AnnotationArrays, other: AnnotationArrays) -> Floats:
    """Row by row: intersection / union of the regions; 0 where one is unknown or both are empty."""
    common, union = _region_areas(one, other)
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _region_areas(one: AnnotationArrays, other: AnnotationArrays) -> tuple[Floats, Floats]:
    """Row by row: intersection and union of the regions; NaN where one is unknown."""
    low, high = (
        np.maximum(one.region[:, :2], other.region[:, :2]),
        np.minimum(one.region[:, 2:], other.region[:, 2:]),
    )
    common = np.maximum(high - low, 0).prod(axis=1)
    return common, _area(one.region) + _area(other.region) - common


def _area(region: Floats) -> Floats:
    sides = region[:, 2:] - region[:, :2]
    return sides[:, 0] * sides[:, 1]
