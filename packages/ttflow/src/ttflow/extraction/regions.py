"""Which regions of a video are its players'."""

from collections.abc import Iterable

import numpy as np

from ttflow.roi import Region

SAME_PLAYER_IOU = 0.25
"""Regions that agree less are of two players, as in curation."""


def player_regions(regions: Iterable[Region | None]) -> tuple[Region | None, ...]:
    """One region per player, from those of the strokes of a video: their medians, left to right.

    A stroke's region belongs to the first player whose first region it overlaps by an intersection
    over union of `SAME_PLAYER_IOU`. Without any region the whole frame, None, is the only one.

    >>> left = [(0.0, 0.1, 0.48, 1.0), (0.0, 0.2, 0.5, 1.0), (0.0, 0.3, 0.5, 1.0)]
    >>> player_regions([(0.5, 0.2, 1.0, 1.0), None, *left])
    ((0.0, 0.2, 0.5, 1.0), (0.5, 0.2, 1.0, 1.0))
    >>> player_regions([None, None])
    (None,)
    """
    players: list[list[Region]] = []
    for region in regions:
        if region is not None:
            same = (found for found in players if _iou(found[0], region) >= SAME_PLAYER_IOU)
            player = next(same, None)
            if player is None:
                players.append([region])
            else:
                player.append(region)
    medians = [np.median(np.array(found), axis=0).tolist() for found in players]
    return tuple((a, b, c, d) for a, b, c, d in sorted(medians)) or (None,)


def _iou(one: Region, other: Region) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / (areas - common) if areas > common else 0.0
