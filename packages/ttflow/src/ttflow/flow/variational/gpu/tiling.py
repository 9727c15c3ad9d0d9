"""How a level is cut into tiles that are relaxed by themselves; needs neither Triton nor a GPU."""

from functools import lru_cache
from typing import NamedTuple

_LOADING = 8
"""What it costs to load a tile, in sweeps."""


class Tiling(NamedTuple):
    """How the pixels of a colour, row by row, are cut.

    A tile knows too little about its rim: in a pass each sweep takes two rows and one pixel of a
    row on every side. They are not kept; the neighbour has them.
    """

    passes: int
    """Launches, one after the other."""
    sweeps: int
    """Of each launch; of the last one maybe fewer."""
    down: int
    """Tiles from top to bottom."""
    across: int
    """Tiles from left to right."""
    rows: int
    """Of a tile, rims included."""
    columns: int
    """Pixels of a row of it, rims included."""


@lru_cache(maxsize=256)
def tiling(height: int, columns: int, sweeps: int, capacity: int) -> Tiling:
    """The cheapest way to cut (height, columns) pixels of a colour for so many sweeps, at least 1.

    Args:
        height: rows of the level.
        columns: pixels of a colour in a row, half of the width.
        sweeps: of both colours.
        capacity: pixels of a colour that a tile may have.

    >>> tiling(18, 16, 40, 1024)
    Tiling(passes=1, sweeps=40, down=1, across=1, rows=18, columns=16)
    """
    ways = []
    for passes in range(1, sweeps + 1):
        each = -(-sweeps // passes)
        for across in range(1, columns + 1):
            wide = -(-(columns + 2 * each * (across - 1)) // across)
            if across > 1 and wide <= 2 * each:
                continue
            room = capacity // wide - 4 * each
            down = 1 if capacity // wide >= height else -(-(height - 4 * each) // max(room, 1))
            if down < 1:
                continue
            tall = -(-(height + 4 * each * (down - 1)) // down)
            if tall * wide <= capacity and (down == 1 or tall > 4 * each):
                cost = passes * across * down * (_LOADING + each)
                ways.append((cost, Tiling(passes, each, down, across, tall, wide)))
    return min(ways)[1]
