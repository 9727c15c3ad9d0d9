"""`covered.csv`: the frames of half-annotated videos that people annotated."""

from pathlib import Path

import polars as pl

from ttdata.errors import AnnotationError
from ttdata.schema import CoveredSpan
from ttdata.sources.annotations import completed_table, read_text_table, require_columns
from ttdata.storage.spreadsheet import unescape_formula
from ttdata.storage.tables import empty, polars_schema

NAME = "covered.csv"


def read_covered(root: Path) -> pl.DataFrame:
    """The spans of `covered.csv` in a source folder, as it lists them; none where it is not there.

    Args:
        root: the folder.

    Returns:
        Rows as CoveredSpan.

    Raises:
        AnnotationError: if the table is unreadable, lacks a column, or a bound is missing, negative
            or reversed.
    """
    path = root / NAME
    if not path.is_file():
        return empty(CoveredSpan)
    frame = unescape_formula(read_text_table(path), ("video_id",))
    require_columns(path, frame, CoveredSpan.model_fields)
    spans = completed_table(path, frame, polars_schema(CoveredSpan))
    start, end = pl.col("start_frame"), pl.col("end_frame")
    fits = ((start >= 0) & (start <= end) & (pl.col("video_id") != "")).fill_null(False)
    wrong = spans.with_row_index("line", offset=2).filter(~fits)
    if wrong.height:
        line, *found = wrong.row(0)
        raise AnnotationError(
            f"{path}: row at line {line}: found {', '.join(map(str, found))}; expected a video_id "
            "and frames 0 <= start_frame <= end_frame"
        )
    return spans


def covered_of(spans: pl.DataFrame, videos: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The spans within their videos, those that touch as one; and a line on what they cover.

    A video whose rows are all empty keeps an empty span: nothing of it is covered.

    Args:
        spans: rows as CoveredSpan, in any order.
        videos: rows as Video.

    Returns:
        Rows as CoveredSpan, sorted; and the lines, none where no span is given.
    """
    if spans.is_empty():
        return spans, ()
    known = spans.join(videos.select("video_id", "num_frames"), on="video_id")
    start, end = pl.col("start_frame"), pl.col("end_frame")
    clipped = (
        known.with_columns(pl.min_horizontal(bound, "num_frames") for bound in (start, end))
        .filter((end > start) | ((end == start).all().over("video_id")))
        .sort("video_id", "start_frame", "end_frame")
    )
    begins = (start > end.cum_max().shift(1)).over("video_id").fill_null(True)
    merged = (
        clipped.with_columns(part=begins.cum_sum())
        .group_by("video_id", "part", maintain_order=True)
        .agg(start.first(), end.max())
    )
    empty_span = end == start
    kept = merged.filter(~empty_span | (start == start.first().over("video_id"))).drop("part")
    return kept, _lines(spans, kept, videos)


def _lines(spans: pl.DataFrame, kept: pl.DataFrame, videos: pl.DataFrame) -> tuple[str, ...]:
    of_table = videos.filter(pl.col("video_id").is_in(kept["video_id"].implode()))
    frames = int(of_table["num_frames"].sum())
    covered = int((kept["end_frame"] - kept["start_frame"]).sum())
    share = covered / frames if frames else 0.0
    lines = [
        f"{NAME}: people annotated {share:.0%} of the frames of its {of_table.height} videos; "
        "negatives are drawn there"
    ]
    unknown = spans.join(videos, on="video_id", how="anti")["video_id"].unique().sort().to_list()
    if unknown:
        more = ", ..." if len(unknown) > 1 else ""
        lines.append(f"{NAME}: spans of unknown videos: {len(unknown)} ({unknown[0]!r}{more})")
    return tuple(lines)
