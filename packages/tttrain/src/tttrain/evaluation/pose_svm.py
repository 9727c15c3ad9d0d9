"""The baseline on pose: landmarks in space, DCT over time, support vector machine.

It sees the body and nothing of the room, and needs few clips (specification 3.3).
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

from ttmodels import normalise_world_pose
from ttmodels.inputs import POSE_POINTS
from tttrain.data.dataset import TrainingData
from tttrain.data.folds import deal_groups
from tttrain.data.sampling import ClipInfo

TIMES = 32
"""Moments of a stroke, evenly from its first frame to its last."""
COEFFICIENTS = 8
"""Of the DCT of each coordinate; the later ones are mostly the estimator's jitter."""
PER_COEFFICIENT = 3 * POSE_POINTS
ORDERS = (4, 8)
"""How many of the coefficients to choose from: slow strokes need few."""
PENALTIES = (1.0, 10.0, 100.0)
"""The C to choose from."""
INNER_FOLDS = 5
_DEFAULT = (8, 10.0)
"""Where there are not two groups to choose by."""


def pose_features(data: TrainingData, clips: Sequence[ClipInfo]) -> np.ndarray:
    """(clips, 792) float64: `stroke_features` of each clip's stroke.

    Raises:
        ShardError: if the shards hold no pose of a clip; names it and what to run.
    """
    stored = data.poses([clip.clip_id for clip in clips])
    found = []
    for clip, item in zip(clips, stored, strict=True):
        frames = np.linspace(clip.start_frame, clip.end_frame - 1, TIMES).round().astype(np.int64)
        found.append(stroke_features(item.pose.world_at(frames)))
    return np.array(found)


def stroke_features(world: np.ndarray) -> np.ndarray:
    """(792,) float64: the first DCT-II coefficients over time of each landmark's x, y and z.

    Args:
        world: (32, 33, 3) float32, metres at even times of the stroke; all 0 where nobody is seen.

    Returns:
        Order by order of the transform, each for x, then y, then z of all landmarks, turned and
        scaled as `ttmodels.normalise_world_pose` does.
    """
    placed = normalise_world_pose(torch.from_numpy(world)).double().numpy()
    return np.asarray(np.einsum("kt,ctp->kcp", dct_rows(len(world)), placed).reshape(-1))


def dct_rows(num_times: int) -> np.ndarray:
    """(8, times) float64: the first rows of the orthonormal DCT-II."""
    order, time = np.arange(COEFFICIENTS)[:, None], np.arange(num_times)[None, :]
    rows = np.cos(np.pi * order * (time + 0.5) / num_times) * np.sqrt(2 / num_times)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows)


def answer(
    train_features: np.ndarray,
    train: Sequence[int],
    groups: Sequence[str],
    test_features: np.ndarray,
) -> list[int]:
    """Answer by an SVM with radial basis functions on features of one unit.

    The number of coefficients and C are those with most right answers in an inner cross-validation
    that keeps groups together (of equals the fewest, then the smallest).

    Args:
        train_features: (N, D) numbers, the first coefficient's in the first 99 columns, and so on.
        train: N class indices.
        groups: N names.
        test_features: (M, D) numbers.

    Returns:
        M class indices.
    """
    known, part = np.array(train), _inner_folds(train, groups)
    choices = list(product(ORDERS, PENALTIES))
    right = dict.fromkeys(choices, 0)
    for fold in np.unique(part):
        inside = part == fold
        for choice in choices:
            found = _answer(train_features[~inside], known[~inside], train_features[inside], choice)
            right[choice] += int((found == known[inside]).sum())
    several = len(np.unique(part)) > 1
    best = max(choices, key=lambda choice: right[choice]) if several else _DEFAULT
    return [int(item) for item in _answer(train_features, known, test_features, best)]


def _inner_folds(train: Sequence[int], groups: Sequence[str]) -> np.ndarray:
    """The inner fold of each clip; none where all are of one group."""
    num_folds = min(INNER_FOLDS, len(set(groups)))
    if num_folds < 2:
        return np.zeros(0, np.int64)
    names = [f"{index:06d}" for index in range(len(train))]
    labels = {name: str(item) for name, item in zip(names, train, strict=True)}
    part = deal_groups(
        labels, dict(zip(names, groups, strict=True)), [1 / num_folds] * num_folds, 0
    )
    return np.array([part[name] for name in names])


def _answer(
    train_features: np.ndarray, known: np.ndarray, features: np.ndarray, choice: tuple[int, float]
) -> np.ndarray:
    if len(np.unique(known)) < 2:  # no machine divides one class
        return np.full(len(features), known[0])
    # A second to import, which most commands need not spend.
    from sklearn.svm import SVC

    order, penalty = choice
    train_part, part = (item[:, : order * PER_COEFFICIENT] for item in (train_features, features))
    variance = float(train_part.var(axis=0).sum())
    # All are lengths: a landmark that moves more tells more, so none is standardised.
    machine = SVC(C=penalty, kernel="rbf", gamma=1 / (2 * variance) if variance > 0 else 1.0)
    return np.asarray(machine.fit(train_part, known).predict(part))
