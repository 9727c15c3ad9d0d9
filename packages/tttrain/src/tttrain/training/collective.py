"""Sums, lists and means over all workers; with a single worker, its own value."""

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

T = TypeVar("T")


@dataclass(frozen=True)
class Worker:
    """Which of the workers this is, and what it computes on."""

    rank: int = 0
    num_workers: int = 1
    device: str = "cpu"


def _alone() -> bool:
    return not (distributed.is_available() and distributed.is_initialized())


def sum_over_workers(values: list[float]) -> list[float]:
    """Element-wise sums in float64; every worker must call it, with as many values."""
    if _alone():
        return values
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(tensor)
    return [float(value) for value in tensor.tolist()]


def gather(value: list[T]) -> list[list[T]]:
    """The lists of all workers, by rank; every worker must call it."""
    if _alone():
        return [value]
    result: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(result, value)
    return result


def average_statistics(model: nn.Module) -> None:
    """Give every worker the mean of all workers' running statistics of batch normalisation.

    Means and variances are averaged, the count of steps is the first worker's; whole batches that
    are equally shared give the running means that one worker has. Every worker must call it.
    """
    if _alone():
        return
    workers = distributed.get_world_size()
    for layer in model.modules():
        if not isinstance(layer, _BatchNorm):
            continue
        for buffer in layer.buffers(recurse=False):
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= workers
            else:
                distributed.broadcast(buffer, 0)
