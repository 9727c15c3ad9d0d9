"""One training worker: epochs, validation, checkpoints, the final model; independent of Ray."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ttmodels import ModelCard, StrokeModel
from tttrain.clip_log import ClipLog
from tttrain.data.cache import on_gpu, place
from tttrain.data.rng import generator
from tttrain.data.sampling import ClipInfo, Source, Stretches, with_stretches
from tttrain.flat_keys import flat_hash
from tttrain.run import Run
from tttrain.training import checkpoint as checkpoints
from tttrain.training.batches import Batches
from tttrain.training.best_epoch import Best, is_best
from tttrain.training.checkpoint import Checkpoint
from tttrain.training.collective import Worker, average_statistics, sum_over_workers
from tttrain.training.device import takes_kernels
from tttrain.training.gradient_factors import distribute
from tttrain.training.loop import (
    ClipLogits,
    Score,
    copied,
    make_optimizer,
    restore,
    set_epoch,
    train_epoch,
    validate,
    weights_of,
)
from tttrain.training.networks import build
from tttrain.training.schedule import Plateau, learning_rate_at, momentum_at
from tttrain.training.step.graph import StepGraph
from tttrain.training.step.train_step import Step, TrainStep
from tttrain.training.tensorboard import TensorBoardWriter
from tttrain.training.weights.initial import begin
from tttrain.training.weights.late_fusion import BranchesApart, validate_apart, weighed
from tttrain.training.weights.level_head import merge, share_levels

logger = logging.getLogger(__name__)

Report = Callable[[dict[str, Any]], None]

REPORT_SECONDS = 10.0
"""Least time between two reports to the cluster; `metrics.jsonl` has every epoch."""


class Trainer:
    """One worker's training of one run, from where its checkpoint stands."""

    def __init__(
        self,
        run: Run,
        clips: dict[str, list[ClipInfo]],
        source: Source,
        worker: Worker,
        stretches: Stretches | None = None,
    ) -> None:
        self.run, self.worker = run, worker
        self.info = run.info()
        self.config = self.info.resolved
        self.clips, self.stretches = clips, stretches or {}
        self.batches = Batches(self.info, source, worker)
        self.model = self._begin()
        self.model.to(device=worker.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.names = self.model.inputs
        self.clip_log = ClipLog(run.clips_path, [clip.clip_id for clip in clips["train"]])
        self.optimizer = make_optimizer(self.model, self.config)
        self.best: Best | None = None
        self.plateau = Plateau()
        init = "" if self.info.init is None else self.info.init.weights_sha256[:12]
        self.result_hash = self.config.result_hash() + self.info.dataset_hash[:12] + init
        self.epochs_done = self._resume()
        self.late = self.config.network.fusion == "late"
        self.wrapped: nn.Module = BranchesApart(self.model) if self.late else self.model
        if worker.num_workers > 1:
            self.wrapped = distribute(self.wrapped, self.config.batch_size)
        self.step = self._step()
        self._reported = time.monotonic()
        minutes = self.config.execution.checkpoint_minutes
        self.writer = checkpoints.Writer(run.checkpoint_path, minutes)

    def _step(self) -> Step:
        workers = self.worker.num_workers
        step = TrainStep(self.wrapped, self.optimizer, self.config, self.names, workers)
        if self.config.execution.step_graph and workers == 1 and on_gpu(self.worker.device):
            return StepGraph(step, self.config.batch_size)
        return step

    @property
    def writes(self) -> bool:
        """Whether this worker is the one that writes files."""
        return self.worker.rank == 0

    def _begin(self) -> StrokeModel:
        """The network where training begins; a checkpoint's weights will replace these."""
        model = build(self.config, len(self.info.classes))
        if self.info.init is not None and not self.run.checkpoint_path.exists():
            begin(model, self.info.init)
        if takes_kernels(self.config, self.worker.device):
            model.fuse_poolings()
        return self._tied(model)

    def _tied(self, model: StrokeModel) -> StrokeModel:
        if self.info.levels:
            share_levels(model, self.info.levels)
        return model

    def _resume(self) -> int:
        # A checkpoint from before the configuration had sections is one of this run too.
        earlier = flat_hash(self.config.result_values()) + self.info.dataset_hash[:12]
        found = checkpoints.load(self.run.checkpoint_path, self.result_hash, (earlier,))
        if found is None:
            return 0
        self.model.load_state_dict(found.weights)
        restore(self.optimizer, found.optimizer)
        self.best, self.plateau = found.best, found.plateau
        return found.epochs_done

    def train(self, report: Report) -> None:
        """Train the remaining epochs and write the model; `report` gets some of the epochs."""
        if self.writes:
            self.run.keep_metrics(self.epochs_done)
            self.clip_log.keep(self.epochs_done)
            self.tensorboard = TensorBoardWriter(self.run)
        while not self.done:
            entry = self.epoch(self.epochs_done)
            self.epochs_done += 1
            if self.writes:
                self.run.append_metrics(entry)
                self.tensorboard.add(entry)
                if self.writer.due() or self.done:
                    self.writer.submit(self.checkpoint())
            if self._report_due():
                report(entry)
        if self.writes:
            self.writer.wait()
            self.tensorboard.close()
            self.save_model()

    @property
    def done(self) -> bool:
        """Whether all epochs are done, or `patience_epochs` have passed without new best weights.

        Every worker has the same epochs and returns the same.
        """
        patience = self.config.schedule.patience_epochs
        if self.epochs_done >= self.config.schedule.epochs:
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
        reductions = self.plateau.reductions
        set_epoch(self.optimizer, self.config, epoch, reductions)
        # Dropout alone draws from the global generator.
        rng = generator(self.config.seed, epoch, "dropout", str(self.worker.rank))
        torch.manual_seed(int(rng.integers(2**63)))
        shown = with_stretches(self.clips["train"], self.stretches, self.config, epoch)
        # With a single class there is no other logit.
        answers = ClipLogits() if len(self.info.classes) > 1 else None
        trained = train_epoch(
            self.wrapped,
            self.batches.training(shown, epoch),
            self.optimizer,
            self.config,
            self.names,
            self.worker.num_workers,
            answers,
            self.step,
        )
        self._log_clips(epoch, answers)
        average_statistics(self.model)
        middle = time.monotonic()
        score, shares = self._validate()
        improved = self._keep_best(epoch, score, shares)
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
            "learning_rate": learning_rate_at(self.config, epoch, reductions),
            "momentum": momentum_at(self.config, epoch),
            "best": improved,
            "seconds": round(time.monotonic() - start, 3),
            "clips_per_second": round(trained.n / max(middle - start, 1e-9), 3),
        }

    def _log_clips(self, epoch: int, answers: ClipLogits | None) -> None:
        """Before the epoch's metrics: where these are, what the clips were answered is, too."""
        if answers is None:
            return
        found = answers.of_all_workers()
        if self.writes:
            self.clip_log.append(epoch, found)

    def _validate(self) -> tuple[Score, Sequence[float]]:
        """The score of the validation clips, and what each branch is worth of those weighed."""
        clips = self.batches.validation(self.clips["validation"])
        if self.late:
            return validate_apart(self.model, clips, self.names, self.config.precision)
        return validate(self.model, clips, self.names, self.config.precision), ()

    def _keep_best(self, epoch: int, score: Score, shares: Sequence[float]) -> bool:
        if not is_best(score, self.best):
            return False
        weights: dict[str, Tensor] = {}
        if self.writes:
            self.best = None  # frees its weights first
            weights = weighed(weights_of(self.model, self._best_place()), shares)
        self.best = Best(epoch, score.accuracy, score.loss, weights)
        return True

    def _best_place(self) -> str:
        """Where the best weights stay: on a GPU that has room they need no copy across."""
        gib = sum(value.nbytes for value in self.model.state_dict().values()) / 2**30
        return place(self.worker.device, gib)

    def checkpoint(self) -> Checkpoint:
        """A copy of the state after the epochs done."""
        return Checkpoint(
            result_hash=self.result_hash,
            epochs_done=self.epochs_done,
            weights=weights_of(self.model),
            optimizer=copied(self.optimizer.state_dict()),
            best=None if self.best is None else self.best.on_cpu(),
            plateau=self.plateau,
        )

    def save_model(self) -> None:
        """Write `model/` from the best weights."""
        assert self.best is not None
        model = self._tied(build(self.config, len(self.info.classes)))
        model.load_state_dict(self.best.weights)
        merge(model)
        card = ModelCard(self.info.classes, self.info.flow_scale_xy_px, self._provenance())
        model.save_pretrained(self.run.model_folder, card)

    def _provenance(self) -> dict[str, Any]:
        assert self.best is not None
        init = self.info.init
        return {
            **({} if init is None else {"init_weights_sha256": init.weights_sha256}),
            "recipe": self.config.recipe,
            "configuration": self.config.result_values(),
            "dataset_hash": self.info.dataset_hash,
            "best_epoch": self.best.epoch,
            "validation_accuracy": self.best.accuracy if self.clips["validation"] else None,
        }
