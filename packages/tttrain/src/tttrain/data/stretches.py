"""Stretches of a shards folder from which training draws negatives (specification 3.6)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

import polars as pl

from ttdata.curation.player_regions import Player, in_the_way, player_of
from ttdata.curation.stretches import reach_frames
from ttdata.errors import InputError
from ttdata.schema import StretchKind

KINDS: tuple[str, ...] = get_args(StretchKind)


def of_training_videos(clips: pl.DataFrame) -> pl.DataFrame:
    """The stretches of the videos whose clips with a split are all for training.

    Args:
        clips: rows as ClipRecord.
    """
    divided = clips.drop_nulls("split")
    others = divided.filter(pl.col("split") != "train")
    stretches = clips.filter(pl.col("kind").is_in(KINDS))
    training = stretches.join(divided, on="video_id", how="semi")
    return training.join(others, on="video_id", how="anti")


class Strokes:
    """When and by whom strokes of a video are, sorted: those in an interval are found by halving.

    Args:
        rows: as ClipRecord, in any order.
    """

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        strokes = [(row["start_frame"], row["end_frame"], player_of(row)) for row in rows]
        self._strokes = sorted(strokes, key=lambda stroke: stroke[:2])
        self._starts = [start for start, _, _ in self._strokes]
        # Up to each stroke, the last end: in order, which ends of strokes that overlap are not.
        self._ends = list(accumulate((end for _, end, _ in self._strokes), max))

    def within(self, start: int, end: int) -> list[tuple[int, int, Player]]:
        """First frame, exclusive end, player of those that share a frame with an interval."""
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        return [stroke for stroke in self._strokes[first:last] if stroke[1] > start]


def strokes_of_videos(clips: pl.DataFrame) -> dict[str, Strokes]:
    """The strokes by video_id, of rows as ClipRecord."""
    videos = clips.filter(kind="stroke").partition_by("video_id", as_dict=True)
    return {str(video): Strokes(rows.to_dicts()) for (video,), rows in videos.items()}


def check_some(path: Path, kind: str, found: Sequence[Any], num_frames: int) -> None:
    """Refuse shards in which no stretch of a kind holds a window of `num_frames`."""
    if not found:
        raise InputError(
            f"{path}: no stretch of kind {kind!r} for windows of {num_frames} frames in "
            f"videos all of training, expected some for augment.{kind}_share; `ttdata curate "
            f"--set whole_video_negatives=true --set window_frames={num_frames}`, then split "
            f"by video and extract, or --set augment.{kind}_share=0"
        )


def windows_of(stretch: dict[str, Any], strokes: Strokes, num_frames: int) -> tuple[int, int]:
    """The part of a stretch in which every window of `num_frames` is of its kind.

    Curation cut the stretch for its own window: of a shorter one less may lie in a stroke, and to
    touch it the window must begin nearer.

    Args:
        stretch: a row as ClipRecord.
        strokes: of the same video.
        num_frames: T.

    Returns:
        First frame, and the one past the last; fewer than T frames hold no window.
    """
    start, end = stretch["start_frame"], stretch["end_frame"]
    if stretch["kind"] == "rest":
        return start, end
    player = player_of(stretch)
    within = strokes.within(start, end)
    touched = [(first, last) for first, last, other in within if in_the_way(player, other)]
    before = [(first, last) for first, last in touched if first < start]
    after = [(first, last) for first, last in touched if first >= start]
    reach = {stroke: reach_frames(stroke[1] - stroke[0], num_frames) for stroke in touched}
    low = max([start, *(stroke[1] - reach[stroke] for stroke in before)])
    high = min([end, *(stroke[0] + reach[stroke] for stroke in after)])
    if before and not after:
        high = min(high, max(last for _, last in before) - 1 + num_frames)
    if after and not before:
        low = max(low, min(first for first, _ in after) + 1 - num_frames)
    return low, high
