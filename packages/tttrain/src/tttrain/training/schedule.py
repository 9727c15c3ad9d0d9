"""The learning rate and the momentum of each epoch (specification 5)."""

import math
from dataclasses import dataclass

from tttrain.config import TrainConfig


@dataclass(frozen=True)
class Plateau:
    """How validation went, for a learning rate that is reduced where the loss stops falling."""

    lowest_loss: float | None = None
    stalled_epochs: int = 0
    reductions: int = 0

    def after(self, loss: float, config: TrainConfig) -> "Plateau":
        """The state after an epoch with this validation loss."""
        if self.lowest_loss is None or loss < self.lowest_loss:
            return Plateau(loss, 0, self.reductions)
        stalled = self.stalled_epochs + 1
        if stalled < max(1, config.schedule.scaled_epoch(config.schedule.plateau_epochs)):
            return Plateau(self.lowest_loss, stalled, self.reductions)
        return Plateau(self.lowest_loss, 0, self.reductions + 1)


def momentum_at(config: TrainConfig, epoch: int) -> float:
    """The momentum of an epoch (0-based): the last milestone reached, or the initial one."""
    reached = [
        item.value
        for item in config.optimizer.momentum_milestones
        if config.schedule.scaled_epoch(item.epoch) <= epoch
    ]
    return reached[-1] if reached else config.optimizer.momentum


def learning_rate_at(config: TrainConfig, epoch: int, reductions: int = 0) -> float:
    """The learning rate of an epoch (0-based), after so many reductions of a plateau schedule."""
    rate, schedule = config.base_learning_rate, config.schedule
    if epoch < schedule.warmup_epochs:
        rate *= (epoch + 1) / (schedule.warmup_epochs + 1)
    elif schedule.decay == "cosine":
        length = schedule.epochs - schedule.warmup_epochs
        share = (epoch - schedule.warmup_epochs) / max(length, 1)
        rate *= 0.5 * (1 + math.cos(math.pi * share))
    if schedule.decay == "plateau":
        rate *= schedule.plateau_factor**reductions
    return rate
