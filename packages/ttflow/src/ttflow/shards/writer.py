"""Writing a shards folder: parts under temporary names, then one manifest that commits them.

Whatever is killed at whatever moment, a video is there whole or not at all. Parts carry a hash of
their content in their names, so two jobs that compute the same video never harm each other.
"""

import contextlib
import hashlib
import itertools
import os
import pickle
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from ttdata.schema import DatasetInfo
from ttdata.storage.atomic import json_text, write_json
from ttdata.storage.tables import polars_schema, write_table
from ttflow.errors import ShardError
from ttflow.schema import (
    SCHEMA_VERSION,
    ClipRecord,
    ClipRow,
    FlowConfig,
    Manifest,
    PartInfo,
    PartRow,
)
from ttflow.shards.layout import (
    all_manifests,
    digest,
    is_whole,
    manifest_path,
    part_schema,
    parts_folder,
    prepare_folder,
    read_manifest,
    video_stem,
)
from ttflow.shards.locks import Temporary

TARGET_BYTES = 128 << 20
"""A part is closed once it holds this much."""


class VideoWriter:
    """Collects the rows of one video into parts; nothing shows before `commit`.

    Use as a context manager: what is not committed is removed.
    """

    def __init__(self, shards: Path, video_id: str, key: str, target_bytes: int = TARGET_BYTES):
        self._shards = shards
        self._video_id = video_id
        self._key = key
        self._target_bytes = target_bytes
        self._closed: list[tuple[_OpenPart, PartInfo]] = []
        self._part: _OpenPart | None = None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.restart()

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a clip, the columns of `PartRow`, as a row group of its own."""
        if self._part is None:
            self._part = _OpenPart(parts_folder(self._shards))
        self._part.write(row)
        if self._part.num_bytes >= self._target_bytes:
            self._close_part()

    def restart(self) -> None:
        """Forget every row written so far."""
        for part in (self._part, *(closed for closed, _ in self._closed)):
            if part is not None:
                part.discard()
        self._part = None
        self._closed = []

    def commit(self, source: tuple[int, str], num_frames: int, flow_frames: int) -> Manifest:
        """Give the parts their names and write the manifest; older keys of the video go away.

        If another job committed the same key meanwhile, its parts stay and ours are dropped.
        """
        path = manifest_path(self._shards, self._video_id, self._key)
        if path.exists() and is_whole(self._shards, found := read_manifest(path)):
            self.restart()
            return found
        if self._part is not None:
            self._close_part()
        manifest = Manifest(
            video_id=self._video_id,
            key=self._key,
            source_size_bytes=source[0],
            source_sha256_ends=source[1],
            num_frames=num_frames,
            flow_frames=flow_frames,
            generation=_next_generation(self._shards, self._video_id),
            parts=tuple(part for _, part in self._closed),
        )
        # Written before any part has its name: a disk that is full shows itself here.
        with Temporary(path.parent) as written:
            written.handle.write(json_text(manifest.model_dump(mode="json")).encode())
            written.sync()
            for part, info in self._closed:
                part.publish(parts_folder(self._shards) / info.file)
            self._closed = []
            written.publish(path)
        remove_stale(self._shards, {self._video_id: self._key})
        return manifest

    def _close_part(self) -> None:
        assert self._part is not None
        prefix = f"{video_stem(self._video_id)}-{self._key}-{len(self._closed):03d}"
        self._closed.append((self._part, self._part.close(prefix)))
        self._part = None


class _OpenPart:
    """A part under a temporary name."""

    def __init__(self, folder: Path) -> None:
        self._temporary = Temporary(folder)
        self._clip_ids: list[str] = []
        # Blobs are compressed already; statistics would store the largest of them once more.
        self._writer = pq.ParquetWriter(
            self._temporary.handle,
            part_schema(),
            compression="NONE",
            use_dictionary=False,
            write_statistics=False,
        )

    @property
    def num_bytes(self) -> int:
        return self._temporary.handle.tell()

    def write(self, row: Mapping[str, Any]) -> None:
        columns = {name: [row[name]] for name in part_schema().names}
        self._writer.write_table(pa.table(columns, schema=part_schema()))
        self._clip_ids.append(str(row["clip_id"]))

    def close(self, prefix: str) -> PartInfo:
        """No more rows; the name is this prefix with a hash of the content."""
        self._writer.close()
        self._temporary.sync()
        with self._temporary.path.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        return PartInfo(
            file=f"{prefix}-{sha256[:8]}.parquet",
            clip_ids=tuple(self._clip_ids),
            num_bytes=self.num_bytes,
            sha256=sha256,
        )

    def publish(self, target: Path) -> None:
        self._temporary.publish(target)

    def discard(self) -> None:
        # On a full disk closing fails as writing did; the writer must not try once more when freed.
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False
        self._temporary.discard()


def _next_generation(shards: Path, video_id: str) -> int:
    generations = [m.generation for _, m in _manifests_of(shards, video_id)]
    return max(generations, default=-1) + 1


def _manifests_of(shards: Path, video_id: str) -> list[tuple[Path, Manifest]]:
    prefix = video_stem(video_id) + "-"
    paths = sorted(p for p in (shards / "manifests").iterdir() if p.name.startswith(prefix))
    return [(path, read_manifest(path)) for path in paths]


def remove_stale(shards: Path, wanted: Mapping[str, str]) -> None:
    """Remove manifests of other keys, and uncommitted parts, of videos whose key is committed.

    Args:
        shards: the folder.
        wanted: key in force of each video; videos that are not named are left alone.
    """
    keep: dict[str, set[str]] = {}
    for video_id, key in wanted.items():
        path = manifest_path(shards, video_id, key)
        if path.exists():
            keep[video_stem(video_id)] = {part.file for part in read_manifest(path).parts}
            keep[video_stem(video_id)].add(path.name)
    for folder in (shards / "manifests", parts_folder(shards)):
        for name in sorted(os.listdir(folder)):
            if (kept := keep.get(_stem_of(name))) is not None and name not in kept:
                (folder / name).unlink(missing_ok=True)


def _stem_of(name: str) -> str:
    """The `video_stem` a file name begins with: readable part, dot, eight hexadecimal digits."""
    readable, _, rest = name.partition(".")
    return f"{readable}.{rest[:8]}"


def write_clips(
    path: Path | str,
    rows: Iterable[ClipRow | Mapping[str, Any]],
    config: FlowConfig,
    dataset: DatasetInfo,
) -> None:
    """Write clips that are encoded already as a shards folder; they replace those in the folder.

    Args:
        path: the folder, made when missing.
        rows: clips with their pixels; those of one video must follow one another. They are checked
            and wait in a temporary file until the last one has come.
        config: what the pixels were made with.
        dataset: taxonomy and split of the clips.

    Raises:
        ShardError: if a row's lists do not have one entry per stored frame, a clip comes twice,
            or the folder was made with another configuration; no row is written then.
    """
    shards = Path(path).absolute()
    prepare_folder(shards, config)
    wanted: dict[str, str] = {}
    with tempfile.TemporaryFile() as spool:
        records, keys = _spooled(rows, spool)
        spool.seek(0)
        stored = (pickle.load(spool) for _ in records)
        for video_id, group in itertools.groupby(stored, key=lambda row: row["video_id"]):
            wanted[video_id] = _write_video(shards, video_id, group, keys[video_id].hexdigest())
    for manifest_file, manifest in all_manifests(shards):
        if manifest.video_id not in wanted:
            manifest_file.unlink()
            for part in manifest.parts:
                (parts_folder(shards) / part.file).unlink(missing_ok=True)
    write_records(shards, pl.DataFrame(records, schema=polars_schema(ClipRecord)), dataset)


def _spooled(
    rows: Iterable[ClipRow | Mapping[str, Any]], spool: IO[bytes]
) -> tuple[list[dict[str, Any]], dict[str, "hashlib._Hash"]]:
    """Check every row and put it into a file, before any video is committed.

    Returns:
        the records of the clips, and by video the hash of all that its parts and manifest store.
    """
    records: list[dict[str, Any]] = []
    contents: dict[str, hashlib._Hash] = {}
    clip_ids: set[str] = set()
    for row in map(_checked, rows):
        video_id = row["video_id"]
        if row["clip_id"] in clip_ids:
            raise ShardError(f"clip {row['clip_id']!r} comes twice; nothing was written")
        if video_id in contents and records[-1]["video_id"] != video_id:
            raise ShardError(f"video {video_id}: its clips do not follow one another")
        clip_ids.add(row["clip_id"])
        contents.setdefault(video_id, hashlib.sha256()).update(_content_digest(row).encode())
        records.append({name: row[name] for name in ClipRecord.model_fields})
        pickle.dump(row, spool)
    return records, contents


def _content_digest(row: Mapping[str, Any]) -> str:
    """Hash of what a row puts into its part and manifest: a label is not in it."""
    names = (*PartRow.model_fields, "num_frames")
    return digest({name: _hashable(row[name]) for name in names})


def _hashable(value: Any) -> Any:
    """The value with bytes replaced by their hash, for JSON."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return [_hashable(item) for item in value] if isinstance(value, list) else value


def _write_video(shards: Path, video_id: str, clips: Iterable[dict[str, Any]], content: str) -> str:
    key = digest([video_id, content])[:16]
    num_frames = 0
    with VideoWriter(shards, video_id, key) as writer:
        for row in clips:
            writer.write(row)
            num_frames = row["num_frames"]
        writer.commit((0, content), num_frames, 0)
    return key


def _checked(row: ClipRow | Mapping[str, Any]) -> dict[str, Any]:
    valid = row if isinstance(row, BaseModel) else ClipRow.model_validate(dict(row))
    values = valid.model_dump()
    if problem := row_problem(values):
        raise ShardError(problem)
    return values


def row_problem(row: Mapping[str, Any]) -> str | None:
    """What is inconsistent in the lengths of a `PartRow`'s lists, or None."""
    num_frames = row["stored_end_frame"] - row["stored_start_frame"]
    for name, per_frame in _LENGTHS.items():
        if len(row[name]) != per_frame * num_frames:
            return (
                f"clip {row['clip_id']}: {len(row[name])} values of {name}, "
                f"expected {per_frame * num_frames} for {num_frames} frames"
            )
    if len(row["background_rgb"]) != 18 * 32 * 3:
        return f"clip {row['clip_id']}: {len(row['background_rgb'])} bytes of background_rgb"
    return None


_LENGTHS = {
    "roi_xy": 2,
    "patch_left_top": 2,
    "flags": 1,
    "time_seconds": 1,
    "flow_max_px": 2,
    "rgb": 1,
    "flow": 1,
}


def write_records(shards: Path, records: pl.DataFrame, dataset: DatasetInfo) -> None:
    """Write `clips.parquet` and `dataset.json`."""
    write_table(records, shards / "clips.parquet", ClipRecord, SCHEMA_VERSION)
    write_json(shards / "dataset.json", dataset.model_dump(mode="json"))
