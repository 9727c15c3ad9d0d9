"""Spread of references, places among them, consistency: tables and cases known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tttrain.quality.comparable import chance_of, least_deviation, usable_deviation
from tttrain.quality.consistency import (
    coefficient_of_variation,
    icc_2_1,
    minimal_detectable_change,
    progress,
    within_deviation,
)
from tttrain.quality.reference import (
    at_least,
    distance,
    quantile,
    shrunk_correlation,
    spread,
    two_sided,
)

SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
"""Six targets, four judges: table 2 of Shrout and Fleiss 1979."""


def test_the_table_of_shrout_and_fleiss() -> None:
    assert icc_2_1(SHROUT_FLEISS) == pytest.approx(0.29, abs=0.005)
    # From their mean squares: 11.24, 32.49, 1.02.
    expected = (11.2417 - 1.0194) / (11.2417 + 3 * 1.0194 + 4 * (32.4861 - 1.0194) / 6)
    assert icc_2_1(SHROUT_FLEISS) == pytest.approx(expected, abs=1e-4)


def test_agreement_and_none() -> None:
    assert icc_2_1([[1, 1], [2, 2], [5, 5]]) == 1
    assert icc_2_1([[1, 2], [2, 3], [5, 6]]) < 1  # a constant difference is no agreement
    assert np.isnan(icc_2_1([[3, 3], [3, 3]]))


def test_variation_and_detectable_change() -> None:
    assert coefficient_of_variation([9.0, 10.0, 11.0]) == pytest.approx(0.1)
    assert np.isnan(coefficient_of_variation([1.0]))
    assert np.isnan(coefficient_of_variation([-1.0, 1.0]))
    # Two sessions, deviations -1, 1 and -2, 2: (2 + 8) / 2.
    sem = within_deviation([1, 3, 8, 12], ["a", "a", "b", "b"])
    assert sem == pytest.approx(np.sqrt(5))
    assert np.isnan(within_deviation([1, 2], ["a", "b"]))
    assert minimal_detectable_change(sem) == pytest.approx(2.7719 * np.sqrt(5), rel=1e-4)


def test_progress_over_sessions() -> None:
    names = {"player_id": "p", "label": "Hit", "phase": "backswing", "measure": "duration_s"}
    found = progress([3.0, 1.0, 12.0, 8.0], ["a", "a", "b", "b"], **names)
    assert found is not None
    assert (found.sessions, found.n, found.means) == (("a", "b"), (2, 2), (2.0, 10.0))
    assert found.sem == pytest.approx(np.sqrt(5))
    assert found.variation == pytest.approx(np.sqrt(5) / 6)
    assert found.change == 8
    # How far sessions differ without a change is not known.
    assert (found.minimal_change_of_means, found.changed) == (None, None)
    # References of equal sessions: Student's t of the two degrees within these sessions.
    equal = spread([1, 3, 1, 3], ["a", "a", "b", "b"])
    found = progress([3.0, 1.0, 12.0, 8.0], ["a", "a", "b", "b"], **names, usual=equal)
    assert found is not None
    assert found.minimal_change_of_means == pytest.approx(4.3027 * np.sqrt(5), rel=1e-4)
    assert found.changed is False
    large = progress([3.0, 1.0, 14.0, 10.0], ["a", "a", "b", "b"], **names, usual=equal)
    assert large is not None
    assert large.changed is True
    # References whose sessions differ: variances 5 and 2 * 15, of 2 and 2 degrees.
    apart = spread([1, 3, 5, 7, 9, 11], ["a", "a", "b", "b", "c", "c"])
    found = progress([3.0, 1.0, 14.0, 10.0], ["a", "a", "b", "b"], **names, usual=apart)
    assert found is not None
    least = quantile(35**2 / (5**2 / 2 + 30**2 / 2)) * np.sqrt(35)
    assert found.minimal_change_of_means == pytest.approx(least)
    assert found.changed is False
    one = spread([1.0, 2.0, 3.0], ["a"] * 3)
    found = progress([3.0, 1.0, 14.0, 10.0], ["a", "a", "b", "b"], **names, usual=one)
    assert found is not None
    assert found.changed is None
    rounding = progress([0.3, 0.3, 0.1 + 0.2, 0.1 + 0.2], [*"aabb"], **names, usual=equal)
    assert rounding is not None
    assert rounding.changed is False
    counted = progress([1.0, 2.0, 3.0], ["day 10", "day 2", "day 2b"], **names)
    assert counted is not None
    assert counted.sessions == ("day 2", "day 2b", "day 10")
    # Equal as numbers: by their names.
    for sessions in (["1", "01", "001"], ["001", "1", "01"]):
        equal_numbers = progress([1.0, 2.0, 3.0], sessions, **names)
        assert equal_numbers is not None
        assert equal_numbers.sessions == ("001", "01", "1")
    single = progress([3.0, 1.0], ["a", "a"], **names)
    assert single is not None
    assert (single.change, single.changed) == (None, None)
    assert progress([float("nan")], ["a"], **names) is None


@pytest.mark.parametrize("known", ["2026-11-26", "wednesday"])
def test_strokes_of_unknown_sessions_are_no_first_or_last_session(known: str) -> None:
    names = {"player_id": "p", "label": "Hit", "phase": "backswing", "measure": "duration_s"}
    usual = spread([1, 3, 1, 3], ["a", "a", "b", "b"])
    sessions = [known, known, "unknown", "unknown"]
    found = progress([3.0, 1.0, 40.0, 38.0], sessions, **names, usual=usual)
    assert found is not None
    assert set(found.sessions) == {known, "unknown"}
    assert (found.change, found.minimal_change_of_means, found.changed) == (None, None, None)


def test_a_place_among_references() -> None:
    assert at_least(2.5, [1, 2, 3, 4]) == 3 / 5
    assert at_least(5, [1, 2, 3, 4]) == 1 / 5
    assert at_least(0, [1, 2, 3, 4]) == 1
    assert at_least(2, [2, float("nan")]) == 1


@pytest.mark.parametrize(
    ("t", "degrees", "chance"),
    [(0, 5, 1), (12.706, 1, 0.05), (2.776, 4, 0.05), (2.228, 10, 0.05), (1.96, 1e5, 0.05),
     (3.169, 10, 0.01), (1, 1, 0.5), (-4.303, 2, 0.05)],
)  # fmt: skip
def test_students_t(t: float, degrees: float, chance: float) -> None:
    assert two_sided(t, degrees) == pytest.approx(chance, abs=1e-4)


@pytest.mark.parametrize(("degrees", "t"), [(1, 12.706), (4, 2.776), (10, 2.228), (1e5, 1.96)])
def test_the_quantile_of_students_t(degrees: float, t: float) -> None:
    assert quantile(degrees) == pytest.approx(t, abs=1e-3)


def test_components_within_and_between_sessions() -> None:
    """Balanced: MS within 2, MS between 32; so 2, and (32 - 2) / 2 between."""
    found = spread([1, 3, 5, 7, 9, 11], ["a", "a", "b", "b", "c", "c"])
    assert found is not None
    assert (found.n, found.sessions, found.mean) == (6, 3, 6)
    assert found.within == pytest.approx(np.sqrt(2))
    assert found.between == pytest.approx(np.sqrt(15))
    # A new stroke: 15 (1 + 1/3) + 2 (1 + 1/6).
    assert found.deviation == pytest.approx(np.sqrt(20 + 7 / 3))
    # As mean squares: 2/3 * 32 + 1/2 * 2; Satterthwaite over 2 and 3 degrees.
    assert found.degrees == pytest.approx((64 / 3 + 1) ** 2 / ((64 / 3) ** 2 / 2 + 1 / 3))


def test_sessions_that_do_not_differ_are_pooled() -> None:
    found = spread([1, 3, 1, 3], ["a", "a", "b", "b"])
    assert found is not None
    assert found.between == 0
    assert found.within == pytest.approx(np.sqrt(2))
    assert found.deviation == pytest.approx(np.sqrt(4 / 3 * 1.25))
    assert found.degrees == 3


def test_one_session_and_single_strokes() -> None:
    one = spread([1.0, 2.0, 3.0], ["a"] * 3)
    assert one is not None
    assert (one.within, one.between) == (1, None)
    single = spread([1.0, 2.0, 3.0], ["a", "b", "c"])
    assert single is not None
    assert (single.within, single.between, single.degrees) == (None, None, 2)
    assert spread([1.0, 2.0, float("nan")], ["a", "b", "c"]) is None


@pytest.mark.parametrize("between", [0.0, 1.0])
@pytest.mark.parametrize(("sessions", "strokes"), [(3, 4), (2, 4)])
def test_unchanged_strokes_of_new_sessions_are_seldom_outside(
    sessions: int, strokes: int, between: float
) -> None:
    """Normal values: about 5 in 100; more where sessions differ and are few, but not none."""
    draw = np.random.default_rng(0)
    outside = 0
    names = [str(k) for k in range(sessions) for _ in range(strokes)]
    for _ in range(400):
        steps = np.repeat(draw.normal(size=sessions), strokes)
        found = spread(draw.normal(size=sessions * strokes) + between * steps, names)
        assert found is not None
        new = draw.normal() + between * draw.normal()
        outside += two_sided((new - found.mean) / found.deviation, found.degrees) < 0.05
    assert 0.01 <= outside / 400 <= (0.1 if sessions > 2 else 0.15)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(3, 8), p=st.integers(1, 12), seed=st.integers(0, 99))
def test_shrunk_correlations_are_positive_definite(n: int, p: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n, p))
    found = shrunk_correlation(values)
    assert np.diag(found) == pytest.approx(1)
    assert np.allclose(found, found.T)
    assert np.linalg.eigvalsh(found).min() > 0


def test_much_data_is_hardly_shrunk() -> None:
    draw = np.random.default_rng(0)
    first = draw.normal(size=4000)
    values = np.stack([first, first + draw.normal(size=4000)], axis=1)
    assert shrunk_correlation(values)[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.03)
    assert shrunk_correlation(np.ones((5, 3))).tolist() == np.eye(3).tolist()


def test_the_distance() -> None:
    assert distance([3.0, 4.0], np.eye(2)) == pytest.approx(np.sqrt(12.5))
    assert distance([2.0, float("nan")], np.eye(2)) == pytest.approx(np.sqrt(2))
    together = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert distance([1.0, -1.0], together) > distance([1.0, 1.0], together)


def test_equal_products_are_no_singular_correlation() -> None:
    """Two columns that say the same with no variance of their products were shrunk by nothing."""
    found = shrunk_correlation([[1, 1], [-1, -1], [1, 1], [-1, -1]])
    assert found[0, 1] == pytest.approx(0.999 * 1)
    assert np.linalg.eigvalsh(found).min() > 5e-4
    assert np.isfinite(distance([1.0, -1.0], found))


def test_rounding_is_no_deviation() -> None:
    """0.1 + 0.2 against 0.3: nothing is outside of what does not vary."""
    same = spread([0.3, 0.3, 0.1 + 0.2, 0.1 + 0.2], ["a", "b", "a", "b"])
    assert same is not None
    assert 0 < same.deviation < 1e-15
    assert usable_deviation(same, 0.0) is None
    assert chance_of("gain", 0.5, same, 0.0) is None
    # Times lie between whole frames: of two rounding errors, each of variance 1 / 12 frames.
    least = least_deviation("duration_s", 60.0, 1.5)
    assert least == pytest.approx(np.sqrt(2 / 12) / 60)
    assert least_deviation("duration_share", 60.0, 1.5) == pytest.approx(least / 1.5)
    assert least_deviation("gain", 60.0, 1.5) == 0
    assert usable_deviation(same, least) == least
    chance = chance_of("duration_s", 0.3 + least, same, least)
    assert chance == pytest.approx(two_sided(1, 3))


def test_a_single_session_of_a_measure_tells_no_chance() -> None:
    """Of several sessions, only one of which has the measure."""
    values = [1.0, 2.0, 3.0, float("nan")]
    found = spread(values, ["a", "a", "a", "b"])
    assert found is not None
    assert chance_of("gain", 9.0, found, 0.0) is None


def test_a_path_nearer_to_the_references_is_no_alarm() -> None:
    found = spread([1.0, 1.1, 1.2, 0.9, 1.0, 1.1], [*"aaabbb"])
    assert found is not None
    both = chance_of("gain", 2.0, found, 0.0)
    assert both is not None
    assert both < 0.05
    assert chance_of("gain", 2 * found.mean - 2.0, found, 0.0) == pytest.approx(both)
    assert chance_of("residual", 2.0, found, 0.0) == pytest.approx(both / 2)
    assert chance_of("residual", 2 * found.mean - 2.0, found, 0.0) == pytest.approx(1 - both / 2)
