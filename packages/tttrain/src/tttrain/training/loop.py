"""The training loop on batches of tensors: no files, no cluster (specification 5)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tttrain.config import TrainConfig
from tttrain.errors import TrainingError
from tttrain.training.collective import gather, sum_over_workers
from tttrain.training.schedule import learning_rate_at, momentum_at
from tttrain.training.step.train_step import (
    Answer,
    Batch,
    Precision,
    Step,
    TrainStep,
    autocast,
    forward,
    uses_bfloat16,
)

__all__ = [
    "Batch",
    "ClipLogits",
    "Precision",
    "Score",
    "autocast",
    "copied",
    "make_optimizer",
    "restore",
    "set_epoch",
    "train_epoch",
    "uses_bfloat16",
    "validate",
    "weights_of",
]


@dataclass(frozen=True)
class Score:
    """Mean loss and correct answers over the clips of all workers."""

    loss: float
    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        """The share that is correct; 0 for no clip."""
        return self.correct / self.n if self.n else 0.0


class ClipLogits:
    """Of an epoch's clips the given label's logit and the largest other one (specification 5.8).

    They come from the forward pass of training and cost nothing.
    """

    def __init__(self) -> None:
        self._clip_ids: list[str] = []
        self._pairs: list[Tensor] = []

    def add(self, clip_ids: Sequence[str], logits: Tensor, labels: Tensor) -> None:
        """Take the answers to one batch: logits (B, classes), at least two, and labels (B,)."""
        given = logits.detach().gather(1, labels[:, None])
        others = logits.detach().scatter(1, labels[:, None], -math.inf).amax(dim=1, keepdim=True)
        self._clip_ids += clip_ids
        self._pairs.append(torch.cat([given, others], dim=1).float())

    def of_all_workers(self) -> dict[str, tuple[float, float]]:
        """Given and largest other logit by clip_id; every worker must call it."""
        pairs = torch.cat(self._pairs).tolist() if self._pairs else []
        mine = [(clip_id, *pair) for clip_id, pair in zip(self._clip_ids, pairs, strict=True)]
        return {clip_id: (given, other) for part in gather(mine) for clip_id, given, other in part}


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The configured optimiser; `set_epoch` gives it the values of an epoch.

    It reads weights, gradients and its own state once a step (`fused`), on a CPU too.
    """
    rate, decay = config.base_learning_rate, config.optimizer.weight_decay
    on_gpu = all(weight.is_cuda for weight in model.parameters())
    if config.optimizer.name == "adamw":
        return torch.optim.AdamW(
            model.parameters(),
            lr=rate,
            weight_decay=decay,
            fused=True,
            capturable=on_gpu and config.execution.step_graph,
        )
    momentum = momentum_at(config, 0)
    return torch.optim.SGD(
        model.parameters(),
        lr=rate,
        momentum=momentum,
        nesterov=momentum > 0,
        weight_decay=decay,
        fused=True,
    )


_OF_THE_DEVICE = ("fused", "foreach", "capturable")
"""How an optimiser computes, which a checkpoint of another device must not decide."""


def restore(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimiser a stored state; how it computes on this device stays as it is.

    Args:
        optimizer: from `make_optimizer`.
        state: `state_dict()` of one with the same parameters, maybe on another device.
    """
    groups = [
        stored | {name: own[name] for name in _OF_THE_DEVICE if name in own}
        for stored, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({**state, "param_groups": groups})


def set_epoch(
    optimizer: torch.optim.Optimizer, config: TrainConfig, epoch: int, reductions: int = 0
) -> None:
    """Set the learning rate of an epoch, and the momentum of SGD."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(config, epoch, reductions)
        if "momentum" in group:
            group["momentum"] = momentum_at(config, epoch)
            group["nesterov"] = group["momentum"] > 0


STEPS_UNREAD = 64
"""Steps whose losses a GPU keeps before they are read: a reading waits for all that is queued."""


def train_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    names: Sequence[str],
    num_workers: int = 1,
    answers: ClipLogits | None = None,
    step: Step | None = None,
    unread: int | None = None,
) -> Score:
    """One pass over the training clips; a step follows the mean loss over the global batch.

    Args:
        model: called with the tensors of `names`, in that order; returns logits.
        batches: this worker's parts.
        optimizer: stepped once a batch.
        config: what steps go by.
        names: of the model's inputs.
        num_workers: over whose gradients `model` averages.
        answers: takes this worker's logits, where they are wanted.
        step: a `TrainStep` of these, or the same in another form; None makes one.
        unread: steps whose losses are read together; None: each by itself on a CPU, where that
            costs nothing, `STEPS_UNREAD` elsewhere.

    Raises:
        TrainingError: on a loss that is not finite, naming the clips of its global batch; weights
            have changed since only where losses are read late.
    """
    step = step or TrainStep(model, optimizer, config, names, num_workers)
    sums = _Sums(unread)
    for batch in batches:
        answer = step(batch, partial(sums.take, batch))
        if answers is not None and batch.clip_ids:
            answers.add(batch.clip_ids, answer.logits, batch.labels)
    sums.settle()
    return Score(sums.losses / max(sums.n, 1), sums.correct, sums.n)


class _Sums:
    """Losses and correct answers of the steps so far, over all workers."""

    def __init__(self, unread: int | None) -> None:
        self.losses, self.correct, self.n = 0.0, 0, 0
        self._unread = unread
        self._waiting: list[tuple[Sequence[str], int, Answer]] = []

    def take(self, batch: Batch, answer: Answer) -> None:
        """Take a step's answer, which stays on its device until there are enough of them."""
        self._waiting.append((batch.clip_ids, batch.total, answer))
        if len(self._waiting) >= (self._unread or (STEPS_UNREAD if batch.labels.is_cuda else 1)):
            self.settle()

    def settle(self) -> None:
        """Read what waits; every worker must call it, after the same number of steps."""
        if not self._waiting:  # on all workers alike: nothing to ask the others
            return
        values = read([answer for _, _, answer in self._waiting])
        total = sum_over_workers([value for pair in values for value in pair])
        for index, (clip_ids, count, _) in enumerate(self._waiting):
            loss, right = total[2 * index : 2 * index + 2]
            if not math.isfinite(loss):
                raise TrainingError(_describe(clip_ids, loss, self.n))
            self.losses, self.correct = self.losses + loss, self.correct + int(right)
            self.n += count
        self._waiting.clear()


def read(answers: Sequence[Answer]) -> list[tuple[float, float]]:
    """Loss and correct answers of each, fetched from the device in one go."""
    if not answers:
        return []
    losses = torch.stack([answer.loss.double() for answer in answers])
    right = torch.stack([answer.right.double() for answer in answers])
    return [(loss, count) for loss, count in torch.stack([losses, right], dim=1).tolist()]


@torch.no_grad()
def validate(
    model: nn.Module,
    batches: Iterable[Batch],
    names: Sequence[str],
    precision: Precision = "float32",
) -> Score:
    """Mean loss and correct answers over all workers' batches, each clip counted once.

    Raises:
        TrainingError: on a loss that is not finite, naming clips that gave one.
    """
    model.eval()
    found = [(batch.clip_ids, forward(model, batch, names, precision)) for batch in batches]
    values = read([answer for _, answer in found])
    n = sum(len(clip_ids) for clip_ids, _ in found)
    bad = [
        clip_id
        for (clip_ids, _), (loss, _) in zip(found, values, strict=True)
        if not math.isfinite(loss)
        for clip_id in clip_ids
    ]
    losses = correct = 0.0
    for loss, right in values:  # `sum` rounds otherwise from Python 3.12 on
        losses, correct = losses + loss, correct + right
    total = sum_over_workers([losses, correct, float(n)])
    if not math.isfinite(total[0]):
        clips = [clip for part in gather(bad) for clip in part]
        raise TrainingError(
            f"validation loss is {total[0]}, expected a finite number; clips of the batches that "
            f"gave it: {', '.join(clips)}; look at them, or lower optimizer.learning_rate"
        )
    return Score(total[0] / max(total[2], 1), int(total[1]), int(total[2]))


def _describe(clip_ids: Sequence[str], loss: float, seen: int) -> str:
    clips = [clip for part in gather(list(clip_ids)) for clip in part]
    return (
        f"loss is {loss} after {seen} clips of the epoch, expected a finite number; clips of this "
        f"step: {', '.join(clips)}; look at them, or lower optimizer.learning_rate"
    )


def weights_of(model: nn.Module, device: str = "cpu") -> dict[str, Tensor]:
    """A copy of the weights in the memory of a device, laid out plainly."""
    return {
        name: value.detach().to(device, copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def copied(value: Any) -> Any:
    """A copy of nested dicts, lists and tensors, the tensors in CPU memory."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copied(item) for item in value]
    return value
