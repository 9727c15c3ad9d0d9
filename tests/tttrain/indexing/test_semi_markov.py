"""Cuttings against enumeration; templates against sums written out."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttdata.errors import InputError
from tttrain.indexing.decoders.semi_markov import best_cuttings, log_posteriors, log_sums
from tttrain.indexing.decoders.templates import Templates, fit_templates

Cutting = tuple[tuple[int, int], ...]


def cuttings(cells: int, shortest: int, longest: int) -> list[Cutting]:
    """All sets of segments of these durations that do not overlap."""
    if cells == 0:
        return [()]
    found = list(cuttings(cells - 1, shortest, longest))
    for duration in range(shortest, min(longest, cells) + 1):
        before = cuttings(cells - duration, shortest, longest)
        found += [(*rest, (cells - duration, cells)) for rest in before]
    return found


def weight(cutting: Cutting, scores: np.ndarray, shortest: int) -> float:
    return float(sum(scores[start, end - start - shortest] for start, end in cutting))


@st.composite
def problems(draw: Any) -> tuple[np.ndarray, int]:
    """Scores of up to 7 cells, and the shortest duration."""
    cells, shortest, width = (
        draw(st.integers(1, 7)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
    )
    seed = draw(st.integers(0, 10_000))
    scores = np.random.default_rng(seed).normal(0.0, 2.0, (cells, width))
    durations = shortest + np.arange(width)
    beyond = np.arange(cells)[:, None] + durations[None] > cells
    return np.where(beyond, -np.inf, scores), shortest


@given(problems())
@settings(max_examples=60, deadline=None)
def test_the_best_cutting_is_the_best_of_all(problem: tuple[np.ndarray, int]) -> None:
    scores, shortest = problem
    cells, width = scores.shape
    every = cuttings(cells, shortest, shortest + width - 1)
    found = tuple(map(tuple, best_cuttings(scores[None], shortest)[0].tolist()))
    assert found in every
    best = max(weight(cutting, scores, shortest) for cutting in every)
    assert weight(found, scores, shortest) == pytest.approx(best, abs=1e-12)


@given(problems())
@settings(max_examples=60, deadline=None)
def test_posteriors_are_shares_of_all_cuttings(problem: tuple[np.ndarray, int]) -> None:
    scores, shortest = problem
    cells, width = scores.shape
    every = cuttings(cells, shortest, shortest + width - 1)
    powers = np.exp([weight(cutting, scores, shortest) for cutting in every])
    expected = np.zeros_like(scores)
    for cutting, power in zip(every, powers, strict=True):
        for start, end in cutting:
            expected[start, end - start - shortest] += power / powers.sum()
    assert log_sums(scores[None], shortest)[0, -1] == pytest.approx(np.log(powers.sum()))
    np.testing.assert_allclose(
        np.exp(log_posteriors(scores[None], shortest)[0]), expected, atol=1e-12
    )


def test_a_segment_that_is_worth_nothing_is_left_out() -> None:
    nothing, impossible = np.zeros((1, 5, 2)), np.full((1, 1, 3), -np.inf)
    assert best_cuttings(nothing, 1)[0].tolist() == []
    assert best_cuttings(impossible, 2)[0].tolist() == []
    assert best_cuttings(np.empty((1, 0, 3)), 2)[0].tolist() == []


def test_tables_do_not_disturb_each_other() -> None:
    scores = np.random.default_rng(1).normal(size=(3, 9, 2))
    scores[:, -1] = -np.inf
    scores[:, -2, 1] = -np.inf
    together = log_posteriors(scores, 2)
    for number, table in enumerate(scores):
        alone = best_cuttings(table[None], 2)[0]
        assert best_cuttings(scores, 2)[number].tolist() == alone.tolist()
        np.testing.assert_array_equal(together[number], log_posteriors(table[None], 2)[0])


def test_a_long_video_does_not_overflow() -> None:
    scores = np.full((1, 3000, 2), 50.0)
    scores[0, -1, 1] = -np.inf
    assert len(best_cuttings(scores, 1)[0]) == 3000
    assert np.exp(log_posteriors(scores, 1)).max() == pytest.approx(1.0)


TEMPLATES = Templates(
    edges=(3.5,),
    means=((0.0, 1.0, 0.0), (1.0, 2.0, 1.0)),
    spread=0.5,
    background_mean=-1.0,
    background_spread=2.0,
    log_duration_mean=1.0,
    log_duration_spread=0.5,
    shortest=2,
    longest=4,
)


def test_a_template_is_read_at_the_offsets_of_the_cells() -> None:
    assert TEMPLATES.at(3).tolist() == [0, 1, 0]
    assert TEMPLATES.at(2).tolist() == [0.5, 0.5], "cell centres lie half a cell off the centre"
    assert TEMPLATES.at(4).tolist() == [1, 1.5, 1.5, 1], "beyond the last offset it goes on"


def test_log_ratios_are_sums_over_cells() -> None:
    odds = np.random.default_rng(0).normal(size=6)

    def log_normal(value: float, mean: float, spread: float) -> float:
        return -0.5 * ((value - mean) / spread) ** 2 - np.log(spread)

    expected = np.full((6, 3), -np.inf)
    for start in range(6):
        for duration in range(2, min(4, 6 - start) + 1):
            pairs = zip(odds[start : start + duration], TEMPLATES.at(duration), strict=True)
            expected[start, duration - 2] = sum(
                log_normal(z, mean, 0.5) - log_normal(z, -1.0, 2.0) for z, mean in pairs
            )
    np.testing.assert_allclose(TEMPLATES.log_ratios(odds), expected, atol=1e-12)
    assert np.isneginf(TEMPLATES.log_ratios(odds[:1])).all()


def test_the_prior_of_durations_adds_up_to_one() -> None:
    prior = np.exp(TEMPLATES.log_prior())
    assert prior.sum() == pytest.approx(1.0)
    assert prior.argmax() == 0, "density of a log-normal: exp(1 - 0.25) cells is its mode"


def test_moments_of_a_noiseless_video_are_found() -> None:
    """Triangles of 5 cells on a floor of -2, 30 of them: the template is the triangle."""
    odds, strokes = np.full(600, -2.0), []
    for start in range(3, 590, 20):
        odds[start : start + 5] = [0, 1, 2, 1, 0]
        strokes.append((start, start + 5))
    found = fit_templates([odds], [np.array(strokes, dtype=float)])
    assert found.at(5) == pytest.approx([0, 1, 2, 1, 0])
    assert found.background_mean == pytest.approx(-2)
    assert (found.spread, found.background_spread) == (0.5, 0.5), "no smaller than half a nat"
    assert np.exp(found.log_duration_mean) == pytest.approx(5)
    assert (found.shortest, found.longest) == (4, 6)


def test_bins_part_the_durations_evenly() -> None:
    strokes = [
        (start, start + length)
        for start, length in zip(range(0, 1600, 40), range(10, 50), strict=False)
    ]
    found = fit_templates([np.zeros(1700)], [np.array(strokes, dtype=float)])
    inside = np.searchsorted(found.edges, np.arange(10, 50), side="right")
    assert np.bincount(inside).tolist() == [10, 10, 10, 10]
    assert all(first < second for first, second in pairwise(found.edges))


def test_strokes_beyond_the_curve_are_refused() -> None:
    with pytest.raises(InputError, match="none of 1 strokes lies in the cells"):
        fit_templates([np.zeros(5)], [np.array([[20.0, 30.0]])])
