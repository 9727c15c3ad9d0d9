"""What a clip's neighbours in feature space are called; neighbours of its own group do not count.

Clips of one group err together (one annotator in one video) or are nearly the same picture, so
that they would vouch for each other.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_NEIGHBOURS = 10


def neighbour_shares(
    features: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str],
    num_classes: int,
    most: int = MOST_NEIGHBOURS,
) -> NDArray[np.float64]:
    """Of each clip's nearest clips of other groups, the share that each class has.

    Near is the cosine of features less their mean over the clips; clips exactly as far as the last
    neighbour count, too, so the order of clips is nothing.

    Args:
        features: (N, D) numbers.
        labels: (N,) class indices.
        groups: N names.
        num_classes: C.
        most: neighbours that are asked; of a class of fewer clips as many as it has others, so
            that a rare label is not suspect for being rare.

    Returns:
        (N, C) float64; a row of NaN for a clip without clips of other groups.
    """
    classes = np.asarray(labels, np.int64)
    near = _closeness(np.asarray(features, np.float64))
    own = np.unique(list(groups), return_inverse=True)[1]
    near[own[:, None] == own[None, :]] = -np.inf
    counts = np.clip(np.bincount(classes)[classes] - 1, 1, most)
    result = np.full((len(classes), num_classes), np.nan)
    for clip, row in enumerate(near):
        others = row[row > -np.inf]
        if not len(others):
            continue
        furthest = np.sort(others)[::-1][min(int(counts[clip]), len(others)) - 1]
        votes = np.bincount(classes[row >= furthest], minlength=num_classes)
        result[clip] = votes / votes.sum()
    return result


def _closeness(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, N) cosines, rounded so that equal clips are equally near in any order."""
    centred = features - features.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 0, length, 1.0)
    result: NDArray[np.float64] = (unit @ unit.T).round(9)
    return result
