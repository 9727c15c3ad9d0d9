"""The files of a source folder: links are followed, hidden files are passed over."""

import os
from collections.abc import Iterator
from pathlib import Path

from ttdata.errors import AnnotationError

_OF_ARCHIVES = "__MACOSX"
"""macOS puts its own notes on files there when it packs an archive."""

_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's, as `.DS_Store`, `__MACOSX`."""
    return name.startswith(".") or name == _OF_ARCHIVES


def split_named(name: str) -> str | None:
    """The split that a folder, subset or cell of a table names, in any case, or None.

    >>> split_named("Training"), split_named("serve")
    ('train', None)
    """
    return _SPLITS.get(name.strip().lower())


def files_below(folder: Path) -> list[Path]:
    """The files below a folder, also through links, sorted by path; hidden ones are left out.

    Raises:
        AnnotationError: if a folder cannot be read, or a link leads back to a folder around it.
    """
    return sorted(_walk(folder, {_real(folder)})) if folder.is_dir() else []


def _walk(folder: Path, around: set[Path]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            path = folder / entry.name
            if is_hidden(entry.name):
                continue
            if entry.is_file():
                yield path
            elif entry.is_dir():
                real = _real(path)
                if real in around:
                    raise AnnotationError(f"{path}: links to a folder that it is in; remove it")
                yield from _walk(path, around | {real})
            elif entry.is_symlink():
                raise AnnotationError(
                    f"{path}: links to {os.readlink(path)}, which is missing; mend or remove it"
                )
    except OSError as error:
        raise AnnotationError(
            f"{error.filename or folder}: cannot be read ({error.strerror}); "
            "change its permissions, or move it out of the source"
        ) from error


def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))
