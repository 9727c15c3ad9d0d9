"""Folds trained at once, as Ray tasks: what each leaves in its folder is what it would leave alone.

A task trains in its own process with its share of the cores, so that folds share nothing.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ttdata.errors import InputError, TTError
from ttdata.machine import available_cores
from ttflow.jobs.failures import WORKER_DIED
from ttflow.jobs.job import Outcome
from tttrain.commands.compare import trained_row
from tttrain.config import TrainConfig
from tttrain.data.dataset import TrainingData, open_data
from tttrain.indexing.jobs.items import OnFrame, Parallel, VideoFunction, VideoItem
from tttrain.indexing.jobs.tasks import task_events

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A fold, or a fold with some of its training clips, and the folder of its runs."""

    fold: int
    size: int | None
    """Clips to learn from; None: all."""
    folder: Path
    data: TrainingData


class FoldWork:
    """Trains and tests a fold in a worker process."""

    def load(self, device: str) -> VideoFunction:
        """The work on "cpu" or "cuda"."""

        def work(item: VideoItem, on_frame: OnFrame) -> int:
            config, division, init = item.arguments
            config = config.with_changes(execution={"device": device})
            data, folder = open_data(item.path, division), Path(item.video_id)
            trained_row(config, folder, data, "auto", init)
            return 0

        return work


def train_at_once(
    parts: Sequence[Part],
    configs: Mapping[str, TrainConfig],
    parallel: int,
    device: str,
    init: Path | None = None,
) -> None:
    """Train and test every fold of every recipe in tasks; results lie in the run folders.

    Args:
        parts: the folds.
        configs: by recipe.
        parallel: how many at once; a cluster that runs already decides by its own cores.
        device: "auto", "cpu" or "cuda"; GPUs are shared by that many.
        init: whose weights all begin with, absolute; None: at random.

    Raises:
        InputError: if a GPU is asked for and there is none, or others take the whole cluster.
        TTError: if a fold failed; the others are finished first.
    """
    shared = bool(os.environ.get("RAY_ADDRESS"))
    threads = 1 if shared else max(1, available_cores() // parallel)
    items = [
        VideoItem(
            video_id=str(part.folder / name),
            path=str(part.data.path),
            expected_frames=0,
            arguments=(_with_threads(config, threads), part.data.division, init),
        )
        for part in parts
        for name, config in configs.items()
    ]
    outcomes: dict[str, Outcome] = {}
    share = Parallel(workers=parallel, videos_per_gpu=parallel)
    with closing(task_events(items, FoldWork(), share, device)) as events:
        for event in events:
            if isinstance(event, Outcome):
                outcomes[event.video_id] = event
                told = event.error or "trained, tested"
                logger.info("%d of %d: %s: %s", len(outcomes), len(items), event.video_id, told)
    for item in items:
        outcome = outcomes.get(item.video_id)
        if outcome is None:
            raise TTError(f"{item.video_id}: {WORKER_DIED}; the same command goes on")
        if outcome.error is not None:
            raise TTError(
                f"{outcome.error}; the other folds are finished, the same command goes on"
            )


def check_parallel(configs: Mapping[str, TrainConfig], parallel: int, device: str) -> None:
    """Refuse what cannot be trained at once.

    Raises:
        InputError: for more tasks than cores, several workers of one run, or a GPU by number.
    """
    if parallel == 1:
        return
    cores = available_cores()
    if parallel > cores and not os.environ.get("RAY_ADDRESS"):
        raise InputError(f"--parallel {parallel}: this machine has {cores} cores")
    if ":" in device:
        raise InputError(f"--device {device} --parallel {parallel}: expected auto, cpu or cuda")
    for name, config in configs.items():
        if (workers := config.execution.num_workers) > 1:
            raise InputError(
                f"--parallel {parallel}: recipe {name} has execution.num_workers={workers}, "
                "expected 1, or one fold at a time"
            )


def _with_threads(config: TrainConfig, threads: int) -> TrainConfig:
    """With its share of the threads, where none is asked for."""
    asked = config.execution.torch_threads
    return config.with_changes(execution={"torch_threads": asked or threads})
