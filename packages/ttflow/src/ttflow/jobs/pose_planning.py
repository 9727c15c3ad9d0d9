"""Which videos of a shards folder still lack their poses, and which cannot be looked at."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ttdata.curation.player_regions import region_of
from ttdata.errors import InputError
from ttdata.storage.dataset import load_dataset
from ttflow.errors import ShardError
from ttflow.jobs.job import PoseJob
from ttflow.jobs.planning import source_of
from ttflow.schema import SCHEMA_VERSION, DatasetFolder, Failure, Manifest
from ttflow.shards.intervals import ClipSpec, Interval
from ttflow.shards.layout import dataset_folder_path, read_model
from ttflow.shards.poses import PoseInfo, expected_files
from ttflow.shards.reader import Shards

_STORED = ("stored_start_frame", "stored_end_frame")


@dataclass
class PosePlan:
    """Videos to look at, and those that cannot be read."""

    jobs: list[PoseJob] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def pending_videos(shards: Shards, info: PoseInfo) -> dict[str, Path]:
    """By video whose poses are not there yet: the file that will hold them."""
    files = expected_files(shards, info)
    return {video_id: path for video_id, path in files.items() if not path.is_file()}


def plan_poses(
    shards: Shards, info: PoseInfo, pending: dict[str, Path], dataset: Path | None
) -> PosePlan:
    """What to do for the videos that are pending.

    Args:
        shards: an opened folder.
        info: what poses are made with.
        pending: of `pending_videos`, at least one.
        dataset: the folder that says where the videos are; None: where it lay at extraction.

    Raises:
        InputError: if it is not known, or holds no dataset.
    """
    paths = video_paths(shards, dataset)
    clips = {key[0]: rows for key, rows in shards.clips.group_by("video_id")}
    plan = PosePlan()
    with ThreadPoolExecutor(8) as pool:
        sources = list(pool.map(lambda video_id: source_of(paths.get(video_id)), pending))
    for (video_id, file), source in zip(pending.items(), sources, strict=True):
        path, rows = (
            paths.get(video_id),
            clips[video_id].sort("start_frame", "end_frame", "clip_id"),
        )
        try:
            found = _checked_path(path, source, shards.manifests[video_id])
            plan.jobs.append(_job(shards, info, video_id, file, found, rows))
        except ShardError as error:
            lost = {"path": path, "error": str(error), "num_clips": rows.height}
            plan.failures.append(Failure.model_validate({"video_id": video_id, **lost}))
    return plan


def _job(
    shards: Shards, info: PoseInfo, video_id: str, file: Path, path: str, clips: pl.DataFrame
) -> PoseJob:
    specs, stored = [], list[Interval]()
    for row in clips.to_dicts():
        region = region_of(row)
        specs.append(ClipSpec(row["clip_id"], row["start_frame"], row["end_frame"], region))
        bounds = shards.read(row["clip_id"], _STORED)
        stored.append((bounds["stored_start_frame"], bounds["stored_end_frame"]))
    manifest = shards.manifests[video_id]
    return PoseJob(
        shards=shards.path,
        video_id=video_id,
        path=path,
        key=manifest.key,
        source=(manifest.source_size_bytes, manifest.source_sha256_ends),
        expected_frames=max(last for _, last in stored),
        clips=tuple(specs),
        config=shards.info.config,
        pose=info.config,
        fps=clips["fps"][0],
        stored=tuple(stored),
        file=file,
    )


def video_paths(shards: Shards, dataset: Path | None) -> dict[str, str | None]:
    """By video of the dataset: where it is, as `ttflow extract` finds it.

    Args:
        shards: an opened folder.
        dataset: the folder that says where the videos are; None: where it lay at extraction.

    Raises:
        InputError: if it is not known, or holds no dataset.
    """
    if dataset is None:
        remembered = dataset_folder_path(shards.path)
        if not remembered.is_file():
            raise InputError(
                f"{shards.path}: does not say where its dataset lies; name it with --dataset"
            )
        dataset = Path(read_model(remembered, DatasetFolder, SCHEMA_VERSION).path)
        if not dataset.is_dir():
            raise InputError(
                f"{dataset}: no such folder, where the dataset of {shards.path} lay; name it with "
                "--dataset"
            )
    videos = load_dataset(dataset).videos
    return dict(videos.select("video_id", "path").iter_rows())


def _checked_path(path: str | None, source: tuple[int, str] | str, manifest: Manifest) -> str:
    """Where a video is.

    Raises:
        ShardError: if it cannot be read, or is not the one whose pixels are stored.
    """
    if path is None or isinstance(source, str):
        raise ShardError(str(source))
    stored = (manifest.source_size_bytes, manifest.source_sha256_ends)
    if manifest.source_size_bytes == 0:  # by `write_clips`, which knows no file
        return path
    if source != stored:
        raise ShardError(
            f"{path}: {source[0]} bytes, SHA-256 {source[1][:12]}, expected {stored[0]} bytes, "
            f"{stored[1][:12]}, which were extracted; run `ttflow extract` again"
        )
    return path
