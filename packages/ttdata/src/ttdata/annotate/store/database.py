"""Opening of a project's databases: durable, strict, and one line where a file is damaged."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ttdata.annotate.store.errors import DiskFull, ProjectError
from ttdata.sources.formats.annotation_project import ON_DISK, is_damage, read_only_uri, restoring

_BUSY_SECONDS = 10.0
_OLDEST = (3, 37)
"""The first SQLite with strict tables."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection for writing: WAL, every commit on the disk, foreign keys; no implicit BEGIN.

    Raises:
        ProjectError: if the file is no database or is damaged, or its file system knows no WAL.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise ProjectError(
            f"SQLite {sqlite3.sqlite_version} of this Python, expected 3.37 or newer; "
            "take a newer Python"
        )
    with damage_told(path):
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise ProjectError(
                    f"{path}: its file system gives journal mode {mode}, expected wal; "
                    "move the project to a local disk"
                )
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            check_whole(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def keep_private(path: Path) -> None:
    """Let only this account read a database, which is made where it lacks.

    What SQLite writes beside a database has the database's rights.
    """
    # What is in the way here, SQLite tells when it opens the file.
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(OSError):
            path.with_name(name).chmod(0o600)


def check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ProjectError unless every page of the database is as it should be."""
    with damage_told(path):
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _damaged(path, found)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, in one transaction: all that it reads is of one moment.

    Raises:
        ProjectError: if the file is missing, no database, or damaged.
    """
    with (
        damage_told(path),
        closing(
            sqlite3.connect(
                read_only_uri(path), uri=True, timeout=_BUSY_SECONDS, isolation_level=None
            )
        ) as connection,
    ):
        connection.execute("BEGIN")
        yield connection


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn SQLite's words on a file that it cannot use into one line that names it.

    Raises:
        ProjectError: naming the file, what is wrong, and what to do.
        DiskFull: if there is no room.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        if is_full(error):
            raise DiskFull from error
        raise _damaged(path, str(error), error) from error


def is_full(error: sqlite3.Error) -> bool:
    """Whether there is no room on the disk."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF == sqlite3.SQLITE_FULL


def _damaged(path: Path, found: str, error: sqlite3.Error | None = None) -> ProjectError:
    words = " ".join(found.split())
    if isinstance(error, sqlite3.Error) and not is_damage(error):
        return ProjectError(f"{path}: cannot be used as a project's database ({words}); {ON_DISK}")
    advice = restoring(path.parent)
    if path.name == "people.sqlite":  # in no backup, so that names can be erased
        advice = "move it away and add the people anew; their marks stay"
    return ProjectError(f"{path}: cannot be used as a project's database ({words}); {advice}")
