"""Landmarks on heat maps made by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttflow.pose.heat_map import refined

NOTHING = -200.0
"""Logit of a cell without any weight."""


def move(point: tuple[float, float], cells: dict[tuple[int, int], float]) -> tuple[float, float]:
    """Where a point of a map of 64 x 64 cells moves, in cells; `cells` are logits by (x, y)."""
    heat = np.full((64, 64, 1), NOTHING, np.float32)
    for (x, y), logit in cells.items():
        heat[y, x, 0] = logit
    x, y = refined(np.array([point]) / 64, heat)[0] * 64
    return float(x), float(y)


@pytest.mark.parametrize(
    ("point", "cells", "expected"),
    [
        ((20.7, 30.2), {(21, 33): 50.0}, (21, 33)),
        ((20.7, 30.2), {(21, 33): 50.0, (19, 33): 50.0}, (20, 33)),
        ((20.7, 30.2), {(21, 33): 50.0, (18, 30): 0.0}, (20, 32)),  # weights 1 and 1/2
        ((20.7, 30.2), {(23, 27): 50.0}, (23, 27)),  # the farthest that counts
        ((20.7, 30.2), {(24, 30): 50.0}, (20.7, 30.2)),
        ((20.7, 30.2), {(20, 26): 50.0}, (20.7, 30.2)),
        ((20.7, 30.2), {(21, 33): 0.0}, (21, 33)),  # just sure enough
        ((20.7, 30.2), {(21, 33): -0.01}, (20.7, 30.2)),
        ((0.4, 63.9), {(1, 62): 50.0, (63, 0): 50.0}, (1, 62)),  # no cell from the other side
        ((-1.5, 30.2), {(0, 30): 50.0}, (-1.5, 30.2)),
        ((20.7, 64.0), {(20, 63): 50.0}, (20.7, 64.0)),
        ((-0.5, 30.2), {(0, 30): 50.0}, (0, 30)),
    ],
)
def test_known_answers(point, cells, expected) -> None:
    assert move(point, cells) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_each_point_has_a_map_of_its_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, heat = rng.uniform(-0.1, 1.1, (5, 2)), rng.normal(0, 9, (16, 24, 5)).astype(np.float32)
    together = refined(points, heat)
    for i in range(5):
        alone = refined(points[i : i + 1], heat[:, :, i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], atol=1e-12)
    moved = (together != points).any(axis=1)
    assert (np.abs(together - points) * (24, 16) <= 4)[moved].all()
