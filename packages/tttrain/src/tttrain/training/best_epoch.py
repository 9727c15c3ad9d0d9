"""Which epoch's weights are kept: those with the best validation (specification 5)."""

from dataclasses import dataclass, replace

from torch import Tensor

from tttrain.training.loop import Score


@dataclass(frozen=True, eq=False)
class Best:
    """The weights of the best epoch so far, with its validation.

    The weights may lie on a GPU; a checkpoint takes `on_cpu()`.
    """

    epoch: int
    accuracy: float
    loss: float
    weights: dict[str, Tensor]

    def beaten_by(self, score: Score) -> bool:
        """Whether a later validation is better: higher accuracy, or as high with a lower loss.

        Of equals the earlier epoch stays.
        """
        return (score.accuracy, -score.loss) > (self.accuracy, -self.loss)

    def on_cpu(self) -> "Best":
        """The same with its weights in CPU memory; itself where they are there."""
        if all(value.device.type == "cpu" for value in self.weights.values()):
            return self
        return replace(self, weights={name: value.cpu() for name, value in self.weights.items()})


def is_best(score: Score, best: Best | None) -> bool:
    """Whether the epoch with this validation becomes the best one.

    Without validation clips nothing can be compared: the last epoch is taken.
    """
    return best is None or not score.n or best.beaten_by(score)
