"""Temporary files, locked while their writer lives: an unlocked one was left by a dead writer."""

import contextlib
import fcntl
import os
import time
import uuid
from pathlib import Path
from typing import BinaryIO

_LOCKED = ".locked.tmp"
_SMALL_FILE_SECONDS = 600.0
"""Age at which a file of `ttdata.storage.atomic`, written at once without a lock, is dead."""
_NO_LOCKS_SECONDS = 86400.0
"""Age at which a file is dead where the file system knows no locks."""


class Temporary:
    """A file being written, to be published under its name or discarded.

    As a context manager it is discarded unless it was published.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.handle = _made(folder)
        while not self.path.exists():  # taken for a dead one before it was locked
            self.handle.close()
            self.path, self.handle = _made(folder)

    def __enter__(self) -> "Temporary":
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def sync(self) -> None:
        """Bring what was written onto the disk."""
        self.handle.flush()
        os.fsync(self.handle.fileno())

    def publish(self, target: Path) -> None:
        """Give the file its name, at once and whole; call `sync` before."""
        self.path.replace(target)
        self.handle.close()

    def discard(self) -> None:
        """Remove the file if it has no name yet."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a full disk, once more
            self.handle.close()


def _made(folder: Path) -> tuple[Path, BinaryIO]:
    path = folder / f".{uuid.uuid4().hex}{_LOCKED}"
    handle = path.open("xb")
    with contextlib.suppress(OSError):  # the file system knows no locks
        fcntl.flock(handle, fcntl.LOCK_EX)
    return path, handle


def clean_temporary(*folders: Path, wait_seconds: float = 0.0) -> None:
    """Remove the temporary files of dead jobs; wait a while for those that are about to die."""
    deadline = time.monotonic() + wait_seconds
    while _alive(folders) and time.monotonic() < deadline:
        time.sleep(0.1)


def _alive(folders: tuple[Path, ...]) -> bool:
    """Whether locked files are left after the others were removed."""
    alive = False
    for path in (path for folder in folders for path in sorted(folder.glob(".*.tmp"))):
        with contextlib.suppress(FileNotFoundError):
            alive |= _clean(path)
    return alive


def _clean(path: Path) -> bool:
    """Remove a file if its writer is dead; returns whether a living one holds it."""
    grace_seconds = _SMALL_FILE_SECONDS
    with path.open("rb") as handle:
        if path.name.endswith(_LOCKED):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                grace_seconds = 0.0
            except BlockingIOError:
                return True
            except OSError:
                grace_seconds = _NO_LOCKS_SECONDS
        if time.time() - path.stat().st_mtime >= grace_seconds:
            path.unlink()
    return False
