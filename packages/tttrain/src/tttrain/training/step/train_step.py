"""One training step on tensors: nothing in it waits for the device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tttrain.config import TrainConfig

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


@dataclass(frozen=True, eq=False)
class Answer:
    """What a step says of this worker's clips, on their device.

    `loss` is their summed loss, a number; `right` counts the correct answers; `logits` is (B,
    classes).
    """

    loss: Tensor
    right: Tensor
    logits: Tensor


Check = Callable[[Answer], None]


class Step(Protocol):
    """What trains on a batch."""

    def __call__(self, batch: Batch, check: Check | None = None) -> Answer:
        """One step."""


class TrainStep:
    """Forward pass, backward pass and update; asks the device for no value.

    Args:
        model: called with the tensors of `names`, in that order; returns logits, or those of
            several branches (B, branches, classes), whose losses are averaged and logits added.
        optimizer: of its weights.
        config: for `label_smoothing`, `gradient_clip` and `precision`.
        names: of the model's inputs.
        num_workers: over whose gradients `model` averages (as DistributedDataParallel does).
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        config: TrainConfig,
        names: Sequence[str],
        num_workers: int = 1,
    ) -> None:
        self.model, self.optimizer, self.config = model, optimizer, config
        self.names, self.num_workers = names, num_workers

    def __call__(self, batch: Batch, check: Check | None = None) -> Answer:
        """One step; its direction follows the mean loss over the global batch.

        Args:
            batch: this worker's part.
            check: gets the answer before weights change; an error leaves them as they are.
        """
        # The zeros that stand for no clip must not enter running statistics.
        self.model.train(bool(batch.clip_ids))
        self.optimizer.zero_grad(set_to_none=True)
        smoothing, clip = self.config.optimizer.label_smoothing, self.config.optimizer.gradient_clip
        answer = forward(self.model, batch, self.names, self.config.precision, smoothing)
        (answer.loss * (self.num_workers / batch.total)).backward()  # type: ignore[no-untyped-call]
        found = Answer(answer.loss.detach(), answer.right, answer.logits.detach())
        if check is not None:
            check(found)
        if clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        return found


def forward(
    model: nn.Module,
    batch: Batch,
    names: Sequence[str],
    precision: Precision,
    smoothing: float = 0.0,
) -> Answer:
    """What the model says of a batch; its loss has a gradient where gradients are wanted."""
    with autocast(batch.labels.device.type, precision):
        logits = model(*[batch.inputs[name] for name in names])
    labels = batch.labels
    if logits.ndim == 3:  # (B, branches, classes): each branch learns by itself
        losses = _losses(logits.flatten(0, 1), labels.repeat_interleave(logits.shape[1]), smoothing)
        losses, logits = losses.view(logits.shape[:2]).mean(dim=1), logits.sum(dim=1)
    else:
        losses = _losses(logits, labels, smoothing)
    right = (logits.argmax(dim=1) == labels).sum()
    if not batch.clip_ids:
        return Answer(losses.sum() * 0.0, right * 0, logits)
    return Answer(losses.sum(), right, logits)


def _losses(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    return cross_entropy(logits.float(), labels, reduction="none", label_smoothing=smoothing)


def autocast(device: str, precision: Precision) -> torch.autocast:
    """The context in which networks compute: bfloat16 where asked for, by default on GPUs."""
    return torch.autocast(device, torch.bfloat16, enabled=uses_bfloat16(device, precision))


def uses_bfloat16(device: str, precision: Precision) -> bool:
    """Whether networks compute in bfloat16 on a device of this type."""
    return precision == "bfloat16" or (precision == "auto" and device == "cuda")
