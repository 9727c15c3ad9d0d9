"""The siamese network's training step: as shipped against the straightforward way, from shards.

    python benchmarks/bench_train.py            where all four packages are installed, with CUDA
    python benchmarks/bench_train.py --device cpu --shape 24,48,48 --clips 8 --steps 3

On a bare machine with a GPU `gpu.py` times the same step without shards, part by part.

Shipped: clips resident on the device, cut, augmented and normalised there; bfloat16 autocast,
channels last, fused SGD. Straightforward: float32, contiguous, convolution - ReLU - pooling one
after another, a DataLoader whose worker processes decode windows and augment them one by one.
Full size is batch 10 of 100 x 120 x 120. Prints JSON lines: clips/s of both, the ratio, and what
2000 epochs of 808 training and 230 validation clips would take, checkpoints included.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from bench_data import FULL, make_shards
from plain_sstc import Plain
from torch import Tensor
from torch.nn.functional import cross_entropy

from tttrain.config import ExecutionConfig, NetworkConfig, TrainConfig
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import ShardSource, TrainingData, open_data
from tttrain.data.decode import decode_clip
from tttrain.data.normalise import normalise_flow
from tttrain.data.sampling import ClipInfo, epoch_batches, training_request
from tttrain.data.spatial_augment import Augment
from tttrain.training.checkpoint import Checkpoint, Writer
from tttrain.training.device import set_up
from tttrain.training.loop import (
    Batch,
    copied,
    make_optimizer,
    train_epoch,
    validate,
    weights_of,
)
from tttrain.training.networks import build
from tttrain.training.schedule import Plateau

CLASSES = 21
SCALE = (10.0, 10.0)
PAPER = {"train": 808, "validation": 230, "epochs": 2000}


class Clips(torch.utils.data.Dataset[Any]):
    """Decodes and augments a clip on the CPU, as the usual training script does."""

    def __init__(self, shards: Path, config: TrainConfig) -> None:
        self.shards, self.config = shards, config
        self.clips = open_data(shards).clips["train"]
        self.source: ShardSource | None = None

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        frames, *crop = self.config.network.clip_shape or ()
        if self.source is None:
            self.source = ShardSource(open_data(self.shards), frames)
        clip = self.clips[index]
        (window,) = self.source.windows([training_request(clip, self.config, frames, index)])
        augment = Augment(self.config.augment, (crop[0], crop[1]), 0)
        pixels = [torch.from_numpy(window.rgb)[None], torch.from_numpy(window.flow)[None]]
        rgb, flow = augment(*pixels, [clip.clip_id], index)
        flow = normalise_flow(flow, SCALE)
        return rgb[0].contiguous(), flow[0].contiguous(), clip.class_index


def straightforward(shards: Path, config: TrainConfig, device: str, workers: int) -> Iterator[None]:
    """A step each time it is asked for one."""
    assert config.network.clip_shape is not None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = False  # which the product is
    torch.set_deterministic_debug_mode("default")
    model = Plain(config.network.clip_shape).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), config.optimizer.learning_rate, 0.5, nesterov=True, weight_decay=0.005
    )
    loader = torch.utils.data.DataLoader(
        Clips(shards, config),
        config.batch_size,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="spawn",  # the tables' threads do not survive a fork
        persistent_workers=True,
        pin_memory=device == "cuda",
    )
    while True:
        for rgb, flow, labels in loader:
            optimizer.zero_grad()
            logits = model(rgb.to(device), flow.to(device))
            loss = cross_entropy(logits, labels.to(device))
            loss.backward()
            optimizer.step()
            loss.item()
            yield


class Shipped:
    """Resident clips and the loop of tttrain."""

    def __init__(self, data: TrainingData, config: TrainConfig, device: str) -> None:
        assert config.network.clip_shape is not None
        self.config, self.device, self.clips = config, device, data.clips["train"]
        set_up(config, device)
        frames, height, width = config.network.clip_shape
        stored = (decode_clip(data.read(clip.clip_id)) for clip in self.clips)
        self.source = ResidentSource(stored, frames, device)
        self.augment = Augment(config.augment, (height, width), 0)
        self.model = build(config, CLASSES)
        self.model.to(device=device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(self.model, config)

    def batch(self, clips: list[ClipInfo], epoch: int | None) -> Batch:
        """Cut, augmented and normalised on the device."""
        frames = (self.config.network.clip_shape or (0,))[0]
        wanted = [training_request(clip, self.config, frames, epoch or 0) for clip in clips]
        windows = list(self.source.windows(wanted))
        ids = [window.clip_id for window in windows]
        pixels = [[getattr(window, name) for window in windows] for name in ("rgb", "flow")]
        rgb, flow = self.augment(*pixels, ids, epoch)
        labels = torch.tensor([clip.class_index for clip in clips], device=self.device)
        inputs = {"rgb": rgb, "flow": normalise_flow(flow, SCALE)}
        return Batch(ids, inputs, labels, len(clips))

    def steps(self) -> Iterator[None]:
        """A step each time it is asked for one."""
        epoch = 0
        while True:
            for clips in epoch_batches(self.clips, self.config.batch_size, 0, epoch):
                chosen = [self.batch(clips, epoch)]
                train_epoch(self.model, chosen, self.optimizer, self.config, self.model.inputs)
                yield
            epoch += 1

    def validation_seconds(self) -> float:
        """Of one batch."""
        chosen = [self.batch(self.clips[: self.config.batch_size], None)]
        names, precision = self.model.inputs, self.config.precision
        return timed(lambda: validate(self.model, chosen, names, precision), self.device)

    def checkpoint_seconds(self) -> float:
        """What a checkpoint keeps the training thread: copies; the file is written beside."""
        with tempfile.TemporaryDirectory() as folder:
            writer = Writer(Path(folder) / "checkpoint.pt", 0)
            state = self.optimizer.state_dict

            def submit() -> None:
                weights = weights_of(self.model)
                writer.submit(Checkpoint("", 1, weights, copied(state()), None, Plateau()))

            seconds = timed(submit, self.device)
            writer.wait()
        return seconds


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds until the device is done."""
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def median_step(steps: Iterator[None], count: int, device: str) -> float:
    """Median seconds of a step, after two to settle."""
    seconds = [timed(lambda: next(steps), device) for _ in range(count + 2)]
    return statistics.median(seconds[2:])


def main() -> None:
    """Measure both ways and project the paper's training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shape", default="100,120,120")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--workers", type=int, default=8, help="of the DataLoader")
    options = parser.parse_args()
    time_, height, width = (int(side) for side in options.shape.split(","))
    sizes = {"crop_height": height, "crop_width": width, "window_frames": time_}
    side = max(height, width) * 3 // 2 // 2 * 2
    flow = FULL.model_copy(
        update=sizes | {"patch_side": 184 if (height, width) == (120, 120) else side}
    )
    config = TrainConfig(
        batch_size=options.batch,
        network=NetworkConfig(clip_shape=(time_, height, width)),
        execution=ExecutionConfig(torch_threads=torch.get_num_threads()),
    )
    device = options.device
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        shards = make_shards(Path(folder) / "shards", options.clips, time_ + 20, flow)
        shipped = Shipped(open_data(shards), config, device)
        step = median_step(shipped.steps(), options.steps, device)
        validation, checkpoint = shipped.validation_seconds(), shipped.checkpoint_seconds()
        del shipped
        plain = straightforward(shards, config, device, options.workers)
        slow = median_step(plain, options.steps, device)
    seconds = PAPER["train"] / options.batch * step
    seconds += PAPER["validation"] / options.batch * validation
    hours = PAPER["epochs"] * seconds / 3600
    hours += hours * 6 * checkpoint / 3600  # every ten minutes
    line = {
        "device": name,
        "shape": options.shape,
        "batch": options.batch,
        "clips_s": {"shipped": options.batch / step, "straightforward": options.batch / slow},
        "ratio": slow / step,
        "validation_batch_s": validation,
        "checkpoint_s": checkpoint,
        "hours_of_2000_epochs": hours,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
