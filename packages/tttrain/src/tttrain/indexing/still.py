"""Which windows of a video are so still that no network need see them (specification 6.3).

A window's speed is the mean length of the flow over the patches of its frames. The limit is
measured on validation videos; 0, the default, leaves out none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttdata.errors import InputError
from tttrain.indexing.decoders.curves import LOG_ODDS_LIMIT

SAFETY = 0.5
"""The limit is this share of the speed of the slowest window inside a validation stroke."""


@dataclass(frozen=True)
class SkipStill:
    """The rule: windows slower than this are called the rejection class, unseen."""

    below_px: float
    """Mean speed of a window, px per frame."""
    negative: str
    """The rejection class."""


def window_speeds(energy: np.ndarray, length: int, step: int) -> np.ndarray:
    """Mean speed (windows,) float64 of the windows of `length` frames every `step` frames.

    >>> window_speeds(np.array([0.0, 0.0, 1.0, 3.0, 0.0]), 2, 1).tolist()
    [0.0, 0.5, 2.0, 1.5]

    Args:
        energy: of the frames, as `VideoScores.energy`, px per frame.
        length: frames of a window.
        step: from one window's start to the next.
    """
    starts = range(0, len(energy) - length + 1, step)
    return np.array([mean_speed(energy[start : start + length]) for start in starts])


def mean_speed(energy: np.ndarray) -> float:
    """Mean over the frames of one window."""
    return float(energy.astype(np.float64).mean())


def still_limit(
    speeds: Sequence[np.ndarray], strokes: Sequence[np.ndarray], safety: float = SAFETY
) -> float:
    """The speed below which windows are left out, from validation videos: no stroke loses one.

    Args:
        speeds: of the windows of each video, (windows,).
        strokes: of each video, (N, 2) starts and ends in cells, see `strokes_of`.
        safety: share of the speed of the slowest window whose centre is inside a stroke.

    Returns:
        px per frame; 0, which leaves nothing out, where no window is centred on a stroke.
    """
    inside = [
        speed
        for video, spans in zip(speeds, strokes, strict=True)
        for speed in video[inside_strokes(len(video), spans)]
    ]
    return safety * float(min(inside, default=0.0))


def inside_strokes(cells: int, spans: np.ndarray) -> np.ndarray:
    """Which cells have their centre, their number and a half, inside a span: (cells,) bool."""
    centres = np.arange(cells)[:, None] + 0.5
    inside = (spans[:, 0] <= centres) & (centres < spans[:, 1])
    return np.asarray(inside.any(axis=1))


def still_scores(labels: Sequence[str], negative: str) -> np.ndarray:
    """Log-probabilities (classes,) of a still window: log-odds of a stroke of -12.

    The lowest there are (specification 6.3), all strokes alike.

    Raises:
        InputError: if there is no such class.
    """
    if negative not in labels:
        raise InputError(
            f"no class {negative!r} among {', '.join(labels)}, expected the rejection class, which "
            "still windows get"
        )
    row = np.full(len(labels), -LOG_ODDS_LIMIT - np.log(len(labels) - 1))
    row[list(labels).index(negative)] = 0.0
    result: np.ndarray = row - np.log1p(np.exp(-LOG_ODDS_LIMIT))
    return result
