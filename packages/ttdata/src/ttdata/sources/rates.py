"""Frames that an annotation file counts at a rate of its own, brought to the rate of the video."""

import polars as pl

from ttdata.sources.annotations import Source

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
    assumed = source.assumed_rate
    unsure = [
        name
        for name in used
        if assumed and name in actual and name not in stated and not _same(assumed, actual[name])
    ]
    if assumed and unsure:
        more = f" and {len(unsure) - 1} more" if len(unsure) > 1 else ""
        notes.append(
            f"{source.format} states no rate and counts {assumed:g} frames a second unless told "
            f"otherwise; so the annotations of the video {unsure[0]!r} ({actual[unsure[0]]:g} a "
            f"second){more} are placed by time; if the project had another frameRate, give it in "
            'videos.csv as annotation_fps, or in each task\'s data as "fps"'
        )
    by_time = pl.col("video_id").is_in(others)
    by_frame = pl.col("video_id").is_in(stated) & ~by_time
    annotations = source.annotations.with_columns(
        *(pl.when(~by_time).then(pl.col(name)).alias(name) for name in _FRAMES),
        *(
            pl.when(~by_frame | pl.col(frame).is_null()).then(pl.col(name)).alias(name)
            for name, frame in zip(_SECONDS, _FRAMES, strict=True)
        ),
    )
    return annotations, tuple(notes)


def _same(first: float, second: float) -> bool:
    return abs(first / second - 1) <= _TOLERANCE
