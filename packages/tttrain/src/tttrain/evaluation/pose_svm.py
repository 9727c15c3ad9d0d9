"""Landmarks in space, DCT over time, support vector machine: a baseline, and a model to keep.

It sees the body and nothing of the room, and needs few clips (specification 3.3).
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch

from ttmodels import PoseSVM, normalise_world_pose
from ttmodels.pose.support_vectors import VALUES, dct_rows
from tttrain.data.dataset import TrainingData
from tttrain.data.folds import deal_groups
from tttrain.data.poses import STROKE_TIMES
from tttrain.data.sampling import ClipInfo

COEFFICIENTS = 8
"""Of the DCT of each coordinate; the later ones are mostly the estimator's jitter."""
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
    return np.array(
        [
            stroke_features(item.world_of_stroke(clip.start_frame, clip.end_frame))
            for clip, item in zip(clips, stored, strict=True)
        ]
    )


def stroke_features(world: np.ndarray) -> np.ndarray:
    """(792,) float64: the first DCT-II coefficients over time of each landmark's x, y and z.

    Args:
        world: (32, 33, 3) float32, metres at even times of the stroke; all 0 where nobody is seen.

    Returns:
        Order by order of the transform, each for x, then y, then z of all landmarks, turned and
        scaled as `ttmodels.normalise_world_pose` does.
    """
    placed = normalise_world_pose(torch.from_numpy(world)).double().numpy()
    rows = dct_rows(COEFFICIENTS, len(world)).numpy()
    return np.asarray(np.einsum("kt,ctp->kcp", rows, placed).reshape(-1))


def answer(
    train_features: np.ndarray,
    train: Sequence[int],
    groups: Sequence[str],
    test_features: np.ndarray,
) -> list[int]:
    """Answer by an SVM with radial basis functions on features of one unit.

    Args:
        train_features: (N, D) numbers, the first coefficient's in the first 99 columns, and so on.
        train: N class indices.
        groups: N names.
        test_features: (M, D) numbers.

    Returns:
        M class indices.
    """
    choice = choose(train_features, train, groups)
    found = _answer(train_features, np.array(train), test_features, choice)
    return [int(item) for item in found]


def choose(
    train_features: np.ndarray, train: Sequence[int], groups: Sequence[str]
) -> tuple[int, float]:
    """The number of coefficients and C with most right answers in an inner cross-validation.

    It keeps groups together; of equals the fewest, then the smallest. Arguments are those of
    `answer`.
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
    return max(choices, key=lambda choice: right[choice]) if several else _DEFAULT


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
    machine = machine_of(train_features, known, choice)
    return np.asarray(machine.predict(features[:, : choice[0] * VALUES]))


def machine_of(train_features: np.ndarray, known: np.ndarray, choice: tuple[int, float]) -> Any:
    """The fitted `sklearn.svm.SVC` of a choice, on the columns of its coefficients."""
    # A second to import, which most commands need not spend.
    from sklearn.svm import SVC

    order, penalty = choice
    part = train_features[:, : order * VALUES]
    variance = float(part.var(axis=0).sum())
    # All are lengths: a landmark that moves more tells more, so none is standardised.
    machine = SVC(C=penalty, kernel="rbf", gamma=1 / (2 * variance) if variance > 0 else 1.0)
    return machine.fit(part, known)


def kept(
    train_features: np.ndarray,
    train: Sequence[int],
    groups: Sequence[str],
    num_classes: int,
    crop_hw: tuple[int, int],
) -> PoseSVM:
    """The machine that `answer` asks, as a network of ttmodels.

    It names classes as scikit-learn does with `break_ties=True`. A class that no training clip
    shows loses against all others.

    Args:
        train_features: as for `answer`.
        train: as for `answer`.
        groups: as for `answer`.
        num_classes: logits.
        crop_hw: recorded with it.
    """
    choice, known = choose(train_features, train, groups), np.array(train)
    shown = np.unique(known)
    machine = machine_of(train_features, known, choice) if len(shown) > 1 else None
    vectors = machine.support_vectors_ if machine else train_features[:1, : choice[0] * VALUES]
    model = PoseSVM(
        num_classes,
        (STROKE_TIMES, *crop_hw),
        num_vectors=len(vectors),
        coefficients=choice[0],
    )
    firsts, seconds = np.triu_indices(num_classes, 1)
    won = np.isin(firsts, shown).astype(np.float64) - np.isin(seconds, shown)
    weights = np.zeros((len(firsts), len(vectors)))
    if machine:
        both = np.isin(firsts, shown) & np.isin(seconds, shown)
        weights[both], won[both] = _pairs(machine)
        model.gamma.fill_(machine.gamma)
    for parameter, values in (
        (model.vectors, vectors),
        (model.weights, weights),
        (model.intercepts, won),
    ):
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    return model


def _pairs(machine: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weights (pairs, vectors) and intercepts (pairs,); positive sums name the first of a pair."""
    count = len(machine.classes_)
    of_class = np.repeat(np.arange(count), machine.n_support_)
    weights = []
    for first, second in zip(*np.triu_indices(count, 1), strict=True):
        # A vector of a class has a coefficient for each other class, in their order.
        of_first = np.where(of_class == first, machine.dual_coef_[second - 1], 0)
        weights.append(of_first + np.where(of_class == second, machine.dual_coef_[first], 0))
    sign = -1 if count == 2 else 1  # scikit-learn turns the sign of two classes
    return sign * np.array(weights), sign * machine.intercept_
