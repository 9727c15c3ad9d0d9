"""Strokes against references without pose: where the picture moves which way (specification 7.9).

Coarser than landmarks: neither phases nor the hand, and the camera's place counts fully.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttflow import Shards
from ttflow.shards.patches import decode_flow
from tttrain.quality.document import StrokeQuality
from tttrain.quality.landmarks import Floats, sampled
from tttrain.quality.reference import FEWEST_REFERENCES, at_least
from tttrain.quality.strokes import Stroke
from tttrain.quality.timing.alignment import align_all

CELLS = 3
DIRECTIONS = 8
COARSE_HZ = 30.0
COARSE = "without pose: all of the movement at once; another camera angle is not noticed"


def motion_histograms(flow: NDArray[Any]) -> Floats:
    """Sums of motion by place and direction.

    Args:
        flow: (T, 2, S, S) with the background at 0; any unit.

    Returns:
        (T, 72) float64: 3 x 3 cells of 8 directions each, the first to the right, then turning
        towards down. Lengths of vectors are summed up.
    """
    count, _, side, _ = flow.shape
    x, y = flow[:, 0].astype(np.float64), flow[:, 1].astype(np.float64)
    turn = np.round(np.arctan2(y, x) / (2 * np.pi) * DIRECTIONS).astype(np.int64) % DIRECTIONS
    row = np.arange(side) * CELLS // side
    cell = row[:, None] * CELLS + row[None, :]
    frame = np.arange(count)[:, None, None] * CELLS * CELLS
    place = (frame + cell) * DIRECTIONS + turn
    size = count * CELLS * CELLS * DIRECTIONS
    sums = np.bincount(place.ravel(), weights=np.hypot(x, y).ravel(), minlength=size)
    return np.asarray(sums.reshape(count, -1))


def stroke_histograms(shards: Shards, row: Mapping[str, Any]) -> Floats:
    """(T, 72): `motion_histograms` of a stroke at 30 Hz, of size 1 over the stroke."""
    stored = shards.read(row["clip_id"], ["stored_start_frame", "stored_end_frame", "flow"])
    first = row["start_frame"] - stored["stored_start_frame"]
    blobs = stored["flow"][max(first, 0) : row["end_frame"] - stored["stored_start_frame"]]
    side = shards.info.config.patch_side
    found = np.concatenate([motion_histograms(decode_flow(blob, side)[None]) for blob in blobs])
    return at_one_rate(found, row["fps"])


def at_one_rate(found: Floats, fps: float) -> Floats:
    """(T, ...) values of frames (n, ...) at 30 Hz, of size 1: linear between frames."""
    seconds = np.arange(len(found)) / fps
    times = np.arange(round(seconds[-1] * COARSE_HZ) + 1) / COARSE_HZ
    values = sampled(seconds, found, times)
    size = np.sqrt((values**2).sum(axis=1).mean())
    return np.asarray(values / max(size, 1e-9))


def judge_coarse(
    strokes: Sequence[Stroke], histograms: Sequence[Floats], chosen: Sequence[int]
) -> list[StrokeQuality]:
    """The distance of each stroke of a class from its references, and its place among theirs.

    A distance is the median cost of aligning a stroke with the references (with the other ones,
    where it is one).

    Args:
        strokes: of a class.
        histograms: theirs.
        chosen: which strokes are references.
    """
    if len(chosen) < FEWEST_REFERENCES:
        why = f"{len(chosen)} references, expected at least {FEWEST_REFERENCES}; mark more"
        return [
            item.result(is_reference=place in chosen, refused=why)
            for place, item in enumerate(strokes)
        ]
    costs = np.array(
        [[found.cost for found in align_all(histograms[place], histograms)] for place in chosen]
    )
    costs[np.arange(len(chosen)), chosen] = np.nan
    distances = np.nanmedian(costs, axis=0)
    among = {place: [distances[one] for one in chosen if one != place] for place in chosen}
    every = [distances[one] for one in chosen]
    return [
        item.result(
            is_reference=place in chosen,
            distance=round(float(distances[place]), 6),
            distance_percentile=round(
                at_least(float(distances[place]), among.get(place, every)), 6
            ),
            notes=(COARSE,),
        )
        for place, item in enumerate(strokes)
    ]
