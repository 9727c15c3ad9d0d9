"""Accuracy with its interval, confusion matrix and the coarser measures of specification 5."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ttdata.confidence import wilson
from ttdata.taxonomy import Taxonomy


@dataclass(frozen=True)
class Accuracy:
    """`correct` of `n`, with the Wilson interval at 95 %."""

    correct: int
    n: int

    @property
    def value(self) -> float:
        """The share that is correct; not a number for n = 0."""
        return self.correct / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson score interval at 95 %; (0, 1) for n = 0."""
        return wilson(self.correct, self.n)

    def __str__(self) -> str:
        low, high = self.interval
        if not self.n:
            return "no clip"
        return f"{self.value:.1%} (n = {self.n}, 95 % interval {low:.1%} to {high:.1%})"

    def as_dict(self) -> dict[str, object]:
        """For JSON: n, correct, accuracy (null for n = 0), interval."""
        value = self.value if self.n else None
        return {**asdict(self), "accuracy": value, "interval": list(self.interval)}


def accuracy(truth: Sequence[int], predicted: Sequence[int]) -> Accuracy:
    """How many class indices agree."""
    pairs = zip(truth, predicted, strict=True)
    return Accuracy(sum(a == b for a, b in pairs), len(truth))


def confusion(truth: Sequence[int], predicted: Sequence[int], num_classes: int) -> np.ndarray:
    """(C, C) int64: rows are the truth, columns what was predicted."""
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(matrix, (np.array(truth, dtype=int), np.array(predicted, dtype=int)), 1)
    return matrix


def per_class(matrix: np.ndarray) -> list[Accuracy]:
    """How many clips of each class are recognised (recall)."""
    return [Accuracy(int(row[i]), int(row.sum())) for i, row in enumerate(matrix)]


def coarser(
    truth: Sequence[int], predicted: Sequence[int], taxonomy: Taxonomy
) -> dict[str, Accuracy]:
    """Accuracy by type, by hand, and by both; empty where the taxonomy has no such levels.

    A negative is a group of its own on every level. Source: MediaEval sports task, specification 5.
    """
    if any(stroke.type is None or stroke.hand is None for stroke in taxonomy.strokes):
        return {}
    levels = [(stroke.type or "", stroke.hand or "") for stroke in taxonomy.strokes]
    if taxonomy.negative is not None:
        levels.append(("", ""))
    groups = {
        "type": [kind for kind, _ in levels],
        "hand": [hand for _, hand in levels],
        "type and hand": [f"{kind} {hand}" for kind, hand in levels],
    }
    result = {}
    for name, group in groups.items():
        correct = sum(group[a] == group[b] for a, b in zip(truth, predicted, strict=True))
        result[name] = Accuracy(correct, len(truth))
    return result


@dataclass(frozen=True)
class McNemar:
    """Two networks on the same clips: how often only one is right, and the exact test's p."""

    first_only: int
    second_only: int

    @property
    def p(self) -> float:
        """How likely so uneven a division is if neither is better; 1 where nothing differs.

        Source: McNemar 1947, as the exact two-sided binomial test on the clips that differ.
        """
        n, fewer = self.first_only + self.second_only, min(self.first_only, self.second_only)
        tail = sum(math.comb(n, k) for k in range(fewer + 1))
        return min(1.0, float(2 * tail / 2**n))

    def as_dict(self, against: str) -> dict[str, object]:
        """For JSON, of the second network; `against` names the first."""
        return {
            "against": against,
            "only_it_right": self.first_only,
            "only_this_right": self.second_only,
            "p": self.p,
        }


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """Compare two networks by which clips each gets right, in the same order."""
    pairs = list(zip(first, second, strict=True))
    return McNemar(sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs))


def vote(scores: np.ndarray) -> int:
    """The class that most windows choose; a tie goes to the higher mean score (specification 3.5).

    Args:
        scores: (windows, classes) softmax probabilities.
    """
    counts = np.bincount(scores.argmax(axis=1), minlength=scores.shape[1])
    tied = counts == counts.max()
    return int(np.where(tied, scores.mean(axis=0), -1.0).argmax())
