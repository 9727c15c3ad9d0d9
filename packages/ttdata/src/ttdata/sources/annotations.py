"""The tables that every annotation reader returns, and the parsing of their cells."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ttdata.errors import AnnotationError
from ttdata.sources.text_table import clock_seconds, read_csv

ANNOTATION_COLUMNS = pl.Schema(
    {
        "annotation_id": pl.String(),
        "video_id": pl.String(),
        "annotator_id": pl.String(),
        "start_frame": pl.Int64(),
        "end_frame": pl.Int64(),
        "start_seconds": pl.Float64(),
        "end_seconds": pl.Float64(),
        "label": pl.String(),
        "player_id": pl.String(),
        "whole_file": pl.Boolean(),
        "x_min": pl.Float64(),
        "y_min": pl.Float64(),
        "x_max": pl.Float64(),
        "y_max": pl.Float64(),
    }
)
"""Columns of annotations as read: frames half-open, or seconds where a source has no frames; labels
as spelt; `whole_file` where an annotation means its whole file and the bounds are null; null where
a
cell held no number. The region is in fractions of the frame."""

FILES = pl.Schema(
    {
        "video_id": pl.String(),
        "path": pl.String(),
        "fps": pl.Float64(),
        "num_frames": pl.Int64(),
        "width": pl.Int64(),
        "height": pl.Int64(),
        "player_id": pl.String(),
        "session_id": pl.String(),
        "given_split": pl.String(),
        "annotation_fps": pl.Float64(),
    }
)
"""Columns of the video files of a source; the facts are null where the file itself tells them, and
`annotation_fps` is the rate of a tool that counts frames by its own clock."""

REGION = ("x_min", "y_min", "x_max", "y_max")
_FLAGS = ("whole_file",)
_IDS = ("annotation_id", "video_id", "annotator_id")
_TIMES = (pl.Duration, pl.Time)
_LARGEST_FRAME = 2**40
"""Beyond any recording; larger numbers are typing errors and would overflow later."""


@dataclass(frozen=True)
class Source:
    """A source as read; its tables have the columns ANNOTATION_COLUMNS and FILES."""

    format: str
    annotations: pl.DataFrame
    files: pl.DataFrame
    trimmed: bool
    """Whether each file is one stroke."""
    notes: tuple[str, ...] = ()
    """A line about everything that was there and is not read."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """By video, the rate at which the source counts its frames, where it states one; such
    annotations have seconds, and frames too if these may be the video's, see `sources.rates`."""
    event_seconds: tuple[float, float] | None = None
    """Where annotations are widened events: how far, before and after."""
    assumed_rate: float | None = None
    """The rate at which a tool counted by its own clock where nothing is stated."""


def complete(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The schema's columns in its order and dtypes; absent ones are null, absent flags false.

    A number cell that holds text, NaN or an infinity is null; a fraction of a frame is rounded
    half up. Text is stripped in number cells and labels, and kept as it is in ids; a missing id is
    empty.

    Text is in Unicode's form NFC, so that one word typed on two systems is one. Durations and times
    of day are read as seconds in columns of seconds.

    Raises:
        AnnotationError: if a column holds nested or binary data, or dates, times or truth values
            where numbers belong.
    """
    for name, dtype in frame.schema.items():
        if name in schema and (dtype.is_nested() or dtype == pl.Binary):
            raise AnnotationError(f"column {name!r} holds {dtype}, expected text or numbers")
        if name in schema and schema[name].is_numeric():
            _check_number(name, dtype)
    columns = []
    for name, dtype in schema.items():
        if name not in frame.columns:
            fill: object = False if name in _FLAGS else "" if name in _IDS else None
            columns.append(pl.lit(fill, dtype=dtype).alias(name))
        else:
            columns.append(_cell(name, dtype, frame.schema[name]))
    return frame.with_columns(columns).select(schema.names())


def _check_number(name: str, dtype: pl.DataType) -> None:
    """Raise AnnotationError where values of this dtype are no numbers of that column.

    A cast would take a date for its number of days, and a time for its nanoseconds.
    """
    seconds = name.endswith("_seconds")
    if dtype == pl.Boolean or (dtype.is_temporal() and not (seconds and dtype in _TIMES)):
        expected = "numbers of seconds, durations or times of day" if seconds else "numbers"
        raise AnnotationError(f"column {name!r} holds {dtype}, expected {expected}")


def _number(name: str, found: pl.DataType) -> pl.Expr:
    """The cells as Float64; times count in seconds, whatever unit they are stored in."""
    column = pl.col(name)
    if found in _TIMES:
        as_duration = column.cast(pl.Duration("ns")) if found == pl.Time else column
        # Of the stored integers, so that no digit of a nanosecond is lost before the division.
        unit = {"ms": 1e3, "us": 1e6}.get(getattr(found, "time_unit", "ns"), 1e9)
        return as_duration.to_physical().cast(pl.Float64) / unit
    if isinstance(found, pl.String | pl.Categorical | pl.Enum):
        column = column.cast(pl.String).str.strip_chars()
        if name.endswith("_seconds"):
            return pl.coalesce(column.cast(pl.Float64, strict=False), clock_seconds(column))
    return column.cast(pl.Float64, strict=False)


def _cell(name: str, dtype: pl.DataType, found: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if name in _FLAGS:
        return column.cast(pl.Boolean).fill_null(False)
    if name in _IDS:
        return column.cast(pl.String).fill_null("").str.normalize("NFC")
    if dtype == pl.String:
        text = column.cast(pl.String)
        if name == "label":
            text = text.str.strip_chars()
        if name != "path":  # a file's name is what the disk says
            text = text.str.normalize("NFC")
        return pl.when(text != "").then(text).alias(name)
    value = _number(name, found)
    if dtype != pl.Int64:
        return pl.when(value.is_finite()).then(value).alias(name)
    # The inner choice keeps the cast from meeting a number that no Int64 holds.
    usable = value.is_finite() & (value.abs() <= _LARGEST_FRAME)
    frames = pl.when(usable).then(value + 0.5).floor().cast(pl.Int64)
    return frames.alias(name)


def read_text_table(path: Path) -> pl.DataFrame:
    """A CSV or Parquet file; CSV cells stay text (see `read_csv`), header names are stripped.

    Raises:
        AnnotationError: if the file is missing, empty, in no Unicode, ragged or no such table.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pl.read_parquet(path, glob=False)
        else:
            frame = read_csv(path)
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise AnnotationError(f"{path}: cannot be read as a table ({reason})") from error
    except pl.exceptions.PolarsError as error:
        raise AnnotationError(f"{path}: cannot be read as a table (no whole Parquet)") from error
    names = [name.strip().lstrip("\ufeff") for name in frame.columns]
    # Polars renames the second of two equal columns.
    bases = [re.sub(r"_duplicated_\d+$", "", name) for name in names]
    twice = [
        base for base, name in zip(bases, names, strict=True) if names.count(base) > (base == name)
    ]
    if twice:
        raise AnnotationError(f"{path}: column {twice[0]!r} is there twice")
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def require_columns(path: Path, frame: pl.DataFrame, names: Iterable[str]) -> None:
    """Raise AnnotationError, naming file and columns, unless the frame has all of them."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        # One line, whatever a file that is no table has for names.
        found = " ".join(", ".join(frame.columns).split())[:200]
        raise AnnotationError(
            f"{path}: no column {', '.join(missing)}; expected {', '.join(names)}; found {found}"
        )


def completed_table(path: Path, frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """`complete`, with the file's name in its error."""
    try:
        return complete(frame, schema)
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from error
