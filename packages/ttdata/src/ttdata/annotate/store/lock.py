"""One process writes a project at a time."""

import sqlite3
from pathlib import Path

from ttdata.annotate.store.errors import ProjectError


class ProjectLock:
    """Held from its making to `close`, or until the process ends, however it ends.

    SQLite's own lock on a file of its own: the same on every system, and the operating system
    takes it back from a process that is killed.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Args:
            path: the lock's file, which stays and is empty.

        Raises:
            ProjectError: if another process, or this one, holds it, or it cannot be taken.
        """
        try:
            self._connection = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise _unusable(path, error) from error
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise _unusable(path, error) from error

    def close(self) -> None:
        """Give the lock back."""
        self._connection.close()


def _unusable(path: Path, error: sqlite3.Error) -> ProjectError:
    if "locked" in str(error):
        return ProjectError(
            f"{path.parent}: is open for writing elsewhere ({error}); "
            "end the other `ttdata annotate` first"
        )
    return ProjectError(f"{path}: cannot be locked ({error}); check the folder's permissions")
