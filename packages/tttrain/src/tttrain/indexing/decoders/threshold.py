"""The simplest decoder: runs of cells above a threshold, lengths corrected (specification 6.4)."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal

import numpy as np
from pydantic import Field

from ttdata.settings import FrozenModel
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.decoders.segments import Affine, Segments, central_names, fit_affine, runs

THRESHOLDS = tuple(float(value) for value in np.arange(-6.0, 7.0))
WIDTHS = (1, 3, 5)
LEAST = (1, 3)


class ThresholdDecoder(FrozenModel):
    """Strokes are runs of cells whose smoothed log-odds lie above a threshold."""

    kind: Literal["threshold"] = "threshold"
    temperature: float = Field(gt=0, description="divides the logs of the class scores")
    threshold: float = Field(description="log-odds of a stroke above which a cell belongs to one")
    smooth_cells: int = Field(ge=1, description="width of the moving mean over log-odds")
    min_cells: int = Field(ge=1, description="shorter runs are dropped")
    name_radius: int = Field(ge=0, description="cells on each side of the middle that name it")
    affine: Affine = Field(default=Affine(), description="from a run's length to the stroke's")

    def segments(self, curve: ScoreCurve) -> Segments:
        """The runs of a video, lengths corrected; the score is the mean probability inside."""
        return self.affine.apply(self.raw(curve))

    def raw(self, curve: ScoreCurve) -> Segments:
        """The runs as they are."""
        odds = curve.log_odds(self.temperature)
        found = runs(smoothed(odds, self.smooth_cells) > self.threshold)
        found = found[found[:, 1] - found[:, 0] >= self.min_cells]
        stroke = probability(odds)
        start, end = found.T.astype(float)
        names = central_names(curve.log_names(self.temperature), start, end, self.name_radius)
        return Segments(start, end, mean_inside(stroke, found), names)


def threshold_candidates(
    curves: Sequence[ScoreCurve], strokes: list[np.ndarray], temperature: float, name_radius: int
) -> Iterator[tuple[ThresholdDecoder, list[Segments]]]:
    """Decoders of all thresholds, widths, shortest runs, fitted to these videos; what they find."""
    for threshold, width, least in product(THRESHOLDS, WIDTHS, LEAST):
        decoder = ThresholdDecoder(
            temperature=temperature,
            threshold=threshold,
            smooth_cells=width,
            min_cells=least,
            name_radius=name_radius,
        )
        found = [decoder.raw(curve) for curve in curves]
        affine = fit_affine(found, strokes)
        yield decoder.model_copy(update={"affine": affine}), list(map(affine.apply, found))


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Moving mean (cells,) over `width` cells around each; at the ends over those that exist."""
    sums = np.concatenate([[0.0], values.cumsum()])
    place = np.arange(len(values))
    first = np.maximum(place - (width - 1) // 2, 0)
    last = np.minimum(place + width // 2 + 1, len(values))
    result: np.ndarray = (sums[last] - sums[first]) / (last - first)
    return result


def probability(odds: np.ndarray) -> np.ndarray:
    """Probability of a stroke from its log-odds."""
    result: np.ndarray = 1 / (1 + np.exp(-odds))
    return result


def mean_inside(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Mean (N,) of values (cells,) over segments (N, 2) of at least one cell."""
    sums = np.concatenate([[0.0], values.cumsum()])
    result: np.ndarray = (sums[cells[:, 1]] - sums[cells[:, 0]]) / (cells[:, 1] - cells[:, 0])
    return result
