"""Late fusion: branches that learn apart, and what each is worth (specification 4.10).

With few clips a branch on pixels knows the training clips by heart long before one on landmarks has
learned them; of a loss on the sum of both the landmarks would learn nothing more. So each branch
learns by a loss of its own, as if it were alone. On validation clips shows what its word counts.

Legend: N clips, S branches, C classes.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ttmodels import StrokeModel, ThreeStreams
from tttrain.training.collective import gather
from tttrain.training.loop import Batch, Precision, Score, autocast

LARGEST = 20.0
"""Of a share; where all validation clips are right, ever larger ones would be better."""
_SWEEPS = 20
_HALVINGS = 30


class BranchesApart(nn.Module):
    """A network whose forward returns the logits of each branch, (B, S, C)."""

    def __init__(self, model: StrokeModel) -> None:
        super().__init__()
        assert isinstance(model, ThreeStreams)
        self.model = model

    def forward(self, *clips: Tensor) -> Tensor:
        """What each branch says of clips."""
        return self.model.branch_logits(*clips)


@torch.no_grad()
def validate_apart(
    model: StrokeModel, batches: Iterable[Batch], names: Sequence[str], precision: Precision
) -> tuple[Score, tuple[float, ...]]:
    """The score over all workers' batches with the shares that suit these clips best, and these."""
    logits, labels = branch_answers(model, batches, names, precision)
    found = shares(logits, labels)
    if not len(labels):
        return Score(0.0, 0, 0), found
    joined = np.einsum("s,nsc->nc", found, logits)
    right = int((joined.argmax(axis=1) == labels).sum())
    return Score(_loss(joined, labels), right, len(labels)), found


def branch_answers(
    model: StrokeModel, batches: Iterable[Batch], names: Sequence[str], precision: Precision
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, S, C) float64 and labels (N,) of all workers' batches, on every worker."""
    assert isinstance(model, ThreeStreams)
    model.eval()
    mine: list[tuple[list[list[float]], int]] = []
    for batch in batches:
        with autocast(batch.labels.device.type, precision), torch.no_grad():
            found = model.branch_logits(*[batch.inputs[name] for name in names])
        if batch.clip_ids:
            mine += zip(found.double().tolist(), batch.labels.tolist(), strict=True)
    everything = [item for part in gather(mine) for item in part]
    logits = np.array([logits for logits, _ in everything], np.float64)
    return logits, np.array([label for _, label in everything], np.int64)


def shares(logits: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """What each branch is worth: the factors of its logits at which the labels are likeliest.

    The loss is convex in the factors, so it is lowered one factor after the other.

    Args:
        logits: (N, S, C) float64.
        labels: (N,) class indices.

    Returns:
        S numbers in [0, LARGEST]; none without clips.
    """
    if not len(labels):
        return ()
    found = np.ones(logits.shape[1])
    for _ in range(_SWEEPS):
        for branch in range(len(found)):
            found[branch] = _best(logits, labels, found, branch)
    return tuple(found.tolist())


def _best(logits: np.ndarray, labels: np.ndarray, found: np.ndarray, branch: int) -> float:
    """The factor of one branch, the others as they are: where the loss has no slope."""
    others = np.einsum("s,nsc->nc", np.where(np.arange(len(found)) == branch, 0, found), logits)
    own = logits[:, branch]
    target = np.take_along_axis(own, labels[:, None], axis=1).sum()
    low, high = 0.0, LARGEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        slope = (_scores(others + middle * own) * own).sum() - target
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 0.0 if low == 0.0 else (low + high) / 2


def _scores(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result


def _loss(logits: np.ndarray, labels: np.ndarray) -> float:
    low = logits - logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(low, labels[:, None], axis=1)[:, 0]
    return float((np.log(np.exp(low).sum(axis=1)) - right).mean())


def weighed(weights: Mapping[str, Tensor], factors: Sequence[float]) -> dict[str, Tensor]:
    """Weights of a network whose logits are those of its branches times these factors, added up.

    Args:
        weights: of a `ThreeStreams`, maybe with the terms of `level_head` in its head.
        factors: S of them; none: the weights as they are.
    """
    if not factors:
        return dict(weights)
    found = dict(weights)
    for name, value in weights.items():
        if name.startswith("head."):
            of_columns = value.new_tensor(factors)
            if value.ndim == 2:
                wide = of_columns.repeat_interleave(value.shape[1] // len(factors))
                found[name] = value * wide
            else:
                found[name] = value * of_columns.mean()
    return found
