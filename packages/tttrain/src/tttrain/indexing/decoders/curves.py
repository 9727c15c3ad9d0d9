"""A video's class scores over time, in cells, and the way from cells to frames (specification 6.3).

Cell k is the stretch of `stride_frames` frames around the centre of the k-th window. Positions are
counted in cells from the start of cell 0, so that cell k is [k, k + 1).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from ttdata.errors import InputError

LOG_ODDS_LIMIT = 12.0
"""Beyond it a network is only sure; one cell must not outweigh a whole stroke."""
_FLOOR = -30.0
"""The log of the smallest probability that is told from 0."""


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """Class scores of one video every `stride_frames` frames."""

    video_id: str
    log_probabilities: np.ndarray
    """(cells, classes) log of class probabilities, each row adding up to 1."""
    labels: tuple[str, ...]
    """Of the classes, the rejection class among them."""
    num_frames: int
    stride_frames: int
    first_frame: float = 0.0
    """The frame at the centre of cell 0."""
    negative: str = "Negative"

    def __post_init__(self) -> None:
        shape = self.log_probabilities.shape
        if len(shape) != 2 or shape[1] != len(self.labels):
            raise InputError(
                f"{self.video_id}: scores have shape {shape}, expected (cells, {len(self.labels)})"
            )
        if self.negative not in self.labels or len(self.labels) < 2:
            raise InputError(
                f"{self.video_id}: no class {self.negative!r} beside strokes among "
                f"{', '.join(self.labels)}; whole videos need a network trained with negatives"
            )
        bad = ~(self.log_probabilities <= 1e-6).all(axis=1)
        if bad.any():
            cell = int(bad.argmax())
            frame = self.first_frame + cell * self.stride_frames
            raise InputError(
                f"{self.video_id}: frame {frame:g} (cell {cell}) has scores "
                f"{self.log_probabilities[cell]}, expected logs of probabilities"
            )

    def __len__(self) -> int:
        return len(self.log_probabilities)

    @property
    def stroke_labels(self) -> tuple[str, ...]:
        """The labels without the rejection class."""
        return tuple(label for label in self.labels if label != self.negative)

    def log_odds(self, temperature: float = 1.0) -> np.ndarray:
        """Log-odds (cells,) of any stroke against the rejection class, within +-12."""
        scaled = np.maximum(self.log_probabilities, _FLOOR) / temperature
        place = self.labels.index(self.negative)
        strokes = _log_sum(np.delete(scaled, place, axis=1))
        odds: np.ndarray = np.clip(strokes - scaled[:, place], -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)
        return odds

    def log_names(self, temperature: float = 1.0) -> np.ndarray:
        """Log-probability (cells, strokes) of each stroke if it is one."""
        scaled = np.maximum(self.log_probabilities, _FLOOR) / temperature
        strokes = np.delete(scaled, self.labels.index(self.negative), axis=1)
        names: np.ndarray = strokes - _log_sum(strokes)[:, None]
        return names

    def to_frames(self, position: np.ndarray) -> np.ndarray:
        """The nearest frames (N,) int64, inside the video, of positions in cells.

        >>> curve = ScoreCurve("v", np.log([[0.5, 0.5]] * 9), ("a", "Negative"), 80, 8, 4.0)
        >>> curve.to_frames(np.array([0.0, 1.0, 9.5])).tolist()
        [0, 8, 76]
        """
        frames = np.floor(self.first_frame + (position - 0.5) * self.stride_frames + 0.5)
        result: np.ndarray = np.clip(frames, 0, self.num_frames).astype(np.int64)
        return result

    def to_cells(self, frame: np.ndarray) -> np.ndarray:
        """Positions (N,) in cells, of frames: the inverse of `to_frames` before its rounding."""
        result: np.ndarray = (frame - self.first_frame) / self.stride_frames + 0.5
        return result


def strokes_of(curve: ScoreCurve, truths: pl.DataFrame) -> np.ndarray:
    """The true strokes (N, 2) of a curve's video in cells: starts, ends."""
    own = truths.filter(pl.col("video_id") == curve.video_id)
    frames = own.select("start_frame", "end_frame").to_numpy().astype(np.float64)
    return curve.to_cells(frames.reshape(-1, 2))


def _log_sum(values: np.ndarray) -> np.ndarray:
    """Log of the sum of exponentials over the last axis."""
    top = values.max(axis=-1)
    result: np.ndarray = top + np.log(np.exp(values - top[..., None]).sum(axis=-1))
    return result
