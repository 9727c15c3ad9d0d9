"""What the measures need to know of all videos, so that draws of videos only weigh it again."""

from dataclasses import dataclass

import numpy as np

from tttrain.indexing.measures.average_precision import ClassRanking, rank
from tttrain.indexing.measures.counts import Counts, count_video
from tttrain.indexing.measures.tables import Intervals, Tables


@dataclass(frozen=True, eq=False)
class Evidence:
    """Counts of V videos, the rows that are scored, the ranking of each label with a truth."""

    labels: tuple[str, ...]
    per_video: list[Counts]
    truths: Intervals
    detections: Intervals
    rankings: dict[int, ClassRanking]


def collect(tables: Tables) -> Evidence:
    """Match the rows of each video; nothing is matched again for another draw of videos."""
    counted = [count_video(tables, video) for video in range(len(tables.video_ids))]
    truths = _joined([given for _, given, _ in counted])
    detections = _joined([found for _, _, found in counted])
    rankings = {
        int(label): rank(truths, detections, int(label), len(counted))
        for label in np.unique(truths.label)
    }
    per_video = [counts for counts, _, _ in counted]
    return Evidence(tables.labels, per_video, truths, detections, rankings)


def _joined(parts: list[Intervals]) -> Intervals:
    fields = ("video", "start", "end", "label", "score")
    return Intervals(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))
