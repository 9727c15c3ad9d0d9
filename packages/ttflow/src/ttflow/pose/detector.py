"""The outputs of BlazePose's detector as persons: anchors, scores, non-maximum suppression.

Source: Bazarevsky et al. 2020; MediaPipe's graph pose_detection_cpu, whose numbers these are.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

INPUT_SIDE = 224
NUM_ANCHORS = 2254
_LAYERS = ((8, 2), (16, 2), (32, 6))
"""Stride in pixels, anchors in each cell of a map with this stride."""
_SAME_PERSON_IOU = 0.3
_LARGEST_LOGIT = 100.0


@cache
def anchors() -> NDArray[np.float64]:
    """The (2254, 2) centres x, y of the anchors, as fractions of the input; read-only."""
    parts = []
    for stride, per_cell in _LAYERS:
        cells = INPUT_SIDE // stride
        rows, columns = np.divmod(np.arange(cells * cells).repeat(per_cell), cells)
        parts.append((np.stack([columns, rows], axis=1) + 0.5) / cells)
    found = np.concatenate(parts)
    found.setflags(write=False)
    return found


def persons(
    outputs: NDArray[np.float32], logits: NDArray[np.float32], min_score: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Who is seen, the surest first.

    Args:
        outputs: (2254, 12) in pixels of the input: centre, width and height of the face, then four
            points; centres and points are counted from the anchor's.
        logits: (2254,) of the scores.
        min_score: lower scores are left out.

    Returns:
        (n,) scores and (n, 4, 2) points x, y as fractions of the input: middle of the hips, its
        point on the circle round the whole person, then the same two for the upper body.
    """
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(float), -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    kept = np.flatnonzero(scores >= min_score)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    values = outputs[kept].astype(float) / INPUT_SIDE
    centers, half = values[:, :2] + anchors()[kept], values[:, 2:4] / 2
    points = values[:, 4:].reshape(-1, 4, 2) + anchors()[kept, None]
    boxes = np.concatenate([centers - half, centers + half], axis=1)
    return _one_each(boxes, scores[kept], points)


def _one_each(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted non-maximum suppression: the mean of the points of all that overlap the surest.

    The weights are the scores; the score is the surest's. All are ordered by score.
    """
    found_scores, found_points = [], []
    left = np.arange(len(scores))
    while len(left):
        same = _overlap(boxes[left[0]], boxes[left]) > _SAME_PERSON_IOU
        same[0] = True
        weights = scores[left[same]]
        found_scores.append(scores[left[0]])
        found_points.append((weights[:, None, None] * points[left[same]]).sum(0) / weights.sum())
        left = left[~same]
    return np.array(found_scores), np.array(found_points).reshape(-1, 4, 2)


def _overlap(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box with each of several (x_min, y_min, x_max, y_max)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.maximum(sides, 0.0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - common
    ratio: NDArray[np.float64] = np.divide(
        common, union, out=np.zeros_like(common), where=union > 0
    )
    return ratio
