"""Negative proposals: what a video shows between its actions (specification 1.4)."""

import polars as pl

from ttdata.schema import CoveredSpan, CurationConfig
from ttdata.storage.tables import empty
from ttdata.video.times import are_uneven, frames_at, seconds_at

_PROPOSAL = pl.Schema(
    {
        "video_id": pl.String(),
        "start_frame": pl.Int64(),
        "end_frame": pl.Int64(),
        "shortened": pl.Boolean(),
        "touches_rejected": pl.Boolean(),
    }
)


def propose(
    actions: pl.DataFrame,
    annotations: pl.DataFrame,
    videos: pl.DataFrame,
    config: CurationConfig,
    covered: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The negative proposals of all videos, and how many gaps were looked at and skipped.

    Set-aside actions count: something happened there. A gap widened by `negative_widen_frames` on
    each side must hold `window_frames`; one longer than `negative_max_seconds` (and than a window)
    keeps its centre. Of a video with covered spans only the parts of a gap inside them count, each
    as a gap of its own: elsewhere nobody looked for strokes.

    Args:
        actions: rows as Action, of any status.
        annotations: rows as Annotation; the rejected ones flag the proposals they touch.
        videos: rows as Video.
        config: the numbers named above, and `negative_min_actions` of a video.
        covered: rows as CoveredSpan, disjoint; None: everything is covered.

    Returns:
        `video_id, start_frame, end_frame, shortened, touches_rejected`, sorted; and the counts
        `gaps`, `gaps_too_short`, `negatives_proposed`.
    """
    if not config.negatives:
        return _PROPOSAL.to_frame(), {"gaps": 0, "gaps_too_short": 0, "negatives_proposed": 0}
    spans = empty(CoveredSpan) if covered is None else covered
    gaps = _gaps(actions, videos, config).pipe(_within, spans)
    long_enough = gaps.filter(pl.col("end_frame") - pl.col("start_frame") >= config.window_frames)
    proposals = long_enough.pipe(_centres, videos, config).pipe(_touching, annotations)
    counts = {
        "gaps": gaps.height,
        "gaps_too_short": gaps.height - long_enough.height,
        "negatives_proposed": proposals.height,
    }
    return proposals.select(_PROPOSAL.names()).sort("video_id", "start_frame"), counts


def _gaps(actions: pl.DataFrame, videos: pl.DataFrame, config: CurationConfig) -> pl.DataFrame:
    """The widened gaps between consecutive actions of videos that hold enough of them.

    None leaves its video, where an action at its edge is shorter than the widening.
    """
    busy = actions.filter(pl.len().over("video_id") >= config.negative_min_actions)
    ordered = busy.sort("video_id", "start_frame", "end_frame")
    free_from = pl.col("end_frame").cum_max().shift(1).over("video_id")
    widen = config.negative_widen_frames
    return (
        ordered.select("video_id", gap_start=free_from, gap_end="start_frame")
        .filter(pl.col("gap_end") > pl.col("gap_start"))
        .join(videos.select("video_id", "num_frames", "fps"), on="video_id", how="left")
        .select(
            *("video_id", "fps"),
            start_frame=pl.max_horizontal(pl.col("gap_start") - widen, pl.lit(0)),
            end_frame=pl.min_horizontal(pl.col("gap_end") + widen, "num_frames"),
        )
    )


def _within(gaps: pl.DataFrame, covered: pl.DataFrame) -> pl.DataFrame:
    """The parts of the gaps inside the covered spans of their videos, where these have any."""
    if covered.is_empty():
        return gaps
    spans = covered.select("video_id", span_start="start_frame", span_end="end_frame")
    parts = (
        gaps.join(spans, on="video_id")
        .with_columns(
            start_frame=pl.max_horizontal("start_frame", "span_start"),
            end_frame=pl.min_horizontal("end_frame", "span_end"),
        )
        .filter(pl.col("start_frame") < pl.col("end_frame"))
        .select(gaps.columns)
        .unique(["video_id", "start_frame", "end_frame"])  # gaps beside a very short action
    )
    return pl.concat([gaps.join(spans, on="video_id", how="anti"), parts])


def _centres(gaps: pl.DataFrame, videos: pl.DataFrame, config: CurationConfig) -> pl.DataFrame:
    timed = _with_middles(gaps, videos, config.negative_max_seconds)
    even = (pl.col("fps") * config.negative_max_seconds + 1e-6).floor().cast(pl.Int64)
    in_time = pl.col("middle_end") - pl.col("middle_start")
    longest = pl.when("uneven").then(in_time).otherwise(even)
    most = pl.max_horizontal(longest, pl.lit(config.window_frames, pl.Int64))
    excess = pl.max_horizontal(pl.col("end_frame") - pl.col("start_frame") - most, pl.lit(0))
    length = pl.col("end_frame") - pl.col("start_frame") - excess
    begin = pl.col("start_frame") + excess // 2
    around = (pl.col("middle_start") - (most - longest) // 2).clip(
        pl.col("start_frame"), pl.col("end_frame") - length
    )
    begin = pl.when("uneven").then(around).otherwise(begin)
    return timed.with_columns(start_frame=begin, end_frame=begin + length, shortened=excess > 0)


def _with_middles(gaps: pl.DataFrame, videos: pl.DataFrame, lasts: float) -> pl.DataFrame:
    """The gaps with the frames around their middle in time, for videos without a constant rate."""
    start, end = (seconds_at(gaps, videos, name) for name in ("start_frame", "end_frame"))
    middle = (start + end) / 2
    times = gaps.with_columns(first=middle - lasts / 2, last=middle + lasts / 2)
    return gaps.with_columns(
        middle_start=frames_at(times, videos, "first"),
        middle_end=frames_at(times, videos, "last"),
        uneven=are_uneven(gaps, videos),
    )


def _touching(proposals: pl.DataFrame, annotations: pl.DataFrame) -> pl.DataFrame:
    """Flag proposals that share a frame with a rejected annotation of positive length."""
    rejected = (
        annotations.filter(~pl.col("accepted") & (pl.col("end_frame") > pl.col("start_frame")))
        .sort("start_frame")
        .select(
            "video_id",
            rejected_start="start_frame",
            # Of all that start before a proposal's end, the one that reaches furthest decides.
            reach=pl.col("end_frame").cum_max().over("video_id"),
        )
    )
    last = pl.col("end_frame") - 1
    matched = (
        proposals.with_columns(last_frame=last)
        .sort("last_frame")
        .join_asof(
            rejected,
            left_on="last_frame",
            right_on="rejected_start",
            by="video_id",
            strategy="backward",
            check_sortedness=False,
        )
    )
    return matched.with_columns(
        touches_rejected=(pl.col("reach") > pl.col("start_frame")).fill_null(False)
    )
