"""What one worker does: epochs, validation, checkpoints, the final model. Knows no cluster."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import nn

from ttdata.errors import TTError
from ttmodels import ModelCard
from tttrain.config import TrainConfig
from tttrain.data.augment import Augment
from tttrain.data.cache import tensor
from tttrain.data.normalise import normalise_flow
from tttrain.data.rng import generator
from tttrain.data.sampling import (
    ClipInfo,
    Request,
    Source,
    Window,
    central_request,
    deal,
    epoch_batches,
    training_request,
)
from tttrain.run import Run, RunInfo
from tttrain.training import checkpoint as checkpoints
from tttrain.training.checkpoint import Checkpoint
from tttrain.training.collective import sum_over_workers
from tttrain.training.gradient_factors import distribute
from tttrain.training.loop import (
    Batch,
    Best,
    Plateau,
    Score,
    copied,
    is_narrow,
    learning_rate_at,
    make_optimizer,
    momentum_at,
    set_epoch,
    train_epoch,
    validate,
    weights_of,
)
from tttrain.training.networks import build
from tttrain.training.tensorboard import Board

logger = logging.getLogger(__name__)

Report = Callable[[dict[str, Any]], None]

REPORT_SECONDS = 10.0
"""Least time between two reports to the cluster; `metrics.jsonl` has every epoch."""


@dataclass(frozen=True)
class Worker:
    """Which of the workers this is, and what it computes on."""

    rank: int = 0
    num_workers: int = 1
    device: str = "cpu"


class Batches:
    """Makes this worker's batches from windows: crop, augmentation, normalisation."""

    def __init__(self, info: RunInfo, source: Source, worker: Worker) -> None:
        config = info.resolved
        assert config.clip_shape is not None
        self._config, self._source, self._worker = config, source, worker
        self._num_frames, *crop_hw = config.clip_shape
        self._scale = info.flow_scale_xy_px
        self._augment = Augment(config.augment, (crop_hw[0], crop_hw[1]), config.seed)

    def training(self, clips: Sequence[ClipInfo], epoch: int) -> Iterator[Batch]:
        """This worker's parts of an epoch's global batches, varied as configured."""
        batches = epoch_batches(clips, self._config.batch_size, self._config.seed, epoch)
        parts = [deal(batch, self._worker.rank, self._worker.num_workers) for batch in batches]
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
        mine = deal(ordered, self._worker.rank, self._worker.num_workers)
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
        labels = torch.tensor([clip.class_index for clip in part] or [0])
        inputs = self._inputs(taken, clip_ids, epoch) if part else self._nothing()
        device = self._worker.device
        return Batch(clip_ids, inputs, labels.to(device), total)

    def _inputs(
        self, windows: list[Window], clip_ids: list[str], epoch: int | None
    ) -> dict[str, torch.Tensor]:
        device = self._worker.device
        stored_rgb = [tensor(window.rgb).to(device, non_blocking=True) for window in windows]
        stored_flow = [tensor(window.flow).to(device, non_blocking=True) for window in windows]
        rgb, flow = self._augment(stored_rgb, stored_flow, clip_ids, epoch)
        return {"rgb": rgb, "flow": normalise_flow(flow, self._scale)}

    def _nothing(self) -> dict[str, torch.Tensor]:
        shape, device = self._config.clip_shape, self._worker.device
        assert shape is not None
        return {
            "rgb": torch.zeros((1, 3, *shape), device=device),
            "flow": torch.zeros((1, 2, *shape), device=device),
        }


class Trainer:
    """One worker's training of one run, from where its checkpoint stands."""

    def __init__(
        self, run: Run, clips: dict[str, list[ClipInfo]], source: Source, worker: Worker
    ) -> None:
        self.run, self.worker = run, worker
        self.info = run.info()
        self.config = self.info.resolved
        self.clips = clips
        self.batches = Batches(self.info, source, worker)
        self.model = build(self.config, len(self.info.classes))
        self.model.to(device=worker.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.names = self.model.inputs
        self.optimizer = make_optimizer(self.model, self.config)
        self.best: Best | None = None
        self.plateau = Plateau()
        self.result_hash = self.config.result_hash() + self.info.dataset_hash[:12]
        self.epochs_done = self._resume()
        self.wrapped: nn.Module = self.model
        if worker.num_workers > 1:
            self.wrapped = distribute(self.model, self.config.batch_size)
        self._reported = time.monotonic()
        self.writer = checkpoints.Writer(run.checkpoint_path, self.config.checkpoint_minutes)

    @property
    def writes(self) -> bool:
        """Whether this worker is the one that writes files."""
        return self.worker.rank == 0

    def _resume(self) -> int:
        found = checkpoints.load(self.run.checkpoint_path, self.result_hash)
        if found is None:
            return 0
        self.model.load_state_dict(found.weights)
        self.optimizer.load_state_dict(found.optimizer)
        self.best, self.plateau = found.best, found.plateau
        return found.epochs_done

    def train(self, report: Report) -> None:
        """Train the remaining epochs and write the model; `report` hears of some epochs."""
        if self.writes:
            self.run.keep_metrics(self.epochs_done)
            self.board = Board(self.run)
        while not self.done:
            entry = self.epoch(self.epochs_done)
            self.epochs_done += 1
            if self.writes:
                self.run.append_metrics(entry)
                self.board.add(entry)
                if self.writer.due() or self.done:
                    self.writer.submit(self.checkpoint())
            if self._report_due():
                report(entry)
        if self.writes:
            self.writer.wait()
            self.board.close()
            self.save_model()

    @property
    def done(self) -> bool:
        """Whether all epochs are done, or so many without new best weights that it was asked for.

        Every worker knows the same epochs and answers the same.
        """
        patience = self.config.patience_epochs
        if self.epochs_done >= self.config.epochs:
            return True
        if patience is None or self.best is None:
            return False
        return self.epochs_done - 1 - self.best.epoch >= patience

    def _report_due(self) -> bool:
        """Whether to report now: all workers or none, as the first worker's clock says.

        Ray Train takes reports every two seconds and lets the workers wait until then.
        """
        now = time.monotonic()
        wanted = self.writes and now - self._reported >= REPORT_SECONDS
        due = self.done or sum_over_workers([float(wanted)])[0] > 0
        if due:
            self._reported = now
        return due

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train and validate one epoch; returns its line of metrics.jsonl."""
        start = time.monotonic()
        drops = self.plateau.drops
        set_epoch(self.optimizer, self.config, epoch, drops)
        # Dropout alone draws from the global generator.
        rng = generator(self.config.seed, epoch, "dropout", str(self.worker.rank))
        torch.manual_seed(int(rng.integers(2**63)))
        trained = train_epoch(
            self.wrapped,
            self.batches.training(self.clips["train"], epoch),
            self.optimizer,
            self.config,
            self.names,
            self.worker.num_workers,
        )
        middle = time.monotonic()
        clips = self.batches.validation(self.clips["validation"])
        score = validate(self.model, clips, self.names, self.config.precision)
        improved = self._keep_best(epoch, score)
        if score.n:
            self.plateau = self.plateau.after(score.loss, self.config)
        return {
            "epoch": epoch,
            "train_loss": trained.loss,
            "train_accuracy": trained.accuracy,
            "train_n": trained.n,
            "validation_loss": score.loss,
            "validation_accuracy": score.accuracy,
            "validation_n": score.n,
            "learning_rate": learning_rate_at(self.config, epoch, drops),
            "momentum": momentum_at(self.config, epoch),
            "best": improved,
            "seconds": round(time.monotonic() - start, 3),
            "clips_per_second": round(trained.n / max(middle - start, 1e-9), 3),
        }

    def _keep_best(self, epoch: int, score: Score) -> bool:
        # Without validation clips nothing can be compared: the last epoch counts.
        if self.best is not None and score.n and not self.best.beaten_by(score):
            return False
        weights = weights_of(self.model) if self.writes else {}
        self.best = Best(epoch, score.accuracy, score.loss, weights)
        return True

    def checkpoint(self) -> Checkpoint:
        """A copy of the state after the epochs done."""
        return Checkpoint(
            result_hash=self.result_hash,
            epochs_done=self.epochs_done,
            weights=weights_of(self.model),
            optimizer=copied(self.optimizer.state_dict()),
            best=self.best,
            plateau=self.plateau,
        )

    def save_model(self) -> None:
        """Write `model/` from the best weights."""
        assert self.best is not None
        model = build(self.config, len(self.info.classes))
        model.load_state_dict(self.best.weights)
        card = ModelCard(self.info.classes, self.info.flow_scale_xy_px, self._provenance())
        model.save_pretrained(self.run.model_folder, card)

    def _provenance(self) -> dict[str, Any]:
        assert self.best is not None
        return {
            "recipe": self.config.recipe,
            "configuration": self.config.result_values(),
            "dataset_hash": self.info.dataset_hash,
            "best_epoch": self.best.epoch,
            "validation_accuracy": self.best.accuracy,
        }


def set_up(config: TrainConfig, device: str = "cpu") -> str:
    """Threads, precision and determinism of this worker's process.

    On a GPU cuDNN keeps to algorithms that give the same sums every time. The one operation of ours
    that has none there is the gradient of overlapping max pooling, which only I3D has.

    Returns:
        The device and the precision it computes in, in words.
    """
    torch.set_num_threads(config.torch_threads or 1)
    kind, name = torch.device(device).type, "CPU"
    if kind != "cuda":
        # The same switch as use_deterministic_algorithms, which also imports a compiler: 2 s.
        torch.set_deterministic_debug_mode("error")
    else:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = config.precision != "float32"
        name = torch.cuda.get_device_name(device)
    return f"{name}, {'bfloat16 autocast' if is_narrow(kind, config.precision) else 'float32'}"
