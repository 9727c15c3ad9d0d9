"""Landmarks moved to where the network's heat map sees them.

Source: MediaPipe's graph tensors_to_pose_landmarks_and_segmentation, with a kernel of 7.
"""

import numpy as np
from numpy.typing import NDArray

_REACH = 3
"""Cells to each side of a landmark's own that are looked at."""
_LEAST_CONFIDENCE = 0.5


def refined(points: NDArray[np.float64], heat: NDArray[np.float32]) -> NDArray[np.float64]:
    """Points at the weighted mean of the cells near them.

    A cell's weight is the sigmoid of its value. A point outside of the map stays, and so does one
    near which no cell reaches 0.5. Cells beyond the map's edge weigh nothing.

    Args:
        points: (N, 2) x, y as fractions of the crop.
        heat: (rows, columns, N) logits, a map per point.

    Returns:
        (N, 2) x, y as fractions of the crop; row r is at r / rows.
    """
    size = np.array(heat.shape[1::-1])  # columns, rows: x comes first
    cells = np.trunc(points * size).astype(int)  # towards zero, as the graph does
    near = cells[:, :, None] + np.arange(-_REACH, _REACH + 1)  # (N, 2, 7)
    inside = (near >= 0) & (near < size[:, None])
    columns, rows = np.where(inside, near, 0).transpose(1, 0, 2)
    logits = heat[rows[:, :, None], columns[:, None, :], np.arange(len(points))[:, None, None]]
    weights = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(float), -100, 100)))
    weights *= inside[:, 1, :, None] & inside[:, 0, None, :]
    moved = (weights.max(axis=(1, 2)) >= _LEAST_CONFIDENCE) & ((cells >= 0) & (cells < size)).all(1)
    total = np.maximum(weights.sum(axis=(1, 2)), np.finfo(float).tiny)
    x = (weights.sum(axis=1) * columns).sum(axis=1) / total
    y = (weights.sum(axis=2) * rows).sum(axis=1) / total
    return np.where(moved[:, None], np.stack([x, y], axis=1) / size, points)
