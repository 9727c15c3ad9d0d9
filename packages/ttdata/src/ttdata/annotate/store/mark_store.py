"""The database of marks of an opened project."""

import sqlite3
import time
from collections.abc import Callable, Container
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from ttdata.annotate.store.database import connect, reading
from ttdata.annotate.store.events import Event
from ttdata.annotate.store.log import append_event
from ttdata.annotate.store.migration import migrate, scripts_of
from ttdata.annotate.store.projection import rebuild
from ttdata.annotate.store.states import Answer
from ttdata.annotate.store.writer import Writer

T = TypeVar("T")


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


class MarkStore:
    """Events in, marks out; safe to use from all threads of the one process that has it open."""

    def __init__(
        self, path: Path, labels: Container[str], clock: Callable[[], int] = now_ms
    ) -> None:
        """Open the database, and bring it to this release's form.

        Args:
            path: of the file, which is made where it lacks.
            labels: the classes of the project's taxonomy.
            clock: milliseconds since 1970, UTC.

        Raises:
            ProjectError: if the file is damaged.
            VersionError: if a newer release has written it.
        """
        self.path = path
        self.clock = clock
        self._labels = labels
        connection = connect(path)
        try:
            migrate(connection, path, scripts_of("marks"))
        except BaseException:
            connection.close()
            raise
        self._writer = Writer(connection)

    def append(self, event: Event) -> Answer:
        """Store an event; returns after it is on the disk. Sent again, it is answered as then.

        Raises:
            Conflict: if its mark has changed since its person saw it.
            NotOwn: if it speaks of another person's work.
            Refused: if it breaks another rule.
        """
        return self.submit(event).result()

    def submit(self, event: Event) -> "Future[Answer]":
        """As `append`, without waiting: the future has the answer once it is on the disk."""
        at = self.clock()
        return self._writer.submit(lambda db: append_event(db, event, at, self._labels))

    def append_within(self, connection: sqlite3.Connection, event: Event) -> Answer:
        """As `append`, within a job of `write`."""
        return append_event(connection, event, self.clock(), self._labels)

    def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in the writer's thread, whole or not at all; returns after the commit."""
        return self._writer.submit(job).result()

    def rebuild(self) -> None:
        """Build the projection again from the events."""
        self.write(rebuild)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection that sees what is committed, as of one moment."""
        return reading(self.path)

    def close(self) -> None:
        """Finish what was handed in."""
        self._writer.close()
