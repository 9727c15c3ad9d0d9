"""Which annotations become one action: known answers, two players, order, noisy crowds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ttdata.curation.curate import curate
from ttdata.curation.overlaps import AnnotationArrays, overlapping_pairs, time_overlap
from ttdata.schema import CurationConfig
from ttdata.taxonomy import TTSTROKE21

# Durations are not the subject here.
ANY = CurationConfig(min_duration_seconds=0.001, max_duration_seconds=100)
REGION = ("x_min", "y_min", "x_max", "y_max")


def intervals(annotations: pl.DataFrame, videos: pl.DataFrame) -> list[tuple[int, int, int]]:
    actions = curate(annotations, videos, ANY).actions
    return actions.select("start_frame", "end_frame", "num_annotators").rows()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Three annotators, one stroke: the medians of starts and of ends.
        ([("x", 100, 200), ("y", 104, 210), ("z", 97, 190)], [(100, 200, 3)]),
        # Two annotators: the mean, rounded half up.
        ([("x", 100, 200), ("y", 105, 203)], [(103, 202, 2)]),
        # Two strokes in a row, annotated by two each.
        (
            [("x", 100, 200), ("y", 102, 202), ("x", 190, 290), ("y", 192, 292)],
            [(101, 201, 2), (191, 291, 2)],
        ),
        # Overlap of exactly 0.25 of the shorter is allowed; a frame more is one stroke.
        ([("x", 100, 200), ("y", 175, 275)], [(100, 200, 1), (175, 275, 1)]),
        ([("x", 100, 200), ("y", 174, 274)], [(137, 237, 2)]),
        # A long annotation takes in a short one inside it ...
        ([("x", 100, 300), ("y", 150, 200)], [(125, 250, 2)]),
        # ... and a chain of overlaps does not pull three strokes into one.
        (
            [("x", 100, 200), ("y", 170, 270), ("z", 240, 340)],
            [(135, 235, 2), (240, 340, 1)],
        ),
        # One annotator who annotations a stroke twice counts once.
        ([("x", 100, 200), ("x", 102, 202), ("y", 110, 210)], [(106, 206, 2)]),
        # One annotator who annotations two strokes saw two, though they overlap: kept, and flagged.
        (
            [("x", 100, 200), ("y", 102, 202), ("x", 160, 260), ("y", 162, 262)],
            [(101, 201, 2), (161, 261, 2)],
        ),
        # An outlier does not move a median of three.
        ([("x", 100, 200), ("y", 101, 201), ("z", 150, 200)], [(101, 200, 3)]),
    ],
)
def test_known_answers(make_annotations, make_videos, rows, expected) -> None:
    annotations = make_annotations(*(("a", *row) for row in rows))
    assert intervals(annotations, make_videos("a")) == expected
    assert intervals(annotations.reverse(), make_videos("a")) == expected


def test_videos_are_apart(make_annotations, make_videos) -> None:
    annotations = make_annotations(("a", "x", 100, 200), ("b", "y", 100, 200))
    assert intervals(annotations, make_videos("a", "b")) == [(100, 200, 1), (100, 200, 1)]


def test_players_and_regions_are_apart(make_annotations, make_videos) -> None:
    rows = [("a", "x", 100, 200), ("a", "y", 102, 202), ("a", "x", 104, 204), ("a", "y", 98, 198)]
    left, right = (0.0, 0.1, 0.4, 0.9), (0.6, 0.1, 1.0, 0.9)
    regions = pl.DataFrame([left, left, right, right], schema=list(REGION), orient="row")
    by_region = pl.concat([make_annotations(*rows), regions], how="horizontal")
    by_player = make_annotations(*rows).with_columns(player_id=pl.Series(["p", "p", "q", "q"]))
    for annotations in (by_region, by_player):
        result = curate(annotations, make_videos("a"), ANY)
        assert result.actions.select("start_frame", "end_frame").rows() == [(101, 201), (101, 201)]
        assert result.actions["num_annotators"].to_list() == [2, 2]
        assert result.actions["overlaps_other"].to_list() == [True, True]
        assert result.clips["clip_id"].to_list() == ["a@101-201", "a@101-201#2"]
    assert curate(by_region, make_videos("a"), ANY).actions.select(REGION).rows() == [left, right]
    assert curate(by_player, make_videos("a"), ANY).clips["player_id"].to_list() == ["p", "q"]


def test_overlap_flag(make_annotations, make_videos) -> None:
    annotations = make_annotations(
        *[("a", "x", 100, 200), ("a", "x", 174, 274), ("a", "x", 500, 600), ("a", "x", 575, 675)]
    )
    flags = curate(annotations, make_videos("a"), ANY).actions["overlaps_other"].to_list()
    assert flags == [True, True, False, False]


def test_every_accepted_mark_names_its_action(make_annotations, make_videos) -> None:
    annotations = make_annotations(("a", "x", 100, 200), ("a", "y", 104, 204), ("a", "z", 0, 100))
    result = curate(annotations, make_videos("a"))
    assert result.annotations["action_id"].to_list() == [None, "a@102-202", "a@102-202"]
    assert result.actions["annotation_ids"].to_list() == [["1", "2"]]
    assert result.actions["start_spread_frames"].to_list() == [4.0]


marks_strategy = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["x", "y", "z"]),
        st.integers(0, 400),
        st.integers(1, 150),
        st.sampled_from(["Serve Forehand Loop", "Off. Forehand Hit", "nonsense", None]),
        st.sampled_from([None, (0.0, 0.0, 0.3, 1.0), (0.5, 0.0, 1.0, 1.0)]),
    ),
    min_size=1,
    max_size=25,
)


@given(rows=marks_strategy, seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_rows_in_any_order_give_the_same(make_videos, rows, seed) -> None:
    data = [
        (str(i), v, who, start, start + length, label, *(region or (None,) * 4))
        for i, (v, who, start, length, label, region) in enumerate(rows)
    ]
    names = ["annotation_id", "video_id", "annotator_id", "start_frame", "end_frame", "label"]
    schema = {name: pl.String for name in names} | dict.fromkeys(REGION, pl.Float64)
    schema |= {"start_frame": pl.Int64, "end_frame": pl.Int64}
    annotations = pl.DataFrame(data, schema=schema, orient="row")
    videos = make_videos("a", num_frames=500)
    one = curate(annotations, videos, ANY)
    other = curate(annotations.sample(fraction=1, shuffle=True, seed=seed), videos, ANY)
    for name in ("annotations", "actions", "clips", "proposals"):
        assert_frame_equal(getattr(one, name), getattr(other, name))
    assert one.funnel == other.funnel
    # Nothing is lost: every accepted annotation is in exactly one action.
    accepted = one.annotations.filter("accepted")["annotation_id"]
    members = one.actions["annotation_ids"].explode(empty_as_null=False)
    assert sorted(members) == sorted(accepted)
    assert (one.actions["end_frame"] > one.actions["start_frame"]).all()
    assert one.actions["action_id"].is_unique().all()


def noisy_crowd(seed: int) -> tuple[pl.DataFrame, set[tuple[str, int, int]]]:
    """Two players in ten videos, strokes overlapping by at most 0.25, annotated by three people."""
    rng = np.random.default_rng(seed)
    truth: list[tuple[str, int, int]] = []
    for video in range(10):
        for player in range(2):
            start = 200 + player * 77
            while start < 9000:
                end = start + int(rng.integers(80, 250))
                if all(
                    v != f"v{video}" or min(end, b) - max(start, a) <= min(end - start, b - a) / 4
                    for v, a, b in truth
                ):
                    truth.append((f"v{video}", start, end))
                start = end + int(rng.integers(60, 400))
    rows = [
        (video, f"x{who}", start + round(rng.normal(0, 8)), end + round(rng.normal(0, 8)))
        for video, start, end in truth
        for who in range(3)
        if rng.random() > 0.1
    ]
    names = ["video_id", "annotator_id", "start_frame", "end_frame"]
    annotations = pl.DataFrame(rows, schema=names, orient="row")
    return annotations.with_columns(label=pl.lit(TTSTROKE21.classes[0])), set(truth)


@pytest.mark.parametrize("seed", range(5))
def test_actions_find_the_true_strokes(make_videos, seed) -> None:
    annotations, truth = noisy_crowd(seed)
    videos = make_videos(*(f"v{index}" for index in range(10)), num_frames=20_000)
    actions = curate(annotations, videos).actions
    true = pl.DataFrame(list(truth), schema=["video_id", "a", "b"], orient="row")
    common = pl.min_horizontal("end_frame", "b") - pl.max_horizontal("start_frame", "a")
    union = pl.max_horizontal("end_frame", "b") - pl.min_horizontal("start_frame", "a")
    hits = actions.join(true, on="video_id").filter(common / union >= 0.5)
    assert hits.n_unique(["video_id", "a", "b"]) >= 0.98 * len(truth)
    assert hits["action_id"].n_unique() >= 0.98 * actions.height


def test_overlapping_pairs_are_all_found() -> None:
    rng = np.random.default_rng(0)
    group = np.sort(rng.integers(0, 3, 60))
    start = rng.integers(0, 100, 60)
    order = np.lexsort((start, group))
    group, start = group[order], start[order]
    end = start + rng.integers(1, 20, 60)
    first, second = overlapping_pairs(group, start, end)
    expected = {
        (i, j)
        for i in range(60)
        for j in range(i + 1, 60)
        if group[i] == group[j] and max(start[i], start[j]) < min(end[i], end[j])
    }
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_time_overlap_by_hand() -> None:
    def annotation(start: int, end: int) -> AnnotationArrays:
        number = np.array([0])
        region = np.full((1, 4), np.nan)
        return AnnotationArrays(number, np.array([start]), np.array([end]), number, region)

    overlap, iou = time_overlap(annotation(0, 100), annotation(75, 275))
    assert (overlap[0], iou[0]) == (0.25, 25 / 275)
    assert time_overlap(annotation(0, 10), annotation(10, 20)) == (0, 0)


def test_parts_of_the_work_change_nothing(monkeypatch, make_videos) -> None:
    annotations, _ = noisy_crowd(9)
    videos = make_videos(*(f"v{index}" for index in range(10)), num_frames=20_000)
    whole = curate(annotations, videos).actions
    monkeypatch.setattr("ttdata.curation.merge._PAIRS_AT_ONCE", 500)
    assert_frame_equal(curate(annotations, videos).actions, whole)
