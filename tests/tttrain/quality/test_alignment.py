"""Dynamic time warping: against every path there is, and on warps known by hand."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tttrain.quality.timing import alignment
from tttrain.quality.timing.alignment import WAITING_PRICE, Alignment, align, align_all


def cheapest(first: np.ndarray, second: np.ndarray, band: float, price: float) -> float:
    """By the recursion itself, a pair at a time."""
    n, m = len(first), len(second)
    widest = max(band, 1 / max(min(n, m) - 1, 1))

    @cache
    def cost(i: int, j: int) -> float:
        share = abs(i / max(n - 1, 1) - j / max(m - 1, 1))
        if i < 0 or j < 0 or share > widest + 1e-9:
            return float("inf")
        here = float(((first[i] - second[j]) ** 2).sum())
        if i == j == 0:
            return here
        return here + min(cost(i - 1, j - 1), cost(i - 1, j) + price, cost(i, j - 1) + price)

    return cost(n - 1, m - 1) / (n + m)


def price_of(found: Alignment, first: np.ndarray, second: np.ndarray, price: float) -> float:
    """What a path costs."""
    apart = ((first[found.path[:, 0]] - second[found.path[:, 1]]) ** 2).sum()
    waits = (np.diff(found.path, axis=0) == 0).any(axis=1).sum()
    return float(apart + price * waits) / (len(first) + len(second))


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 9),
    m=st.integers(1, 9),
    seed=st.integers(0, 999),
    band=st.sampled_from([0.1, 0.25, 1.0]),
    price=st.sampled_from([0.0, 0.3]),
)
def test_the_path_is_the_cheapest(n: int, m: int, seed: int, band: float, price: float) -> None:
    draw = np.random.default_rng(seed)
    first, second = draw.normal(size=(n, 2)), draw.normal(size=(m, 2))
    found = align_all(first, [second], band=band, price=price)[0]
    assert found.cost == pytest.approx(cheapest(first, second, band, price))
    assert price_of(found, first, second, price) == pytest.approx(found.cost)
    assert found.path[0].tolist() == [0, 0]
    assert found.path[-1].tolist() == [n - 1, m - 1]
    steps = np.diff(found.path, axis=0)
    assert ((steps >= 0) & (steps <= 1)).all()
    assert (steps.sum(axis=1) > 0).all()


@pytest.mark.parametrize("batch", [1, 10, 100])
def test_many_at_once_are_each_alone(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of pairs there is room for."""
    monkeypatch.setattr(alignment, "_BATCH_BYTES", 8 * 12 * (12 + 20) * batch)
    draw = np.random.default_rng(0)
    first = draw.normal(size=(12, 3))
    others = [draw.normal(size=(length, 3)) for length in (5, 20, 12, *[9] * 70)]
    together = align_all(first, others)
    for other, found in zip(others, together, strict=True):
        alone = align(first, other)
        assert found.cost == alone.cost
        assert np.array_equal(found.path, alone.path)


def test_a_signal_with_itself_is_the_diagonal() -> None:
    signal = np.sin(np.arange(30) / 4)[:, None]
    found = align(signal, signal)
    assert found.cost == 0
    assert found.path.tolist() == [[k, k] for k in range(30)]
    assert found.to_second([0, 3.5, 29]).tolist() == [0, 3.5, 29]


def test_a_warp_is_found_both_ways() -> None:
    """The second signal runs through the same curve at another pace."""
    share = np.linspace(0, 1, 81)
    pace = share + 0.08 * np.sin(2 * np.pi * share)
    curve = lambda at: np.stack([np.sin(7 * at), np.cos(4 * at)], axis=1)  # noqa: E731
    found = align_all(curve(share), [curve(pace)], price=0.001)[0]
    places = np.array([20.0, 40.0, 60.0])
    expected = np.interp(places / 80, pace, share) * 80
    assert np.abs(found.to_second(places) - expected).max() < 1
    assert np.abs(found.to_first(expected) - places).max() < 1


def test_standing_still_has_a_price() -> None:
    """Of two equal ways the one with fewer stops is taken."""
    flat = np.zeros((6, 1))
    assert align(flat, flat).cost == 0
    assert align(flat, np.zeros((8, 1))).cost == pytest.approx(2 * WAITING_PRICE / 14)


@pytest.mark.parametrize("broken", [np.zeros((0, 2)), np.array([[0.0, np.nan]])])
def test_nothing_and_no_number_are_refused(broken: np.ndarray) -> None:
    with pytest.raises(ValueError, match="of finite numbers"):
        align(np.zeros((3, 2)), broken)
