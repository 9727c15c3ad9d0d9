"""Text that a spreadsheet would run as a formula, escaped in CSV files.

Such text (it begins with `=`, `+`, `-`, `@`, a tab or a carriage return) gets a `'` before it,
which is no part of the text.
"""

from collections.abc import Iterable

import polars as pl

_FORMULA = r"^([\s']*[=+\-@\t\r])"
_ESCAPED = r"^'([\s']*[=+\-@\t\r])"


def escape_formula(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """The frame for writing: `'` before what would be run, in those columns that hold text."""
    return _replaced(frame, columns, _FORMULA, "'${1}")


def unescape_formula(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """The frame as it was before `escape_formula`."""
    return _replaced(frame, columns, _ESCAPED, "${1}")


def _replaced(
    frame: pl.DataFrame, columns: Iterable[str], pattern: str, value: str
) -> pl.DataFrame:
    texts = [name for name in columns if frame.schema.get(name) == pl.String]
    return frame.with_columns(pl.col(texts).str.replace(pattern, value))
