"""Frames that an annotation file counts at a rate of its own, brought to the rate of the video."""

import polars as pl

from ttdata.sources.annotations import Source
from ttdata.video.times import are_uneven, seconds_at

_TOLERANCE = 0.005
"""Rates closer than this are one: tools write 30 for 29.97, and count the same frames."""

_FRAMES = ("start_frame", "end_frame")
_SECONDS = ("start_seconds", "end_seconds")


def at_video_rates(source: Source, videos: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The source's annotations in the frames of their videos, and a line per rate that differs.

    Where the rate that a file states is the video's, its frames hold; where it is another one, its
    times. A tool that counts by its own clock gives times only.

    Args:
        source: as `read_source` returns it.
        videos: rows as Video.
    """
    actual = dict(videos.select("video_id", "fps").iter_rows())
    used = source.annotations["video_id"].unique().sort().to_list()
    stated = [name for name in used if name in source.rates]
    others = [n for n in stated if n in actual and not _same(source.rates[n], actual[n])]
    notes = [
        f"video {name!r}: its annotations count {source.rates[name]:g} frames a second, the video "
        f"has {actual[name]:g}; they are placed by time"
        for name in others
    ]
    notes += _assumed(source, {n: actual[n] for n in used if n in actual and n not in stated})
    by_time = pl.col("video_id").is_in(others)
    by_frame = pl.col("video_id").is_in(stated) & ~by_time
    annotations = source.annotations.with_columns(
        *(pl.when(~by_time).then(pl.col(name)).alias(name) for name in _FRAMES),
        *(
            pl.when(~by_frame | pl.col(frame).is_null()).then(pl.col(name)).alias(name)
            for name, frame in zip(_SECONDS, _FRAMES, strict=True)
        ),
    )
    if source.event_seconds is not None:
        annotations = _widened(annotations, videos, source)
    return annotations, tuple(notes)


def _assumed(source: Source, rates: dict[str, float]) -> list[str]:
    """A line about the videos of other rates than a tool counts at where nothing is stated."""
    assumed = source.assumed_rate
    unsure = [name for name, rate in rates.items() if assumed and not _same(assumed, rate)]
    if not (assumed and unsure):
        return []
    more = f" and {len(unsure) - 1} more" if len(unsure) > 1 else ""
    return [
        f"{source.format} states no rate and counts {assumed:g} frames a second unless told "
        f"otherwise; so the annotations of the video {unsure[0]!r} ({rates[unsure[0]]:g} a "
        f"second){more} are placed by time; if the project had another frameRate, give it in "
        'videos.csv as annotation_fps, or in each task\'s data as "fps"'
    ]


def _widened(annotations: pl.DataFrame, videos: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Events in videos without a constant rate, widened in time: the rate said frames around."""
    before, after = source.event_seconds or (0.0, 0.0)
    rate = pl.col("video_id").replace_strict(
        dict(source.rates), default=None, return_dtype=pl.Float64
    )
    frame = pl.col("end_frame") - (after * rate + 0.5).floor().cast(pl.Int64)
    events = annotations.with_columns(event_frame=frame)
    middle = seconds_at(events, videos, "event_frame")
    moved = are_uneven(annotations, videos) & annotations["end_frame"].is_not_null()
    columns = {
        "start_seconds": (middle - before).clip(lower_bound=0.0),
        "end_seconds": middle + after,
        "start_frame": pl.Series([None], dtype=pl.Int64),
        "end_frame": pl.Series([None], dtype=pl.Int64),
    }
    return annotations.with_columns(
        pl.when(moved).then(values).otherwise(name).alias(name) for name, values in columns.items()
    )


def _same(first: float, second: float) -> bool:
    return abs(first / second - 1) <= _TOLERANCE
