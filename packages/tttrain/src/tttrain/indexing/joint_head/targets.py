"""What the joint head should say of each cell, and which cells count (specification 6.10)."""

from dataclasses import dataclass

import numpy as np

from ttmodels import CELL_FRAMES
from tttrain.indexing.joint_head.config import HeadConfig

NO_STROKE = -1


@dataclass(frozen=True, eq=False)
class CellTargets:
    """The targets of the cells of one track."""

    label: np.ndarray
    """(cells,) int64: number of the class that the cell stands for, or NO_STROKE."""
    distances: np.ndarray
    """(cells, 2) float32: from the cell's middle to start, end of that stroke, in cells; else 0."""
    counts: np.ndarray
    """(cells,) bool: whether the cell is in the loss."""

    @property
    def positive(self) -> np.ndarray:
        """(cells,) bool: in the loss, and stands for a stroke."""
        result: np.ndarray = self.counts & (self.label != NO_STROKE)
        return result


def cell_targets(
    strokes: np.ndarray,
    labels: np.ndarray,
    spans: np.ndarray,
    num_frames: int,
    config: HeadConfig,
) -> CellTargets:
    """Targets of each whole 8 frames of a track.

    A cell stands for a stroke if its middle lies in it and at most `centre_radius_cells` from its
    centre; of several strokes for the shorter, of equally long ones for the first. Cells that stand
    for none, of which a stroke covers `ignore_low` to `ignore_high`, do not count, nor do cells
    that are not wholly in annotated spans.

    Args:
        strokes: (N, 2) int64 frames, ends exclusive.
        labels: (N,) int64 numbers of classes.
        spans: (S, 2) int64 annotated frames, ends exclusive; they may overlap.
        num_frames: of the video.
        config: for the radius and the shares that are ignored.
    """
    cells = num_frames // CELL_FRAMES
    label = np.full(cells, NO_STROKE, dtype=np.int64)
    distances = np.zeros((cells, 2), dtype=np.float32)
    covered = np.zeros(cells)
    # The last one wins.
    order = np.argsort(strokes[:, 1] - strokes[:, 0], kind="stable")[::-1]
    for row in order:
        start, end = strokes[row] / CELL_FRAMES
        near = np.arange(max(int(start) - 1, 0), min(int(end) + 2, cells))
        share = np.minimum(near + 1, end) - np.maximum(near, start)
        covered[near] = np.maximum(covered[near], share)
        offset = near + 0.5 - (start + end) / 2
        reach = min(config.centre_radius_cells, (end - start) / 2)
        own = near[np.abs(offset) <= reach]
        label[own] = labels[row]
        distances[own] = np.stack([own + 0.5 - start, end - own - 0.5], axis=1)
    doubtful = (covered >= config.ignore_low) & (covered <= config.ignore_high)
    counts = _annotated(spans, num_frames) & ~(doubtful & (label == NO_STROKE))
    return CellTargets(label, distances, counts)


def _annotated(spans: np.ndarray, num_frames: int) -> np.ndarray:
    """Whether each cell (cells,) lies wholly in the union of spans."""
    frames = np.zeros(num_frames, dtype=bool)
    for start, end in spans:
        frames[start:end] = True
    cells = num_frames // CELL_FRAMES
    return np.asarray(frames[: cells * CELL_FRAMES].reshape(cells, CELL_FRAMES).all(axis=1))
