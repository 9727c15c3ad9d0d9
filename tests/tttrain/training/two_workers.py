"""A worker process of test_gradient_factors.py: python two_workers.py TASK WORKERS RANK FOLDER."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tttrain.config import TrainConfig
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import ShardSource, open_data
from tttrain.data.decode import decode_clip
from tttrain.run import Run
from tttrain.training.collective import average_statistics
from tttrain.training.gradient_factors import FactorLinear, distribute
from tttrain.training.loop import Batch, make_optimizer, train_epoch
from tttrain.training.worker import Trainer, Worker


def small_network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(40, 4000), nn.ReLU(), nn.Linear(4000, 50), nn.Linear(50, 3))


def part(rank: int, step: int) -> torch.Tensor:
    """Five clips of the first worker; of the second, five and four in turn."""
    rows = torch.randn((10, 40), generator=torch.Generator().manual_seed(step))
    return rows[: 10 - step % 2][rank::2]


def gradients(worker: Worker, folder: Path) -> None:
    """Gradients of two steps by factors and by all-reduce, and the bytes the factors took."""
    by_reduce = DistributedDataParallel(small_network())
    by_factors = distribute(small_network(), batch_size=10)
    found = []
    for step in (0, 1):
        both = []
        for model in (by_reduce, by_factors):
            model.zero_grad()
            model(part(worker.rank, step)).square().sum().backward()
            both.append([weight.grad.clone() for weight in model.parameters()])
        found.append(both)
    layers = {
        name: layer.sent_bytes
        for name, layer in by_factors.module.named_modules()
        if isinstance(layer, FactorLinear)
    }
    torch.save({"gradients": found, "sent": layers}, folder / f"gradients-{worker.rank}.pt")


def statistics(worker: Worker, folder: Path) -> None:
    """Buffers of a batch normalisation after steps of clips with means 1 and 2, then 3 alone."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.BatchNorm3d(1, momentum=0.5), nn.Flatten(), nn.Linear(8, 2))
    around = torch.tensor([-1.0, 1.0] * 4).reshape(1, 1, 2, 2, 2)
    label = torch.tensor([0])
    pair = Batch([f"clip {worker.rank}"], {"rgb": around + worker.rank + 1}, label, 2)
    single = Batch(["clip 2"], {"rgb": around + 3}, label, 1)
    if worker.rank:
        single = Batch([], {"rgb": around * 0}, label, 1)
    config = TrainConfig()
    optimizer = make_optimizer(model, config)
    train_epoch(distribute(model, 2), [pair, single], optimizer, config, ["rgb"], 2)
    average_statistics(model)
    torch.save(dict(model[0].named_buffers()), folder / f"statistics-{worker.rank}.pt")


def train(worker: Worker, folder: Path) -> None:
    """Train the prepared run folders `stream`, `resident` and `few clips`."""
    for path in ("stream", "resident", "few clips"):
        run = Run(folder / path)
        data, shape = open_data(Path(run.info().data)), run.info().resolved.network.clip_shape
        assert shape is not None
        clips = [clip for name in ("train", "validation") for clip in data.clips[name]]
        stored = (decode_clip(data.read(clip.clip_id)) for clip in clips)
        source: Any = ShardSource(data, shape[0])
        if path == "resident":
            source = ResidentSource(stored, shape[0])
        trainer = Trainer(run, data.clips, source, worker)
        trainer.train(lambda _: None)
        kinds = [type(layer) for layer in trainer.model.modules()]
        assert (FactorLinear in kinds) == (worker.num_workers > 1)


def main() -> None:
    task, workers, rank, folder = sys.argv[1:]
    torch.set_num_threads(1)
    worker = Worker(int(rank), int(workers))
    if worker.num_workers > 1:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        store = f"file://{Path(folder).absolute() / f'store-{task}'}"
        distributed.init_process_group("gloo", init_method=store, rank=worker.rank, world_size=2)
    for work in {"parts": (gradients, statistics), "train": (train,)}[task]:
        work(worker, Path(folder))
    if worker.num_workers > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
