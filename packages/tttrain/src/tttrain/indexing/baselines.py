"""Indexes that know little or nothing, beside which a decoder must stand (specification 6.8)."""

import numpy as np
import polars as pl

from ttdata.errors import InputError
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.decoders.segments import Segments, runs, to_table
from tttrain.indexing.decoders.threshold import mean_inside

MIN_FRAMES = 30
GRID_FRAMES = 150


def argmax_strokes(curve: ScoreCurve, min_frames: int = MIN_FRAMES) -> pl.DataFrame:
    """Runs of cells whose likeliest class is the same stroke, of at least `min_frames` frames.

    Returns:
        `video_id, start_frame, end_frame, label, score`; the score is the class's mean probability.
    """
    best = curve.log_probabilities.argmax(axis=1)
    found = []
    for label in curve.stroke_labels:
        place = curve.labels.index(label)
        cells = runs(best == place)
        cells = cells[(cells[:, 1] - cells[:, 0]) * curve.stride_frames >= min_frames]
        names = np.full((len(cells), len(curve.stroke_labels)), -np.inf)
        names[:, curve.stroke_labels.index(label)] = 0.0
        score = mean_inside(np.exp(curve.log_probabilities[:, place]), cells)
        start, end = cells.T.astype(float)
        found.append(to_table(curve, Segments(start, end, score, names)))
    return pl.concat(found).sort("start_frame")


def grid_strokes(videos: pl.DataFrame, label: str, num_frames: int = GRID_FRAMES) -> pl.DataFrame:
    """Boxes of `num_frames` frames side by side over every video, all with one label and score 1.

    The rest at a video's end that is shorter than a box gets none.

    Args:
        videos: `video_id, num_frames`.
        label: such as the most frequent one of training.
        num_frames: length of a box.
    """
    boxes = [
        (video_id, start, start + num_frames, label, 1.0)
        for video_id, length in videos.select("video_id", "num_frames").iter_rows()
        for start in range(0, length - num_frames + 1, num_frames)
    ]
    schema = {
        "video_id": pl.String,
        "start_frame": pl.Int64,
        "end_frame": pl.Int64,
        "label": pl.String,
        "score": pl.Float64,
    }
    return pl.DataFrame(boxes, schema=schema, orient="row")


def motion_curve(
    video_id: str,
    energy: np.ndarray,
    *,
    label: str,
    num_frames: int,
    stride_frames: int,
    first_frame: float = 0.0,
    negative: str = "Negative",
) -> ScoreCurve:
    """Motion energy as if it were a network's scores: more motion, likelier a stroke.

    Fit a threshold decoder to such curves of the validation videos. The log-odds are the log of the
    energy, shifted by its median and divided by a quarter of its interquartile range, so that the
    size of the player in view does not matter.

    Args:
        video_id: of the video.
        energy: (cells,) such as the mean length of the flow, not negative.
        label: the one stroke class of the curve, such as the most frequent one of training.
        num_frames: of the video.
        stride_frames: frames of a cell.
        first_frame: the frame at the centre of cell 0.
        negative: the rejection class.
    """
    wrong = ~(energy >= 0) | ~np.isfinite(energy)
    if wrong.any():
        cell = int(wrong.argmax())
        raise InputError(
            f"{video_id}: motion energy of cell {cell} is {energy[cell]}, expected a number >= 0"
        )
    log = np.log(np.maximum(energy.astype(np.float64), 1e-6))
    low, middle, high = np.percentile(log, [25, 50, 75]) if len(log) else (0.0, 0.0, 1.0)
    odds = 4 * (log - middle) / max(high - low, 1e-6)
    scores = np.stack([-np.logaddexp(0, -odds), -np.logaddexp(0, odds)], axis=1)
    return ScoreCurve(
        video_id, scores, (label, negative), num_frames, stride_frames, first_frame, negative
    )
