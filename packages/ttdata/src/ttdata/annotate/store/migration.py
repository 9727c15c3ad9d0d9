"""Numbered SQL scripts bring a database to the form that this release reads."""

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ttdata.annotate.store.errors import ProjectError
from ttdata.errors import VersionError

_NUMBERED = re.compile(r"(\d{4})_\w+\.sql")
_HERE = Path(__file__).parent


def scripts_of(database: str) -> list[Path]:
    """The scripts of `marks` or `people`, in their order."""
    return sorted((_HERE / database).glob("*.sql"))


def version_of(connection: sqlite3.Connection) -> int:
    """The number of the last script that a database has seen; 0 of a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path, scripts: Sequence[Path]) -> None:
    """Run the scripts that a database has not seen, each whole or not at all.

    Args:
        connection: to the database, outside any transaction.
        path: of the database, for messages.
        scripts: `0001_<name>.sql` onwards, without a gap.

    Raises:
        VersionError: if a newer release has written the database.
        ProjectError: if a script fails.
    """
    numbers = [int(match[1]) for s in scripts if (match := _NUMBERED.fullmatch(s.name))]
    if numbers != list(range(1, len(scripts) + 1)):
        raise ValueError(f"expected scripts 0001 to {len(scripts):04}, found {numbers}")
    check_known(connection, path, scripts)
    found = version_of(connection)
    for number, script in enumerate(scripts[found:], found + 1):
        _run(connection, path, script, number)


def check_known(connection: sqlite3.Connection, path: Path, scripts: Sequence[Path]) -> None:
    """Raise VersionError if a newer release has written the database."""
    found = version_of(connection)
    if found > len(scripts):
        raise VersionError(
            f"{path}: schema version {found}, this release reads {len(scripts)}; "
            "install the release that wrote it"
        )


def _run(connection: sqlite3.Connection, path: Path, script: Path, number: int) -> None:
    text = script.read_text(encoding="utf-8")
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;"
        )
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise ProjectError(f"{path}: {script.name} cannot be run ({error})") from error
