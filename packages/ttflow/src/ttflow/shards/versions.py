"""The schema version of every file of a shards folder: another one is refused, nothing is read."""

from functools import cache
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq

from ttdata.storage.tables import check_version
from ttflow.schema import SCHEMA_VERSION

EXTRACT_AGAIN = "extract again into another folder"
"""What to do about a file of another version that extraction wrote."""


def check_shard_version(
    path: Path,
    found: object,
    expected: int = SCHEMA_VERSION,
    remedy: str = EXTRACT_AGAIN,
) -> None:
    """Refuse a file of another schema version.

    Raises:
        VersionError: names the file, both versions and what to do.
    """
    newer = str(found).isdigit() and int(str(found)) > expected
    release = "that release or a later one" if newer else "the release that wrote it"
    advice = f"use {release}, or {remedy}"
    check_version(path, found, expected, reader=_this_release(), advice=advice)


def check_parquet_version(path: Path, file: pq.FileMetaData) -> None:
    """Refuse a Parquet file of another schema version, by its metadata.

    Raises:
        VersionError: as `check_shard_version`.
    """
    found = (file.metadata or {}).get(b"schema_version")
    check_shard_version(path, None if found is None else found.decode())


@cache
def _this_release() -> str:
    return f"ttflow {version('ttflow')}"
