"""Annotations of the same stroke become one action (specification 1.2).

1. Annotations that agree closely (IoU >= 0.5) are clustered round the best supported of them.
2. Every annotation moves to the action whose consensus interval (median start, median end) it fits
   best, until nothing moves; an annotation that overlaps no consensus by more than `max_overlap`
   stands alone.
3. Two actions whose consensus intervals overlap by more than `max_overlap` become one, best fit
   first, unless one annotator has annotations in both: these are two strokes, and the actions are
   flagged.

Overlap is intersection / shorter duration. Nothing is merged through a chain of pairwise overlaps,
as every decision is against a consensus. Annotations whose player or region differs are never
merged. All videos are worked on at once, and the number of rounds is bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from ttdata.curation.overlaps import (
    AnnotationArrays,
    Bools,
    Ints,
    may_be_same_player,
    overlapping_pairs,
    pair_counts,
    time_overlap,
)
from ttdata.sources.annotations import REGION

SAME_STROKE_IOU = 0.5
"""Two annotations that agree this well are of the same stroke, whoever made them."""
SAME_REGION_IOU = 0.25
"""Regions that agree less are of two players; a player's own regions agree by 0.5 and more."""

_MAX_ROUNDS = 20
_PAIRS_AT_ONCE = 10_000_000


def assign_actions(annotations: pl.DataFrame, max_overlap: float) -> Ints:
    """The action each annotation belongs to, as numbers from 0 in the order of the annotations.

    Args:
        annotations: accepted annotations, sorted as `filters.ORDER`.
        max_overlap: largest overlap of two different strokes, intersection / shorter duration.
    """
    annotator = _codes(annotations["annotator_id"])
    rows = annotation_arrays(annotations)
    actions = np.empty(annotations.height, np.int64)
    for part in _parts(rows):
        clustering = _Clustering(rows.take(part), annotator[part], max_overlap)
        actions[part] = clustering.actions() + part.start
    return _numbered(actions)


def annotation_arrays(frame: pl.DataFrame) -> AnnotationArrays:
    """The rows of a table of annotations or actions as arrays, in the order of the table."""
    return AnnotationArrays(
        video=_codes(frame["video_id"]),
        start=frame["start_frame"].to_numpy().astype(np.int64),
        end=frame["end_frame"].to_numpy().astype(np.int64),
        player=_codes(frame["player_id"]),
        region=frame.select(pl.col(REGION).cast(pl.Float64).fill_null(np.nan)).to_numpy(),
    )


def consensus(annotations: AnnotationArrays, annotator: Ints, action: Ints) -> AnnotationArrays:
    """The consensus of each action 0..k-1: the median over annotators of their own medians."""
    bounds = ["start", "end", *REGION]
    frame = pl.DataFrame(
        {
            "action": action,
            "annotator": annotator,
            "video": annotations.video,
            "player": annotations.player,
            "start": annotations.start.astype(np.float64),
            "end": annotations.end.astype(np.float64),
        }
        | {name: annotations.region[:, index] for index, name in enumerate(REGION)}
    ).with_columns(pl.col(REGION).fill_nan(None))
    same = pl.col("video", "player").max()
    each = frame.group_by("action", "annotator").agg(pl.col(bounds).median(), same)
    found = each.group_by("action").agg(pl.col(bounds).median(), same).sort("action")
    rounded = found.select((pl.col("start", "end") + 0.5).floor().cast(pl.Int64))
    return AnnotationArrays(
        video=found["video"].to_numpy(),
        start=rounded["start"].to_numpy(),
        end=rounded["end"].to_numpy(),
        player=found["player"].to_numpy(),
        region=found.select(pl.col(REGION).fill_null(np.nan)).to_numpy(),
    )


@dataclass(frozen=True)
class _Clustering:
    """The steps that cluster the annotations of some videos; the state is an action number each."""

    annotations: AnnotationArrays
    annotator: Ints
    max_overlap: float

    def actions(self) -> Ints:
        first, second = overlapping_pairs(
            self.annotations.video, self.annotations.start, self.annotations.end
        )
        one, other = self.annotations.take(first), self.annotations.take(second)
        able = may_be_same_player(one, other, SAME_REGION_IOU)
        iou = time_overlap(one, other)[1]
        # Every pair in both directions, sorted by the annotation it starts from.
        sources = np.concatenate([first[able], second[able]])
        targets = np.concatenate([second[able], first[able]])
        order = np.lexsort((targets, sources))
        sources, targets = sources[order], targets[order]
        iou = np.concatenate([iou[able], iou[able]])[order]
        close = iou >= SAME_STROKE_IOU
        action = self._seeded(sources[close], targets[close], iou[close])
        for _ in range(_MAX_ROUNDS):
            action = self._refined(action, sources, targets)
            merged = self._merged(action, sources, targets)
            if np.array_equal(merged, action):
                break
            action = merged
        return action

    def _seeded(
        self, sources: Ints, targets: Ints, iou: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    ) -> Ints:
        """Best supported annotations take the close ones that no better one has taken."""
        n = len(self.annotator)
        rank = self._rank(sources, targets, iou)
        by_rank = np.argsort(rank)
        leader = np.full(n, -1)
        while (leader < 0).any():
            free = leader < 0
            kept = free[sources] & free[targets]
            sources, targets = sources[kept], targets[kept]
            best = np.full(n, n)
            np.minimum.at(best, sources, rank[targets])
            seeds = free & (rank < best)
            leader[seeds] = np.flatnonzero(seeds)
            from_seed = seeds[sources]
            taker = np.full(n, n)
            np.minimum.at(taker, targets[from_seed], rank[sources[from_seed]])
            taken = taker < n
            leader[taken] = by_rank[taker[taken]]
        return _numbered(leader)

    def _rank(
        self, sources: Ints, targets: Ints, iou: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    ) -> Ints:
        """0 for the best supported annotation; ties by closeness, then by a fixed random order."""
        n, people = len(self.annotator), int(self.annotator.max(initial=0)) + 1
        others = self.annotator[sources] != self.annotator[targets]
        pairs = np.unique(sources[others] * people + self.annotator[targets[others]])
        support = np.bincount(pairs // people, minlength=n)
        closeness = np.round(np.bincount(sources, weights=iou, minlength=n), 9)
        # A fixed random order keeps chains of equals from being taken one by one.
        tie_breaks = _hashed(self.annotations.start, self.annotations.end)
        order = np.lexsort((tie_breaks, -closeness, -support))
        rank = np.empty(n, np.int64)
        rank[order] = np.arange(n)
        return rank

    def _refined(self, action: Ints, sources: Ints, targets: Ints) -> Ints:
        """Assign annotations to the consensus they fit best, until nothing changes."""
        n = len(action)
        for _ in range(_MAX_ROUNDS):
            centre = consensus(self.annotations, self.annotator, action)
            foreign = action[sources] != action[targets]
            choices = len(centre.start)
            keys = np.unique(sources[foreign] * choices + action[targets[foreign]])
            annotation = np.concatenate([np.arange(n), keys // choices])
            choice = np.concatenate([action, keys % choices])
            one, other = self.annotations.take(annotation), centre.take(choice)
            overlap, iou = time_overlap(one, other)
            able = (overlap > self.max_overlap) & may_be_same_player(one, other, SAME_REGION_IOU)
            order = np.lexsort((choice, -np.where(able, iou, -1.0), annotation))
            # The first row of each annotation is its best choice.
            best = order[np.searchsorted(annotation[order], np.arange(n))]
            alone = np.arange(n) + choices
            moved = _numbered(np.where(able[best], choice[best], alone))
            if np.array_equal(moved, action):
                break
            action = moved
        return action

    def _merged(self, action: Ints, sources: Ints, targets: Ints) -> Ints:
        """Actions that are each other's best fit and overlap too much for two strokes unite."""
        centre = consensus(self.annotations, self.annotator, action)
        count = len(centre.start)
        between = action[sources] < action[targets]
        keys = np.unique(action[sources[between]] * count + action[targets[between]])
        low, high = keys // count, keys % count
        one, other = centre.take(low), centre.take(high)
        overlap, iou = time_overlap(one, other)
        able = (overlap > self.max_overlap) & may_be_same_player(one, other, SAME_REGION_IOU)
        able &= ~self._share_annotator(action, low, high)
        low, high, iou = low[able], high[able], iou[able]
        # Each action's best partner; mutual choices unite.
        rank = np.empty(len(low), np.int64)
        rank[np.lexsort((high, low, -iou))] = np.arange(len(low))
        best = np.full(count, len(low))
        np.minimum.at(best, low, rank)
        np.minimum.at(best, high, rank)
        mutual = (best[low] == rank) & (best[high] == rank)
        name = np.arange(count)
        name[high[mutual]] = low[mutual]
        return _numbered(name[action])

    def _share_annotator(self, action: Ints, low: Ints, high: Ints) -> Bools:
        """Whether one annotator has an annotation in both actions of a pair."""
        members = pl.DataFrame({"action": action, "annotator": self.annotator}).unique()
        pairs = pl.DataFrame({"pair": np.arange(len(low)), "low": low, "high": high})
        both = pairs.join(members, left_on="low", right_on="action").join(
            members, left_on=["high", "annotator"], right_on=["action", "annotator"], how="semi"
        )
        shared = np.zeros(len(low), np.bool_)
        shared[both["pair"].to_numpy()] = True
        return shared


def _parts(annotations: AnnotationArrays) -> Iterator[slice]:
    """Whole videos whose pairs fit into memory together."""
    counts = pair_counts(annotations.video, annotations.start, annotations.end) + 1
    total = np.cumsum(counts)
    starts = np.flatnonzero(np.diff(annotations.video, prepend=-1))
    begin = 0
    for at, after in zip(starts, [*starts[1:], len(total)], strict=True):
        used = int(total[begin - 1]) if begin else 0
        if at > begin and total[after - 1] - used > _PAIRS_AT_ONCE:
            yield slice(begin, int(at))
            begin = int(at)
    if len(total):
        yield slice(begin, len(total))


def _codes(column: pl.Series) -> Ints:
    """A number per distinct text, in sorted order; -1 for null."""
    if column.dtype != pl.String:
        column = column.cast(pl.String)
    return column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1


def _numbered(names: Ints) -> Ints:
    """The same grouping, numbered from 0 in the order of first appearance."""
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _hashed(start: Ints, end: Ints) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """A fixed mixing of the bounds (splitmix64's last steps): equal annotations, equal numbers."""
    mixed = start.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + end.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
