"""Indexes that know little or nothing, beside which a decoder must stand (specification 6.8)."""

from dataclasses import replace

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttdata.storage.dataset import Dataset
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.decoders.segments import Segments, runs, to_table
from tttrain.indexing.decoders.threshold import mean_inside
from tttrain.indexing.video_scores import VideoScores

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


def cell_energy(energy: np.ndarray, stride_frames: int) -> np.ndarray:
    """Mean energy (cells,) of each `stride_frames` frames; a rest at the end is left out.

    >>> cell_energy(np.array([1.0, 3.0, 5.0, 5.0, 9.0]), 2).tolist()
    [2.0, 5.0]
    """
    cells = len(energy) // stride_frames
    found: np.ndarray = energy[: cells * stride_frames].reshape(cells, -1).mean(axis=1)
    return found


def one_annotator_strokes(dataset: Dataset, truths: pl.DataFrame) -> pl.DataFrame:
    """Each true stroke as one of its annotators marked it: what a perfect detector would reach.

    Of a stroke that one person annotated nothing can be said, so it is as the truth has it. With n
    annotators the truth is their median, to which the one contributes: the ceiling is a bit high.

    Args:
        dataset: with the annotations that the truths were merged from.
        truths: `video_id, start_frame, end_frame, label`.

    Returns:
        As `truths`, with score 1.
    """
    one = dataset.actions.filter(status="accepted").select(
        "video_id",
        "start_frame",
        "end_frame",
        "label",
        annotation_id=pl.col("annotation_ids").list.first(),
    )
    bounds = dataset.annotations.select(
        "annotation_id", one_start="start_frame", one_end="end_frame"
    )
    names = ["video_id", "start_frame", "end_frame", "label"]
    found = truths.join(one.unique(names), on=names, how="left").join(
        bounds, on="annotation_id", how="left"
    )
    return found.select(
        "video_id",
        start_frame=pl.coalesce("one_start", "start_frame"),
        end_frame=pl.coalesce("one_end", "end_frame"),
        label="label",
        score=pl.lit(1.0),
    )


def shuffled(scored: dict[str, VideoScores], seed: int = 0) -> dict[str, VideoScores]:
    """The same scores and features in another order of time: whoever finds strokes there guesses.

    Args:
        scored: by track.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    return {
        track_id: replace(
            scores,
            log_probabilities=rng.permutation(scores.log_probabilities),
            features=rng.permutation(scores.features),
        )
        for track_id, scores in scored.items()
    }
