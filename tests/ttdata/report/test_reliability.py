"""Agreement, annotators' records, Dawid and Skene, Wilson: against values worked out elsewhere."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttdata.confidence import wilson
from ttdata.curation.curate import curate
from ttdata.curation.dawid_skene import dawid_skene
from ttdata.report.reliability import (
    alpha_interval,
    annotator_pairs,
    annotator_records,
    confusions,
    krippendorff_alpha,
    label_pairs,
    label_votes,
    levels_of,
)
from ttdata.schema import CurationConfig
from ttdata.taxonomy import TTSTROKE21, Taxonomy

LOOP, FLIP, PUSH = "Serve Forehand Loop", "Offensive Backhand Flip", "Defensive Forehand Push"


def coded(*units: tuple[str, ...]) -> pl.DataFrame:
    """Units as columns of a coding table; `-` where an observer gave no label."""
    rows = [
        (f"u{unit}", f"x{who}", label)
        for unit, labels in enumerate(units)
        for who, label in enumerate(labels)
        if label != "-"
    ]
    schema = dict.fromkeys(("action_id", "annotator_id", "label"), pl.String)
    return label_votes(pl.DataFrame(rows, schema=schema, orient="row"))


# Krippendorff 2011, section C: four observers, twelve units, missing data; alpha = 0.743.
EXAMPLE = (
    "1 1 - 1", "2 2 3 2", "3 3 3 3", "3 3 3 3", "2 2 2 2", "1 2 3 4",
    "4 4 4 4", "1 1 2 1", "2 2 2 2", "- 5 5 5", "- - 1 1", "- - 3 -",
)  # fmt: skip


def test_alpha_of_krippendorffs_example() -> None:
    votes = coded(*(tuple(column.split()) for column in EXAMPLE))
    assert krippendorff_alpha(votes) == pytest.approx(0.743, abs=5e-4)


def test_alpha_at_its_ends() -> None:
    assert krippendorff_alpha(coded(("a", "a"), ("b", "b"))) == 1
    for votes in (coded(("a", "a"), ("a", "a")), coded(("a",), ("b",)), coded()):
        assert krippendorff_alpha(votes) is None
        assert alpha_interval(votes) is None


def test_alpha_interval_is_that_of_drawing_units_one_by_one() -> None:
    units = [tuple(column.split()) for column in EXAMPLE]
    rng, found = np.random.default_rng(5), []
    for _ in range(1500):
        drawn = coded(*(units[index] for index in rng.integers(0, len(units), len(units))))
        if (alpha := krippendorff_alpha(drawn)) is not None:
            found.append(alpha)
    # The twelfth unit has one label and is none; drawing it or not hardly matters.
    interval = alpha_interval(coded(*units))
    assert interval == pytest.approx(tuple(np.quantile(found, [0.025, 0.975])), abs=0.03)
    assert interval == alpha_interval(coded(*reversed(units)))


def test_alpha_by_type_and_hand() -> None:
    votes = [(FLIP, "Offensive Forehand Flip"), (LOOP, LOOP), (PUSH, PUSH), ("Negative",) * 2]
    rows = [
        (f"u{i}", f"x{k}", label) for i, pair in enumerate(votes) for k, label in enumerate(pair)
    ]
    annotations = pl.DataFrame(rows, schema=["action_id", "annotator_id", "label"], orient="row")
    values = {
        level: krippendorff_alpha(label_votes(annotations, TTSTROKE21, level))
        for level in levels_of(TTSTROKE21)
    }
    # One pair of four differs, in its hand alone. By hand: 8 values, of which 5 are Forehand,
    # 1 Backhand, 2 Negative: observed 2, expected (5*3 + 1*7 + 2*6) / 7.
    assert values["type"] == 1
    assert values["hand"] == pytest.approx(1 - 2 * 7 / 34)
    assert values["label"] < 1
    assert levels_of(Taxonomy.infer(["a", "b"])) == ("label",)


def test_confusions_by_hand() -> None:
    votes = coded(("a", "a", "b"), ("a", "b"), ("c", "c"), ("c", "a"), ("b", "b"))
    assert confusions(votes) == [
        # Pairs that say a: aa, ab, ab, ab, ca; that say b: ab, ab, ab, bb; both: three.
        {"label": "a", "other": "b", "pairs": 3, "of": 6, "share": 0.5},
        {"label": "a", "other": "c", "pairs": 1, "of": 6, "share": pytest.approx(1 / 6)},
    ]
    assert confusions(coded()) == []


def test_records_by_hand(make_annotations, make_videos) -> None:
    annotations = make_annotations(
        ("a", "x", 100, 200, LOOP), ("a", "y", 104, 210, LOOP), ("a", "z", 102, 204, LOOP),
        ("a", "x", 400, 500, LOOP), ("a", "y", 400, 500, LOOP), ("a", "z", 400, 500, FLIP),
        ("a", "z", 0, 600, LOOP),
    )  # fmt: skip
    found = curate(annotations, make_videos("a"))
    x, y, z = annotator_records(found.annotations, found.actions)
    assert (x["annotations"], x["accepted"], x["reasons"]) == (2, 2, {})
    assert (z["annotations"], z["accepted"]) == (3, 2)
    assert z["reasons"] == {"starts_at_first_frame": 1, "too_long": 1}
    # x: in the second action y says Loop and z Flip, no label is the most frequent.
    assert (x["compared"], x["agreeing"], x["share"]) == (1, 1, 1)
    assert (z["compared"], z["agreeing"], z["share"]) == (2, 1, 0.5)
    assert z["interval"] == wilson(1, 2)
    # Consensus [102, 204): y is 2 late, and exact in the other action.
    assert (y["start_offset_frames"], y["end_offset_frames"]) == (1, 3)
    assert (y["start_deviation_frames"], y["end_deviation_frames"]) == (1, 3)


def test_lone_annotator_has_nothing_to_compare(make_annotations, make_videos) -> None:
    found = curate(make_annotations(("a", "x", 100, 200)), make_videos("a"))
    (row,) = annotator_records(found.annotations, found.actions)
    assert (row["compared"], row["share"], row["interval"]) == (0, None, None)
    assert row["start_offset_frames"] is None


def careless_crowd(seed: int = 0):
    """300 units of 4 classes; three annotators are right in 0.85, a fourth says class 0 mostly."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 300)
    unit, annotator = (x.ravel() for x in np.meshgrid(np.arange(300), np.arange(4), indexing="ij"))
    right = rng.random(len(unit)) < 0.85
    label = np.where(right, truth[unit], rng.integers(0, 4, len(unit)))
    lazy = (annotator == 3) & (rng.random(len(unit)) < 0.9)
    return truth, unit, annotator, np.where(lazy, 0, label)


def test_dawid_skene_beats_the_vote_and_finds_the_careless() -> None:
    truth, unit, annotator, label = careless_crowd()
    found = dawid_skene(unit, annotator, label, 4)
    votes = np.zeros((300, 4))
    np.add.at(votes, (unit, label), 1)
    right = (found.labels.argmax(axis=1) == truth).mean()
    assert right > (votes.argmax(axis=1) == truth).mean() + 0.005
    assert found.labels.sum(axis=1) == pytest.approx(np.ones(300))
    assert (found.errors[3, :, 0] > 0.8).all()
    assert (np.einsum("wjj->wj", found.errors[:3]) > 0.75).all()


def test_dawid_skene_equals_a_loop() -> None:
    """The formulas of the paper (2.3 to 2.5), cell by cell, for five rounds."""
    _, unit, annotator, label = careless_crowd(1)
    unit, annotator, label = unit[:80], annotator[:80], label[:80]
    posterior = np.zeros((20, 4))
    for i, k in zip(unit, label, strict=True):
        posterior[i, k] += 1 / 4
    for _ in range(5):
        priors = [posterior[:, j].sum() / 20 for j in range(4)]
        rates = np.zeros((4, 4, 4))
        for w in range(4):
            for j in range(4):
                for i, a, k in zip(unit, annotator, label, strict=True):
                    rates[w, j, k] += posterior[i, j] * (a == w)
                rates[w, j] /= max(rates[w, j].sum(), 1e-300)
        new = np.ones((20, 4)) * priors
        for i, a, k in zip(unit, annotator, label, strict=True):
            new[i] *= rates[a, :, k]
        posterior = new / new.sum(axis=1, keepdims=True)
    found = dawid_skene(unit, annotator, label, 4, max_rounds=5, tolerance=-np.inf)
    assert found.labels == pytest.approx(posterior, abs=1e-7)


def test_dawid_skene_decides_for_the_reliable(make_annotations, make_videos) -> None:
    rows = []
    for index in range(30):
        start, truth = 100 + 300 * index, (LOOP, FLIP, PUSH)[index % 3]
        # z says Loop whatever happens; only x saw the last one beside z.
        rows += [("a", "x", start, start + 100, truth), ("a", "z", start, start + 100, LOOP)]
        if index < 29:
            rows.append(("a", "y", start, start + 100, truth))
    annotations, videos = make_annotations(*rows), make_videos("a", num_frames=20_000)
    last = {
        rule: curate(annotations, videos, CurationConfig(agreement=rule))
        .actions["label"]
        .to_list()[-1]
        for rule in ("unanimity", "majority", "dawid-skene")
    }
    assert last == {"unanimity": None, "majority": None, "dawid-skene": PUSH}
    doubting = CurationConfig(agreement="dawid-skene", min_label_probability=0.9999999)
    assert curate(annotations, videos, doubting).actions["label"].null_count() < 30


def test_dawid_skene_of_nothing(make_annotations, make_videos) -> None:
    torn = make_annotations(("a", "x", 100, 200, LOOP), ("a", "x", 101, 201, FLIP))
    found = curate(torn, make_videos("a"), CurationConfig(agreement="dawid-skene")).actions
    assert found["status"].to_list() == ["set_aside"]


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_known_values(correct: int, n: int, low: float, high: float) -> None:
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilson_holds_the_share(a: int, b: int) -> None:
    low, high = wilson(a, a + b)
    share = a / (a + b) if a + b else 0.5
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_wilson_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="found 3 of 2"):
        wilson(3, 2)


def test_pairs_of_labels_and_of_people() -> None:
    votes = coded(("a", "b", "a"), ("b", "a", "-"), ("c", "c", "c"))
    assert label_pairs(votes).rows() == [("a", "a", 1), ("a", "b", 3), ("c", "c", 3)]
    rows = annotator_pairs(votes)
    assert [(r["annotator_id"], r["other"], r["compared"], r["agreeing"]) for r in rows] == [
        ("x0", "x1", 3, 1),
        ("x1", "x2", 2, 1),
        ("x0", "x2", 2, 2),
    ]
    assert rows[0]["interval"] == wilson(1, 3)
    assert annotator_pairs(coded()) == []
