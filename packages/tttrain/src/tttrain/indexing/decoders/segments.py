"""Segments that a decoder found, and what all decoders do with them: length, name, frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from pydantic import Field

from ttdata.settings import FrozenModel
from tttrain.indexing.decoders.curves import ScoreCurve, strokes_of

_LEAST_PAIRS = 10
"""With fewer pairs a slope would be chance: lengths are shifted only."""
_SLOPES = (0.0, 3.0)
NAME_RADII = (0, 1, 2, 3, 4, 6, 8)
"""Tried on validation videos: cells on each side of a segment's middle that give its name."""


@dataclass(frozen=True, eq=False)
class Segments:
    """N segments of one video: positions in cells, scores in [0, 1], log-probability of names."""

    start: np.ndarray
    end: np.ndarray
    score: np.ndarray
    log_names: np.ndarray
    """(N, strokes)."""

    def take(self, chosen: np.ndarray) -> "Segments":
        """The segments that a mask or a list of numbers chooses."""
        parts = (self.start, self.end, self.score, self.log_names)
        return Segments(*(part[chosen] for part in parts))


class Affine(FrozenModel):
    """True length = slope x found length + intercept; the centre stays."""

    slope: float = Field(default=1.0, description="true cells per found cell")
    intercept_cells: float = Field(default=0.0, description="cells added to every length")

    def apply(self, segments: Segments) -> Segments:
        """Segments of corrected length, of at least one cell."""
        centre = (segments.start + segments.end) / 2
        length = self.slope * (segments.end - segments.start) + self.intercept_cells
        half = np.maximum(length, 1.0) / 2
        return Segments(centre - half, centre + half, segments.score, segments.log_names)


def fit_affine(found: list[Segments], strokes: list[np.ndarray]) -> Affine:
    """Least squares over pairs of a found segment and the one true stroke that it meets.

    A pair: of all segments that share cells with the stroke this one shares most, and the other
    way round. A regression foresees the mean true length, which is what IoU asks for.

    Args:
        found: by video.
        strokes: by video, (N, 2) positions in cells.
    """
    lengths = np.concatenate([_pairs(*pair) for pair in zip(found, strokes, strict=True)])
    if not len(lengths):
        return Affine()
    seen, true = lengths.T
    mean_seen, mean_true = seen.mean(), true.mean()
    spread = ((seen - mean_seen) ** 2).sum()
    if len(lengths) < _LEAST_PAIRS or spread == 0:
        return Affine(intercept_cells=float(mean_true - mean_seen))
    slope = float(((seen - mean_seen) * (true - mean_true)).sum() / spread)
    slope = min(max(slope, _SLOPES[0]), _SLOPES[1])
    return Affine(slope=slope, intercept_cells=float(mean_true - slope * mean_seen))


def _pairs(found: Segments, strokes: np.ndarray) -> np.ndarray:
    """(pairs, 2): length found, length true."""
    if not len(found.start) or not len(strokes):
        return np.empty((0, 2))
    start = np.maximum(found.start[:, None], strokes[None, :, 0])
    shared = np.minimum(found.end[:, None], strokes[None, :, 1]) - start
    row = np.arange(len(found.start))
    best = shared.argmax(axis=1)
    mutual = (shared.argmax(axis=0)[best] == row) & (shared[row, best] > 0)
    lengths = found.end - found.start, (strokes[:, 1] - strokes[:, 0])[best]
    result: np.ndarray = np.stack(lengths, axis=1)[mutual]
    return result


def to_table(curve: ScoreCurve, segments: Segments) -> pl.DataFrame:
    """Segments as rows of detections, in the order of time.

    Returns:
        `video_id, start_frame, end_frame, label, score`; the score is the segment's times the
        name's probability. Segments that leave no frame inside the video are dropped.
    """
    start, end = curve.to_frames(segments.start), curve.to_frames(segments.end)
    name = segments.log_names.argmax(axis=1)
    sure = np.exp(segments.log_names.max(axis=1)) if len(name) else np.empty(0)
    table = pl.DataFrame(
        {
            "video_id": pl.Series([curve.video_id] * len(name), dtype=pl.String),
            "start_frame": start,
            "end_frame": end,
            "label": pl.Series([curve.stroke_labels[item] for item in name], dtype=pl.String),
            "score": segments.score * sure,
        }
    )
    return table.filter(pl.col("end_frame") > pl.col("start_frame")).sort("start_frame")


def central_names(
    log_names: np.ndarray, start: np.ndarray, end: np.ndarray, radius: int
) -> np.ndarray:
    """Log-probability (N, strokes) of names: the mean over the cells around each segment's middle.

    Windows far from the middle hold half a stroke and half of the next one; their names are worse
    than none (specification 6.3).

    Args:
        log_names: (cells, strokes) of a curve, at least one cell.
        start: (N,) in cells.
        end: (N,).
        radius: cells before and after the one in the middle; at the video's ends those that exist.
    """
    cells = len(log_names)
    middle = np.clip(np.floor((start + end) / 2), 0, cells - 1).astype(np.int64)
    first, last = np.maximum(middle - radius, 0), np.minimum(middle + radius + 1, cells)
    sums = np.concatenate([np.zeros((1, log_names.shape[1])), log_names.cumsum(axis=0)])
    return normalised((sums[last] - sums[first]) / (last - first)[:, None])


def fit_name_radius(curves: Sequence[ScoreCurve], truths: pl.DataFrame, temperature: float) -> int:
    """The radius of `central_names` that names most true strokes rightly; of equal ones the least.

    Args:
        curves: at least one.
        truths: `video_id, start_frame, end_frame, label`; labels that no curve knows count wrong.
        temperature: of the class scores.
    """
    right = np.zeros(len(NAME_RADII), dtype=np.int64)
    for curve in curves:
        labels = truths.filter(pl.col("video_id") == curve.video_id)["label"].to_list()
        if not labels or not len(curve):
            continue
        start, end = strokes_of(curve, truths).T
        names = curve.log_names(temperature)
        for place, radius in enumerate(NAME_RADII):
            found = central_names(names, start, end, radius).argmax(axis=1)
            right[place] += sum(
                curve.stroke_labels[name] == label
                for name, label in zip(found, labels, strict=True)
            )
    return NAME_RADII[int(right.argmax())]


def normalised(log_names: np.ndarray) -> np.ndarray:
    """Log-probabilities (N, strokes) whose rows add up to 1."""
    top = log_names.max(axis=1, keepdims=True)
    shifted = log_names - top
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def runs(inside: np.ndarray) -> np.ndarray:
    """Maximal runs of true cells, (N, 2) int64: first cell, last cell + 1."""
    steps = np.diff(np.concatenate([[0], inside.astype(np.int8), [0]]))
    return np.stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)], axis=1)
