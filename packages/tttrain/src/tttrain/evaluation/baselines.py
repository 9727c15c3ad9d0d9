"""Baselines without a network, which a model must beat (specification 3.3)."""

from collections.abc import Sequence

import numpy as np

from tttrain.evaluation.metrics import Accuracy, accuracy


def largest_class(train: Sequence[int], test: Sequence[int]) -> Accuracy:
    """Always answer the class most frequent in training (ties: the first of them)."""
    return accuracy(test, [int(np.bincount(train).argmax())] * len(test))


def nearest_neighbour(
    train_features: np.ndarray,
    train: Sequence[int],
    test_features: np.ndarray,
    test: Sequence[int],
) -> Accuracy:
    """Answer the class of the training clip with the nearest feature (L2).

    Of several equally near clips the most frequent class counts, then the first class: durations
    in frames are often equal, and the order of the clips must not decide.

    Args:
        train_features: (N, D) numbers.
        train: N class indices.
        test_features: (M, D) numbers.
        test: M class indices.
    """
    classes = np.array(train)
    predicted = []
    for feature in test_features.astype(np.float64):
        distances = ((train_features.astype(np.float64) - feature) ** 2).sum(axis=1)
        predicted.append(int(np.bincount(classes[distances == distances.min()]).argmax()))
    return accuracy(test, predicted)
