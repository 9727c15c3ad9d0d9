"""Backups of a project's marks, and going back to one."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ttdata.annotate.project import BACKUPS, LOCK, read_info, read_taxonomy
from ttdata.annotate.store.database import check_whole, damage_told, reading
from ttdata.annotate.store.errors import ProjectError
from ttdata.annotate.store.lock import ProjectLock
from ttdata.annotate.store.mark_store import now_ms
from ttdata.annotate.store.migration import check_known, scripts_of
from ttdata.sources.formats.annotation_project import INFO, MARKS, TAXONOMY
from ttdata.storage.dataset import REVIEWS

KEPT = 20
_HELD = (INFO, TAXONOMY, MARKS, REVIEWS)
_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z")
_REPLACED = "replaced-"


def back_up(folder: Path, clock: Callable[[], int] = now_ms) -> Path:
    """Write a backup, whole or not at all, also while people work; the 20 newest are kept.

    It holds marks, decisions of reviewers, settings and taxonomy. Names of people are in none.

    Args:
        folder: of the project.
        clock: milliseconds since 1970, UTC.

    Returns:
        The folder of the backup.

    Raises:
        ProjectError: if the folder is no project, or its database is damaged.
    """
    read_info(folder)
    with reading(folder / MARKS) as db:
        check_whole(db, folder / MARKS)
    backups = folder / BACKUPS
    backups.mkdir(exist_ok=True)
    # Later than all others also where the clock was put back: else it would be the first to go.
    newest = max(map(moment_of, list_backups(folder)), default=-1)
    target = backups / stamp(max(clock(), newest + 1))
    temporary = backups / f".{target.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with damage_told(folder / MARKS), closing(sqlite3.connect(folder / MARKS)) as db:
            db.execute("VACUUM INTO ?", (str(temporary / MARKS),))
        for name in (INFO, TAXONOMY, REVIEWS):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, temporary / name)
        _sync(temporary)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in list_backups(folder)[KEPT:]:
        shutil.rmtree(old)
    return target


def list_backups(folder: Path) -> list[Path]:
    """The backups of a project, the newest first."""
    return stamped(folder / BACKUPS)


def restore(folder: Path, backup: str, clock: Callable[[], int] = now_ms) -> Path:
    """Put a project back to a backup; what is replaced is kept.

    Args:
        folder: of the project.
        backup: the name of one of its backups, or the path of any.
        clock: milliseconds since 1970, UTC.

    Returns:
        The folder that holds what was replaced.

    Raises:
        ProjectError: if the backup is none, is damaged, or the project is open elsewhere.
        VersionError: if a newer release has written the backup.
    """
    source = _found(folder, backup)
    _check_backup(source)
    lock = ProjectLock(folder / LOCK)
    try:
        kept = folder / BACKUPS / f"{_REPLACED}{stamp(clock())}"
        kept.mkdir(parents=True)
        # All of it is copied before anything is moved: a full disk changes nothing.
        held = [name for name in _HELD if (source / name).is_file()]
        for name in held:
            shutil.copyfile(source / name, folder / f".{name}.restored.tmp")
        for name in (*_HELD, f"{MARKS}-wal", f"{MARKS}-shm"):
            if (folder / name).exists():
                (folder / name).rename(kept / name)
        # The settings last: without them the folder is no project that one could open.
        for name in sorted(held, key=lambda name: name == INFO):
            (folder / f".{name}.restored.tmp").rename(folder / name)
        _sync(folder)
    finally:
        for name in _HELD:
            (folder / f".{name}.restored.tmp").unlink(missing_ok=True)
        lock.close()
    return kept


def _found(folder: Path, backup: str) -> Path:
    if not folder.is_dir():
        raise ProjectError(f"{folder}: no such folder")
    for path in (folder / BACKUPS / backup, Path(backup)):
        if (path / MARKS).is_file():
            return path
    names = ", ".join(path.name for path in list_backups(folder)[:3]) or "none"
    raise ProjectError(f"{backup}: no backup; the newest of {folder / BACKUPS}: {names}")


def _check_backup(source: Path) -> None:
    """Raise unless a backup can be opened."""
    read_info(source)
    read_taxonomy(source)
    with reading(source / MARKS) as db:
        check_whole(db, source / MARKS)
        check_known(db, source / MARKS, scripts_of("marks"))


def stamp(milliseconds: int) -> str:
    """`20261127T101500.250Z`: names in the order of time."""
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{at:%Y%m%dT%H%M%S}.{milliseconds % 1000:03}Z"


def moment_of(path: Path) -> int:
    """When a folder was made that `stamp` names, in milliseconds since 1970, UTC."""
    at = datetime.strptime(f"{path.name[:-1]}+0000", "%Y%m%dT%H%M%S.%f%z")
    return round(at.timestamp() * 1000)


def stamped(folder: Path) -> list[Path]:
    """What `stamp` names in a folder, the newest first."""
    found = folder.glob("*")
    return sorted((path for path in found if _NAME.fullmatch(path.name)), reverse=True)


def _sync(folder: Path) -> None:
    """Bring the files of a folder, and their names, onto the disk."""
    for path in (*(path for path in folder.iterdir() if path.is_file()), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
