"""Which videos of a dataset are still to be extracted, and which cannot be read at all."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.curation.player_regions import region_of
from ttdata.errors import DatasetError, VideoError
from ttdata.sources.annotations import REGION
from ttdata.storage.dataset import Dataset
from ttdata.video.location import fingerprint
from ttflow.jobs.job import Job
from ttflow.schema import Failure, FlowConfig
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.layout import (
    config_hash,
    is_whole,
    manifest_key,
    manifest_path,
    read_manifest,
)
from ttflow.shards.reader import newest_manifests


@dataclass
class WorkPlan:
    """Videos to compute, videos that cannot be read, and the manifest keys of all readable ones."""

    jobs: list[Job] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    manifest_keys: dict[str, str] = field(default_factory=dict)
    """By video: the key under which its manifest is, or will be."""

    @property
    def unchanged(self) -> int:
        """How many videos are finished already."""
        return len(self.manifest_keys) - len(self.jobs)


def plan_work(dataset: Dataset, shards: Path, config: FlowConfig) -> WorkPlan:
    """Compare a dataset with what a shards folder holds.

    Raises:
        DatasetError: if clips name no known video, no interval, or come twice.
    """
    specs = _clips_per_video(pl.concat([_places(dataset.clips), _places(dataset.stretches)]))
    facts = dataset.videos.drop("frame_seconds")  # hours of them would be gigabytes
    videos = {row["video_id"]: row for row in facts.to_dicts()}
    if unknown := sorted(set(specs) - set(videos)):
        raise DatasetError(f"clips of video {unknown[0]!r}, which videos.parquet does not list")
    hashed = config_hash(config)
    plan = WorkPlan()
    for video_id, source in _sources(shards, specs, videos, hashed).items():
        video, clips = videos[video_id], specs[video_id]
        if isinstance(source, str):
            plan.failures.append(
                Failure(video_id=video_id, path=video["path"], error=source, num_clips=len(clips))
            )
            continue
        key = plan.manifest_keys[video_id] = manifest_key(hashed, clips, source)
        if is_finished(shards, video_id, key):
            continue
        plan.jobs.append(
            Job(
                shards=shards,
                video_id=video_id,
                path=video["path"],
                key=key,
                source=source,
                expected_frames=video["num_frames"],
                clips=clips,
                config=config,
            )
        )
    return plan


def _sources(
    shards: Path,
    specs: dict[str, tuple[ClipSpec, ...]],
    videos: dict[str, dict[str, Any]],
    hashed: str,
) -> dict[str, tuple[int, str] | str]:
    """Fingerprint of each video, or why there is none.

    A file that is missing gets the fingerprint in its manifest, if the stored pixels are those that
    are asked for: labels can change without the videos.
    """
    with ThreadPoolExecutor(8) as pool:
        found = dict(
            zip(specs, pool.map(lambda v: source_of(videos[v]["path"]), specs), strict=True)
        )
    finished = newest_manifests(shards)
    for video_id, source in found.items():
        if isinstance(source, str) and (stored := finished.get(video_id)) is not None:
            remembered = (stored.source_size_bytes, stored.source_sha256_ends)
            if manifest_key(hashed, specs[video_id], remembered) == stored.key:
                found[video_id] = remembered
    return found


def _places(table: pl.DataFrame) -> pl.DataFrame:
    return table.select("clip_id", "video_id", "start_frame", "end_frame", *REGION)


def _clips_per_video(clips: pl.DataFrame) -> dict[str, tuple[ClipSpec, ...]]:
    repeated = clips.filter(pl.col("clip_id").is_duplicated())
    if repeated.height:
        raise DatasetError(f"clips.parquet: clip {repeated['clip_id'][0]!r} comes twice")
    specs: dict[str, list[ClipSpec]] = {}
    for row in clips.sort("video_id", "start_frame", "end_frame", "clip_id").to_dicts():
        spec = ClipSpec(row["clip_id"], row["start_frame"], row["end_frame"], region_of(row))
        if not 0 <= spec.start_frame < spec.end_frame:
            raise DatasetError(
                f"clip {spec.clip_id}: [{spec.start_frame}, {spec.end_frame}) is no interval"
            )
        specs.setdefault(row["video_id"], []).append(spec)
    return {video_id: tuple(clips) for video_id, clips in specs.items()}


def source_of(path: str | None) -> tuple[int, str] | str:
    """The fingerprint of a video file, or why there is none."""
    if path is None:
        return "videos.parquet names no file for it"
    try:
        return fingerprint(path)
    except VideoError as error:
        return str(error)


def is_finished(shards: Path, video_id: str, key: str) -> bool:
    """Whether a manifest commits the video under this key and its parts are there."""
    path = manifest_path(shards, video_id, key)
    return path.exists() and is_whole(shards, read_manifest(path))
