"""Annotation formats, one file each: `NAME`, `matches(path)` and `read(path) -> Source`.

A new format is a new file with these three names and one entry in `FORMATS`.
"""

from pathlib import Path
from typing import Protocol

import polars as pl

from ttdata.errors import AnnotationError, InputError
from ttdata.formats import class_folders, crowd, mediaeval
from ttdata.source import Source


class Format(Protocol):
    """What a module of this package offers."""

    NAME: str

    def matches(self, path: Path) -> bool:
        """Whether the path looks like this format."""

    def read(self, path: Path) -> Source:
        """The marks and files of the source."""


FORMATS: tuple[Format, ...] = (crowd, mediaeval, class_folders)
"""In the order in which they are tried: the more particular layout first."""


def read_source(path: Path, format: str | None = None) -> Source:
    """The marks and the video files of a source, in any format we read.

    Args:
        path: a file or folder.
        format: a format's name; by default the first format whose layout the path has.

    Raises:
        InputError: if the path is missing, the format unknown, or no format fits.
        AnnotationError: if the source cannot be read in its format.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    names = ", ".join(item.NAME for item in FORMATS)
    if format is not None:
        chosen = [item for item in FORMATS if format == item.NAME]
        if not chosen:
            raise InputError(f"unknown format {format!r}; known: {names}")
    else:
        chosen = [item for item in FORMATS if item.matches(path)]
        if not chosen:
            raise AnnotationError(
                f"{path}: holds no annotations we recognise; expected annotations.csv or "
                f".parquet, or folders of clips named by class (formats: {names})"
            )
    return chosen[0].read(path)


def read_annotations(path: str | Path, format: str | None = None) -> pl.DataFrame:
    """The marks of a source as `ttdata.source.MARKS` describes them, nothing filtered.

    Args:
        path: a file or folder in any format we read.
        format: a format's name; by default it is recognised by the layout.

    Raises:
        InputError: if the path is missing, the format unknown, or the source unreadable.
    """
    return read_source(Path(path), format).marks
