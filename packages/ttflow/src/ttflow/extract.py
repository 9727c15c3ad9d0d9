"""The work of `ttflow extract`: what is to be done, doing it, and the tables that describe it."""

import json
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.errors import DatasetError, InputError, VideoError
from ttdata.files import write_text
from ttdata.settings import load_config
from ttdata.tables import conform, read_table
from ttflow.dataset import Dataset, read_dataset
from ttflow.errors import ExtractError
from ttflow.intervals import ClipSpec
from ttflow.jobs import Job, Outcome
from ttflow.layout import (
    config_hash,
    fingerprint,
    is_whole,
    manifest_key,
    manifest_path,
    prepare_folder,
    read_manifest,
)
from ttflow.names import canonical_name, uses_gpu
from ttflow.progress import track_jobs
from ttflow.schema import SCHEMA_VERSION, ClipRecord, Failure, FlowConfig, Manifest
from ttflow.shards import newest_manifests
from ttflow.writer import clean_temporary, remove_stale, write_records

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What a run of `extract` did."""

    computed: int
    unchanged: int
    relabelled_clips: int
    failures: tuple[Failure, ...]

    @property
    def line(self) -> str:
        """The summary in words."""
        if self.computed == 0 and not self.failures:
            return (
                f"unchanged: {self.unchanged} videos, relabelled clips: {self.relabelled_clips}, "
                "nothing to compute"
            )
        return (
            f"extracted: {self.computed} videos, unchanged: {self.unchanged}, "
            f"failed: {len(self.failures)}, relabelled clips: {self.relabelled_clips}"
        )


def resolve_config(
    path: Path | None, estimator: str | None, overrides: Iterable[str]
) -> FlowConfig:
    """The configuration from a file, then overrides, then the estimator, by its full name.

    Raises:
        InputError: if a file, key, value or estimator is unknown or does not fit.
    """
    config = load_config(FlowConfig, path, overrides)
    name = canonical_name(estimator or config.estimator)
    return config.model_copy(update={"estimator": name})


@dataclass
class _Todo:
    jobs: list[Job] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """Key in force of each video that can be identified."""

    @property
    def unchanged(self) -> int:
        return len(self.keys) - len(self.jobs)


def extract(
    dataset_path: Path,
    out: Path,
    config: FlowConfig,
    *,
    workers: int | None = None,
    device: str = "auto",
) -> Summary:
    """Compute the clip shards of a dataset; videos that are finished already are left alone.

    Args:
        dataset_path: a folder that `ttdata curate` wrote.
        out: the shards folder.
        config: everything that changes a stored pixel.
        workers: videos at once; None: one per core. Ignored on a cluster that runs already.
        device: auto, cpu or cuda, for estimators that can use a GPU.

    Raises:
        InputError: for a missing or inconsistent dataset, or a folder of another configuration.
        ExtractError: if videos failed, after all others were finished.
    """
    dataset = read_dataset(dataset_path)
    shards = out.absolute()
    prepare_folder(shards, config)
    clean_temporary(shards)
    todo = _plan(dataset, shards, config, _device(config.estimator, device))
    if todo.jobs:
        logger.info("%d videos to extract, %d unchanged", len(todo.jobs), todo.unchanged)
    outcomes = list(track_jobs(todo.jobs, _outcomes(todo.jobs, workers)))
    failures = todo.failures + _failures(todo.jobs, outcomes)
    failed = {failure.video_id for failure in failures}
    remove_stale(shards, {v: key for v, key in todo.keys.items() if v not in failed})
    # Last: a folder whose first extraction was cut short has no clips.parquet and cannot be read.
    relabelled = _write_tables(shards, dataset, todo.keys)
    write_text(shards / "failures.jsonl", "".join(f.model_dump_json() + "\n" for f in failures))
    computed = sum(outcome.error is None for outcome in outcomes)
    summary = Summary(computed, todo.unchanged, relabelled, tuple(failures))
    _raise_failures(shards, summary)
    return summary


def _raise_failures(shards: Path, summary: Summary) -> None:
    if not summary.failures:
        return
    total = summary.computed + summary.unchanged + len(summary.failures)
    raise ExtractError(
        f"{len(summary.failures)} of {total} videos failed, the others are finished; "
        f"{shards / 'failures.jsonl'} names them; the first: {summary.failures[0].error}"
    )


def _device(estimator: str, device: str) -> str:
    """The device to use; asking for a GPU that is not there is an error."""
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device {device}: expected auto, cpu or cuda")
    canonical_name(estimator)
    if device == "cpu" or not uses_gpu(estimator):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise InputError("--device cuda: no GPU is available here")
    return "cpu"


def _plan(dataset: Dataset, shards: Path, config: FlowConfig, device: str) -> _Todo:
    specs = _clips_per_video(dataset.clips)
    videos = {row["video_id"]: row for row in dataset.videos.to_dicts()}
    if unknown := sorted(set(specs) - set(videos)):
        raise DatasetError(f"clips of video {unknown[0]!r}, which videos.parquet does not list")
    hashed = config_hash(config)
    todo = _Todo()
    for video_id, source in _sources(shards, specs, videos, hashed).items():
        video, clips = videos[video_id], specs[video_id]
        if isinstance(source, str):
            todo.failures.append(_failure(video_id, video["path"], source, len(clips)))
            continue
        key = todo.keys[video_id] = manifest_key(hashed, clips, source)
        if _is_finished(shards, video_id, key):
            continue
        todo.jobs.append(
            Job(
                shards=shards,
                video_id=video_id,
                path=Path(video["path"]),
                key=key,
                source=source,
                promised_frames=video["num_frames"],
                clips=clips,
                config=config,
                device=device,
            )
        )
    return todo


def _sources(
    shards: Path,
    specs: dict[str, tuple[ClipSpec, ...]],
    videos: dict[str, dict[str, Any]],
    hashed: str,
) -> dict[str, tuple[int, str] | str]:
    """Fingerprint of each video, or why there is none.

    Where a file is no longer at hand but what was made from it is just what is asked for, the
    fingerprint its manifest remembers: labels can change without the videos.
    """
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(specs, pool.map(lambda v: _source(videos[v]["path"]), specs), strict=True))
    finished = newest_manifests(shards)
    for video_id, source in found.items():
        if isinstance(source, str) and (stored := finished.get(video_id)) is not None:
            remembered = (stored.source_size_bytes, stored.source_sha256_ends)
            if manifest_key(hashed, specs[video_id], remembered) == stored.key:
                found[video_id] = remembered
    return found


def _clips_per_video(clips: pl.DataFrame) -> dict[str, tuple[ClipSpec, ...]]:
    repeated = clips.filter(pl.col("clip_id").is_duplicated())
    if repeated.height:
        raise DatasetError(f"clips.parquet: clip {repeated['clip_id'][0]!r} comes twice")
    specs: dict[str, list[ClipSpec]] = {}
    for row in clips.sort("video_id", "start_frame", "end_frame", "clip_id").to_dicts():
        corners = tuple(row[name] for name in ("x_min", "y_min", "x_max", "y_max"))
        region = None if None in corners else corners
        spec = ClipSpec(row["clip_id"], row["start_frame"], row["end_frame"], region)
        if not 0 <= spec.start_frame < spec.end_frame:
            raise DatasetError(
                f"clip {spec.clip_id}: [{spec.start_frame}, {spec.end_frame}) is no interval"
            )
        specs.setdefault(row["video_id"], []).append(spec)
    return {video_id: tuple(clips) for video_id, clips in specs.items()}


def _source(path: str | None) -> tuple[int, str] | str:
    """The fingerprint of a video file, or why there is none."""
    if path is None:
        return "videos.parquet names no file for it"
    try:
        return fingerprint(Path(path))
    except VideoError as error:
        return str(error)


def _failure(video_id: str, path: str | Path | None, error: str, num_clips: int) -> Failure:
    return Failure(
        video_id=video_id,
        path=None if path is None else str(path),
        error=error,
        num_clips=num_clips,
    )


def _is_finished(shards: Path, video_id: str, key: str) -> bool:
    path = manifest_path(shards, video_id, key)
    return path.exists() and is_whole(shards, read_manifest(path))


def _outcomes(jobs: list[Job], workers: int | None) -> Iterator[Outcome]:
    if jobs:
        from ttflow.ray_pipeline import run_jobs

        yield from run_jobs(jobs, workers)


def _failures(jobs: list[Job], outcomes: Iterable[Outcome]) -> list[Failure]:
    errors = {outcome.video_id: outcome.error for outcome in outcomes}
    lost = "its worker process died, also when tried again"
    found = []
    for job in jobs:
        if (error := errors.get(job.video_id, f"{job.path}: {lost}")) is not None:
            found.append(_failure(job.video_id, job.path, error, len(job.clips)))
    return found


def _write_tables(shards: Path, dataset: Dataset, keys: dict[str, str]) -> int:
    """Write clips.parquet and dataset.json if they change; returns how many clips changed."""
    manifests: dict[str, Manifest] = {}
    for video_id, key in keys.items():
        if _is_finished(shards, video_id, key):
            manifests[video_id] = read_manifest(manifest_path(shards, video_id, key))
    records = _records(dataset, manifests)
    info = json.dumps(dataset.info.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    changed = 0
    if (path := shards / "clips.parquet").is_file():
        before = read_table(path, ClipRecord, SCHEMA_VERSION)
        known = records.filter(pl.col("clip_id").is_in(before["clip_id"].implode()))
        changed = known.height - known.join(before, on=known.columns, nulls_equal=True).height
        dataset_json = shards / "dataset.json"
        same_info = dataset_json.is_file() and dataset_json.read_text(encoding="utf-8") == info
        if before.equals(records) and same_info:
            return 0
    write_records(shards, records, dataset.info)
    return changed


def _records(dataset: Dataset, manifests: dict[str, Manifest]) -> pl.DataFrame:
    """Clips of the finished videos, columns of `ClipRecord`, in the dataset's order."""
    decoded = pl.DataFrame(
        {
            "video_id": list(manifests),
            "num_frames": [manifest.num_frames for manifest in manifests.values()],
        },
        schema={"video_id": pl.String, "num_frames": pl.Int64},
    )
    facts = dataset.videos.select("video_id", "fps", "session_id").join(decoded, on="video_id")
    joined = dataset.clips.join(facts, on="video_id", maintain_order="left")
    return conform(joined, ClipRecord)
