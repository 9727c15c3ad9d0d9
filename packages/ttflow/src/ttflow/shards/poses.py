"""Landmarks of the clips of a shards folder, beside its pixels: written, found and read.

pose/pose.json                   configuration and weights, which all of them share
pose/<video>-<key>.parquet       a row per clip; written last and at once, so it commits a video
pose/failures.jsonl              videos of the last run that could not be processed

The key is a hash of the configuration, the weights, the rate of the video, and the key of its
manifest, which stands for intervals, regions and the file. So what is stale is never read, and
adding poses changes no part.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from ttdata.settings import FrozenModel
from ttdata.storage.atomic import write_json
from ttflow.errors import ShardError
from ttflow.pose.clip_pose import ClipPose
from ttflow.pose.config import PoseConfig
from ttflow.pose.model import NUM_LANDMARKS
from ttflow.pose.weights import SHA256
from ttflow.schema import PoseRow
from ttflow.shards.layout import (
    arrow_schema,
    differences,
    digest,
    read_model,
    video_stem,
)
from ttflow.shards.locks import Temporary
from ttflow.shards.reader import Shards
from ttflow.shards.versions import check_shard_version

POSE_VERSION = 1
_REMEDY = "remove the folder `pose` of the shards and run `ttflow pose` again"
_PER_FRAME = {
    "points": (NUM_LANDMARKS, 2),
    "world": (NUM_LANDMARKS, 3),
    "visibility": (NUM_LANDMARKS,),
    "presence": (),
}
"""Shape of each column per frame."""


class PoseInfo(FrozenModel):
    """`pose/pose.json`: what all poses of a shards folder have in common."""

    schema_version: int = POSE_VERSION
    config: PoseConfig
    weights_sha256: dict[str, str] = Field(description="of the files of weights, by name")
    versions: dict[str, str] = Field(default_factory=dict)


def poses_folder(shards: Path) -> Path:
    """Where the poses are."""
    return shards / "pose"


def stored_info(shards: Path) -> PoseInfo | None:
    """What the poses of a folder were made with; None where there are none yet.

    Raises:
        ShardError: if `pose.json` is damaged.
        VersionError: if another release wrote it.
    """
    path = poses_folder(shards) / "pose.json"
    return read_model(path, PoseInfo, POSE_VERSION, _REMEDY) if path.is_file() else None


def agreed_info(shards: Path, config: PoseConfig) -> PoseInfo:
    """What poses of this configuration are made with; nothing is written.

    Raises:
        ShardError: if the folder's poses were made with another one; names every difference.
    """
    asked = PoseInfo(config=config, weights_sha256=SHA256, versions=_tool_versions())
    if (found := stored_info(shards)) is None:
        return asked
    if found.config != config:
        changed = differences(found.config, config)
    elif found.weights_sha256 != asked.weights_sha256:
        changed = f"weights {found.weights_sha256}, asked {asked.weights_sha256}"
    else:
        return found
    raise ShardError(f"{poses_folder(shards)}: made with {changed}; use the same, or {_REMEDY}")


def write_info(shards: Path, info: PoseInfo) -> None:
    """Make the folder of poses, if there is none."""
    path = poses_folder(shards) / "pose.json"
    if not path.is_file():
        write_json(path, info.model_dump(mode="json"))


def _tool_versions() -> dict[str, str]:
    """The libraries whose version can change a landmark, as far as they are installed."""
    found = {}
    for name in ("ttflow", "av", "opencv-python-headless", "numpy", "ai-edge-litert"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def expected_files(shards: Shards, info: PoseInfo) -> dict[str, Path]:
    """By video of `clips.parquet`: the file that holds its poses once it is processed."""
    rates = shards.clips.group_by("video_id", maintain_order=True).agg(pl.col("fps").first())
    return {
        video_id: _file(shards, info, video_id, fps)
        for video_id, fps in rates.iter_rows()
        if video_id in shards.manifests
    }


def leftover_files(shards: Shards, info: PoseInfo) -> list[Path]:
    """Files of poses that nothing reads: of former pixels, or of videos without any.

    Videos that left the dataset keep theirs, as they keep their pixels; so do those whose damaged
    pixels were removed, which come back under the same key.
    """
    expected = set(expected_files(shards, info).values())
    listed = set(shards.clips["video_id"])
    kept = tuple(f"{video_stem(video_id)}-" for video_id in shards.manifests.keys() ^ listed)
    files = sorted(poses_folder(shards.path).glob("*.parquet"))
    return [file for file in files if file not in expected and not file.name.startswith(kept)]


def _file(shards: Shards, info: PoseInfo, video_id: str, fps: float) -> Path:
    made = [POSE_VERSION, info.config.model_dump(mode="json"), info.weights_sha256]
    key = digest([*made, fps, shards.manifests[video_id].key])[:16]
    return poses_folder(shards.path) / f"{video_stem(video_id)}-{key}.parquet"


def write_poses(path: Path, poses: Sequence[ClipPose]) -> None:
    """Write the poses of a video's clips as one file, at once and whole."""
    columns: dict[str, list[Any]] = {
        "clip_id": [pose.clip_id for pose in poses],
        "fps": [pose.fps for pose in poses],
        "width": [pose.picture_hw[1] for pose in poses],
        "height": [pose.picture_hw[0] for pose in poses],
        "frames": [pose.frames for pose in poses],
    }
    for name in _PER_FRAME:
        columns[name] = [getattr(pose, name).ravel() for pose in poses]
    made = {"schema_version": str(POSE_VERSION), "sha256": content_sha256(poses)}
    table = pa.table(columns, schema=arrow_schema(PoseRow).with_metadata(made))
    path.parent.mkdir(exist_ok=True)
    with Temporary(path.parent) as written:
        pq.write_table(table, written.handle, compression="zstd", write_statistics=False)
        written.sync()
        written.publish(path)


def content_sha256(poses: Sequence[ClipPose]) -> str:
    """Hash of everything that a file of poses holds."""
    found = hashlib.sha256()
    for pose in poses:
        lengths = [len(getattr(pose, name)) for name in ("frames", *_PER_FRAME)]
        facts = [pose.clip_id, pose.fps, *pose.picture_hw, *lengths]
        found.update(digest(facts).encode())
        for name in ("frames", *_PER_FRAME):
            values = getattr(pose, name)
            found.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def stored_poses(path: Path) -> tuple[list[ClipPose], str]:
    """The poses of a file in the order of its rows, and the hash of them that it states.

    Raises:
        ShardError: if it is damaged, or a clip's lists do not have the same number of frames.
        VersionError: if another release wrote it.
    """
    try:
        with pq.ParquetFile(path) as file:
            stated = file.metadata.metadata or {}
            found = stated.get(b"schema_version")
            number = None if found is None else found.decode()
            check_shard_version(path, number, POSE_VERSION, _REMEDY)
            table = file.read()
            if table.schema.remove_metadata() != arrow_schema(PoseRow):
                raise ShardError(
                    f"{path}: columns {table.schema.names}, expected {list(PoseRow.model_fields)}"
                )
            return list(_rows(path, table)), stated.get(b"sha256", b"").decode()
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ShardError(f"{path}: cannot be read ({reason}); {_ANEW}") from error


_ANEW = "remove this file, then `ttflow pose` estimates its video again"


def _rows(path: Path, table: pa.Table) -> Iterator[ClipPose]:
    for number, row in enumerate(table.drop_columns(["frames", *_PER_FRAME]).to_pylist()):
        frames = _numbers(table, "frames", number)
        values = {name: _numbers(table, name, number) for name in _PER_FRAME}
        for name, shape in _PER_FRAME.items():
            expected = len(frames) * int(np.prod(shape))
            if len(values[name]) != expected or not len(frames):
                raise ShardError(
                    f"{path}: clip {row['clip_id']}: {len(values[name])} values of {name}, "
                    f"expected {expected} for {len(frames)} frames; {_ANEW}"
                )
            values[name] = values[name].reshape(-1, *shape)
        yield ClipPose(
            frames=frames,
            points=values["points"],
            world=values["world"],
            visibility=values["visibility"],
            presence=values["presence"],
            clip_id=row["clip_id"],
            fps=row["fps"],
            picture_hw=(row["height"], row["width"]),
        )


def _numbers(table: pa.Table, name: str, row: int) -> NDArray[Any]:
    """A list of a row as an array."""
    values: NDArray[Any] = table.column(name)[row].values.to_numpy(zero_copy_only=False)
    return values
