"""A training run without files: the shipped loop on clips that lie on the device."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from gpu_sections import pictures
from gpu_sections.context import Context
from tttrain.config import ExecutionConfig, NetworkConfig, TrainConfig
from tttrain.data.cache import ResidentSource, without_waiting
from tttrain.data.normalise import normalise_flow
from tttrain.data.sampling import ClipInfo, StoredClip, training_request
from tttrain.data.spatial_augment import Augment, transform
from tttrain.training.loop import Batch, make_optimizer, train_epoch, validate
from tttrain.training.networks import build
from tttrain.training.step.graph import StepGraph
from tttrain.training.step.train_step import TrainStep

CLASSES = 21
SCALE = (10.0, 10.0)
MARGIN = 20


def configuration(
    shape: tuple[int, int, int], batch_size: int, precision: str, model: str = "siamese"
) -> TrainConfig:
    """The defaults at another size."""
    return TrainConfig(
        batch_size=batch_size,
        precision=precision,
        network=NetworkConfig(model=model, clip_shape=shape),
        execution=ExecutionConfig(torch_threads=torch.get_num_threads()),
    )


@dataclass(frozen=True)
class Way:
    """How steps are computed beside their precision and layout; the default is the plain layers."""

    pooling: bool = False
    """Bias, pooling and ReLU as kernels of our own."""
    padded: bool = False
    """Channels of later stages filled up for the matrix units, in half precision."""
    first: bool = False
    """The first stage as a kernel of our own, in half precision."""
    crops: bool = False
    """Crops as a kernel of our own."""
    graph: bool = False
    """The step as one CUDA graph."""
    unread: int | None = None
    """Steps whose losses are read together; 1 waits for every step."""


KERNELS = Way(pooling=True, padded=True, first=True, crops=True)
"""All kernels of our own, launched one by one."""
KERNELS_IN_A_GRAPH = replace(KERNELS, graph=True)


class Training:
    """A network, its optimiser and resident clips; `batch` and `step` are those of `tttrain`."""

    def __init__(
        self, context: Context, config: TrainConfig, num_clips: int, channels_last: bool = True
    ) -> None:
        assert config.network.clip_shape is not None
        self.config, self.device = config, context.device
        self.scale = torch.tensor(SCALE, device=self.device)
        frames, height, width = config.network.clip_shape
        side = 184 if (height, width) == (120, 120) else max(height, width) * 3 // 2 // 2 * 2
        self.clips = [_info(index, frames + MARGIN) for index in range(num_clips)]
        stored = pictures.patches(0, frames + MARGIN, side)
        self.source = ResidentSource(
            (_stored(clip, stored, index) for index, clip in enumerate(self.clips)),
            frames,
            self.device,
        )
        self.augment = Augment(config.augment, (height, width), config.seed)
        self.model = build(config, CLASSES)
        layout = torch.channels_last_3d if channels_last else torch.contiguous_format
        self.model.to(device=self.device, memory_format=layout)
        self.layout = layout
        self.optimizer = make_optimizer(self.model, config)
        self.take(Way())

    def take(self, way: Way) -> None:
        """Compute in this way from now on."""
        self.way, self.augment.cut = way, transform
        self.model.fuse_poolings(way.pooling)
        if way.pooling:
            from ttmodels.gpu import stages

            stages.MULTIPLE, stages.FIRST_STAGE = 16 if way.padded else 1, way.first
        if way.crops:
            from tttrain.training.step import crops

            self.augment.cut = crops.transform
        step = TrainStep(self.model, self.optimizer, self.config, self.model.inputs)
        self.work = StepGraph(step, self.config.batch_size) if way.graph else step

    def move(self, device: str) -> None:
        """Compute elsewhere from now on; batches stay where the clips are."""
        self.model.to(device)
        self.optimizer = make_optimizer(self.model, self.config)
        self.take(self.way)

    def batch(self, number: int) -> Batch:
        """The clips of a batch, cut, augmented and normalised on the device."""
        assert self.config.network.clip_shape is not None
        size, frames = self.config.batch_size, self.config.network.clip_shape[0]
        at = number * size % len(self.clips)
        clips = (self.clips + self.clips)[at : at + size]
        requests = [training_request(clip, self.config, frames, number) for clip in clips]
        windows = list(self.source.windows(requests))
        ids = [window.clip_id for window in windows]
        pixels = [[getattr(window, name) for window in windows] for name in ("rgb", "flow")]
        rgb, flow = self.augment(*pixels, ids, number)
        labels = torch.tensor([clip.class_index for clip in clips])
        labels = without_waiting(labels, self.device)
        inputs = {"rgb": rgb, "flow": normalise_flow(flow, self.scale)}
        inputs = {name: clip.contiguous(memory_format=self.layout) for name, clip in inputs.items()}
        return Batch(ids, inputs, labels, len(clips))

    def step(self, batch: Batch) -> float:
        """One step of the loop; returns the loss."""
        return self.epoch([batch])

    def epoch(self, batches: Iterable[Batch]) -> float:
        """Steps of the loop; returns the mean loss."""
        given = self.model, batches, self.optimizer, self.config, self.model.inputs
        return train_epoch(*given, step=self.work, unread=self.way.unread).loss

    def validate(self, batches: Iterable[Batch]) -> float:
        """Batches of validation; returns the mean loss."""
        return validate(self.model, batches, self.model.inputs, self.config.precision).loss


def _info(index: int, frames: int) -> ClipInfo:
    return ClipInfo(f"clip {index}", 0, frames, frames, 120.0, index % CLASSES)


def _stored(clip: ClipInfo, pixels: tuple, index: int) -> StoredClip:
    rgb, flow = (part[::-1].copy() if index % 2 else part for part in pixels)
    return StoredClip(clip.clip_id, (0, clip.total_frames), clip.total_frames, rgb, flow)
