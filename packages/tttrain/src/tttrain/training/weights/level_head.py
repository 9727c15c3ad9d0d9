"""A class head whose weights are sums over the levels of the taxonomy (specification 4.9).

The last layer has a row of weights for each class. Here each row is a sum of terms, one for the
class's value on each level (type, hand, technique) and one of its own, so that what tells forehand
from backhand is learned from the clips of all forehands. Sums of linear layers are linear layers:
`merge` gives the ordinary layer, and a saved model is the same kind as any other.

Legend: C classes, K terms, L levels.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ttdata.taxonomy import Taxonomy

LEVELS = ("type", "hand", "technique")

Levels = Mapping[str, Sequence[str | None]]
"""By level, its value for each class in order; None for the rejection class."""


def shared_levels(taxonomy: Taxonomy) -> dict[str, tuple[str | None, ...]]:
    """The levels that every stroke names and that divide the strokes into groups, some of several.

    The rejection class is a group of its own on each.
    """
    found: dict[str, tuple[str | None, ...]] = {}
    for level in LEVELS:
        values = [getattr(stroke, level) for stroke in taxonomy.strokes]
        if all(values) and 1 < len(set(values)) < len(values):
            rejection = () if taxonomy.negative is None else (None,)
            found[level] = (*values, *rejection)
    return found


def class_layer(model: nn.Module) -> str:
    """Name of the layer that gives the logits: the last one with weights."""
    names = [name.rpartition(".")[0] for name, _ in model.named_parameters()]
    return names[-1]


def share_levels(model: nn.Module, levels: Levels) -> None:
    """Tie the weights of a network's last layer; the network computes the same, to rounding.

    Args:
        model: changed in place; its optimiser is to be made afterwards.
        levels: from `shared_levels`.
    """
    layer = model.get_submodule(class_layer(model))
    for name, _ in list(layer.named_parameters(recurse=False)):
        parametrize.register_parametrization(layer, name, LevelSum(membership(levels)))


def merge(model: nn.Module) -> None:
    """Undo `share_levels`: the last layer becomes an ordinary one with the sums as its weights."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer):
            for name in list(layer.parametrizations):  # type: ignore[arg-type,union-attr]
                parametrize.remove_parametrizations(layer, name)


def membership(levels: Levels) -> Tensor:
    """(C, K) float32: which terms each class sums, the C of the classes' own last.

    Entries are 0 and 1 / sqrt(L + 1): a step of gradient descent moves a class's weights by its own
    gradient as far as without levels.
    """
    parts = []
    for values in levels.values():
        groups = list(dict.fromkeys(values))
        parts.append(torch.tensor([[float(x == group) for group in groups] for x in values]))
    matrix = torch.cat([*parts, torch.eye(len(parts[0]))], dim=1)
    return matrix / math.sqrt(len(parts) + 1)


class LevelSum(nn.Module):
    """Weights (C, ...) from terms (K, ...); beginning, all is in the classes' own terms."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        # Known from run.json: no part of the stored weights.
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, terms: Tensor) -> Tensor:
        """The sums, in float32 also where autocast is on: the layer narrows them itself."""
        with torch.autocast(terms.device.type, enabled=False):
            return (self.matrix @ terms.reshape(len(terms), -1)).view(-1, *terms.shape[1:])

    def right_inverse(self, weights: Tensor) -> Tensor:
        """Terms whose sums are these weights: all in the classes' own."""
        others = self.matrix.shape[1] - len(weights)
        own = weights / self.matrix[0, others]
        return torch.cat([weights.new_zeros((others, *weights.shape[1:])), own])
