"""Refuses outputs that would overwrite an input, or another command's folder, or get lost."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import polars as pl

from ttdata.errors import InputError
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.tables import VERSION_KEY
from ttdata.urls import is_url, local

Kind = Literal[
    "a source",
    "a synthetic source",
    "an annotation project",
    "a dataset",
    "shards",
    "a run",
    "a comparison",
    "a cross-validation",
    "an index",
    "an audit",
    "a measurement of strokes",
]

_DESCRIBED: tuple[tuple[str, Kind], ...] = (
    ("synth.json", "a synthetic source"),
    ("annotate.json", "an annotation project"),
    ("shards.json", "shards"),
    ("run.json", "a run"),
    ("dataset.json", "a dataset"),
    ("index.json", "an index"),
    ("audit.json", "an audit"),
    ("folds.json", "a cross-validation"),
    ("quality.json", "a measurement of strokes"),
)
"""The file that describes a folder; shards hold the `dataset.json` of their dataset, too."""

_COMPARISON = ("table.json", "table.md")
_OF_PEOPLE = ("annotations.csv", "annotations.parquet", "videos.csv")
_OWN_FILES = frozenset(
    [
        *(name for name, _ in _DESCRIBED),
        *("videos.parquet", "annotations.parquet", "actions.parquet", "clips.parquet"),
        *("annotations.csv", "videos.csv", "truth.csv", "truth_events.csv", "taxonomy.json"),
        *("marks.sqlite", "people.sqlite"),
        *("events.csv", "references.csv", "covered.csv", "covered.parquet", "stretches.parquet"),
        *("cross_validation.json", "predictions.parquet"),
        *("suspects.parquet", "planted.csv", "clips.jsonl", "quality.csv"),
        *("dataset_folder.json", "failures.jsonl"),
        *("reviews.csv", "metrics.jsonl", "checkpoint.pt", *_COMPARISON),
    ]
)
"""Files of the folders above: no file output takes their place."""

_NEXT = "expected another file or folder to write"


def check_output(
    out: Path, inputs: Iterable[str | Path | None], *, may_hold_inputs: bool = False
) -> None:
    """Refuse an output that is, holds or lies in an input, however the paths are spelt.

    Files and folders are compared by identity, so links and, where the file system ignores them,
    capitals do not matter. A link counts both where it is and where it leads.

    Args:
        out: the file or folder that will be written, or its name where it does not exist yet.
        inputs: files and folders that are read; None, URLs and what does not exist are passed over.
        may_hold_inputs: for a folder whose files are checked one by one.

    Raises:
        InputError: naming both paths; or in a Ray job for a relative output.
    """
    check_lasting(out)
    out_places = _places(out)
    above = {found for place in out_places for found in _identities_upwards(place)}
    ours = {found for place in out_places if (found := _identity(place)) is not None}
    for item in inputs:
        if item is None or (read := _local(item)) is None:
            continue
        places = _places(read)
        theirs = {found for place in places if (found := _identity(place)) is not None}
        if ours & theirs:
            raise InputError(f"{out}: is what is read; {_NEXT}")
        if above & theirs:
            raise InputError(f"{out}: lies in {read}, which is read; {_NEXT}")
        around = {found for place in places for found in _identities_upwards(place)}
        if not may_hold_inputs and ours & around:
            raise InputError(f"{out}: holds {read}, which is read; {_NEXT}")


def check_output_folder(
    out: Path,
    expected: Kind,
    inputs: Iterable[str | Path | None],
    *,
    settings: Iterable[Path | None] = (),
    writes: Iterable[str] = (),
    may_hold_inputs: bool = False,
) -> None:
    """As `check_output`, for a folder that may hold what the same command wrote before.

    Args:
        out: the folder.
        expected: what it may hold already.
        inputs: files and folders that are read.
        settings: files of settings; they may lie in the folder.
        writes: names in the folder that are written; no file of settings is one of them.
        may_hold_inputs: whether inputs may lie in the folder, outside what is written.

    Raises:
        InputError: naming the paths, or what the folder holds.
    """
    inputs, settings = list(inputs), list(settings)
    check_output(out, inputs, may_hold_inputs=may_hold_inputs)
    check_output(out, settings, may_hold_inputs=True)
    for name in writes:
        check_output(out / name, [*inputs, *settings])
    for found in _kinds(out):
        if found != expected:
            raise InputError(f"{out}: holds {found}, expected {expected} or a new folder")


def check_output_file(out: Path, inputs: Iterable[str | Path | None]) -> None:
    """As `check_output`, for a file, which is none of those that describe or make up a folder.

    Raises:
        InputError: naming the paths, or the folder that the file belongs to.
    """
    check_output(out, inputs)
    for place in _places(out):
        kinds = _kinds(place.parent, with_people=False)
        if kinds and place.name.casefold() in _OWN_FILES:
            raise InputError(f"{out}: belongs to {kinds[0]} in {place.parent}; {_NEXT}")


def source_inputs(source: Path) -> list[Path]:
    """What reading a source reads: itself, what lies beside a file, and where its links lead."""
    if not source.is_dir():
        names = ("videos", "videos.csv", "taxonomy.json", "covered.csv", "reviews.csv")
        beside = (source.parent / name for name in names)
        there = [path for path in beside if path.exists()]
        return [source, *there, *(link for path in there for link in _links(path))]
    return [source, *_links(source)]


def _links(folder: Path) -> Iterator[Path]:
    """The links below a folder, resolved; those of linked folders are not followed further."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            if path.is_symlink():
                yield _resolved(path)


def _kinds(folder: Path, *, with_people: bool = True) -> list[Kind]:
    """What a folder holds, by the files that describe it."""
    kinds: list[Kind] = [kind for name, kind in _DESCRIBED if (folder / name).is_file()]
    if "shards" in kinds and "a dataset" in kinds:
        kinds.remove("a dataset")
    if all((folder / name).is_file() for name in _COMPARISON):
        kinds.append("a comparison")
    if not kinds and with_people and _is_source(folder):
        kinds.append("a source")
    return kinds


def _is_source(folder: Path) -> bool:
    """Whether people's tables lie here; a table of a curation that was cut short is not one."""
    found = [folder / name for name in _OF_PEOPLE if (folder / name).is_file()]
    return any(path.suffix == ".csv" or not _is_ours(path) for path in found)


def _is_ours(table: Path) -> bool:
    try:
        return VERSION_KEY in pl.read_parquet_metadata(table)
    except (OSError, pl.exceptions.PolarsError):
        return False


def _local(location: str | Path) -> Path | None:
    """The path that a location means; None for a URL of anything but a file."""
    plain = local(location)
    return None if is_url(plain) else Path(plain)


def _places(path: Path) -> set[Path]:
    """Where a path is, and where it leads if it is a link."""
    path = path.absolute()
    if path.name == "..":
        return {_resolved(path)}
    return {_resolved(path.parent) / path.name, _resolved(path)}


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a circle of links
        return path.absolute()


def _identities_upwards(path: Path) -> Iterator[tuple[int, int]]:
    for place in (path, *path.parents):
        if (found := _identity(place)) is not None:
            yield found


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file or folder; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
