"""Assignments of videos or clips to splits, from a CSV file that a person wrote."""

from pathlib import Path

import polars as pl

from ttdata.errors import AnnotationError
from ttdata.sources.annotations import read_text_table
from ttdata.sources.folder import split_named

_KEYS = ("clip_id", "video_id")


def read_assignments(path: Path) -> pl.DataFrame:
    """`clip_id, split, line` or `video_id, split, line` of a file with one of the two ids.

    Raises:
        AnnotationError: naming the line, if a split is unknown or an id is there twice; or if a
            column is missing.
    """
    frame = read_text_table(path)
    keys = [key for key in _KEYS if key in frame.columns]
    if len(keys) != 1 or "split" not in frame.columns:
        raise AnnotationError(
            f"{path}: expected the columns video_id,split or clip_id,split; found "
            f"{','.join(frame.columns)}"
        )
    key = keys[0]
    rows = frame.select(
        pl.col(key).cast(pl.String).fill_null("").str.normalize("NFC"),
        pl.col("split").cast(pl.String).fill_null("").str.strip_chars(),
        line=pl.int_range(2, pl.len() + 2),
    )
    named = rows["split"].map_elements(split_named, return_dtype=pl.String)
    _reject(path, rows.filter(named.is_null()), "split", "train, validation or test")
    _reject(path, rows.filter(~pl.col(key).is_first_distinct()), key, "each id once")
    return rows.with_columns(split=named)


def check_known(path: Path, rows: pl.DataFrame, known: pl.Series) -> None:
    """Raise AnnotationError, naming the line, if an id of the file is not among the known ones."""
    key = rows.columns[0]
    known_text = f"an id of the dataset, such as {known[0]!r}" if len(known) else "none: no clips"
    _reject(path, rows.filter(~pl.col(key).is_in(known.implode())), key, known_text)


def _reject(path: Path, wrong: pl.DataFrame, column: str, expected: str) -> None:
    if wrong.height:
        row = wrong.row(0, named=True)
        raise AnnotationError(
            f"{path} line {row['line']}: {column} {row[column]!r}, expected {expected}"
        )
