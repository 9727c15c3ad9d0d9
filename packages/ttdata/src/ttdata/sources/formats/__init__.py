"""Annotation formats, one file each: `NAME`, `matches(path)` and `read(path) -> Source`.

A new format is a new file with these three names and one entry in `FORMATS`. Readers convert no
unit: what a source gives in seconds is given in seconds, and becomes frames once, with the video's
own rate, in `ttdata.curation.filters` or `ttdata.sources.conversion`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import polars as pl

from ttdata.errors import AnnotationError, InputError
from ttdata.sources.annotations import Source
from ttdata.sources.folder import is_hidden
from ttdata.sources.formats import (
    activitynet,
    annotation_project,
    class_folders,
    crowd,
    cvat,
    eaf,
    events,
    label_studio,
    mediaeval,
    mediaeval_xml,
    via,
)
from ttdata.sources.formats.beside import annotation_files, json_files
from ttdata.sources.formats.events import EventWindow
from ttdata.sources.formats.json_tree import read_json
from ttdata.sources.formats.xml_tree import read_xml


class Format(Protocol):
    """The interface of a module of this package."""

    NAME: str

    def matches(self, path: Path) -> bool:
        """Whether the path looks like this format."""

    def read(self, path: Path) -> Source:
        """The annotations and files of the source."""


FORMATS: tuple[Format, ...] = (
    annotation_project,
    crowd,
    mediaeval,
    mediaeval_xml,
    eaf,
    cvat,
    activitynet,
    via,
    label_studio,
    events,
    class_folders,
)
"""In the order in which they are tried: the more particular layout first."""


_TABLES = frozenset(
    [
        ".csv",
        ".eaf",
        ".json",
        ".jsonl",
        ".parquet",
        ".pq",
        ".srt",
        ".tsv",
        ".vtt",
        ".xls",
        ".xlsx",
        ".xml",
        ".ods",
    ]
)
"""The extensions of files that may hold annotations."""

_READ = {
    mediaeval_xml.NAME: (".xml",),
    cvat.NAME: (".xml",),
    eaf.NAME: (".eaf",),
    activitynet.NAME: (".json",),
    via.NAME: (".json",),
    label_studio.NAME: (".json",),
    events.NAME: (".json",),
}
"""The extensions of all files that a format reads in the folder itself."""

_KNOWN = frozenset(
    [
        "annotations.csv",
        "annotations.parquet",
        "clips.csv",
        "videos.csv",
        "taxonomy.json",
        "dataset.json",
        "references.csv",
        "reviews.csv",
        "synth.json",
        "truth.csv",
        "truth_events.csv",
        "quality_truth.csv",
        "events.csv",
        "covered.csv",
        "annotate.json",
    ]
)
"""Files that may lie in a source and are read where they count, or hold no annotations."""


def read_source(
    path: Path,
    format: str | None = None,
    *,
    window: EventWindow | None = None,
    need_videos: bool = True,
) -> Source:
    """The annotations and the video files of a source, in any format we read.

    Args:
        path: a file or folder.
        format: a format's name; by default the first format that the path's content has.
        window: what a single event stands for; other formats have no use for it.
        need_videos: whether a source without videos is an error.

    Raises:
        InputError: if the path is missing, the format unknown, or no format fits.
        AnnotationError: if the source cannot be read in its format, or has no videos.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    chosen = _named(format) if format is not None else _recognised(path)
    source = events.read(path, window) if chosen is events else chosen.read(path)
    if need_videos and source.files.is_empty():
        root = path if path.is_dir() else path.parent
        raise AnnotationError(f"{root}: no videos; expected videos/<video_id>.mp4 or videos.csv")
    return replace(source, notes=(*source.notes, *_unread(path, source.format)))


def _named(format: str) -> Format:
    names = ", ".join(item.NAME for item in FORMATS)
    for item in FORMATS:
        if format == item.NAME:
            return item
    raise InputError(f"unknown format {format!r}; known: {names}")


def _recognised(path: Path) -> Format:
    for item in FORMATS:
        if item.matches(path):
            return item
    # A broken file has no format: its own error says more than ours.
    for suffix in (".xml", ".eaf"):
        for file in annotation_files(path, suffix):
            read_xml(file)
    for file in json_files(path):
        read_json(file)
    names = ", ".join(item.NAME for item in FORMATS)
    raise AnnotationError(
        f"{path}: holds no annotations we recognise{_found(path)}; expected annotations.csv or "
        f".parquet, or folders of clips named by class (formats: {names}); rename a table, or "
        "name the file, or the format by --format"
    )


def _found(path: Path) -> str:
    """What a folder holds, for the message."""
    if not path.is_dir():
        return ""
    entries = [entry for entry in sorted(path.iterdir()) if not is_hidden(entry.name)]
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    more = ", ..." if len(names) > 6 else ""
    return f" (found {', '.join(names[:6])}{more})" if names else " (it is empty)"


def _unread(path: Path, format: str) -> tuple[str, ...]:
    """A line about the tables in a source folder that its format does not read."""
    if not path.is_dir():
        return ()
    names = [
        file.name
        for file in sorted(path.iterdir())
        if file.suffix.lower() in _TABLES
        and file.suffix.lower() not in _READ.get(format, ())
        and file.name not in _KNOWN
        and not is_hidden(file.name)
    ]
    return (f"not read: {', '.join(names)}; the source is of the format {format}",) * bool(names)


def read_annotations(path: str | Path, format: str | None = None) -> pl.DataFrame:
    """The annotations of a source, with the columns ANNOTATION_COLUMNS, nothing filtered.

    Args:
        path: a file or folder in any format we read.
        format: a format's name; by default it is recognised by the layout.

    Raises:
        InputError: if the path is missing, the format unknown, or the source unreadable.
    """
    return read_source(Path(path), format, need_videos=False).annotations
