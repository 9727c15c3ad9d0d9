"""Names, hashes and small files of a shards folder.

shards.json                                configuration and its hash
clips.parquet, dataset.json                labels, splits, taxonomy: rewritten when they change
dataset_folder.json                        where the dataset lay
failures.jsonl                             videos of the last run that could not be processed
parts/<video>-<key>-000-<sha256>.parquet   pixels of consecutive clips
manifests/<video>-<key>.json               commits the parts of one video, written last
pose/                                      landmarks of the players, see `poses`
"""

import hashlib
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ValidationError

from ttdata.settings import first_problem
from ttdata.storage.atomic import json_text, write_json, write_text
from ttdata.storage.tables import polars_schema
from ttflow.errors import ShardError
from ttflow.schema import (
    SCHEMA_VERSION,
    DatasetFolder,
    Failure,
    FlowConfig,
    Manifest,
    PartRow,
    ShardsInfo,
)
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.versions import EXTRACT_AGAIN, check_shard_version

M = TypeVar("M", bound=BaseModel)

_ARROW = {
    "String": pa.string(),
    "Int64": pa.int64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "Boolean": pa.bool_(),
    "Binary": pa.binary(),
}


def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of a table: the columns of its Polars schema, lists with 32-bit offsets."""

    def arrow(dtype: Any) -> pa.DataType:
        inner = getattr(dtype, "inner", None)
        return pa.list_(arrow(inner)) if inner is not None else _ARROW[str(dtype)]

    return pa.schema([(name, arrow(dtype)) for name, dtype in polars_schema(model).items()])


def part_schema() -> pa.Schema:
    """The Arrow schema of a part, with the schema version in its metadata."""
    return arrow_schema(PartRow).with_metadata({"schema_version": str(SCHEMA_VERSION)})


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def config_hash(config: FlowConfig) -> str:
    """Hash of every number that changes a stored pixel."""
    values = config.model_dump(mode="json", exclude={"hwaccel"})  # another way to the same pixels
    if values["weights_sha256"] is None:  # as before there was such a field
        del values["weights_sha256"]
    return digest([SCHEMA_VERSION, values])[:16]


def manifest_key(config: str, clips: Iterable[ClipSpec], source: tuple[int, str]) -> str:
    """Key of a video's parts: a hash of configuration, intervals with regions, and source."""
    intervals = sorted((c.clip_id, c.start_frame, c.end_frame, c.region or ()) for c in clips)
    return digest([config, intervals, source])[:16]


def video_stem(video_id: str) -> str:
    """A file name for any video id: a readable part, then a hash that makes it unique.

    >>> video_stem("serve/serve 12")
    'serve_serve_12.c37503d7'
    """
    readable = re.sub(r"[^\w-]", "_", video_id, flags=re.ASCII).lstrip("-")[:60]
    return f"{readable or 'video'}.{hashlib.sha256(video_id.encode()).hexdigest()[:8]}"


WRITTEN = (
    *("shards.json", "clips.parquet", "dataset.json", "dataset_folder.json", "failures.jsonl"),
    *("manifests", "parts", "pose"),
)
"""Names of what is written in a shards folder."""


def parts_folder(shards: Path) -> Path:
    """Where the Parquet parts are."""
    return shards / "parts"


def dataset_folder_path(shards: Path) -> Path:
    """Where it is written where the dataset lay."""
    return shards / "dataset_folder.json"


def failures_path(shards: Path) -> Path:
    """Where the videos are listed that could not be processed."""
    return shards / "failures.jsonl"


def read_failures(folder: Path) -> list[Failure]:
    """The videos that the last run could not process, of a shards folder or its poses."""
    path = failures_path(folder)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [Failure.model_validate_json(line) for line in lines]


def manifest_path(shards: Path, video_id: str, key: str) -> Path:
    """Where the manifest of a video under a key is."""
    return shards / "manifests" / f"{video_stem(video_id)}-{key}.json"


def remember_dataset(shards: Path, dataset: Path) -> None:
    """Write down where the dataset lies, unless that is known."""
    info = DatasetFolder(path=str(dataset.absolute()))
    path, text = dataset_folder_path(shards), json_text(info.model_dump(mode="json"))
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ShardError: if it is missing or damaged.
        VersionError: if another schema version wrote it.
    """
    try:
        return read_model(path, Manifest, SCHEMA_VERSION)
    except ShardError as error:
        if not path.exists():
            raise
        raise ShardError(
            f"{error}; remove this file, then `ttflow extract` computes its video again"
        ) from error


def read_model(path: Path, model: type[M], schema_version: int, remedy: str = EXTRACT_AGAIN) -> M:
    """Read one of our versioned JSON files.

    Raises:
        ShardError: if it is missing or damaged.
        VersionError: if another schema version wrote it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ShardError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise ShardError(f"{path}: not a readable JSON file ({error})") from error
    found = values.get("schema_version") if isinstance(values, dict) else None
    check_shard_version(path, found, schema_version, remedy)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ShardError(f"{path}: {first_problem(error)}") from error


def all_manifests(shards: Path) -> list[tuple[Path, Manifest]]:
    """Every manifest of a folder with its path, in order of file names."""
    paths = sorted((shards / "manifests").glob("*.json"))
    return [(path, read_manifest(path)) for path in paths]


def is_whole(shards: Path, manifest: Manifest) -> bool:
    """Whether all parts of a manifest are there with the size it states."""
    for part in manifest.parts:
        path = parts_folder(shards) / part.file
        if not path.is_file() or path.stat().st_size != part.num_bytes:
            return False
    return True


def tool_versions() -> dict[str, str]:
    """The libraries whose version can change a stored pixel."""
    names = ("ttflow", "av", "opencv-python-headless", "numpy", "torch", "numba", "zstandard")
    return {name: version(name) for name in names}


def prepare_folder(shards: Path, config: FlowConfig) -> ShardsInfo:
    """Make a shards folder, or check that an existing one has this configuration.

    Raises:
        ShardError: if the folder was made with another configuration; names every difference.
    """
    path = shards / "shards.json"
    if not path.exists():
        if shards.exists() and any(shards.iterdir()) and not (shards / "manifests").exists():
            raise ShardError(f"{shards}: neither empty nor a shards folder; name another one")
        info = ShardsInfo(config=config, config_hash=config_hash(config), versions=tool_versions())
        (shards / "manifests").mkdir(parents=True, exist_ok=True)
        parts_folder(shards).mkdir(exist_ok=True)
        write_json(path, info.model_dump(mode="json"))
    info = read_model(path, ShardsInfo, SCHEMA_VERSION)
    if info.config_hash != config_hash(config):
        raise ShardError(
            f"{shards}: made with {differences(info.config, config)}; "
            "use another --out or the same settings"
        )
    return info


def differences(found: BaseModel, asked: BaseModel) -> str:
    """What two configurations of one kind do not share, in words."""
    old, new = found.model_dump(), asked.model_dump()
    return ", ".join(f"{k}={old[k]!r}, asked {new[k]!r}" for k in old if old[k] != new[k])
