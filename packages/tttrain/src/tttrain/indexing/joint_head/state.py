"""The state of a joint head's training, kept in one file that is replaced after every epoch."""

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ttdata.storage.atomic import atomic_path
from ttmodels import DetectionHead
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.training.loop import restore, weights_of

logger = logging.getLogger(__name__)
SCHEMA_VERSION = 1


@dataclass(eq=False)
class HeadState:
    """A joint head in training."""

    head: DetectionHead
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    """The moving average of the parameters."""
    epochs_done: int = 0
    steps_done: int = 0

    def advance(self, decay: float) -> None:
        """Take the weights of a step into the average, which forgets fast at first."""
        share = min(decay, (1 + self.steps_done) / (10 + self.steps_done))
        with torch.no_grad():
            for name, weight in self.head.named_parameters():
                self.average[name].lerp_(weight, 1 - share)
        self.steps_done += 1

    def result(self) -> DetectionHead:
        """A head of its own with the averaged weights, in evaluation mode."""
        head = copy.deepcopy(self.head)
        head.load_state_dict(self.head.state_dict() | self.average)
        head.zero_grad(set_to_none=True)
        return head.eval()


def fresh_state(head: DetectionHead, config: HeadConfig) -> HeadState:
    """The state before the first step."""
    average = {name: weight.detach().clone() for name, weight in head.named_parameters()}
    return HeadState(head, _optimizer(head, config), average)


def initial_head(
    num_classes: int, values: int, config: HeadConfig, device: torch.device
) -> DetectionHead:
    """A head whose weights follow from the seed; the caller's generators stay as they are."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed the GPUs' generators, too.
        torch.default_generator.manual_seed(config.seed)
        head = DetectionHead(num_classes, values, config.hidden)
    return head.to(device)


def _optimizer(head: nn.Module, config: HeadConfig) -> torch.optim.Optimizer:
    weights = [item for item in head.parameters() if item.ndim > 1]
    biases = [item for item in head.parameters() if item.ndim == 1]
    groups = [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def save(path: Path, key: str, state: HeadState) -> None:
    """Write a state; readers see the old one or the new one, whole."""
    with atomic_path(path) as temporary:
        torch.save(
            {
                "schema_version": SCHEMA_VERSION,
                "key": key,
                "epochs_done": state.epochs_done,
                "steps_done": state.steps_done,
                "weights": weights_of(state.head),
                "average": {name: value.cpu() for name, value in state.average.items()},
                "optimizer": state.optimizer.state_dict(),
            },
            temporary,
        )


def resume(path: Path, key: str, state: HeadState) -> None:
    """Give a fresh state what was stored under the same key.

    A file of another key, of another release, or a damaged one leaves the state as it is, which is
    logged: what it holds follows from the data and is computed again.
    """
    values = _stored(path, key)
    if values is None:
        return
    state.head.load_state_dict(values["weights"])
    restore(state.optimizer, values["optimizer"])
    for name, value in values["average"].items():
        state.average[name].copy_(value)
    state.epochs_done, state.steps_done = values["epochs_done"], values["steps_done"]


def _stored(path: Path, key: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = values["schema_version"], values["key"]
    except Exception as error:  # torch reports damage by many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        logger.warning("%s: not a readable checkpoint (%s); training starts again", path, reason)
        return None
    if found != (SCHEMA_VERSION, key):
        logger.warning("%s: of other data or settings; training starts again", path)
        return None
    return values
