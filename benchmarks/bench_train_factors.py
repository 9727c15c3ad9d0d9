"""Two workers: gradients by all-reduce against the factors of the large layers.

    python benchmarks/bench_train_factors.py [--shape 48,64,64] [--steps 6]

Two processes of one thread each train the siamese network on random clips, turn by turn with
DistributedDataParallel alone and with `tttrain.training.gradient_factors`.
At full size the layer alone is run, since
two whole networks want more memory than a laptop has. Prints JSON lines.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from tttrain.config import NetworkConfig, TrainConfig
from tttrain.training.gradient_factors import (
    FactorLinear,
    distribute,
    factor_numbers,
    reduce_numbers,
)
from tttrain.training.networks import build

BATCH, CLASSES, WORKERS = 10, 21, 2
FULL = (216_000, 500)


def layers(model: nn.Module) -> list[FactorLinear]:
    """The layers that send factors."""
    return [layer for layer in model.modules() if isinstance(layer, FactorLinear)]


def step_seconds(model: nn.Module, inputs: list[torch.Tensor], labels: torch.Tensor) -> float:
    """Seconds from the first worker's start to the last one's gradient."""
    model.zero_grad(set_to_none=True)
    distributed.barrier()
    start = time.perf_counter()
    (cross_entropy(model(*inputs), labels, reduction="sum") * WORKERS / BATCH).backward()
    distributed.barrier()
    return time.perf_counter() - start


def networks(rank: int, shape: tuple[int, int, int], steps: int) -> None:
    """Whole steps, turn by turn, on the same clips; the gradients are compared."""
    config = TrainConfig(network=NetworkConfig(clip_shape=shape))
    models = {
        "all-reduce": DistributedDataParallel(build(config, CLASSES)),
        "factors": distribute(build(config, CLASSES), BATCH),
    }
    torch.manual_seed(rank)
    clips = BATCH // WORKERS
    inputs = [torch.rand(clips, 3, *shape), torch.rand(clips, 2, *shape) * 2 - 1]
    labels = torch.randint(CLASSES, (clips,))
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(steps + 2):
        for name, model in models.items():
            seconds[name].append(step_seconds(model, inputs, labels))
    pairs = zip(*[model.parameters() for model in models.values()], strict=True)
    apart = max(float((a.grad - b.grad).abs().max() / a.grad.abs().max()) for a, b in pairs)
    sent = sum(layer.sent_bytes for layer in layers(models["factors"])) / (steps + 2)
    numbers = [reduce_numbers(x.in_features, x.out_features, 2) for x in layers(models["factors"])]
    rest = {name: values[2:] for name, values in seconds.items()}  # DDP settles in two steps
    if rank == 0:
        line = {
            "case": "step",
            "shape": shape,
            "clips_a_worker": clips,
            "median_s": {name: round(statistics.median(v), 4) for name, v in rest.items()},
            "ratio": round(
                statistics.median(
                    b / a for a, b in zip(rest["all-reduce"], rest["factors"], strict=True)
                ),
                3,
            ),
            "layers_mib_a_step": {
                "all-reduce": round(4 * sum(numbers) / 2**20, 2),
                "factors": round(sent / 2**20, 2),
            },
            "largest_relative_difference": apart,
        }
        print(json.dumps(line), flush=True)


def full_layer(rank: int) -> None:
    """The 216 000 x 500 layer alone, five clips a worker: bytes counted while it runs."""
    torch.manual_seed(0)
    layer = FactorLinear(*FULL)
    layer.clips = 5
    torch.manual_seed(rank + 1)
    x, dy = torch.rand(5, FULL[0]), torch.rand(5, FULL[1])
    layer(x).backward(dy)
    layer.zero_grad()
    product = layer(x)
    distributed.barrier()
    start = time.perf_counter()
    product.backward(dy)
    factors = time.perf_counter() - start
    gradient = torch.zeros_like(layer.weight)
    distributed.all_reduce(gradient)
    distributed.barrier()
    start = time.perf_counter()
    gradient = dy.T @ x
    distributed.all_reduce(gradient)
    reduce = time.perf_counter() - start
    sent, whole = layer.sent_bytes / 2, 4 * reduce_numbers(*FULL, WORKERS)
    assert sent == 4 * factor_numbers(*FULL, 5, WORKERS)
    if rank == 0:
        line = {
            "case": "full-size layer",
            "bytes": {"all-reduce": int(whole), "factors": int(sent)},
            "share": round(sent / whole, 5),
            "gradient_s": {"all-reduce": round(reduce, 3), "factors": round(factors, 3)},
        }
        print(json.dumps(line), flush=True)


def main() -> None:
    """Start both workers, or be one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="48,64,64")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank is None:
        with tempfile.TemporaryDirectory() as folder:
            own = [*sys.argv, "--store", str(Path(folder) / "store")]
            command = [sys.executable, *own, "--rank"]
            workers = [subprocess.Popen([*command, str(rank)]) for rank in range(WORKERS)]
            sys.exit(max(worker.wait() for worker in workers))
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = f"file://{options.store}"
    distributed.init_process_group("gloo", store, rank=options.rank, world_size=WORKERS)
    time_, height, width = (int(side) for side in options.shape.split(","))
    networks(options.rank, (time_, height, width), options.steps)
    full_layer(options.rank)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
