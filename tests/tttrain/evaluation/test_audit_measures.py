"""Measures of suspicion with answers known by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tttrain.evaluation.audit.features import standardised
from tttrain.evaluation.audit.neighbours import neighbour_shares
from tttrain.evaluation.audit.rate import Rate, flipped, rate_of, wrong_rate
from tttrain.evaluation.audit.suspicion import (
    area_under_margin,
    margins,
    percentiles,
    suggestions,
    suspicion,
)
from tttrain.evaluation.audit.table import Measures, audit_table, by_class

NAN = float("nan")


def test_area_under_margin_is_the_mean_over_epochs() -> None:
    given_logits = [[2.0, 0.0, -1.0], [4.0, 1.0, -1.0]]
    others = [[1.0, 1.0, 1.0], [1.0, 2.0, 5.0]]
    assert area_under_margin(given_logits, others).tolist() == [2.0, -1.0, -4.0]


def test_margins_of_scores() -> None:
    found = margins([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [NAN] * 3], [0, 1, 0])
    assert found == pytest.approx([0.3, -0.3, NAN], nan_ok=True)


def test_ties_share_their_place() -> None:
    assert percentiles([5, 1, 5, 9]).tolist() == [0.5, 0.125, 0.5, 0.875]
    assert percentiles([NAN, 2, 1]) == pytest.approx([NAN, 0.75, 0.25], nan_ok=True)
    assert np.isnan(percentiles([NAN, NAN])).all()


def test_suspicion_is_the_mean_of_what_a_clip_has() -> None:
    # Places: (1/4, 3/4) and (3/4, 1/4); the third measure knows the second clip alone (1/2).
    found = suspicion([[0.0, 1.0], [1.0, 0.0], [NAN, 7.0]])
    assert found.tolist() == [0.5, 0.5]
    assert suspicion([[NAN, 1.0]]).tolist() == [0.5, 0.5]


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_the_lowest_is_the_most_suspect(values: list[float]) -> None:
    found = suspicion([values, values])
    assert found.argmax() in np.flatnonzero(np.array(values) == min(values))
    assert ((found > 0) & (found < 1)).all()
    assert found.mean() == pytest.approx(0.5)


def test_a_suggestion_is_never_the_label() -> None:
    folds = [[0.7, 0.2, 0.1], [NAN] * 3, [1.0, 0.0, 0.0], [NAN] * 3]
    near = [[0.5, 0.1, 0.4], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [NAN] * 3]
    other, score = suggestions([folds, near], [0, 0, 0, 0])
    assert other.tolist() == [2, 2, -1, -1]
    assert score == pytest.approx([0.25, 1.0, NAN, NAN], nan_ok=True)


def test_neighbours_of_the_own_group_do_not_vouch() -> None:
    angles = np.radians([0, 1, 2, 90, 91, 92])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = [1, 1, 0, 1, 1, 1]
    apart = neighbour_shares(features, labels, list("abcdef"), 2, most=2)
    assert apart[0].tolist() == [0.5, 0.5]
    # Clips 0 and 1 are of one annotator: only clip 2, and then those far away, may speak.
    joined = neighbour_shares(features, labels, list("aacdef"), 2, most=1)
    assert joined[0].tolist() == [1.0, 0.0]
    alone = neighbour_shares(features, labels, ["a"] * 6, 2)
    assert np.isnan(alone).all()


def test_a_rare_class_asks_as_many_as_it_has() -> None:
    features = [[0.0, 1], [0.1, 1], [1, 0.3], [1, 0.2], [1, 0.1], [1, 0]]
    shares = neighbour_shares(features, [1, 1, 0, 0, 0, 0], list("abcdef"), 2)
    assert shares[0].tolist() == [0.0, 1.0]
    assert shares[5, 0] == 1.0


@settings(deadline=None)
@given(st.permutations(range(8)))
def test_the_order_of_clips_is_nothing(order: list[int]) -> None:
    draw = np.random.default_rng(0)
    features, labels = draw.integers(0, 3, (8, 3)), draw.integers(0, 2, 8)
    groups = np.array(list("aabbccdd"))
    straight = neighbour_shares(features, labels, list(groups), 2, most=3)
    mixed = neighbour_shares(features[order], labels[order], list(groups[order]), 2, most=3)
    assert np.array_equal(straight[order], mixed, equal_nan=True)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(2, 5), st.integers(0, 3))
def test_flips_are_wrong_and_counted(n: int, num_classes: int, seed: int) -> None:
    # Of a taxonomy with classes that no clip has, as a preset is: no label is flipped to these.
    labels = {f"clip {index}": 3 * (index % num_classes) + 1 for index in range(n)}
    turned = flipped(labels, seed)
    assert len(turned) == max(1, int(0.1 * n + 0.5))
    assert all(turned[name] != labels[name] for name in turned)
    assert set(turned.values()) <= set(labels.values())
    assert turned == flipped(dict(reversed(labels.items())), seed)


@pytest.mark.parametrize("truth", [0.0, 0.05, 0.1, 0.2])
def test_the_rate_of_simulated_labels(truth: float) -> None:
    draw = np.random.default_rng(7)
    wrong = draw.random(3600) < truth
    left = np.where(wrong, draw.normal(-1, 1, 3600), draw.normal(2.5, 1, 3600))
    found = wrong_rate(left, draw.normal(-1, 1, 400))
    assert found.rate == pytest.approx(truth, abs=0.03)
    assert found.low <= found.rate <= found.high
    assert found.low - 0.01 <= truth <= found.high + 0.01
    assert (found.n, found.num_flipped) == (3600, 400)


def test_of_no_wrong_label_the_interval_has_a_width() -> None:
    found = wrong_rate([1.0] * 50, [-1.0] * 5)
    assert (found.rate, found.low) == (0.0, 0.0)
    assert 0.05 < found.high < 0.2


def test_the_rate_of_a_class() -> None:
    whole = Rate(0.1, 0.0, 0.2, 100, 10, (0.0, 0.0), (0.5, 0.5))
    share, low, high = rate_of([-1.0, 1.0, 1.0, 1.0], whole)
    assert share == 0.5  # one in four lies below, where half of the wrong ones do
    assert low < share < high <= 1.0


def test_test_clips_are_ranked_apart() -> None:
    names = ["a", "b", "c", "d"]
    clips = pl.DataFrame(
        {
            "clip_id": names,
            "video_id": "v",
            "start_frame": [0, 10, 20, 30],
            "end_frame": [10, 20, 30, 40],
            "label": ["Push", "Push", "Flip", "Push"],
            "split": ["train", "test", "train", "validation"],
            "group": names,
        }
    )
    near = np.array([[0.0, 1.0], [0.0, 1.0], [0.2, 0.8], [NAN, NAN]])
    found = Measures(
        clips=clips,
        labels=np.array([0, 0, 1, 0]),
        aum=np.array([-1.0, NAN, 2.0, NAN]),
        neighbours=near,
        folds=np.full((4, 2), NAN),
    )
    table = audit_table(found, ["Push", "Flip"], share=0.1)
    assert table["clip_id"].to_list() == ["a", "d", "c", "b"]
    assert table["rank"].to_list() == [1, 2, 3, 1]
    assert table["suspected"].to_list() == [True, False, False, True]
    assert table["suggested_label"].to_list() == ["Flip", None, "Push", "Flip"]
    assert table["aum"].to_list() == [-1.0, None, 2.0, None]
    assert table["margin"].is_null().all()
    rows = by_class(table, ["Push", "Flip", "Loop"])
    assert [(row["label"], row["n"], row["suspected"]) for row in rows] == [
        ("Push", 2, 1),
        ("Flip", 1, 0),
    ]


def test_features_of_a_network_are_standardised() -> None:
    found = standardised(np.array([[1.0, 7.0], [3.0, 7.0]]))
    assert found.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
