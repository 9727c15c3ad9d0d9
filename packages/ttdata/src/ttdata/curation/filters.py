"""Rejection of annotations, as of those that start at frame 0 (specification 1.1).

Every row is kept, with all its reasons.
"""

from typing import get_args

import polars as pl

from ttdata.errors import AnnotationError
from ttdata.schema import Annotation, CurationConfig, Reason
from ttdata.sources.annotations import ANNOTATION_COLUMNS, REGION, complete
from ttdata.storage.tables import conform
from ttdata.taxonomy import Taxonomy
from ttdata.video.times import durations_of, frames_at

_TOLERANCE_SECONDS = 1e-9
"""Keeps the closed bounds closed where frames / fps is not exact."""

ORDER = ("video_id", "start_frame", "end_frame", "annotator_id", "label", "annotation_id")
"""The order of annotations in every table and computation: results never depend on the source's."""


def apply_filters(
    annotations: pl.DataFrame, videos: pl.DataFrame, config: CurationConfig, taxonomy: Taxonomy
) -> pl.DataFrame:
    """All annotations as Annotation rows, in ORDER, with `accepted` and `reasons`.

    A bound that is missing, no number or negative makes an interval empty (`empty_interval`), as
    does an end at or before its start. Durations are checked where the video is known. A region
    that is incomplete, outside the frame or empty is dropped.

    Args:
        annotations: columns of ANNOTATION_COLUMNS; optional ones may be absent.
        videos: rows as Video.
        config: the durations kept, and whether files are trimmed.
        taxonomy: the labels known, in any of its spellings.

    Raises:
        AnnotationError: if a required column is missing or annotation ids repeat.
    """
    known = videos.select("video_id", "fps", "num_frames")
    return (
        _completed(annotations)
        .join(known, on="video_id", how="left")
        .pipe(_intervals, videos, config)
        .pipe(_canonical, taxonomy)
        .pipe(_valid_region)
        .pipe(lambda rows: rows.with_columns(lasts_seconds=durations_of(rows, videos)))
        .with_columns(reasons=_reasons(config))
        .with_columns(accepted=pl.col("reasons").list.len() == 0)
        .pipe(conform, Annotation)
        .sort(ORDER, nulls_last=True)
    )


def _completed(annotations: pl.DataFrame) -> pl.DataFrame:
    missing = [
        name for name in ("video_id", "annotator_id", "label") if name not in annotations.columns
    ]
    if missing:
        raise AnnotationError(
            f"annotations: no column {', '.join(missing)}; found {', '.join(annotations.columns)}"
        )
    frame = complete(annotations, ANNOTATION_COLUMNS)
    if "annotation_id" not in annotations.columns:
        return frame.with_columns(annotation_id=pl.int_range(1, pl.len() + 1).cast(pl.String))
    twice = frame.filter(pl.col("annotation_id").is_duplicated())
    if twice.height:
        raise AnnotationError(
            f"annotations: annotation_id {twice['annotation_id'][0]!r} is there more than once"
        )
    return frame


def _intervals(
    annotations: pl.DataFrame, videos: pl.DataFrame, config: CurationConfig
) -> pl.DataFrame:
    """Frame numbers from seconds and whole files, and `empty`, found before frames are known."""
    names = ("start", "end")
    frame = annotations.with_columns(
        frames_at(annotations, videos, f"{name}_seconds").alias(f"{name}_timed") for name in names
    )

    def frames(bound: str) -> pl.Expr:
        return pl.coalesce(f"{bound}_frame", f"{bound}_timed")

    whole = pl.col("whole_file")
    start = pl.when(whole).then(pl.lit(0, pl.Int64)).otherwise(frames("start"))
    end = pl.when(whole).then(pl.col("num_frames")).otherwise(frames("end"))
    if config.trimmed and config.clip_frames is not None:
        end = pl.when(end > config.clip_frames).then(config.clip_frames).otherwise(end)
    no_number = pl.lit(False)
    for bound in names:
        value = pl.coalesce(f"{bound}_frame", f"{bound}_seconds")
        beyond = pl.col("fps").is_not_null() & frames(bound).is_null()  # no integer is so large
        no_number = no_number | value.is_null() | (value < 0) | beyond
    reversed_seconds = pl.col("start_frame").is_null() & (
        pl.col("end_seconds") <= pl.col("start_seconds")
    )
    return frame.with_columns(
        start_frame=start,
        end_frame=end,
        empty=(~whole & (no_number | reversed_seconds.fill_null(False))) | (end <= start),
    )


def _canonical(frame: pl.DataFrame, taxonomy: Taxonomy) -> pl.DataFrame:
    spellings = frame["label"].drop_nulls().unique().to_list()
    names = {label: taxonomy.canonical(label) for label in spellings}
    canonical = pl.col("label").replace_strict(names, default=None, return_dtype=pl.String)
    return frame.with_columns(
        label=pl.coalesce(canonical, "label"),
        unknown_label=pl.col("label").is_not_null() & canonical.is_null(),
    )


def _valid_region(frame: pl.DataFrame) -> pl.DataFrame:
    inside = [pl.col(name).is_between(0, 1) for name in REGION]
    ordered = (pl.col("x_min") < pl.col("x_max")) & (pl.col("y_min") < pl.col("y_max"))
    valid = pl.all_horizontal(*inside, ordered).fill_null(False)
    return frame.with_columns(pl.when(valid).then(pl.col(name)).alias(name) for name in REGION)


def _reasons(config: CurationConfig) -> pl.Expr:
    """The list of reasons, in the order of `Reason`; a condition that is null does not apply."""
    start, end, seconds = pl.col("start_frame"), pl.col("end_frame"), pl.col("lasts_seconds")
    applies = {
        "starts_at_first_frame": pl.lit(not config.trimmed) & (start == 0) & ~pl.col("whole_file"),
        "ends_after_video": end > pl.col("num_frames"),
        "too_short": seconds < config.min_duration_seconds - _TOLERANCE_SECONDS,
        "too_long": seconds > config.max_duration_seconds + _TOLERANCE_SECONDS,
        "unlabelled": pl.col("label").is_null(),
        "unknown_label": pl.col("unknown_label"),
        "unknown_video": pl.col("fps").is_null(),
        "empty_interval": pl.col("empty"),
    }
    names = [pl.when(applies[reason]).then(pl.lit(reason)) for reason in get_args(Reason)]
    return pl.concat_list(names).list.drop_nulls()
