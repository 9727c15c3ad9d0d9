"""Answers without a network, which a model must beat (specification 3.3)."""

from collections.abc import Callable, Sequence

import numpy as np

from ttflow.errors import ShardError
from tttrain.data.dataset import TrainingData
from tttrain.data.groups import groups_of
from tttrain.data.sampling import ClipInfo
from tttrain.evaluation.pose_svm import answer, pose_features

VERSION = 2
"""Counts changes of what a baseline answers, so that stored answers of before are made anew."""
NAMES = ("largest class", "background", "duration", "start time", "pose + SVM")


def answers(data: TrainingData, split: str) -> tuple[dict[str, list[int]], dict[str, str]]:
    """The baselines' answers to the clips of a split, and why others have none, by name.

    A baseline learns from the training clips of the same shards; without any it is left out, and
    the one on pose where the shards hold no poses.

    Args:
        data: shards.
        split: "train", "validation" or "test"; it has clips.

    Returns:
        A class index per clip, and the reason of each baseline that is left out.
    """
    train, test = data.clips["train"], data.clips[split]
    if not train:
        return {}, dict.fromkeys(NAMES, "no clip of these shards has the split 'train'")
    features: dict[str, Callable[[Sequence[ClipInfo]], np.ndarray]] = {
        "background": lambda clips: data.backgrounds([clip.clip_id for clip in clips]),
        "duration": lambda clips: np.array([data.timing(clip)[1:] for clip in clips]),
        "start time": lambda clips: np.array([data.timing(clip)[:1] for clip in clips]),
    }
    known = [clip.class_index for clip in train]
    found = {NAMES[0]: largest_class(known, len(test))}
    for name, feature in features.items():
        of_train, of_test = feature(train), feature(test)
        found[name] = nearest_neighbour(of_train, known, of_test)
    if data.pose_estimation is None:
        return found, {NAMES[-1]: "these shards hold no poses; run `ttflow pose`"}
    try:
        of_train, of_test = (pose_features(data, clips) for clips in (train, test))
    except ShardError as error:  # of some clips there are none
        return found, {NAMES[-1]: str(error)}
    return found | {NAMES[-1]: answer(of_train, known, groups_of(data, train), of_test)}, {}


def largest_class(train: Sequence[int], count: int) -> list[int]:
    """Always answer the class most frequent in training (ties: the first of them)."""
    return [int(np.bincount(train).argmax())] * count


def nearest_neighbour(
    train_features: np.ndarray, train: Sequence[int], test_features: np.ndarray
) -> list[int]:
    """Answer the class of the training clip with the nearest feature (L2).

    Of several equally near clips the most frequent class counts, then the first class: durations
    in frames are often equal, and the order of the clips must not decide.

    Args:
        train_features: (N, D) numbers.
        train: N class indices.
        test_features: (M, D) numbers.

    Returns:
        M class indices.
    """
    classes, known = np.array(train), train_features.astype(np.float64)
    predicted = []
    for feature in test_features.astype(np.float64):
        distances = ((known - feature) ** 2).sum(axis=1)
        predicted.append(int(np.bincount(classes[distances == distances.min()]).argmax()))
    return predicted
