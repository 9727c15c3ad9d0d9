"""What a worker computes on: its share of the machine, precision, determinism."""

import os
from importlib.util import find_spec

import torch
import torch.utils.deterministic

from ttdata.machine import available_cores, available_memory, keep_freed_memory
from tttrain.config import TrainConfig
from tttrain.data.cache import on_gpu
from tttrain.errors import TrainingError
from tttrain.training.loop import uses_bfloat16


def sized(
    config: TrainConfig, gib: float, workers_here: int, thread_limit: int | None
) -> TrainConfig:
    """What is left open about threads and data, filled in for the machine that this runs on.

    Machine or container: see `ttdata.machine`.

    Args:
        config: as asked for.
        gib: that all clips take when decoded.
        workers_here: that share this machine, this one included.
        thread_limit: the most threads of all workers here; None: a thread a core.
    """
    asked = config.execution
    cores = min(available_cores(), thread_limit or available_cores())
    limit, path = asked.resident_max_gib, asked.data_path
    if limit is None:
        limit = available_memory() / 2**30 / 2 / workers_here
    if path == "auto":
        path = "resident" if gib <= limit else "stream"
    threads = asked.torch_threads or max(1, cores // workers_here)
    return config.with_changes(execution={"torch_threads": threads, "data_path": path})


def set_up(config: TrainConfig, device: str = "cpu") -> str:
    """Threads, precision and determinism of this worker's process.

    On a GPU cuDNN keeps to algorithms that give the same sums every time. PyTorch has none there
    for the gradient of overlapping max pooling; `ttmodels.overlapping_pooling` has.

    Returns:
        The device and the precision it computes in, in words.
    """
    torch.set_num_threads(config.execution.torch_threads or 1)
    kind, name = torch.device(device).type, "CPU"
    if kind != "cuda":
        # The same switch as use_deterministic_algorithms, which also imports a compiler: 2 s.
        torch.set_deterministic_debug_mode("error")
        # It would also write not-a-number into all new memory, a sixth of a step of the demo.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if config.network.reads_pixels:
            keep_freed_memory()
    else:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = config.precision != "float32"
        name = torch.cuda.get_device_name(device)
    return f"{name}, {'bfloat16 autocast' if uses_bfloat16(kind, config.precision) else 'float32'}"


BFLOAT16_SINCE = (8, 0)
"""Compute capability of the first GPUs whose matrix units take bfloat16."""


def takes_kernels(config: TrainConfig, device: str) -> bool:
    """Whether a run computes with Triton kernels on this device: never on a CPU.

    Raises:
        TrainingError: if they are asked for and Triton is not installed.
    """
    asked = config.execution.gpu_kernels
    if not on_gpu(device) or asked is False:
        return False
    installed = find_spec("triton") is not None
    if asked is None:
        return installed and torch.cuda.get_device_capability(device) >= BFLOAT16_SINCE
    if not installed:
        raise TrainingError(
            "execution.gpu_kernels is true, but triton is not installed; pip install "
            "'tttrain[gpu]', or leave it out"
        )
    return True
