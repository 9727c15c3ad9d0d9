"""How levels are cut into tiles: every pixel kept exactly once, whatever the size of an image."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ttflow.flow.variational.gpu.tiling import tiling
from ttflow.flow.variational.pyramid import level_sizes
from ttflow.flow.variational.settings import RobustSettings

CAPACITY = 1024


def kept(tiles: int, side: int, rim: int, size: int) -> list[int]:
    """Places along an axis that tiles keep, in their order."""
    found: list[int] = []
    for tile in range(tiles):
        first = tile * (side - 2 * rim)
        low = first + (rim if tile else 0)
        high = first + side - (rim if tile < tiles - 1 else 0)
        found += range(low, min(high, size))
    return found


def check(height: int, columns: int, sweeps: int) -> None:
    cut = tiling(height, columns, sweeps, CAPACITY)
    assert cut.rows * cut.columns <= CAPACITY
    assert (cut.passes - 1) * cut.sweeps < sweeps <= cut.passes * cut.sweeps
    assert kept(cut.down, cut.rows, 2 * cut.sweeps, height) == list(range(height))
    assert kept(cut.across, cut.columns, cut.sweeps, columns) == list(range(columns))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 48))
@example(128, 114, 32)  # as many rows as the rims of one tile
@example(40, 36, 48)
def test_every_pixel_is_kept_once(height: int, columns: int, sweeps: int) -> None:
    check(height, columns, sweeps)


@pytest.mark.parametrize(
    ("width", "height"),
    [(320, 180), (320, 240), (1024, 436), (1241, 376), (256, 64), (128, 96), (4, 4), (1, 1)],
)
def test_levels_of_usual_images_are_cut(width: int, height: int) -> None:
    settings = RobustSettings()
    sizes = [(height, width)] + [plan[3] for plan in level_sizes(height, width)]
    for level, (rows, columns) in enumerate(sizes):
        check(rows, (columns + 1) // 2, settings.sweeps_at(level))
