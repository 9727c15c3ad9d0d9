"""The training loop on batches of tensors: no files, no cluster (specification 5)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tttrain.config import TrainConfig
from tttrain.errors import TrainingError
from tttrain.training.collective import gather, sum_over_workers
from tttrain.training.schedule import learning_rate_at, momentum_at

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, eq=False)
class Batch:
    """A worker's part of a global batch, ready for the network.

    `inputs` are the tensors by name ("rgb" (B, 3, T, H, W), "flow" (B, 2, T, H, W), "pose" (B, 3,
    T, 33)), those that the network reads; `total` counts the clips of the global batch. A worker
    without a clip of its own in a short batch holds one clip of zeros and no clip_id, because all
    workers must meet in every step.
    """

    clip_ids: Sequence[str]
    inputs: dict[str, Tensor]
    labels: Tensor
    total: int


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
    """The configured optimiser; `set_epoch` gives it the values of an epoch."""
    rate, decay = config.base_learning_rate, config.optimizer.weight_decay
    fused = all(weight.is_cuda for weight in model.parameters())
    if config.optimizer.name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay, fused=fused)
    momentum = momentum_at(config, 0)
    return torch.optim.SGD(
        model.parameters(),
        lr=rate,
        momentum=momentum,
        nesterov=momentum > 0,
        weight_decay=decay,
        fused=fused,
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


def train_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    names: Sequence[str],
    num_workers: int = 1,
    answers: ClipLogits | None = None,
) -> Score:
    """One pass over the training clips; a step follows the mean loss over the global batch.

    Args:
        model: called with the tensors of `names`, in that order; returns logits.
        batches: this worker's parts.
        optimizer: stepped once a batch.
        config: for `label_smoothing`, `gradient_clip` and `precision`.
        names: of the model's inputs.
        num_workers: over whose gradients `model` averages (as DistributedDataParallel does).
        answers: takes this worker's logits, where they are wanted.

    Raises:
        TrainingError: on a loss that is not finite, naming the clips of its global batch.
    """
    losses, correct, n = 0.0, 0, 0
    for batch in batches:
        # The zeros that stand for no clip must not enter running statistics.
        model.train(bool(batch.clip_ids))
        optimizer.zero_grad(set_to_none=True)
        smoothing = config.optimizer.label_smoothing
        summed, right = _forward(model, batch, names, config.precision, smoothing, answers)
        (summed * (num_workers / batch.total)).backward()  # type: ignore[no-untyped-call]
        total = sum_over_workers([float(summed.detach()), float(right)])
        if not math.isfinite(total[0]):
            raise TrainingError(_describe(batch, total[0], n))
        if config.optimizer.gradient_clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.gradient_clip)
        optimizer.step()
        losses, correct, n = losses + total[0], correct + int(total[1]), n + batch.total
    return Score(losses / max(n, 1), correct, n)


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
    losses, correct, n = 0.0, 0, 0
    bad: list[str] = []
    for batch in batches:
        summed, right = _forward(model, batch, names, precision)
        loss = float(summed)
        losses, correct, n = losses + loss, correct + right, n + len(batch.clip_ids)
        if not math.isfinite(loss):
            bad += batch.clip_ids
    total = sum_over_workers([losses, float(correct), float(n)])
    if not math.isfinite(total[0]):
        clips = [clip for part in gather(bad) for clip in part]
        raise TrainingError(
            f"validation loss is {total[0]}, expected a finite number; clips of the batches that "
            f"gave it: {', '.join(clips)}; look at them, or lower optimizer.learning_rate"
        )
    return Score(total[0] / max(total[2], 1), int(total[1]), int(total[2]))


def autocast(device: str, precision: Precision) -> torch.autocast:
    """The context in which networks compute: bfloat16 where asked for, by default on GPUs."""
    return torch.autocast(device, torch.bfloat16, enabled=uses_bfloat16(device, precision))


def uses_bfloat16(device: str, precision: Precision) -> bool:
    """Whether networks compute in bfloat16 on a device of this type."""
    return precision == "bfloat16" or (precision == "auto" and device == "cuda")


def _forward(
    model: nn.Module,
    batch: Batch,
    names: Sequence[str],
    precision: Precision,
    smoothing: float = 0.0,
    answers: ClipLogits | None = None,
) -> tuple[Tensor, int]:
    """Summed loss and number of correct answers of this worker's clips."""
    with autocast(batch.labels.device.type, precision):
        logits = model(*[batch.inputs[name] for name in names])
    labels = batch.labels
    losses = cross_entropy(logits.float(), labels, reduction="none", label_smoothing=smoothing)
    if not batch.clip_ids:
        return losses.sum() * 0.0, 0
    if answers is not None:
        answers.add(batch.clip_ids, logits, labels)
    return losses.sum(), int((logits.argmax(dim=1) == labels).sum())


def _describe(batch: Batch, loss: float, seen: int) -> str:
    clips = [clip for part in gather(list(batch.clip_ids)) for clip in part]
    return (
        f"loss is {loss} after {seen} clips of the epoch, expected a finite number; clips of this "
        f"step: {', '.join(clips)}; look at them, or lower optimizer.learning_rate"
    )


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights in CPU memory, laid out plainly."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
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
