"""Half-annotated videos: only what lies in spans that people have covered is scored."""

import numpy as np

from tttrain.indexing.measures.overlap import HALF, overlaps
from tttrain.indexing.measures.tables import Intervals, Tables


def covered(tables: Tables, video: int) -> Intervals:
    """The spans of a video that people have covered; without spans the whole video."""
    if tables.spans is not None:
        return tables.spans.of_video(video)
    whole = np.array([video]), np.array([0]), tables.num_frames[[video]]
    return Intervals(*whole, np.array([0]), np.ones(1))


def scored(
    truths: Intervals, detections: Intervals, pieces: np.ndarray
) -> tuple[Intervals, Intervals]:
    """The rows of one video that count, in their order (specification 6.1).

    A row counts where at least half of its frames are covered. A detection that has IoU >= .5 with
    a truth that does not count is neither right nor wrong, so it does not count either.

    Args:
        truths: of one video.
        detections: of the same video.
        pieces: (P, 2) the frames that people have covered, apart from each other.
    """
    inside = _half_covered(truths, pieces)
    both, union = overlaps(detections, truths.take(~inside))
    beyond = (20 * both >= HALF * union).any(axis=1)
    return truths.take(inside), detections.take(_half_covered(detections, pieces) & ~beyond)


def _half_covered(rows: Intervals, pieces: np.ndarray) -> np.ndarray:
    start = np.maximum(rows.start[:, None], pieces[None, :, 0])
    end = np.minimum(rows.end[:, None], pieces[None, :, 1])
    frames = np.maximum(end - start, 0).sum(axis=1)
    result: np.ndarray = 2 * frames >= np.maximum(rows.end - rows.start, 1)
    return result
