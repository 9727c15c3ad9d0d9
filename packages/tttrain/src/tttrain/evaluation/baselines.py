"""Baselines without a network, which a model must beat (specification 3.3)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tttrain.data.dataset import TrainingData
from tttrain.data.sampling import ClipInfo
from tttrain.evaluation.metrics import Accuracy, accuracy

NAMES = ("largest class", "background", "duration", "start time")


def measured(data: TrainingData, split: str) -> tuple[dict[str, Accuracy], dict[str, str]]:
    """The accuracies of the baselines on a split, and why others cannot be computed, by name.

    A baseline learns from the training clips of the same shards; without any it is left out.

    Args:
        data: shards.
        split: "train", "validation" or "test"; it has clips.
    """
    if not data.clips["train"]:
        return {}, dict.fromkeys(NAMES, "no clip of these shards has the split 'train'")
    features: dict[str, Callable[[ClipInfo], Any]] = {
        "background": lambda clip: data.background(clip.clip_id),
        "duration": lambda clip: data.timing(clip)[1:],
        "start time": lambda clip: data.timing(clip)[:1],
    }
    train, test = data.clips["train"], data.clips[split]
    known, truth = ([clip.class_index for clip in clips] for clips in (train, test))
    found = {NAMES[0]: largest_class(known, truth)}
    for name, feature in features.items():
        of_train, of_test = (np.array([feature(clip) for clip in clips]) for clips in (train, test))
        found[name] = nearest_neighbour(of_train, known, of_test, truth)
    return found, {}


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
