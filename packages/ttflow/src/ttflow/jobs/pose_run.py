"""The work of `ttflow pose`: the landmarks of all clips of a shards folder, beside its pixels."""

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ttdata.storage.job_folder import check_lasting
from ttflow.jobs.failures import (
    disk_errors,
    disk_full_error,
    failures_error,
    failures_of,
    write_failures,
)
from ttflow.jobs.job import Outcome, PoseJob, Progress, Workers, check_count
from ttflow.jobs.pose_planning import PosePlan, pending_videos, plan_poses
from ttflow.jobs.progress import outcomes_of
from ttflow.pose.config import PoseConfig
from ttflow.pose.runtime import check_runtime
from ttflow.pose.weights import read_weights
from ttflow.schema import Failure
from ttflow.shards.locks import clean_temporary
from ttflow.shards.poses import (
    PoseInfo,
    agreed_info,
    expected_files,
    leftover_files,
    poses_folder,
    write_info,
)
from ttflow.shards.reader import Shards, open_shards

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoseSummary:
    """What a run of `estimate_poses` did."""

    computed: int
    unchanged: int
    failures: tuple[Failure, ...]

    @property
    def line(self) -> str:
        """The summary in words."""
        if self.computed == 0 and not self.failures:
            return f"poses unchanged: {self.unchanged} videos, nothing to estimate"
        return (
            f"poses estimated: {self.computed} videos, unchanged: {self.unchanged}, "
            f"failed: {len(self.failures)}"
        )


def estimate_poses(
    path: Path,
    config: PoseConfig | None = None,
    dataset: Path | None = None,
    workers: Workers | None = None,
) -> PoseSummary:
    """Estimate the poses of a shards folder; videos that are finished already are left alone.

    Args:
        path: the shards folder; no file of it changes outside of its folder `pose`.
        config: rate and thresholds.
        dataset: the folder that says where the videos are; None: where it lay at extraction. It is
            not looked at where nothing is to be done.
        workers: what the work may use; None: every core.

    Raises:
        InputError: for shards or a dataset that are missing or damaged, poses of another
            configuration, or weights or a runtime that are missing.
        ExtractError: if videos failed, after all others were finished, or the disk is full.
    """
    check_lasting(path)
    workers = workers or Workers(device="cpu")
    check_count(workers)
    shards = open_shards(path)
    info = agreed_info(shards.path, config or PoseConfig())
    pending = pending_videos(shards, info)
    plan = plan_poses(shards, info, pending, dataset) if pending else PosePlan()
    weights = _weights() if plan.jobs else {}
    with disk_errors(shards.path):
        write_info(shards.path, info)
        clean_temporary(poses_folder(shards.path))
        outcomes = outcomes_of(plan.jobs, _events(plan.jobs, workers, weights))
        return _finish(shards, info, plan, outcomes)


def _weights() -> dict[str, bytes]:
    check_runtime()
    return read_weights()


def _events(
    jobs: Sequence[PoseJob], workers: Workers, weights: dict[str, bytes]
) -> Generator[Progress | Outcome]:
    if jobs:
        from ttflow.jobs.ray_pipeline import run_pose_jobs

        yield from run_pose_jobs(jobs, workers, weights)


def _finish(
    shards: Shards, info: PoseInfo, plan: PosePlan, outcomes: Sequence[Outcome]
) -> PoseSummary:
    """Tidy up, and tell what was done."""
    folder = poses_folder(shards.path)
    stopped = any(outcome.disk_full for outcome in outcomes)
    clean_temporary(folder, wait_seconds=10.0 if stopped else 0.0)
    for stale in leftover_files(open_shards(shards.path), info):  # opened anew: it may have changed
        stale.unlink(missing_ok=True)
    failures = plan.failures + failures_of(plan.jobs, outcomes)
    write_failures(folder, failures)
    computed = sum(outcome.error is None for outcome in outcomes)
    total = len(expected_files(shards, info))
    unchanged = total - len(plan.jobs) - len(plan.failures)
    if stopped:
        raise disk_full_error(shards.path, f" after {computed} of {len(plan.jobs)} videos")
    if failures:
        raise failures_error(folder, failures, total)
    return PoseSummary(computed, unchanged, tuple(failures))
