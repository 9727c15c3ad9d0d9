"""Stretches of whole videos in which every window is a negative (specification 1.10).

The rule for one player is `stretches_of`, on integers; `find_stretches` applies it to tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ttdata.curation.overlaps import Ints, overlapping_pairs
from ttdata.curation.player_regions import Player, in_the_way, player_of, players_of
from ttdata.schema import CoveredSpan, CurationConfig, Stretch, StretchKind
from ttdata.sources.annotations import REGION
from ttdata.storage.tables import conform, empty

Piece = tuple[StretchKind, int, int]

_PLACE = ("video_id", "start_frame", "end_frame", *REGION, "player_id")


@dataclass(frozen=True)
class Obstacle:
    """Frames of which a negative window may hold at most `reach`, at either end."""

    start: int
    end: int
    reach: int = 0


def reach_frames(stroke_frames: int, window_frames: int) -> int:
    """How far a negative window may reach into a stroke: 0.3 of the shorter of both, rounded down.

    >>> reach_frames(72, 100), reach_frames(200, 100)
    (21, 30)
    """
    return 3 * min(stroke_frames, window_frames) // 10


def stretches_of(
    span: tuple[int, int], obstacles: Sequence[Obstacle], window_frames: int
) -> list[Piece]:
    """The stretches of one player in an annotated span: `(kind, start, end)`, sorted.

    Every window of `window_frames` inside one of them is a negative, and every negative window of
    the span lies inside one. Windows inside a `rest` touch no obstacle; those inside a `straddling`
    touch one. Long rests are cut into pieces of at most three windows' length.

    >>> stretches_of((0, 400), [Obstacle(200, 260, reach=18)], 100)
    [('rest', 0, 200), ('straddling', 101, 218), ('straddling', 242, 359), ('rest', 260, 400)]
    """
    found: list[Piece] = []
    for start, end in _free(span, obstacles):
        before = (item.end - item.reach for item in obstacles if item.end <= start)
        after = (item.start + item.reach for item in obstacles if item.start >= end)
        low, high = max([span[0], *before]), min([span[1], *after])
        if end - start < window_frames:
            if high - low >= window_frames:
                found.append(("straddling", low, high))
            continue
        if low < start:
            found.append(("straddling", low, start - 1 + window_frames))
        if high > end:
            found.append(("straddling", end + 1 - window_frames, high))
        found += _rests(start, end, window_frames)
    return sorted(found, key=lambda piece: piece[1:])


def _free(span: tuple[int, int], obstacles: Sequence[Obstacle]) -> Iterator[tuple[int, int]]:
    """The maximal parts of a span without an obstacle, in order."""
    start = span[0]
    for item in sorted(obstacles, key=lambda item: item.start):
        if item.start > start:
            yield start, min(item.start, span[1])
        start = max(start, item.end)
        if start >= span[1]:
            return
    yield start, span[1]


def _rests(start: int, end: int, window_frames: int) -> Iterator[Piece]:
    """Pieces of equal length, to a frame, that together hold each window once."""
    windows = end - start - window_frames + 1
    pieces = -(-windows // (2 * window_frames))
    for piece in range(pieces):
        first, last = (start + windows * at // pieces for at in (piece, piece + 1))
        yield "rest", first, last - 1 + window_frames


def find_stretches(
    actions: pl.DataFrame,
    annotations: pl.DataFrame,
    proposals: pl.DataFrame,
    videos: pl.DataFrame,
    config: CurationConfig,
    negative: str,
    covered: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The stretches of all videos, each of one player's region where strokes carry regions.

    A window may reach into accepted strokes, but not touch an action that is set aside, a
    proposal that a person rejected, nor a rejected annotation that no action explains. The last
    second of a video is left out: containers may declare more frames than decode. A video without
    a stroke is in no split, so it has none.

    Args:
        actions: rows as Action.
        annotations: rows as Annotation.
        proposals: with their `verdict`.
        videos: rows as Video.
        config: `window_frames`, and the bounds that say how long a stroke can be.
        negative: label of actions that are no strokes.
        covered: rows as CoveredSpan, disjoint; None: everything is covered.

    Returns:
        Rows as Stretch, sorted.
    """
    obstacles = _obstacles(actions, annotations, proposals, videos, config, negative)
    by_video = obstacles.partition_by("video_id", as_dict=True)
    rows = [
        {"video_id": video_id, "kind": kind, "start_frame": start, "end_frame": end}
        | dict(zip(REGION, player.region or (None,) * 4, strict=True))
        | {"player_id": player.player_id}
        for video_id, *span in _spans(videos, covered).iter_rows()
        if (table := by_video.get((video_id,))) is not None and table["is_stroke"].any()
        for player, items in _players(table, config)
        for kind, start, end in stretches_of((span[0], span[1]), items, config.window_frames)
    ]
    order = ("video_id", "start_frame", "end_frame", "kind", *REGION)
    table = conform(pl.DataFrame(rows, infer_schema_length=None), Stretch) if rows else None
    return empty(Stretch) if table is None else table.sort(order).pipe(_named)


def _named(table: pl.DataFrame) -> pl.DataFrame:
    key = ("video_id", "start_frame", "end_frame", "kind")
    number = pl.int_range(1, pl.len() + 1).over(key)
    suffix = pl.when(number > 1).then(pl.format("#{}", number)).otherwise(pl.lit(""))
    return table.with_columns(clip_id=pl.format("{}@{}-{}+{}{}", *key, suffix))


def _spans(videos: pl.DataFrame, covered: pl.DataFrame | None) -> pl.DataFrame:
    """`video_id, start_frame, end_frame`: the annotated spans, less the last second of videos."""
    spans = empty(CoveredSpan) if covered is None else covered
    whole = videos.join(spans, on="video_id", how="anti").select(
        "video_id", start_frame=pl.lit(0, pl.Int64), end_frame="num_frames"
    )
    last = pl.col("num_frames") - pl.col("fps").ceil().cast(pl.Int64)
    return (
        pl.concat([conform(spans, CoveredSpan), conform(whole, CoveredSpan)])
        .join(videos.select("video_id", "num_frames", "fps"), on="video_id")
        .select("video_id", "start_frame", end_frame=pl.min_horizontal("end_frame", last))
        .filter(pl.col("start_frame") < pl.col("end_frame"))
        .sort("video_id", "start_frame")
    )


def _players(
    obstacles: pl.DataFrame, config: CurationConfig
) -> Iterator[tuple[Player, list[Obstacle]]]:
    """Each player with what is in his way; obstacles without a region are in all ways."""
    rows = obstacles.to_dicts()
    items = [(player_of(row), _obstacle(row, config.window_frames)) for row in rows]
    strokes = (player_of(row) for row in rows if row["is_stroke"])
    for player in players_of(strokes):
        yield player, [item for other, item in items if in_the_way(player, other)]


def _obstacle(row: dict[str, Any], window_frames: int) -> Obstacle:
    start, end = row["start_frame"], row["end_frame"]
    return Obstacle(start, end, reach_frames(end - start, window_frames) * row["is_stroke"])


def _obstacles(
    actions: pl.DataFrame,
    annotations: pl.DataFrame,
    proposals: pl.DataFrame,
    videos: pl.DataFrame,
    config: CurationConfig,
    negative: str,
) -> pl.DataFrame:
    """`_PLACE` of all that is in the way of negatives, and whether it `is_stroke`."""
    something = actions.filter(~((pl.col("status") == "accepted") & (pl.col("label") == negative)))
    nobody = [pl.lit(None, pl.Float64).alias(name) for name in REGION]
    unexplained = _unexplained(annotations, actions, videos, config)
    refused = proposals.filter(verdict="rejected").with_columns(
        *nobody, player_id=pl.lit(None, pl.String)
    )
    walls = pl.concat([part.select(_PLACE) for part in (unexplained, refused)])
    return pl.concat(
        [
            something.select(*_PLACE, is_stroke=pl.col("status") == "accepted"),
            walls.with_columns(is_stroke=pl.lit(False)),
        ]
    ).sort("video_id", "start_frame", "end_frame")


def _unexplained(
    annotations: pl.DataFrame,
    actions: pl.DataFrame,
    videos: pl.DataFrame,
    config: CurationConfig,
) -> pl.DataFrame:
    """Rejected annotations that may mark a stroke which is no action, bounded to a stroke's length.

    Of one that starts at frame 0 only the end is believed, of one that ends after its video only
    the start. One that overlaps an action as if to be merged with it (1.2) is of that action.
    """
    longest = (pl.col("fps") * config.max_duration_seconds).ceil().cast(pl.Int64)
    start, end = pl.col("start_frame"), pl.col("end_frame")
    no_start = pl.col("reasons").list.contains("starts_at_first_frame")
    no_end = pl.col("reasons").list.contains("ends_after_video")
    doubted = (
        annotations.filter(~pl.col("accepted") & (end > start))
        .join(videos.select("video_id", "fps", "num_frames"), on="video_id")
        .with_columns(
            start_frame=pl.when(no_start & ~no_end).then(pl.max_horizontal(start, end - longest)),
            end_frame=pl.when(no_end & ~no_start).then(pl.min_horizontal(end, start + longest)),
            first=start,
            last=end,
        )
        .with_columns(
            start_frame=pl.coalesce("start_frame", "first"),
            end_frame=pl.min_horizontal(pl.coalesce("end_frame", "last"), "num_frames"),
        )
        .filter(end > start)
        .with_row_index("row")
    )
    return doubted.filter(~pl.col("row").is_in(_explained(doubted, actions, config).implode()))


def _explained(doubted: pl.DataFrame, actions: pl.DataFrame, config: CurationConfig) -> pl.Series:
    """The `row` of those that overlap an action by more than two strokes may."""
    both = pl.concat(
        [
            doubted.select("video_id", "start_frame", "end_frame", pl.col("row").cast(pl.Int64)),
            actions.select("video_id", "start_frame", "end_frame", row=pl.lit(-1, pl.Int64)),
        ]
    ).sort("video_id", "start_frame")
    group = both["video_id"].rank("dense").cast(pl.Int64).to_numpy()
    starts, ends = both["start_frame"].to_numpy(), both["end_frame"].to_numpy()
    first, second = overlapping_pairs(group, starts, ends)
    pairs = pl.concat([_pairs(both, first, second), _pairs(both, second, first)])
    common = pl.min_horizontal("end_frame", "other_end") - pl.max_horizontal(
        "start_frame", "other_start"
    )
    shorter = pl.min_horizontal(
        pl.col("end_frame") - pl.col("start_frame"), pl.col("other_end") - pl.col("other_start")
    )
    same = pairs.filter((pl.col("row") >= 0) & (pl.col("other_row") < 0))
    return same.filter(common > config.max_overlap * shorter)["row"].unique()


def _pairs(both: pl.DataFrame, one: Ints, other: Ints) -> pl.DataFrame:
    names = {"start_frame": "other_start", "end_frame": "other_end", "row": "other_row"}
    return both[one].drop("video_id").hstack(both[other].drop("video_id").rename(names))
