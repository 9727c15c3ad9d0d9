"""Runs the training loop on Ray Train workers and feeds it from Ray Data; holds no arithmetic.

Each worker streams Ray Datasets of its own, in the order it needs: a shared, split dataset promises
no order. Checkpoints are ours (`training.checkpoint`), so every start is a fresh Ray experiment and
nothing depends on what a killed one left behind.
"""

import contextlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.data import DataContext, Dataset, TaskPoolStrategy
from ray.train import ControllerError, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from ttdata.errors import InputError, TTError
from ttdata.machine import available_cores
from ttdata.storage.atomic import write_json
from ttflow.jobs.ray_address import WAIT_VARIABLE, wait_seconds
from ttflow.jobs.ray_pipeline import (
    CLIPS_PER_TASK,
    nameless_arguments,
    read_clips,
    start_ray,
    wait_for_free,
)
from tttrain.config import TrainConfig
from tttrain.data import decode as decoding
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import TrainingData
from tttrain.data.sampling import Request, Source, Stretches, Window
from tttrain.errors import TrainingError, reason_of
from tttrain.run import Run, thread_limit
from tttrain.training.collective import Worker
from tttrain.training.in_process import pose_source, work
from tttrain.training.networks import check_bfloat16_on_cpu

logger = logging.getLogger(__name__)

RETRIES = 2
"""How often Ray replaces workers that died; training then goes on from the last checkpoint. Also
how often a task is tried again whose process died."""

_BLOCK_BYTES = 16 * 2**20
_OBJECT_STORE_BYTES = 2**30
_FAILURE = "failure.json"


def launch(run: Run, config: TrainConfig) -> None:
    """Train a run on a Ray cluster: the one RAY_ADDRESS names, or one started for this call.

    On a cluster of its own, and in a task, a single worker is this process (Ray Train's local
    mode): others would start half a minute later, or wait for cores that tasks hold.

    Args:
        run: whose `run.json` says what to do.
        config: the resolved configuration.

    Raises:
        TTError: if training failed, with the first reason in one line.
    """
    (run.folder / _FAILURE).unlink(missing_ok=True)
    scratch = run.folder / "ray"
    shutil.rmtree(scratch, ignore_errors=True)
    _check_cores_here(config)
    try:
        with _cluster() as embedded:
            alone = config.execution.num_workers == 1 and (embedded or _in_task())
            _fit(run, config, scratch, here=alone)
    except TTError:
        raise
    except Exception as error:  # Ray's start, or what went wrong in a worker, here or elsewhere
        raise TTError(f"{run.folder}: training failed: {reason_of(error)}") from error
    if (run.folder / _FAILURE).is_file():
        raise TTError(json.loads((run.folder / _FAILURE).read_text(encoding="utf-8"))["error"])
    shutil.rmtree(scratch, ignore_errors=True)


def _fit(run: Run, config: TrainConfig, scratch: Path, *, here: bool) -> None:
    """Train on the cluster that is connected, in this process (`here`) or in workers."""
    _check_cores(config)
    use_gpu = _use_gpu(config)
    if not use_gpu:
        check_bfloat16_on_cpu(config)
    if not here:
        least = _least_workers(config)
        needed = {"CPU": least, **({"GPU": least} if use_gpu else {})}
        wait_for_free(needed, "--set execution.num_workers to fewer")
        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", f"{wait_seconds():g}")
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "run": str(run.folder),
            "use_gpu": use_gpu,
            # Of this command: Ray sets the variable anew for every worker.
            "thread_limit": thread_limit(),
        },
        scaling_config=ScalingConfig(
            num_workers=0 if here else _num_workers(config),
            use_gpu=use_gpu,
            resources_per_worker={"CPU": 1, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=RunConfig(
            name=f"{config.result_hash()}-{uuid.uuid4().hex[:8]}",
            storage_path=str(scratch),
            # Of the starts of workers, which wait for cores: Ray's own default is for ever.
            failure_config=FailureConfig(max_failures=RETRIES, controller_failure_limit=RETRIES),
        ),
    )
    try:
        trainer.fit()
    except ControllerError as error:
        if type(error.controller_failure).__name__ != "WorkerGroupStartupTimeoutError":
            raise
        raise TTError(
            f"{run.folder}: {_least_workers(config)} workers found no free cores or GPUs, also "
            f"when tried again; end what takes them, or set {WAIT_VARIABLE} to wait for longer; "
            "the same command goes on"
        ) from error


def _in_task() -> bool:
    """Whether this process works for a task of Ray."""
    return bool(ray.get_runtime_context().worker.mode == ray.WORKER_MODE)


def _num_workers(config: TrainConfig) -> int | tuple[int, int]:
    """As Ray Train takes it: a number, or from and to where training may shrink and grow."""
    if config.execution.min_workers is None:
        return config.execution.num_workers
    return config.execution.min_workers, config.execution.num_workers


def _least_workers(config: TrainConfig) -> int:
    """With fewer workers than these, training does not start."""
    return config.execution.min_workers or config.execution.num_workers


def _check_cores(config: TrainConfig) -> None:
    """Refuse more workers than there are cores: Ray would wait for ever."""
    cores, least = ray.cluster_resources().get("CPU", 0), _least_workers(config)
    if cores < least:
        raise InputError(f"execution.num_workers: the cluster has {cores:g} CPUs, expected {least}")


def _check_cores_here(config: TrainConfig) -> None:
    """As `_check_cores`, before a Ray is started for this call."""
    cores, least = available_cores(), _least_workers(config)
    if not ray.is_initialized() and not os.environ.get("RAY_ADDRESS") and cores < least:
        raise InputError(
            f"execution.num_workers: this machine has {cores} cores, expected {least}; set fewer "
            "workers or name a cluster in RAY_ADDRESS"
        )


def _use_gpu(config: TrainConfig) -> bool:
    """Whether workers get a GPU each; asking for ones that are not there would wait for ever."""
    device = config.execution.device
    gpus, least = ray.cluster_resources().get("GPU", 0), _least_workers(config)
    if device == "cuda" and gpus < least:
        raise InputError(f"execution.device=cuda: {gpus:g} GPUs, expected {least}")
    if device == "auto" and 0 < gpus < least:
        logger.warning(
            "%g GPUs for %d workers: they compute on CPUs; --set execution.num_workers=%d uses "
            "the GPUs",
            *(gpus, least, gpus),
        )
    return device != "cpu" and bool(gpus >= least)


@contextlib.contextmanager
def _cluster() -> Iterator[bool]:
    """Connect to a cluster; one that is started here ends here. Yields whether it is such a one."""
    if ray.is_initialized():
        yield False
        return
    logging.getLogger("ray").setLevel(logging.WARNING)
    embedded = not os.environ.get("RAY_ADDRESS")
    shares_memory = "MALLOC_ARENA_MAX" in os.environ
    if embedded:
        # It watches for nodes about to be taken away: a process of its own, for nothing here.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        # Ray trains in a thread; what threads free is kept only where all of them share memory.
        os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    try:
        start_ray(num_cpus=available_cores(), object_store_memory=_OBJECT_STORE_BYTES)
        yield embedded
    finally:
        ray.shutdown()
        if embedded and not shares_memory:  # not for what the caller starts later
            os.environ.pop("MALLOC_ARENA_MAX", None)


def _work(config: Mapping[str, Any]) -> None:
    """What every Ray Train worker runs."""
    context = ray.train.get_context()
    run = Run(Path(config["run"]))
    worker = Worker(
        rank=context.get_world_rank(),
        num_workers=context.get_world_size(),
        device=str(ray.train.torch.get_device()) if config["use_gpu"] else "cpu",
    )
    here, limit = context.get_local_world_size(), config["thread_limit"]
    try:
        work(run, worker, here, limit, _source, ray.train.report)
    except TrainingError as error:
        # Every worker meets this error in the same step; trying again would end the same way.
        if worker.rank == 0:
            write_json(run.folder / _FAILURE, {"error": str(error)})


def _source(data: TrainingData, stretches: Stretches, config: TrainConfig, kept_on: str) -> Source:
    network = config.network
    pixels: Source | None = None
    if network.reads_pixels:
        clip_ids = [clip.clip_id for clip in data.read_in_training(stretches)]
        pixels = _pixels(data, clip_ids, config, kept_on)
    if network.reads_pose or pixels is None:
        return pose_source(data, stretches, config, kept_on, pixels)
    return pixels


def _pixels(
    data: TrainingData, clip_ids: Sequence[str], config: TrainConfig, kept_on: str
) -> Source:
    assert config.network.clip_shape is not None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.target_max_block_size = _BLOCK_BYTES
    num_frames = config.network.clip_shape[0]
    if config.execution.data_path == "stream":
        return StreamSource(data.path, num_frames, config.execution.num_workers)
    stored = _decoded(data.path, clip_ids, decoding.clip_row, config.execution.num_workers)
    return ResidentSource(map(decoding.clip, stored.iter_rows()), num_frames, kept_on)


def _decoded(
    path: Path, clip_ids: Sequence[str], decode: Callable[..., Any], num_workers: int
) -> Dataset:
    """Rows of these clips, in this order, read and decoded in the same tasks.

    Workers hold cores, maybe all of them: a task that asked for one would wait for ever. So tasks
    ask for none, and each worker has no more of them at a time than its share of the cores.
    """
    cores = int(ray.cluster_resources().get("CPU", 1))
    most = min(cores // num_workers, -(-len(clip_ids) // CLIPS_PER_TASK))
    options: dict[str, Any] = {"num_cpus": 0, "max_retries": RETRIES}
    options["compute"] = TaskPoolStrategy(size=max(1, most))
    with nameless_arguments():
        return read_clips(path, clip_ids=clip_ids, **options).map(decode, **options)


class StreamSource:
    """Windows decoded in Ray tasks, in the order asked for."""

    def __init__(self, path: Path, num_frames: int, num_workers: int = 1) -> None:
        self._path, self._num_frames, self._num_workers = path, num_frames, num_workers

    def windows(self, requests: Sequence[Request]) -> Iterator[Window]:
        """The windows asked for, in that order; a clip may be asked for once."""
        if not requests:
            return
        starts = {item.clip_id: item.start_frame for item in requests}
        decode = partial(decoding.window_row, starts=starts, num_frames=self._num_frames)
        for row in _decoded(self._path, list(starts), decode, self._num_workers).iter_rows():
            yield decoding.window(row)
