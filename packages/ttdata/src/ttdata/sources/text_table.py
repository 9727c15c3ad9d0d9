"""Tables as people save them: the encodings, separators and numbers of spreadsheets."""

import codecs
import csv
import io
import re
from pathlib import Path

import polars as pl

from ttdata.errors import AnnotationError

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins the same way
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = (",", ";", "\t")
_DECIMAL_COMMA = r"^\s*([+-]?\d*),(\d+)\s*$"
_CLOCK = r"^\s*(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d*)?)\s*$"


def read_csv(path: Path) -> pl.DataFrame:
    """The cells of a CSV as text: UTF-8, or UTF-16 or 32 with a mark; commas, semicolons or tabs.

    In a table with semicolons or tabs the numbers may have decimal commas.

    Raises:
        OSError: if the file cannot be opened.
        AnnotationError: if it is empty, in another encoding, or its lines differ in length.
    """
    text = _decoded(path)
    if not text.strip():
        raise AnnotationError(f"{path}: is empty, expected a header line and rows")
    separator = separator_of(text)
    try:
        frame = pl.read_csv(text.encode(), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise AnnotationError(
            f"{path}: cannot be read as a table ({_problem(text, separator)})"
        ) from error
    if separator != ",":
        numbers = [name for name in frame.columns if _is_number(name)]
        frame = frame.with_columns(pl.col(numbers).str.replace(_DECIMAL_COMMA, "${1}.${2}"))
    return frame


def separator_of(text: str) -> str:
    """What separates the cells of the header line: the most frequent, a comma where there is none.

    >>> separator_of("video_id;label")
    ';'
    """
    header = text.lstrip("\r\n").splitlines()[0] if text.strip() else ""
    return max(_SEPARATORS, key=header.count)


def clock_seconds(column: pl.Expr) -> pl.Expr:
    """Seconds of texts such as `00:01:01.5` or `1:01.5`; null for others."""
    hours, minutes, seconds = (column.str.extract(_CLOCK, part) for part in (1, 2, 3))
    return (
        hours.cast(pl.Float64, strict=False).fill_null(0) * 3600
        + minutes.cast(pl.Float64, strict=False) * 60
        + seconds.cast(pl.Float64, strict=False)
    )


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
        text.encode()  # halves of characters, which no table can hold
    except UnicodeError as error:
        before = data[: getattr(error, "start", 0)]
        place = f" (line {before.count(bytes([10])) + 1})" if encoding == "utf-8" else ""
        raise AnnotationError(
            f"{path}: cannot be read as a table: is no {encoding.upper()}{place}; "
            "save it as CSV UTF-8"
        ) from error
    return text


def _problem(text: str, separator: str) -> str:
    """The first line that is not as long as the header."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        expected = len(next(rows))
        for row in rows:
            if len(row) > expected:
                return f"line {rows.line_num}: {len(row)} cells, expected {expected}"
    except (csv.Error, StopIteration):
        return f"line {rows.line_num}: quotes that do not match"
    return "quotes that do not match, or lines of different lengths"


def _is_number(name: str) -> bool:
    """Whether a column of this name holds numbers in any of our tables."""
    number = r"(.*_(frame|frames|seconds)|[xy]_(min|max)|fps|width|height)"
    return re.fullmatch(number, name.strip().lstrip("\ufeff")) is not None
