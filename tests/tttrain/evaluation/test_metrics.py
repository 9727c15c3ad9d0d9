"""Accuracies, intervals, votes and baselines against known values."""

import numpy as np
import pytest

from ttdata.taxonomy import TTSTROKE21, Taxonomy
from tttrain.evaluation.baselines import largest_class, nearest_neighbour
from tttrain.evaluation.metrics import Accuracy, accuracy, coarser, confusion, per_class, vote


def test_accuracy_reads_well() -> None:
    assert str(Accuracy(9, 10)) == "90.0% (n = 10, 95 % interval 59.6% to 98.2%)"
    assert str(Accuracy(0, 0)) == "no clip"
    assert Accuracy(0, 0).as_dict()["accuracy"] is None


def test_confusion_and_per_class() -> None:
    matrix = confusion([0, 0, 1, 2], [0, 1, 1, 1], 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert per_class(matrix) == [Accuracy(1, 2), Accuracy(1, 1), Accuracy(0, 1), Accuracy(0, 0)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0]], 0),  # the majority, not the mean
        ([[0.9, 0.1, 0.0], [0.3, 0.7, 0.0]], 0),  # one each: the mean decides
        ([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]], 1),
        # Third-class mean is highest, but no window chose it.
        ([[0.51, 0.0, 0.49], [0.0, 0.51, 0.49], [0.51, 0.0, 0.49], [0.0, 0.52, 0.48]], 1),
    ],
)
def test_vote(scores: list[list[float]], expected: int) -> None:
    assert vote(np.array(scores)) == expected


def test_coarser_levels() -> None:
    names = TTSTROKE21.classes
    block, push = names.index("Defensive Backhand Block"), names.index("Defensive Forehand Push")
    hit, negative = names.index("Offensive Backhand Hit"), names.index("Negative")
    truth, predicted = [block, block, block, negative], [push, hit, block, block]
    found = coarser(truth, predicted, TTSTROKE21)
    assert {name: item.correct for name, item in found.items()} == {
        "type": 2,
        "hand": 2,
        "type and hand": 1,
    }
    assert coarser([0], [0], Taxonomy.infer(["a", "b"])) == {}


def test_baselines() -> None:
    train = np.array([[0.0], [1.0], [10.0]])
    assert nearest_neighbour(train, [0, 0, 1], np.array([[2.0], [9.0]])) == [0, 1]
    # Three clips equally near: the majority of their classes.
    same = np.zeros((3, 1))
    assert nearest_neighbour(same, [2, 1, 2], np.zeros((1, 1))) == [2]
    assert accuracy([1, 1, 0], largest_class([0, 1, 1], 3)) == Accuracy(2, 3)
    # Unsigned bytes must not wrap around.
    pixels = np.array([[250], [5]], dtype=np.uint8)
    assert nearest_neighbour(pixels, [0, 1], np.array([[0]], dtype=np.uint8)) == [1]


def test_accuracy_counts_agreement() -> None:
    assert accuracy([1, 2, 3], [1, 0, 3]) == Accuracy(2, 3)
