"""Which regions of a video are its players', and what is in a player's way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Region = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max as fractions of the frame."""

SAME_PLAYER_IOU = 0.25
"""Regions that agree less are of two players, as where annotations are merged."""

IN_THE_WAY = 0.25
"""A region that shares no more of the smaller of both with a player's leaves him alone."""


@dataclass(frozen=True)
class Player:
    """Who performs a stroke, as far as is known: where he stands and who he is."""

    region: Region | None
    """None: somewhere in the frame."""
    player_id: str | None = None


def player_of(row: Mapping[str, Any]) -> Player:
    """The player of a row with the columns of Region and a `player_id`."""
    return Player(region_of(row), row["player_id"])


def region_of(row: Mapping[str, Any]) -> Region | None:
    """The region of a row with the columns of Region; None where one of them is missing."""
    corners = tuple(row[name] for name in ("x_min", "y_min", "x_max", "y_max"))
    x_min, y_min, x_max, y_max = corners
    return None if None in corners else (x_min, y_min, x_max, y_max)


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
    return tuple(player.region for player in players_of(Player(region) for region in regions))


def players_of(strokes: Iterable[Player]) -> tuple[Player, ...]:
    """One player per region of `player_regions`, from who performs the strokes of a video.

    Who he is, is known where the strokes of his region name one player only: after a change of
    ends they name two.

    >>> strokes = [Player((0.0, 0.0, 0.5, 1.0), name) for name in ("ann", None)]
    >>> players_of([*strokes, Player((0.5, 0.0, 1.0, 1.0), "bob")])[0]
    Player(region=(0.0, 0.0, 0.5, 1.0), player_id='ann')
    """
    groups: list[list[tuple[Region, str | None]]] = []
    for stroke in strokes:
        if (region := stroke.region) is not None:
            same = (group for group in groups if _iou(group[0][0], region) >= SAME_PLAYER_IOU)
            group = next(same, None)
            if group is None:
                group = []
                groups.append(group)
            group.append((region, stroke.player_id))
    found = sorted(map(_player, groups), key=lambda player: player.region or ())
    return tuple(found) or (Player(None),)


def _player(strokes: list[tuple[Region, str | None]]) -> Player:
    a, b, c, d = np.median(np.array([region for region, _ in strokes]), axis=0).tolist()
    names = {name for _, name in strokes if name is not None}
    return Player((a, b, c, d), names.pop() if len(names) == 1 else None)


def in_the_way(player: Player, other: Player) -> bool:
    """Whether what `other` does may be seen where `player` is: then it bounds his negatives.

    It may if one of the regions is unknown, if both are known to be one person, or if the regions
    share more than `IN_THE_WAY` of the smaller one: boxes of one player may differ in size.

    >>> wide, tight = Player((0.0, 0.0, 0.6, 1.0)), Player((0.3, 0.3, 0.5, 0.8))
    >>> in_the_way(wide, tight), in_the_way(wide, Player((0.6, 0.0, 1.0, 1.0)))
    (True, False)
    """
    if player.region is None or other.region is None:
        return True
    if player.player_id is not None and player.player_id == other.player_id:
        return True
    smaller = min(_area(player.region), _area(other.region))
    return _common(player.region, other.region) > IN_THE_WAY * smaller


def _iou(one: Region, other: Region) -> float:
    common = _common(one, other)
    areas = _area(one) + _area(other)
    return common / (areas - common) if areas > common else 0.0


def _common(one: Region, other: Region) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _area(region: Region) -> float:
    return (region[2] - region[0]) * (region[3] - region[1])
