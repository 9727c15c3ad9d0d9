"""The project folder of `ttdata annotate`, read as a source: what people finished there.

Marks of videos that are not done, of golden clips and of models are left out and counted.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl

from ttdata.errors import AnnotationError, VersionError
from ttdata.sources.annotations import ANNOTATION_COLUMNS, FILES, Source, completed_table

NAME = "annotation-project"
INFO, MARKS, TAXONOMY = "annotate.json", "marks.sqlite", "taxonomy.json"
SCHEMA_VERSION = 1
"""Of the folder."""
MARKS_VERSION = 2
"""Of the database of marks: the number of its last script."""

_ANNOTATIONS = (
    *("annotation_id", "video_id", "annotator_id", "start_frame", "end_frame", "label"),
    "player_id",
)
VIDEO_COLUMNS = tuple(
    ["video_id", "path", "fps", "num_frames", "width", "height", "player_id", "session_id"]
)


_OF_THE_DISK = (
    *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY),
    *(sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN),
)
ON_DISK = "check that it is there, the disk's space, and who may read and write the folder"


def matches(path: Path) -> bool:
    """Whether the path is a folder that `ttdata annotate PROJECT init` made."""
    return path.is_dir() and (path / INFO).is_file()


def read(path: Path) -> Source:
    """The marks of videos that are done, and these videos; lines on what is left out.

    Raises:
        AnnotationError: if the database cannot be read, or no mark is finished.
        VersionError: if another release wrote it.
    """
    source = read_finished(path)
    if source.annotations.is_empty():
        found = "; ".join(source.notes) or "it holds none at all"
        raise AnnotationError(f"{path}: no mark of a video that is done ({found})")
    return source


def read_finished(path: Path) -> Source:
    """As `read`, also of a project in which nothing is finished yet."""
    with _reading(path / MARKS) as database:
        annotations = _table(database, "exported_mark", _ANNOTATIONS, ANNOTATION_COLUMNS)
        videos = _table(database, "exported_video", VIDEO_COLUMNS, FILES)
        left_out = database.execute("SELECT reason, marks FROM left_out").fetchall()
    order = ("video_id", "start_frame", "end_frame", "annotator_id", "annotation_id")
    at_hand = [path if path and os.path.isfile(path) else None for path in videos["path"]]
    return Source(
        format=NAME,
        annotations=completed_table(path, annotations, ANNOTATION_COLUMNS).sort(order),
        files=completed_table(
            path, videos.with_columns(path=pl.Series(at_hand, dtype=pl.String)), FILES
        ).sort("video_id"),
        trimmed=False,
        notes=tuple(f"left out: {count} marks {reason}" for reason, count in left_out if count),
    )


def _table(
    database: sqlite3.Connection, view: str, names: tuple[str, ...], schema: pl.Schema
) -> pl.DataFrame:
    rows = database.execute(f"SELECT {', '.join(names)} FROM {view}").fetchall()
    return pl.DataFrame(rows, schema={name: schema[name] for name in names}, orient="row")


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as of one moment, while others may write to it."""
    try:
        with closing(
            sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found != MARKS_VERSION:
                raise VersionError(
                    f"{path}: schema version {found}, this release reads {MARKS_VERSION}; "
                    "open the project with the `ttdata annotate` of this release, or install the "
                    "release that wrote it"
                )
            yield connection
    except sqlite3.Error as error:
        advice = restoring(path.parent) if is_damage(error) else ON_DISK
        raise AnnotationError(
            f"{path}: cannot be read as a project's database ({error}); {advice}"
        ) from error


def read_only_uri(path: Path) -> str:
    """The URI of a database that is only read, also in a folder that cannot be written.

    SQLite keeps a file beside a database in WAL, which it cannot make there; where nothing waits in
    a log of writes, none is needed.
    """
    log = path.with_name(f"{path.name}-wal")
    fixed = path.is_file() and not log.exists() and not os.access(path.parent, os.W_OK)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if fixed else ''}"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether a database is at fault, not the disk or the rights to use it."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _OF_THE_DISK


def restoring(folder: Path) -> str:
    """What to do about a damaged database of marks."""
    return f"`ttdata annotate {folder} restore BACKUP` takes one of {folder / 'backups'}"
