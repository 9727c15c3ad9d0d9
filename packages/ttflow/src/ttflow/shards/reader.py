"""Reading a shards folder: labels without pixels, then one clip at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ttdata.errors import DatasetError
from ttdata.schema import SCHEMA_VERSION as DATASET_VERSION
from ttdata.schema import DatasetInfo, StretchKind
from ttdata.storage.tables import read_table
from ttflow.errors import ShardError
from ttflow.schema import SCHEMA_VERSION, ClipRecord, Manifest, PartRow, ShardsInfo
from ttflow.shards.layout import all_manifests, parts_folder, read_model
from ttflow.shards.versions import check_parquet_version

PIXEL_COLUMNS = tuple(name for name in PartRow.model_fields if name != "clip_id")


@dataclass(frozen=True)
class Location:
    """Where the pixels of a clip are: a Parquet part, and the row group that holds only it."""

    part: Path
    row_group: int


@dataclass(frozen=True)
class Shards:
    """An opened shards folder; holds no pixels.

    Attributes:
        path: the folder, absolute.
        info: its configuration (`shards.json`).
        dataset: taxonomy, split and leakage (`dataset.json`).
        clips: one row per clip, columns of `ClipRecord`; also one per stretch (specification 1.10),
            which `kind` tells apart.
        manifests: the newest committed manifest of each video.
    """

    path: Path
    info: ShardsInfo
    dataset: DatasetInfo
    clips: pl.DataFrame
    manifests: dict[str, Manifest]

    @property
    def without_stretches(self) -> pl.DataFrame:
        """The rows of `clips` that are clips of the dataset: strokes and negatives."""
        return self.clips.filter(~pl.col("kind").is_in(get_args(StretchKind)))

    @cached_property
    def _locations(self) -> dict[str, Location]:
        return {
            clip_id: Location(parts_folder(self.path) / part.file, row)
            for manifest in self.manifests.values()
            for part in manifest.parts
            for row, clip_id in enumerate(part.clip_ids)
        }

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {clip_id: row for row, clip_id in enumerate(self.clips["clip_id"])}

    def location(self, clip_id: str) -> Location:
        """Part and row group of a clip.

        Raises:
            ShardError: if no manifest commits this clip.
        """
        try:
            return self._locations[clip_id]
        except KeyError:
            raise ShardError(f"{self.path}: no pixels of clip {clip_id!r}") from None

    def record(self, clip_id: str) -> dict[str, Any]:
        """Identity, label, split and video facts of a clip: a `ClipRecord` as a dict.

        Raises:
            ShardError: if the folder has no such clip.
        """
        try:
            return self.clips.row(self._rows[clip_id], named=True)
        except KeyError:
            raise ShardError(f"{self.path}: no clip {clip_id!r} in clips.parquet") from None

    def read(self, clip_id: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """A clip with its pixels, still encoded: a `ClipRow` as a dict.

        Args:
            clip_id: of a row of `clips`.
            columns: those of `PartRow` to read; the columns of `ClipRecord` are always there.

        Raises:
            ShardError: if the clip is unknown or its part cannot be read; names both.
        """
        record = self.record(clip_id)
        wanted = [name for name in PIXEL_COLUMNS if columns is None or name in columns]
        pixels: dict[str, Any] = read_rows(self.location(clip_id), wanted).to_pylist()[0]
        return record | pixels

    def read_columns(
        self, clip_ids: Sequence[str], columns: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """A few columns of many clips: every part is opened once, and nothing else of it is read.

        Args:
            clip_ids: of rows of `clips`.
            columns: those of `PartRow` to read.

        Returns:
            The values by column, by clip_id, in the order asked for.

        Raises:
            ShardError: as `read`.
        """
        by_part: dict[Path, dict[int, str]] = {}
        for clip_id in clip_ids:
            at = self.location(clip_id)
            by_part.setdefault(at.part, {})[at.row_group] = clip_id
        found: dict[str, dict[str, Any]] = {}
        for part, groups in by_part.items():
            rows = _read_groups(part, list(groups), columns).to_pylist()
            found |= dict(zip(groups.values(), rows, strict=True))
        return {clip_id: found[clip_id] for clip_id in clip_ids}


def read_rows(location: Location, columns: Sequence[str]) -> pa.Table:
    """One row of a part as an Arrow table.

    Raises:
        ShardError: if the part is missing or damaged.
        VersionError: if another schema version wrote it.
    """
    return _read_groups(location.part, [location.row_group], columns)


def _read_groups(path: Path, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as part:
            check_parquet_version(path, part.metadata)
            return part.read_row_groups(list(groups), columns=list(columns))
    except (OSError, pa.ArrowException, IndexError) as error:
        named = ", ".join(map(str, groups[:3])) + (", ..." if len(groups) > 3 else "")
        raise ShardError(
            f"{path}: row group {named} cannot be read ({error}); extract again"
        ) from error


def open_shards(path: Path | str) -> Shards:
    """Open a shards folder for reading.

    Raises:
        ShardError: if the folder is missing or not finished.
        VersionError: if another release wrote it.
    """
    folder = Path(path).absolute()
    info = read_model(folder / "shards.json", ShardsInfo, SCHEMA_VERSION)
    if not (folder / "clips.parquet").is_file():
        raise ShardError(f"{folder}: no clips.parquet yet; run `ttflow extract` to its end")
    dataset = read_model(folder / "dataset.json", DatasetInfo, DATASET_VERSION)
    clips = read_records(folder / "clips.parquet")
    return Shards(folder, info, dataset, clips, newest_manifests(folder))


def read_records(path: Path) -> pl.DataFrame:
    """Read a `clips.parquet` of shards, columns of `ClipRecord`.

    Raises:
        ShardError: if it is missing, damaged, or has other columns.
        VersionError: if another schema version wrote it.
    """
    try:
        check_parquet_version(path, pq.read_metadata(path))
        return read_table(path, ClipRecord, SCHEMA_VERSION)
    except (DatasetError, OSError, pa.ArrowException) as error:
        raise ShardError(f"{path}: not a readable table ({error})") from error


def newest_manifests(folder: Path) -> dict[str, Manifest]:
    """The manifest in force of each video: of several, the one committed last."""
    newest: dict[str, Manifest] = {}
    for _, manifest in all_manifests(folder):
        known = newest.get(manifest.video_id)
        if known is None or known.generation <= manifest.generation:
            newest[manifest.video_id] = manifest
    return newest
