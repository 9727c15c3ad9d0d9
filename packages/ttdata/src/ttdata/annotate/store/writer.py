"""The one writer: jobs of all threads, one after the other, answered after they are committed."""

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from ttdata.annotate.store.database import is_full
from ttdata.annotate.store.errors import DiskFull
from ttdata.errors import TTError

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]

_MOST_TOGETHER = 64
"""Jobs that wait are committed together: a commit waits for the disk, a job hardly takes time."""

_NOT_WRITTEN = "nothing was stored, the project cannot be written ({}); check the disk"


class Writer:
    """A thread that owns the connection for writing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Start the thread.

        Args:
            connection: from `database.connect`; closed with the writer.
        """
        self._connection = connection
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="annotate-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        """Hand a job in. Its future has a result once that is on the disk.

        A job that raises leaves nothing behind; its future raises the same.

        Args:
            job: reads and writes through the connection that it gets; begins and commits nothing.

        Raises:
            TTError: if the writer is closed.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise TTError("the project is closed; open it again")
            self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """Do all jobs that were handed in, then end the thread and close the connection."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._batch()
            if batch:
                self._commit(batch)

    def _batch(self) -> tuple[list[tuple[Job, Future[Any]]], bool]:
        """The jobs that wait, at least one; and whether more may come."""
        batch: list[tuple[Job, Future[Any]]] = []
        item = self._jobs.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _MOST_TOGETHER or self._jobs.empty():
                return batch, True
            item = self._jobs.get()
        return batch, False

    def _commit(self, batch: list[tuple[Job, Future[Any]]]) -> None:
        waiting = [item for item in batch if item[1].set_running_or_notify_cancel()]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [(future, *self._outcome(job)) for job, future in waiting]
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for _, future in waiting:
                future.set_exception(_told(error))
            return
        for future, value, problem in outcomes:
            if problem is None:
                future.set_result(value)
            else:
                future.set_exception(_told(problem))

    def _outcome(self, job: Job) -> tuple[Any, Exception | None]:
        """What a job gives or raises, and all or nothing of what it writes."""
        self._connection.execute("SAVEPOINT job")
        try:
            value = job(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:  # SQLite gave up all of it: a full disk
                raise
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            return None, error
        self._connection.execute("RELEASE job")
        return value, None


def _told(error: BaseException) -> BaseException:
    """An error as it is raised for whoever waits; the disk's is in words."""
    if not isinstance(error, sqlite3.OperationalError):
        return error
    told = DiskFull() if is_full(error) else TTError(_NOT_WRITTEN.format(error))
    told.__cause__ = error
    return told
