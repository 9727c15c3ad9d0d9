"""Measures of detection: answers computed by hand, properties, refusals."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttdata.errors import InputError
from tttrain import detection_scores
from tttrain.indexing.measures.scores import DetectionScores, ErrorBreakdown

Rows = Sequence[tuple[Any, ...]]
TRUTH = {
    "video_id": pl.String,
    "start_frame": pl.Int64,
    "end_frame": pl.Int64,
    "label": pl.String,
}
VIDEO = {"video_id": pl.String, "num_frames": pl.Int64, "fps": pl.Float64}
SPAN = {name: TRUTH[name] for name in ("video_id", "start_frame", "end_frame")}
TWO = [("a", 1000, 100.0), ("b", 1000, 100.0)]


def scores(
    truths: Rows, detections: Rows, videos: Rows = TWO, spans: Rows | None = None, **options: Any
) -> DetectionScores:
    options.setdefault("resamples", 0)
    if spans is not None:
        options["annotated"] = pl.DataFrame(list(spans), schema=SPAN, orient="row")
    return detection_scores(
        pl.DataFrame(list(truths), schema=TRUTH, orient="row"),
        pl.DataFrame(list(detections), schema=TRUTH | {"score": pl.Float64}, orient="row"),
        pl.DataFrame(list(videos), schema=VIDEO, orient="row"),
        **options,
    )


def test_average_precision_by_hand() -> None:
    """Right, wrong, right by score: precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1."""
    truths = [("a", 0, 100, "x"), ("a", 200, 300, "x"), ("b", 0, 100, "y")]
    detections = [
        ("a", 200, 300, "x", 0.7),
        ("a", 500, 600, "x", 0.8),
        ("a", 0, 100, "x", 0.9),
        ("b", 0, 100, "z", 1.0),
    ]
    found = scores(truths, detections)
    # y has no detection and counts 0; z has no truth and does not count.
    assert found.map == pytest.approx((0.5 * 1 + 0.5 * 2 / 3 + 0) / 2)
    assert found.by_class["x"].average_precision == pytest.approx(5 / 6)
    assert math.isnan(found.by_class["z"].average_precision)
    assert (found.by_class["z"].truths, found.by_class["z"].detections) == (0, 1)


def test_a_threshold_that_is_reached_exactly_is_reached() -> None:
    """IoU 55 / 100: both evaluators count it at .5 and at .55, no further."""
    found = scores([("a", 0, 100, "x")], [("a", 0, 55, "x", 1.0)])
    assert [found.map_by_iou[level] for level in (0.5, 0.55, 0.6)] == [1, 1, 0]
    assert found.pxr == pytest.approx(0.2)
    assert found.global_iou == 0.55


def test_a_detection_falls_through_to_the_next_best_truth() -> None:
    truths = [("a", 0, 100, "x"), ("a", 20, 120, "x")]
    detections = [("a", 0, 100, "x", 0.9), ("a", 5, 100, "x", 0.8)]
    found = scores(truths, detections)
    assert found.map_by_iou[0.5] == 1, "the second takes [20, 120), IoU 80 / 115"
    assert found.map_by_iou[0.75] == 0.5


def test_pxr_takes_detections_in_their_order_and_several_truths_at_once() -> None:
    """The first claims both truths at .5: precision 2 / (2 + 1), recall 2 / 2."""
    truths = [("a", 0, 100, "x"), ("a", 60, 160, "y")]
    wide, exact = ("a", 10, 150, "z", 0.1), ("a", 0, 100, "z", 0.9)
    first_wide = scores(truths, [wide, exact])
    first_exact = scores(truths, [exact, wide])
    # IoU of wide with both 90 / 150 = .6; of exact with the second 40 / 160.
    by_hand = 3 * (2 / 3 * 1) + 7 * (1 / 2 * 1 / 2)
    assert first_wide.pxr == pytest.approx(by_hand / 10)
    assert first_exact.pxr == pytest.approx((3 * 1 + 7 * 1 / 4) / 10)
    assert first_wide.map_by_iou == first_exact.map_by_iou


def test_boundaries_counts_and_false_alarms_by_hand() -> None:
    truths = [("a", 0, 100, "x"), ("a", 200, 300, "x"), ("b", 0, 100, "y"), ("b", 500, 600, "y")]
    detections = [
        ("a", 4, 102, "x", 0.9),  # correct, 4 and 2 frames off
        ("a", 202, 300, "y", 0.8),  # wrong name, 2 and 0 off
        ("b", 0, 30, "y", 0.7),  # boundaries: IoU .3
        ("b", 60, 95, "y", 0.6),  # duplicate of it
        ("b", 700, 800, "y", 0.5),  # false alarm
    ]
    found = scores(truths, detections)
    assert found.errors == ErrorBreakdown(
        correct=1, wrong_names=1, boundaries=1, duplicates=1, false_alarms=1, missed=1
    )
    assert found.f1 == pytest.approx(2 * 1 / 9)
    assert found.f1_class_blind == pytest.approx(2 * 2 / 9)
    assert (found.precision, found.recall) == (0.2, 0.25)
    assert found.boundary_error_frames == pytest.approx(8 / 4)
    assert found.boundary_error_seconds == pytest.approx(0.02)
    assert found.false_alarms_per_minute == pytest.approx(1 / (2000 / 100 / 60))
    assert found.by_class["y"].model_dump(include={"truths", "detections", "correct"}) == {
        "truths": 2,
        "detections": 4,
        "correct": 0,
    }


def test_the_better_overlap_is_the_boundary_error_not_the_duplicate() -> None:
    found = scores([("b", 0, 100, "y")], [("b", 0, 30, "y", 0.7), ("b", 60, 95, "y", 0.6)])
    assert (found.errors.boundaries, found.errors.duplicates) == (1, 1)


def test_what_each_kind_of_error_costs() -> None:
    errors = ErrorBreakdown(
        correct=4, wrong_names=2, boundaries=1, duplicates=1, false_alarms=2, missed=3
    )
    # 10 truths and 10 detections.
    assert errors.f1_if_mended() == {
        "wrong_names": pytest.approx(12 / 20),
        "boundaries": pytest.approx(10 / 20),
        "duplicates": pytest.approx(8 / 19),
        "false_alarms": pytest.approx(8 / 18),
        "missed": pytest.approx(14 / 23),
    }


@pytest.mark.parametrize(
    ("truths", "detections", "expected"),
    [
        ([], [], {"map": None, "pxr": None, "global_iou": None, "f1": None}),
        ([], [("a", 0, 9, "x", 1.0)], {"map": None, "pxr": None, "global_iou": 0, "f1": 0}),
        ([("a", 0, 9, "x")], [], {"map": 0, "pxr": None, "global_iou": 0, "f1": 0}),
    ],
)
def test_what_cannot_be_computed_is_not_a_number(
    truths: Rows, detections: Rows, expected: dict[str, float | None]
) -> None:
    found = scores(truths, detections)
    values = {name: getattr(found, name) for name in expected}
    assert {name: None if math.isnan(value) else value for name, value in values.items()} == (
        expected
    )


def test_seconds_need_the_rate_of_every_video() -> None:
    found = scores([("a", 0, 9, "x")], [("a", 0, 9, "x", 1)], [("a", 10, None)])
    assert found.boundary_error_frames == 0
    assert math.isnan(found.boundary_error_seconds)
    assert math.isnan(found.false_alarms_per_minute)


def test_a_repeated_truth_counts_once_an_empty_one_never() -> None:
    truths = [("a", 0, 100, "x"), ("a", 0, 100, "x"), ("a", 50, 50, "x")]
    found = scores(truths, [("a", 0, 100, "x", 1.0)])
    assert (found.map, found.f1, found.num_truths) == (1, 1, 1)
    assert found.pxr == 1, "the one detection claims both"


def test_only_covered_spans_are_scored() -> None:
    truths = [("a", 0, 100, "x"), ("a", 380, 500, "x")]
    detections = [
        ("a", 0, 100, "x", 0.9),
        ("a", 600, 700, "x", 0.8),  # nobody looked there
        ("a", 390, 410, "x", 0.7),  # half inside, and a false alarm: the truth is outside
        ("a", 340, 460, "x", 0.6),  # half inside, but right of a truth that is not
    ]
    found = scores(truths, detections, spans=[("a", 0, 400)])
    assert (found.num_truths, found.num_detections) == (1, 2)
    assert found.errors.false_alarms == 1
    assert found.global_iou == pytest.approx((100 + 20) / (100 + 60))
    assert found.false_alarms_per_minute == pytest.approx(1 / (400 / 100 / 60))
    whole = [("a", 0, 1000), ("b", 0, 1000)]
    assert scores(truths, detections, spans=whole).map == scores(truths, detections).map


def test_a_video_without_a_span_is_not_scored() -> None:
    found = scores([("b", 0, 100, "x")], [("b", 0, 100, "x", 1)], spans=[("a", 0, 400)])
    assert (found.num_truths, found.num_detections) == (0, 0)


def test_intervals_are_those_of_scoring_the_drawn_videos() -> None:
    """Each draw of three videos, written out as tables, scores what the weights say."""
    videos = [("a", 300, 10.0), ("b", 300, 10.0), ("c", 300, 10.0)]
    rng = np.random.default_rng(3)
    truths, detections = [], []
    for video_id, *_ in videos:
        for start in (0, 60, 120, 180):
            truths.append((video_id, start, start + 40, str(rng.choice(["x", "y"]))))
            shift, label = int(rng.integers(0, 16)), str(rng.choice(["x", "y"]))
            detections.append(
                (video_id, start + shift, start + shift + 40, label, float(rng.random()))
            )
    found = scores(truths, detections, videos, resamples=40, seed=5)
    drawn = np.random.default_rng(5).multinomial(3, np.full(3, 1 / 3), 40)
    every = {name: [] for name in found.intervals}
    for weights in drawn:
        names = [(v[0], copy) for v, w in zip(videos, weights, strict=True) for copy in range(w)]

        def copied(rows: Rows, names: list[tuple[str, int]] = names) -> Rows:
            return [(f"{v}{copy}", *row[1:]) for v, copy in names for row in rows if row[0] == v]

        one = scores(
            copied(truths), copied(detections), [(f"{v}{copy}", 300, 10.0) for v, copy in names]
        )
        for name, values in every.items():
            values.append(getattr(one, name))
    for name, interval in found.intervals.items():
        assert interval == pytest.approx(tuple(np.nanpercentile(every[name], [2.5, 97.5]))), name


def test_intervals_need_two_videos() -> None:
    found = scores([("a", 0, 9, "x")], [("a", 0, 9, "x", 1)], [("a", 10, 1.0)], resamples=10)
    assert found.num_videos == 1
    assert all(math.isnan(value) for pair in found.intervals.values() for value in pair)


def test_scores_survive_json() -> None:
    found = scores([("a", 0, 9, "x")], [], resamples=10)
    again = DetectionScores.model_validate_json(found.model_dump_json())
    assert again.model_dump_json() == found.model_dump_json()
    assert math.isnan(again.pxr)


@pytest.mark.parametrize(
    ("truths", "videos", "message"),
    [
        ([("v", 0, 9, "x")], TWO, "truths: 'v': no such video"),
        ([("a", 0, 1001, "x")], TWO, r"truths: a: frames \[0, 1001\).*inside \[0, 1000\)"),
        ([("a", 9, 3, "x")], TWO, r"frames \[9, 3\)"),
        ([("a", None, 3, "x")], TWO, "truths: row 0"),
        ([], [("a", 9, 1.0), ("a", 9, 1.0)], "videos: 'a' is there twice"),
        ([], [("a", 9, 0.0)], "fps is 0.0"),
        ([], [], "videos: no row"),
    ],
)
def test_wrong_tables_are_refused(truths: Rows, videos: Rows, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scores(truths, [], videos)


def test_wrong_columns_are_refused() -> None:
    videos = pl.DataFrame({"video_id": ["a"], "num_frames": [9]})
    truths = pl.DataFrame({"video_id": ["a"], "start_frame": [0], "end_frame": [9], "label": ["x"]})
    with pytest.raises(InputError, match="detections: no column 'score' among"):
        detection_scores(truths, truths, videos)
    seconds = truths.with_columns(start_frame=pl.lit(0.5), score=pl.lit(1.0))
    with pytest.raises(InputError, match="detections: start_frame is Float64, expected integers"):
        detection_scores(truths, seconds, videos)
    empty = truths.with_columns(end_frame=0, score=pl.lit(1.0))
    with pytest.raises(InputError, match=r"detections: a: frames \[0, 0\)"):
        detection_scores(truths, empty, videos)
    unsure = truths.with_columns(score=pl.lit(float("nan")))
    with pytest.raises(InputError, match="detections: row 0"):
        detection_scores(truths, unsure, videos)


INTERVAL = st.tuples(
    st.sampled_from("ab"), st.integers(0, 400), st.integers(1, 90), st.sampled_from("xyz")
).map(lambda row: (row[0], row[1], row[1] + row[2], row[3]))
TRUTHS = st.lists(INTERVAL, min_size=1, max_size=7, unique=True)
DETECTIONS = st.lists(
    st.tuples(INTERVAL, st.sampled_from([0.1, 0.5, 0.9])).map(lambda row: (*row[0], row[1])),
    max_size=8,
)
HIGHER_IS_BETTER = ("map", "pxr", "global_iou", "f1", "precision", "recall", "f1_class_blind")


@given(TRUTHS)
@settings(max_examples=40, deadline=None)
def test_perfect_input_scores_one(truths: Rows) -> None:
    found = scores(truths, [(*row, 1.0) for row in truths])
    assert {found.map, found.global_iou, found.f1, found.f1_class_blind} == {1}
    assert found.boundary_error_frames == 0
    apart = [("a", start, start + 50, "x") for start in (0, 60, 120)]
    assert scores(apart, [(*row, 1.0) for row in apart]).pxr == 1


@given(TRUTHS, DETECTIONS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_changes_pxr_alone(truths: Rows, detections: Rows, random: Any) -> None:
    first = scores(truths, detections).model_dump(exclude={"pxr"})
    mixed = random.sample(truths, len(truths)), random.sample(detections, len(detections))
    again = scores(*mixed).model_dump(exclude={"pxr"})
    assert str(again) == str(first)


@given(TRUTHS, DETECTIONS, st.sampled_from("xyzw"), st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_detection_away_from_every_truth_never_raises_a_measure(
    truths: Rows, detections: Rows, label: str, score: float, first: bool
) -> None:
    before = scores(truths, detections)
    far = [("a", 900, 950, label, score)]
    after = scores(truths, [*far, *detections] if first else [*detections, *far])
    for name in HIGHER_IS_BETTER:
        old = getattr(before, name)
        assert math.isnan(old) or getattr(after, name) <= old + 1e-12, name
    assert after.errors.false_alarms == before.errors.false_alarms + 1
    assert after.errors.missed == before.errors.missed
