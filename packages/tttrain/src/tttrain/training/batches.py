"""A worker's batches of tensors, made from windows of clips."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import torch

from ttdata.errors import TTError
from ttmodels.inputs import input_shape
from tttrain.data.cache import tensor, without_waiting
from tttrain.data.normalise import normalise_flow
from tttrain.data.poses import move_poses
from tttrain.data.sampling import (
    ClipInfo,
    Request,
    Source,
    Window,
    central_request,
    epoch_batches,
    rank_slice,
    training_request,
)
from tttrain.data.spatial_augment import Augment, Cut
from tttrain.run import RunInfo
from tttrain.training.collective import Worker
from tttrain.training.device import takes_kernels
from tttrain.training.step.train_step import Batch


class Batches:
    """Makes this worker's batches from windows: crop, augmentation, normalisation."""

    def __init__(self, info: RunInfo, source: Source, worker: Worker) -> None:
        config = info.resolved
        assert config.network.clip_shape is not None
        self._config, self._source, self._worker = config, source, worker
        self._num_frames, *crop_hw = config.network.clip_shape
        self._scale = torch.tensor(info.flow_scale_xy_px, device=worker.device)
        cut = _cut() if takes_kernels(config, worker.device) else None
        self._augment = Augment(config.augment, (crop_hw[0], crop_hw[1]), config.seed, cut)
        self._mirrored = mirrored_indices(info.classes, info.mirrored)

    def training(self, clips: Sequence[ClipInfo], epoch: int) -> Iterator[Batch]:
        """This worker's parts of an epoch's global batches, varied as configured."""
        batches = epoch_batches(clips, self._config.batch_size, self._config.seed, epoch)
        rank, num_workers = self._worker.rank, self._worker.num_workers
        parts = [rank_slice(batch, rank, num_workers) for batch in batches]
        requests = [
            training_request(clip, self._config, self._num_frames, epoch)
            for part in parts
            for clip in part
        ]
        windows = self._source.windows(requests)
        for batch, part in zip(batches, parts, strict=True):
            yield self._batch(part, windows, len(batch), epoch)

    def validation(self, clips: Sequence[ClipInfo]) -> Iterator[Batch]:
        """Central windows of this worker's share of the clips, each clip once over all workers."""
        ordered = sorted(clips, key=lambda clip: clip.clip_id)
        mine = rank_slice(ordered, self._worker.rank, self._worker.num_workers)
        windows = self._source.windows([self.central(clip) for clip in mine])
        size = self._config.batch_size
        for at in range(0, len(mine), size):
            part = mine[at : at + size]
            yield self._batch(part, windows, len(part), None)

    def central(self, clip: ClipInfo) -> Request:
        """The central window of a clip."""
        return central_request(clip, self._num_frames)

    def _batch(
        self, part: list[ClipInfo], windows: Iterator[Window], total: int, epoch: int | None
    ) -> Batch:
        taken = list(islice(windows, len(part)))
        clip_ids = [clip.clip_id for clip in part]
        found = [window.clip_id for window in taken]
        if found != clip_ids:
            raise TTError(f"the data gave clips {found}, expected {clip_ids}")
        labels = torch.tensor(self._labels(part, epoch) or [0])
        inputs = self._inputs(taken, clip_ids, epoch) if part else self._nothing()
        device = self._worker.device
        return Batch(clip_ids, inputs, without_waiting(labels, device), total)

    def _labels(self, part: list[ClipInfo], epoch: int | None) -> list[int]:
        """Class indices, in training those of the mirror image where a clip is mirrored."""
        indices = [clip.class_index for clip in part]
        if epoch is None or self._mirrored is None:
            return indices
        draws = self._augment.draws([clip.clip_id for clip in part], epoch)
        return [
            self._mirrored[index] if draw.mirror else index
            for index, draw in zip(indices, draws, strict=True)
        ]

    def _inputs(
        self, windows: list[Window], clip_ids: list[str], epoch: int | None
    ) -> dict[str, torch.Tensor]:
        device, inputs = self._worker.device, {}
        if self._config.network.reads_pixels:
            stored_rgb = [tensor(window.rgb).to(device, non_blocking=True) for window in windows]
            stored_flow = [tensor(window.flow).to(device, non_blocking=True) for window in windows]
            rgb, flow = self._augment(stored_rgb, stored_flow, clip_ids, epoch)
            inputs = {"rgb": rgb, "flow": normalise_flow(flow, self._scale)}
        if self._config.network.reads_pose:
            poses = torch.stack([window.pose for window in windows])
            draws = self._augment.draws(clip_ids, epoch)
            moved = move_poses(poses, draws, self._config.network.landmarks)
            inputs["pose"] = without_waiting(moved, device)
        return inputs

    def _nothing(self) -> dict[str, torch.Tensor]:
        network = self._config.network
        assert network.clip_shape is not None
        pixels = ("rgb", "flow") if network.reads_pixels else ()
        names = (*pixels, *(("pose",) if network.reads_pose else ()))
        shapes = {name: input_shape(name, network.clip_shape) for name in names}
        return {
            name: torch.zeros((1, *shape), device=self._worker.device)
            for name, shape in shapes.items()
        }


def _cut() -> Cut:
    """The kernel that cuts crops."""
    from tttrain.training.step import crops

    return crops.transform


def mirrored_indices(classes: Sequence[str], mirrored: Mapping[str, str]) -> list[int] | None:
    """By class index, that of the class's mirror image; None where each is its own."""
    if not mirrored:
        return None
    return [classes.index(mirrored.get(label, label)) for label in classes]
