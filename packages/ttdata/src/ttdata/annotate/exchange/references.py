"""Reference strokes of a project as a table, for the page on the quality of strokes."""

import sqlite3
from pathlib import Path

import polars as pl

from ttdata.storage.atomic import atomic_path
from ttdata.storage.spreadsheet import escape_formula

REFERENCES = "references.csv"
_TEXTS = ("video_id", "label")
_COLUMNS = ("video_id", "start_frame", "end_frame", "label", "ready", "contact", "end")


def references_table(connection: sqlite3.Connection) -> pl.DataFrame:
    """The reference strokes in order of video and place, with the three moments as frames."""
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    rows = connection.execute(
        f"SELECT {names} FROM exported_reference ORDER BY video_id, start_frame, annotation_id"
    ).fetchall()
    schema = {name: pl.String() if name in _TEXTS else pl.Int64() for name in _COLUMNS}
    return pl.DataFrame(rows, schema=schema, orient="row")


def write_references(connection: sqlite3.Connection, path: Path) -> int:
    """Write them as a CSV, and say how many; without any an earlier file goes."""
    found = references_table(connection)
    if found.is_empty():
        path.unlink(missing_ok=True)
        return 0
    with atomic_path(path) as temporary:
        escape_formula(found, _TEXTS).write_csv(temporary)
    return found.height
