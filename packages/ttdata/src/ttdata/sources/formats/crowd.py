"""The crowd export: one row per annotation, CSV or Parquet (specification 1.7).

`video_id, annotator_id, start_frame, end_frame, label`, optionally `annotation_id`, `player_id`,
`start_seconds, end_seconds` in place of frames, and a region `x_min, y_min, x_max, y_max`.

In a CSV, text that a spreadsheet would run as a formula has a `'` before it, no part of the text.
"""

from pathlib import Path

import polars as pl

from ttdata.errors import AnnotationError
from ttdata.sources.annotations import (
    ANNOTATION_COLUMNS,
    Source,
    completed_table,
    read_text_table,
    require_columns,
)
from ttdata.sources.formats.beside import videos_beside
from ttdata.storage.atomic import atomic_path
from ttdata.storage.spreadsheet import escape_formula, unescape_formula

NAME = "crowd"
_FILES = ("annotations.csv", "annotations.parquet")
_BOUNDS = ("start_frame", "end_frame")
_TEXTS = ("annotation_id", "video_id", "annotator_id", "label", "player_id")


def matches(path: Path) -> bool:
    """Whether the path is a CSV or Parquet file, or a folder with `annotations.csv|parquet`."""
    if path.is_dir():
        return any((path / name).is_file() for name in _FILES)
    return path.suffix.lower() in (".csv", ".parquet", ".pq")


def read(path: Path) -> Source:
    """The annotations of a crowd export, and the videos beside it.

    Raises:
        AnnotationError: if the table is unreadable, empty, lacks a column, or repeats an id.
    """
    table = _table_of(path)
    return Source(
        format=NAME,
        annotations=read_crowd_table(table),
        files=videos_beside(table.parent),
        trimmed=False,
    )


def _table_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [path / name for name in _FILES if (path / name).is_file()]
    if len(found) != 1:
        raise AnnotationError(f"{path}: expected one of {', '.join(_FILES)}, found {len(found)}")
    return found[0]


def read_crowd_table(path: Path) -> pl.DataFrame:
    """The rows of one crowd table as ANNOTATION_COLUMNS.

    Raises:
        AnnotationError: if the table is unreadable, empty, lacks a column, or repeats an id.
    """
    frame = read_text_table(path)
    if path.suffix.lower() == ".csv":
        frame = unescape_formula(frame, _TEXTS)
    seconds = {"start_seconds", "end_seconds"} <= set(frame.columns)
    frames = {"start_frame", "end_frame"} <= set(frame.columns)
    bounds = ("start_seconds", "end_seconds") if seconds and not frames else _BOUNDS
    require_columns(path, frame, ("video_id", "annotator_id", *bounds, "label"))
    if frame.is_empty():
        raise AnnotationError(f"{path}: has a header and no row")
    annotations = completed_table(path, frame, ANNOTATION_COLUMNS)
    if "annotation_id" not in frame.columns:
        numbers = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(len(str(frame.height)))
        return annotations.with_columns(annotation_id=numbers)
    twice = annotations.filter(pl.col("annotation_id").is_duplicated())
    if twice.height:
        raise AnnotationError(
            f"{path}: annotation_id {twice['annotation_id'][0]!r} is there more than once"
        )
    return annotations


def write(out: Path, annotations: pl.DataFrame) -> None:
    """Write a crowd table: frames where they are known, seconds where the source gave them.

    Args:
        out: the CSV or Parquet file, or the folder that gets an `annotations.csv`.
        annotations: columns of ANNOTATION_COLUMNS; those that are null throughout and not required
            are left out.
    """
    required = ("annotation_id", "video_id", "annotator_id", *_BOUNDS, "label")
    held = [
        name
        for name in ANNOTATION_COLUMNS
        if name != "whole_file" and annotations[name].count() > 0
    ]
    table = annotations.select(
        name for name in ANNOTATION_COLUMNS if name in required or name in held
    )
    suffix = out.suffix.lower()
    with atomic_path(out if suffix in (".csv", ".parquet") else out / _FILES[0]) as temporary:
        if suffix == ".parquet":
            table.write_parquet(temporary)
        else:
            escape_formula(table, _TEXTS).write_csv(temporary)
