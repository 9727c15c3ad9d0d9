"""One worker's whole work; and training in this process, without a cluster, where that is enough.

A network that reads landmarks alone decodes no pixel, so that a single worker has nothing to share.
Starting a Ray for it, and importing its training library, would take longer than the training.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ttdata.errors import InputError, TTError
from tttrain.config import TrainConfig
from tttrain.data.cache import place
from tttrain.data.dataset import TrainingData, open_data_of
from tttrain.data.poses import PoseSource
from tttrain.data.sampling import Source, Stretches
from tttrain.errors import reason_of
from tttrain.run import Run, thread_limit
from tttrain.training.collective import Worker, sum_over_workers
from tttrain.training.device import set_up, sized
from tttrain.training.networks import check_bfloat16_on_cpu
from tttrain.training.worker import Report, Trainer

MakeSource = Callable[[TrainingData, Stretches, TrainConfig, str], Source]
"""From data, stretches, configuration and the device that keeps the clips, their windows."""


def suffices(config: TrainConfig) -> bool:
    """Whether training needs no cluster: one worker, no pixel, and no Ray that was asked for.

    Args:
        config: the resolved configuration.
    """
    ray = sys.modules.get("ray")  # a caller's own: not imported here
    connected = ray is not None and ray.is_initialized()
    alone = config.execution.num_workers == 1 and not config.network.reads_pixels
    return alone and not connected and not os.environ.get("RAY_ADDRESS")


def train_here(run: Run, config: TrainConfig) -> None:
    """Train a run in this process.

    Args:
        run: whose `run.json` says what to do.
        config: the resolved configuration, for which this `suffices`.

    Raises:
        TTError: if training failed, with the reason in one line.
    """
    device = _device(config)
    if device == "cpu":
        check_bfloat16_on_cpu(config)
    try:
        work(run, Worker(device=device), 1, thread_limit(), pose_source, lambda _: None)
    except TTError:
        raise
    except Exception as error:
        raise TTError(f"{run.folder}: training failed: {reason_of(error)}") from error


def _device(config: TrainConfig) -> str:
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.execution.device == "cuda" and not found:
        raise InputError("execution.device=cuda: 0 GPUs, expected 1")
    return "cuda:0" if found and config.execution.device != "cpu" else "cpu"


def pose_source(
    data: TrainingData,
    stretches: Stretches,
    config: TrainConfig,
    kept_on: str = "cpu",
    pixels: Source | None = None,
) -> Source:
    """The landmarks of all clips that training reads, alone or beside their pixels."""
    network = config.network
    assert network.clip_shape is not None
    clip_ids = [clip.clip_id for clip in data.read_in_training(stretches)]
    poses = [pose.reading(network.landmarks) for pose in data.poses(clip_ids)]
    return PoseSource(poses, network.clip_shape[0], pixels)


def work(
    run: Run,
    worker: Worker,
    workers_here: int,
    thread_limit: int | None,
    make_source: MakeSource,
    report: Report,
) -> None:
    """What every worker does.

    Args:
        run: whose `run.json` says what to do.
        worker: which one this is.
        workers_here: that share this machine, this one included.
        thread_limit: as `tttrain.run.thread_limit` of the command.
        make_source: of the windows.
        report: gets some of the epochs.

    Raises:
        TrainingError: on all workers in the same step.
    """
    info = run.info()
    data = open_data_of(run, Path(info.data))
    # From what was asked for: an earlier start may have been sized on another machine.
    asked = info.resolved.model_copy(update={"execution": info.config.execution})
    stretches = data.stretches(asked)
    gib = data.resident_gib(stretches) if asked.network.reads_pixels else 0.0
    resolved = sized(asked, gib, workers_here, thread_limit)
    computed_on = set_up(resolved, worker.device)
    source = make_source(data, stretches, resolved, place(worker.device, gib))
    # A predecessor that was orphaned by a kill must not write beside us.
    own: Any = run.lock("worker", wait=True) if worker.rank == 0 else contextlib.nullcontext()
    with own:
        if worker.rank == 0:
            found = {"computed_on": computed_on, "resolved": resolved}
            run.write_info(info.model_copy(update=found))
        # Only now is the checkpoint final; every worker must read the same one.
        sum_over_workers([0.0])
        Trainer(run, data.clips, source, worker, stretches).train(report)
