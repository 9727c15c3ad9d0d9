"""What a stroke's log-odds look like: means by offset from its centre, by duration bin.

The log-likelihood ratio of a segment compares its cells with the template of its duration and with
the background (specification 6.6).
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from ttdata.errors import InputError
from ttdata.settings import FrozenModel

MAX_BINS = 4
STROKES_PER_BIN = 10
PRIOR_STROKES = 3.0
"""So many strokes of the mean over all durations are added to each bin's own."""
_LEAST_SPREAD = 0.5


class Templates(FrozenModel):
    """Moments of the log-odds in strokes and outside, the law of durations; all in cells."""

    edges: tuple[float, ...] = Field(description="durations at which the next bin begins")
    means: tuple[tuple[float, ...], ...] = Field(
        description="of each bin, by offset from the centre, -R to R cells"
    )
    spread: float = Field(gt=0, description="standard deviation around the means")
    background_mean: float = Field(description="mean outside strokes")
    background_spread: float = Field(gt=0, description="standard deviation outside strokes")
    log_duration_mean: float = Field(description="mean of the log of durations")
    log_duration_spread: float = Field(gt=0, description="standard deviation of the log")
    shortest: int = Field(ge=1, description="cells of the shortest segment that is tried")
    longest: int = Field(ge=1, description="cells of the longest segment that is tried")

    def at(self, duration: int) -> np.ndarray:
        """The expected log-odds (duration,) of the cells of a stroke of so many cells."""
        means = np.array(self.means[int(np.searchsorted(self.edges, duration, side="right"))])
        radius = len(means) // 2
        offsets = np.arange(duration) + 0.5 - duration / 2
        expected: np.ndarray = np.interp(offsets, np.arange(-radius, radius + 1), means)
        return expected

    def log_prior(self) -> np.ndarray:
        """Log-probability (durations,) of each duration from the shortest to the longest.

        A log-normal density over cells, made to add up to 1.
        """
        log = np.log(np.arange(self.shortest, self.longest + 1))
        density = -0.5 * ((log - self.log_duration_mean) / self.log_duration_spread) ** 2 - log
        result: np.ndarray = density - np.log(np.exp(density).sum())
        return result

    def log_ratios(self, odds: np.ndarray) -> np.ndarray:
        """Log-likelihood ratio (T, durations) of every segment, by first cell and duration.

        The sum over its cells of log N(z; template, spread) - log N(z; background); minus infinity
        where the segment would leave the video.

        Args:
            odds: z, (T,) log-odds.
        """
        cells = len(odds)
        ratios = np.full((cells, self.longest - self.shortest + 1), -np.inf)
        inside, outside = self.spread**-2, self.background_spread**-2
        constant = np.log(self.background_spread / self.spread)
        constant += 0.5 * outside * self.background_mean**2
        squares = np.concatenate([[0.0], np.cumsum(odds**2)]) * 0.5 * (outside - inside)
        for column in range(ratios.shape[1]):
            duration = self.shortest + column
            if duration > cells:
                break
            mean = self.at(duration)
            linear = np.correlate(odds, mean * inside - self.background_mean * outside, "valid")
            fixed = duration * constant - 0.5 * inside * (mean**2).sum()
            square = squares[duration:] - squares[:-duration]
            ratios[: cells - duration + 1, column] = linear + square + fixed
        return ratios


def fit_templates(odds: Sequence[np.ndarray], strokes: Sequence[np.ndarray]) -> Templates:
    """Templates from videos with known strokes.

    Args:
        odds: by video, (T,) log-odds.
        strokes: by video, (N, 2) starts and ends in cells; at least one stroke over all videos.

    Raises:
        InputError: if no stroke lies in the cells of its video.
    """
    durations = np.concatenate([own[:, 1] - own[:, 0] for own in strokes])
    edges = _edges(durations)
    radius = int(np.ceil(durations.max() / 2 * 1.1)) + 1
    inside = [_inside(values, own) for values, own in zip(odds, strokes, strict=True)]
    length, offset, sample = np.concatenate(inside).T
    if not len(sample):
        raise InputError(
            f"templates: none of {len(durations)} strokes lies in the cells of its video; expected "
            "curves of whole videos"
        )
    place = np.searchsorted(edges, length, side="right"), np.rint(offset).astype(int) + radius
    sums = np.zeros((len(edges) + 1, 2 * radius + 1))
    counts = np.zeros_like(sums)
    np.add.at(sums, place, sample)
    np.add.at(counts, place, 1)
    means = _shrunk(sums, counts)
    residuals = sample - means[place]
    outside = np.concatenate(list(map(_outside, odds, strokes)))
    logs = np.log(np.maximum(durations, 1.0))
    return Templates(
        edges=tuple(map(float, edges)),
        means=tuple(tuple(map(float, row)) for row in means),
        spread=max(float(residuals.std()), _LEAST_SPREAD),
        background_mean=float(outside.mean()) if len(outside) else 0.0,
        background_spread=max(float(outside.std()) if len(outside) else 0.0, _LEAST_SPREAD),
        log_duration_mean=float(logs.mean()),
        log_duration_spread=max(float(logs.std()), 0.1),
        shortest=max(int(np.floor(durations.min() * 0.9)), 1),
        longest=max(int(np.ceil(durations.max() * 1.1)), 2),
    )


def _edges(durations: np.ndarray) -> np.ndarray:
    """Durations that part the strokes into at most 4 bins of equal size, at least 10 each."""
    bins = min(max(len(durations) // STROKES_PER_BIN, 1), MAX_BINS)
    edges: np.ndarray = np.unique(np.quantile(durations, np.arange(1, bins) / bins))
    return edges


def _inside(values: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """The cells of a video's strokes: (cells, 3) stroke's duration, offset from centre, value."""
    rows = [np.empty((0, 3))]
    for start, end in strokes:
        cells = _cells(start, end, len(values))
        duration = np.full(len(cells), end - start)
        rows.append(np.stack([duration, cells + 0.5 - (start + end) / 2, values[cells]], axis=1))
    return np.concatenate(rows)


def _outside(values: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """The values of a video's cells that belong to no stroke."""
    free = np.ones(len(values), dtype=bool)
    for start, end in strokes:
        free[_cells(start, end, len(values))] = False
    return values[free]


def _cells(start: float, end: float, cells: int) -> np.ndarray:
    """The cells whose centres lie in [start, end)."""
    first, last = np.ceil(start - 0.5), np.ceil(end - 0.5)
    return np.arange(max(int(first), 0), min(int(last), cells))


def _shrunk(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means by bin and offset, drawn to the mean over all bins where a bin has few strokes."""
    total = counts.sum(axis=0)
    offsets = np.arange(len(total))
    known = total > 0
    overall = np.interp(offsets, offsets[known], sums.sum(axis=0)[known] / total[known])
    means: np.ndarray = (sums + PRIOR_STROKES * overall) / (counts + PRIOR_STROKES)
    return means
