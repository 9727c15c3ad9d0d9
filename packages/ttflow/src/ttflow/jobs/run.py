"""The work of `ttflow extract`: runs the jobs, then writes the tables that describe the shards."""

import json
import logging
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ttdata.errors import DatasetError, InputError
from ttdata.schema import Clip
from ttdata.settings import load_config
from ttdata.storage.dataset import Dataset, load_dataset
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.outputs import check_output_folder
from ttdata.storage.tables import conform
from ttdata.video.times import are_uneven, seconds_at
from ttflow.errors import ShardError
from ttflow.jobs.failures import (
    disk_errors,
    disk_full_error,
    failures_error,
    failures_of,
    write_failures,
)
from ttflow.jobs.job import Job, Outcome, Progress, Workers, check_workers
from ttflow.jobs.planning import is_finished, plan_work
from ttflow.jobs.progress import outcomes_of
from ttflow.jobs.worker import weights_of
from ttflow.schema import (
    SCHEMA_VERSION,
    ClipRecord,
    Failure,
    FlowConfig,
    Manifest,
    ShardsInfo,
)
from ttflow.shards.layout import (
    manifest_path,
    parts_folder,
    prepare_folder,
    read_manifest,
    read_model,
    remember_dataset,
)
from ttflow.shards.locks import clean_temporary
from ttflow.shards.reader import read_records
from ttflow.shards.writer import remove_stale, write_records

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
    """The configuration from a file, then overrides, then the estimator.

    Raises:
        InputError: if a file, key, value or estimator is unknown or does not fit.
    """
    last = [] if estimator is None else [f"estimator={estimator}"]
    return load_config(FlowConfig, path, [*overrides, *last])


def extract(
    dataset_path: Path, out: Path, config: FlowConfig, workers: Workers | None = None
) -> Summary:
    """Compute the clip shards of a dataset; videos that are finished already are left alone.

    Args:
        dataset_path: a folder that `ttdata curate` wrote.
        out: the shards folder.
        config: everything that changes a stored pixel.
        workers: what the work may use; None: every core, and a GPU if there is one.

    Raises:
        InputError: for a missing, inconsistent or empty dataset, a folder of another configuration,
            one that is, holds or lies in what is read, a GPU that the estimator cannot use, or
            weights that are missing or others than the configuration's.
        ExtractError: if videos failed, after all others were finished, or the disk is full.
    """
    dataset = load_dataset(dataset_path)
    _ = (
        dataset.videos,
        dataset.clips,
        dataset.stretches,
    )  # a damaged table is found before a folder is made
    workers = workers or Workers()
    check_workers(config.estimator, workers)
    if dataset.clips.is_empty():
        raise DatasetError(
            f"{dataset_path}: holds no clip, so there is nothing to extract; `ttdata curate` says "
            "why its annotations gave none"
        )
    check_lasting(out, "--out")
    shards = out.absolute()
    videos = [path for path in dataset.videos["path"].drop_nulls() if not Path(path).is_dir()]
    check_output_folder(shards, "shards", [dataset.path, *videos])
    config = _with_weights(config, shards)
    with disk_errors(shards):
        return _extract_into(shards, dataset, config, workers)


def _with_weights(config: FlowConfig, shards: Path) -> FlowConfig:
    """The configuration with the hash of the weights, which change every pixel of the flow.

    Without the file that of the shards holds: to relabel them, nobody needs their weights. Shards
    of earlier releases hold none and go on as they are.
    """
    made = _made_with(shards)
    try:
        weights = weights_of(config)
    except InputError:
        if made is None:
            raise
        return config.model_copy(
            update={"weights_sha256": config.weights_sha256 or made.weights_sha256}
        )
    unrecorded = made is not None and (
        made.estimator == config.estimator and made.weights_sha256 is None
    )
    if weights is None or (unrecorded and config.weights_sha256 is None):
        return config
    return config.model_copy(update={"weights_sha256": weights.sha256})


def _made_with(shards: Path) -> FlowConfig | None:
    """The configuration of a shards folder; None where there is none yet."""
    stored = shards / "shards.json"
    return read_model(stored, ShardsInfo, SCHEMA_VERSION).config if stored.is_file() else None


def _extract_into(shards: Path, dataset: Dataset, config: FlowConfig, workers: Workers) -> Summary:
    prepare_folder(shards, config)
    remember_dataset(shards, dataset.path)
    places = (shards, shards / "manifests", parts_folder(shards))
    clean_temporary(*places)
    plan = plan_work(dataset, shards, config)
    if plan.jobs:
        logger.info("%d videos to extract, %d unchanged", len(plan.jobs), plan.unchanged)
    outcomes = outcomes_of(plan.jobs, _events(plan.jobs, workers))
    stopped = any(outcome.disk_full for outcome in outcomes)
    # Again: processes that outlived their command have ended by now, or do so soon if we stopped.
    clean_temporary(*places, wait_seconds=10.0 if stopped else 0.0)
    failures = plan.failures + failures_of(plan.jobs, outcomes)
    failed = {failure.video_id for failure in failures}
    remove_stale(shards, {v: key for v, key in plan.manifest_keys.items() if v not in failed})
    # Last: a folder whose first extraction was cut short has no clips.parquet and cannot be read.
    relabelled = _write_tables(shards, dataset, plan.manifest_keys)
    write_failures(shards, failures)
    computed = sum(outcome.error is None for outcome in outcomes)
    summary = Summary(computed, plan.unchanged, relabelled, tuple(failures))
    if stopped:
        raise disk_full_error(shards, f" after {computed} of {len(plan.jobs)} videos")
    if failures:
        total = summary.computed + summary.unchanged + len(failures)
        raise failures_error(shards, failures, total)
    return summary


def _events(jobs: list[Job], workers: Workers) -> Generator[Progress | Outcome]:
    if jobs:
        from ttflow.jobs.ray_pipeline import run_jobs

        yield from run_jobs(jobs, workers)


def _write_tables(shards: Path, dataset: Dataset, manifest_keys: dict[str, str]) -> int:
    """Write clips.parquet and dataset.json if they change; returns how many clips changed."""
    manifests: dict[str, Manifest] = {}
    for video_id, key in manifest_keys.items():
        if is_finished(shards, video_id, key):
            manifests[video_id] = read_manifest(manifest_path(shards, video_id, key))
    records = _records(dataset, manifests)
    info = json.dumps(dataset.info.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    changed = 0
    if (before := _stored_records(shards / "clips.parquet")) is not None:
        known = records.filter(pl.col("clip_id").is_in(before["clip_id"].implode()))
        changed = known.height - known.join(before, on=known.columns, nulls_equal=True).height
        dataset_json = shards / "dataset.json"
        same_info = dataset_json.is_file() and dataset_json.read_bytes() == info.encode()
        if before.equals(records) and same_info:
            return 0
    write_records(shards, records, dataset.info)
    return changed


def _stored_records(path: Path) -> pl.DataFrame | None:
    """A `clips.parquet` as it is; None where it is missing or damaged: it is written anew."""
    try:
        return read_records(path) if path.is_file() else None
    except ShardError as error:
        logger.warning("%s; it is written anew", error)
        return None


def _stretches_as_clips(dataset: Dataset) -> pl.DataFrame:
    label = pl.lit(dataset.info.taxonomy.negative, pl.String)
    return conform(dataset.stretches.with_columns(label=label), Clip)


def _records(dataset: Dataset, manifests: dict[str, Manifest]) -> pl.DataFrame:
    """Rows as `ClipRecord` of the finished videos, in the dataset's order; stretches last.

    Stretches are in no split: nothing takes them for clips that does not ask for their kind.
    """
    decoded = pl.DataFrame(
        {
            "video_id": list(manifests),
            "num_frames": [manifest.num_frames for manifest in manifests.values()],
        },
        schema={"video_id": pl.String, "num_frames": pl.Int64},
    )
    facts = dataset.videos.select("video_id", "fps", "session_id").join(decoded, on="video_id")
    clips = pl.concat([dataset.clips, _stretches_as_clips(dataset)])
    joined = clips.join(facts, on="video_id", maintain_order="left")
    timed = joined.with_columns(uneven=are_uneven(joined, dataset.videos)).with_columns(
        pl.when("uneven").then(seconds_at(joined, dataset.videos, f"{bound}_frame")).alias(name)
        for bound, name in (("start", "start_seconds"), ("end", "end_seconds"))
    )
    return conform(timed, ClipRecord)
