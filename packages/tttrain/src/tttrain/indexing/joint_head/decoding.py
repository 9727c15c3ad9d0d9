"""From what a joint head says of cells to strokes in frames (specification 6.10)."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttmodels import CELL_FRAMES, DetectionHead
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.outputs import cell_outputs
from tttrain.indexing.joint_head.tracks import FeatureTrack
from tttrain.indexing.nms import nms, soft_nms


def head_strokes(
    head: DetectionHead,
    track: FeatureTrack,
    classes: Sequence[str],
    config: HeadConfig,
    min_score: float,
) -> pl.DataFrame:
    """The strokes of one region of one video.

    A larger `min_score` gives the same rows without those that score less.

    Args:
        head: from `train_head`.
        track: features of the same network.
        classes: labels of the head's outputs.
        config: for the suppression of what overlaps.
        min_score: in (0, 1), as `choose_min_score` gives it; less is left out.

    Returns:
        `video_id, start_frame, end_frame, label, score`; Int64 frames inside the video, ends
        exclusive, at least one frame; in the order of time.

    Raises:
        InputError: if classes or features are not those of the head.
    """
    if len(classes) != head.config.num_classes:
        raise InputError(
            f"{track.video_id}: {len(classes)} classes, but the joint head has "
            f"{head.config.num_classes}; expected those it was trained on"
        )
    found = DetectionHead.decode(*cell_outputs(head, track), min_score)
    start, end, label, score = (part.double().numpy() for part in found)
    rows, score = _suppressed(start, end, label, score, config, min_score)
    first, last = _frames(start[rows], end[rows], track.num_frames)
    table = pl.DataFrame(
        {
            "video_id": pl.Series([track.video_id] * len(rows), dtype=pl.String),
            "start_frame": first,
            "end_frame": last,
            "label": pl.Series([classes[int(label[row])] for row in rows], dtype=pl.String),
            "score": score,
        }
    )
    return table.sort("start_frame", "end_frame", "label", "score")


def _suppressed(
    start: np.ndarray,
    end: np.ndarray,
    label: np.ndarray,
    score: np.ndarray,
    config: HeadConfig,
    min_score: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (K,) of the candidates that stay, their scores (K,).

    Soft suppression within a class; then, as a player plays one stroke at a time, of those of any
    class that overlap the best stays.
    """
    kept, left = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for number in np.unique(label):
        for group in _overlapping(np.flatnonzero(label == number), start, end):
            taken, scores = soft_nms(
                start[group],
                end[group],
                score[group],
                sigma=config.soft_nms_sigma,
                min_score=min_score,
            )
            kept.append(group[taken])
            left.append(scores)
    rows, scores = np.concatenate(kept), np.concatenate(left)
    best = [
        group[nms(start[rows[group]], end[rows[group]], scores[group], config.max_iou)]
        for group in _overlapping(np.arange(len(rows)), start[rows], end[rows])
    ]
    chosen = np.concatenate([np.empty(0, dtype=np.int64), *best])
    return rows[chosen], scores[chosen]


def _overlapping(rows: np.ndarray, start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Groups of rows: what overlaps is in one, so that each can be suppressed by itself."""
    order = rows[np.argsort(start[rows], kind="stable")]
    furthest = np.maximum.accumulate(end[order])
    breaks = np.flatnonzero(start[order][1:] >= furthest[:-1]) + 1
    return [np.sort(group) for group in np.split(order, breaks)]


def _frames(start: np.ndarray, end: np.ndarray, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest frames (N,) int64, inside the video, at least one from start to end."""
    first = np.floor(start * CELL_FRAMES + 0.5).astype(np.int64).clip(0, num_frames - 1)
    last = np.floor(end * CELL_FRAMES + 0.5).astype(np.int64).clip(first + 1, num_frames)
    return first, last
