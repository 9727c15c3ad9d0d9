"""What is counted in each video; the measures are ratios of sums of it over videos."""

import numpy as np

from tttrain.indexing.measures.errors import group
from tttrain.indexing.measures.overlap import (
    TWENTIETHS,
    common,
    num_frames,
    overlaps,
    union_of,
)
from tttrain.indexing.measures.spans import covered, scored
from tttrain.indexing.measures.tables import Intervals, Tables

Counts = dict[str, np.ndarray]
"""By name: numbers of one video, or of R draws of videos.

`claims` has the thresholds last, `correct_by_label` the labels.
"""


def in_time(rows: Intervals) -> Intervals:
    """By start, end, label, falling score: independent of the order of the table."""
    return rows.take(np.lexsort((-rows.score, rows.label, rows.end, rows.start)))


def count_video(tables: Tables, video: int) -> tuple[Counts, Intervals, Intervals]:
    """Counts of a video, the truths (distinct) and the detections that they are of."""
    given, found = tables.truths.of_video(video), tables.detections.of_video(video)
    spans = covered(tables, video)
    pieces = union_of(spans)
    truths, detections = scored(given, found, pieces)
    counts = _claims(truths, detections)
    truth_frames = common(union_of(given), pieces)
    found_frames = common(union_of(found), pieces)
    shared = num_frames(common(truth_frames, found_frames))
    counts["shared_frames"] = np.array(shared)
    counts["any_frames"] = np.array(num_frames(truth_frames) + num_frames(found_frames) - shared)
    counts["minutes"] = np.array(num_frames(pieces) / tables.fps[video] / 60)
    truths, detections = truths.distinct(), in_time(detections)
    counts |= _errors(truths, detections, tables.fps[video], len(tables.labels))
    return counts, truths, detections


def _claims(truths: Intervals, detections: Intervals) -> Counts:
    """How many truths are claimed, how many detections claim none, by threshold.

    In the given order each detection claims every free truth with IoU >= threshold.
    """
    both, union = overlaps(detections, truths)
    enough = 20 * both[None] >= TWENTIETHS[:, None, None] * union[None]
    # A truth belongs to the first detection that reaches it.
    first = enough.argmax(axis=1) if len(detections) else np.zeros((len(TWENTIETHS), len(truths)))
    reached = enough.any(axis=1)
    claiming = [len(set(row[hit])) for row, hit in zip(first, reached, strict=True)]
    return {
        "claims": reached.sum(axis=1),
        "without_claim": len(detections) - np.array(claiming),
        "given_truths": np.array(len(truths)),
        "given_detections": np.array(len(detections)),
    }


def _errors(truths: Intervals, detections: Intervals, fps: float, num_labels: int) -> Counts:
    groups = group(truths, detections)
    names = truths.label[groups.correct[:, 1]]
    row, column = groups.class_blind.T
    errors = np.concatenate(
        [
            np.abs(detections.start[row] - truths.start[column]),
            np.abs(detections.end[row] - truths.end[column]),
        ]
    )
    return {
        "truths": np.array(len(truths)),
        "detections": np.array(len(detections)),
        "correct": np.array(len(groups.correct)),
        "correct_by_label": np.bincount(names, minlength=num_labels),
        "wrong_names": np.array(len(groups.wrong_name)),
        "boundaries": np.array(len(groups.boundaries)),
        "duplicates": np.array(len(groups.duplicates)),
        "false_alarms": np.array(len(groups.false_alarms)),
        "missed": np.array(len(groups.missed)),
        "class_blind": np.array(len(row)),
        "boundary_frames": np.array(errors.sum()),
        "boundary_seconds": np.array(errors.sum() / fps if len(errors) else 0.0),
    }


def summed(per_video: list[Counts], weights: np.ndarray) -> Counts:
    """Sums over videos: (R,) by name, (R, 10) for counts by threshold.

    Args:
        per_video: V counts.
        weights: (R, V) how often each video counts.
    """
    return {
        name: weights @ np.stack([counts[name] for counts in per_video]) for name in per_video[0]
    }
