"""Stretches for negatives of whole videos: against every window, and known answers."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ttdata.curation.curate import curate
from ttdata.curation.decisions import read_reviews
from ttdata.curation.stretches import Obstacle, reach_frames, stretches_of
from ttdata.schema import CurationConfig, Review
from ttdata.storage.tables import polars_schema
from ttdata.taxonomy import TTSTROKE21, Taxonomy

CONFIG = CurationConfig(whole_video_negatives=True)
WHOLE_VIDEO = (0, 1880)
"""Less its last second, of videos of 2000 frames at 120 fps."""

intervals = st.tuples(st.integers(-5, 70), st.integers(1, 25), st.booleans())


@settings(deadline=None)
@given(st.integers(1, 20), st.tuples(st.integers(0, 30), st.integers(1, 80)), st.lists(intervals))
@example(10, (0, 60), [(10, 10, True), (20, 10, True)])
@example(10, (0, 60), [(10, 2, True), (14, 20, True), (13, 22, False)])
def test_stretches_hold_every_negative_window_of_a_span_and_no_other(
    window: int, span: tuple[int, int], found: list[tuple[int, int, bool]]
) -> None:
    span = (span[0], span[0] + span[1])
    obstacles = [
        Obstacle(start, start + length, reach_frames(length, window) * is_stroke)
        for start, length, is_stroke in found
    ]

    def touched(start: int) -> list[int]:
        return [min(start + window, o.end) - max(start, o.start) for o in obstacles]

    expected = {
        start
        for start in range(span[0], span[1] - window + 1)
        if all(
            common <= 0 or (is_stroke and 10 * common <= 3 * min(length, window))
            for common, (_, length, is_stroke) in zip(touched(start), found, strict=True)
        )
    }
    pieces = stretches_of(span, obstacles, window)
    assert pieces == sorted(pieces, key=lambda piece: piece[1:])
    held = [(start, kind) for kind, a, b in pieces for start in range(a, b - window + 1)]
    assert {start for start, _ in held} == expected
    for start, kind in held:
        assert (max(touched(start), default=0) > 0) == (kind == "straddling")
    rests = [start for start, kind in held if kind == "rest"]
    assert len(rests) == len(set(rests))
    assert all(window <= b - a < 3 * window for kind, a, b in pieces if kind == "rest")


def stretches(result, **only: object) -> list[tuple[object, ...]]:
    rows = result.stretches.filter(**only) if only else result.stretches
    return rows.select("kind", "start_frame", "end_frame").rows()


def test_the_stretches_of_a_video(make_annotations, make_videos) -> None:
    """A stroke of 120 frames may be reached into by 30, one of 80 by 24; the gap between is 90."""
    annotations = make_annotations(("a", "x", 400, 520), ("a", "x", 610, 690))
    result = curate(annotations, make_videos("a", num_frames=1100), CONFIG)
    assert stretches(result) == [
        ("rest", 0, 249),
        ("rest", 150, 400),
        ("straddling", 301, 430),
        ("straddling", 490, 634),
        ("straddling", 666, 789),
        ("rest", 690, 980),
    ]
    assert result.stretches["clip_id"][2] == "a@301-430+straddling"
    assert result.funnel["stretches_straddling"] == 3
    assert result.funnel["stretches_rest"] == 3


def test_nothing_changes_without_the_option(make_annotations, make_videos) -> None:
    annotations = make_annotations(*(("a", "x", 300 * n, 300 * n + 100) for n in range(1, 14)))
    videos = make_videos("a", num_frames=4500)
    off, on = curate(annotations, videos), curate(annotations, videos, CONFIG)
    assert off.stretches.is_empty()
    assert not on.stretches.is_empty()
    assert on.clips.equals(off.clips)
    assert on.funnel.keys() - off.funnel.keys() == {"stretches_straddling", "stretches_rest"}
    assert {name: on.funnel[name] for name in off.funnel} == off.funnel
    # Strokes without a class for what is none.
    classes = Taxonomy(name="mine", strokes=TTSTROKE21.strokes, negative=None)
    assert curate(annotations, videos, CONFIG, classes).stretches.is_empty()


def test_stretches_lie_in_annotated_spans(make_annotations, make_videos) -> None:
    annotations = make_annotations(("a", "x", 500, 600), ("b", "x", 500, 600))
    spans = [("a", 350, 720), ("a", 1000, 1150), ("c", 0, 0)]
    covered = pl.DataFrame(spans, schema=["video_id", "start_frame", "end_frame"], orient="row")
    videos = make_videos("a", "b", "c", num_frames=2000)
    result = curate(annotations, videos, CONFIG, covered=covered)
    assert stretches(result, video_id="a") == [
        ("rest", 350, 500),
        ("straddling", 401, 530),
        ("straddling", 570, 699),
        ("rest", 600, 720),
        ("rest", 1000, 1150),
    ]
    assert stretches(result, video_id="c") == []
    assert {start for _, start, _ in stretches(result, video_id="b")} >= {0, 401, 570}


@pytest.mark.parametrize(
    ("doubtful", "taken"),
    [
        # Of no action: bounded to 276 frames, as long as a stroke can be.
        (("a", "y", 0, 1000), (724, 1000)),
        (("a", "y", 1000, 9999), (1000, 1276)),
        (("a", "y", 900, 930), (900, 930)),
        (("a", "y", 900, 1300), (900, 1300)),
        (("a", "y", 900, 1000, "no such stroke"), (900, 1000)),
        (("a", "y", 0, 200), (0, 200)),
        # Of the action [400, 500), which another annotator marked as well.
        (("a", "y", 0, 510), None),
        (("a", "y", 390, 9999), None),
        (("a", "y", 420, 450), None),
        (("a", "y", 300, 900), None),
        (("a", "y", 410, 490, None), None),
        (("a", "y", 0, 9999), None),
    ],
)
def test_a_rejected_annotation_that_no_action_explains_keeps_negatives_away(
    make_annotations, make_videos, doubtful, taken
) -> None:
    videos = make_videos("a", num_frames=2000)
    good = curate(make_annotations(("a", "x", 400, 500)), videos, CONFIG)
    both = curate(make_annotations(("a", "x", 400, 500), doubtful), videos, CONFIG)
    assert both.clips.equals(good.clips)
    free = frames(good)
    assert free == {*range(*WHOLE_VIDEO)} - {*range(430, 470)}
    assert frames(both) == free - ({*range(*taken)} if taken else set())


def test_a_video_without_a_stroke_has_none(make_annotations, make_videos) -> None:
    annotations = make_annotations(("a", "x", 400, 500), ("b", "y", 0, 500))
    result = curate(annotations, make_videos("a", "b", "c", num_frames=2000), CONFIG)
    assert result.stretches["video_id"].unique().to_list() == ["a"]


def frames(result) -> set[int]:
    return {frame for _, start, end in stretches(result) for frame in range(start, end)}


def test_what_people_doubt_keeps_negatives_away(make_annotations, make_videos, tmp_path) -> None:
    """Annotators who disagree, a dropped action, a rejected proposal."""
    strokes = [("a", "x", 300 * n, 300 * n + 100) for n in range(1, 13)]
    annotations = make_annotations(*strokes, ("a", "y", 300, 400, "Serve Forehand Loop"))
    rows = ["a,600,700,drop,,,,,,,,,", "a,1000,1200,reject,,,,,,,,,"]
    file = tmp_path / "reviews.csv"
    file.write_text("\n".join([",".join(polars_schema(Review).names()), *rows]) + "\n")
    videos = make_videos("a", num_frames=4500)
    reviews = read_reviews(file, TTSTROKE21)
    found = frames(curate(annotations, videos, CONFIG, reviews=reviews))
    assert not found & {*range(300, 400), *range(600, 700), *range(990, 1210)}
    assert {299, 400, 599, 700, 900, 929, 1270, 1300} <= found
    assert not found & {*range(930, 970)}


def test_an_annotated_negative_is_no_stroke(make_annotations, make_videos) -> None:
    annotations = make_annotations(("a", "x", 400, 520, "Negative"), ("a", "x", 1000, 1100))
    result = curate(annotations, make_videos("a", num_frames=2000), CONFIG)
    assert {*range(400, 520)} <= frames(result)


def test_each_player_has_stretches_while_the_other_plays(make_annotations, make_videos) -> None:
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    regions = pl.DataFrame(
        [left, right, left], schema=["x_min", "y_min", "x_max", "y_max"], orient="row"
    )
    rows = make_annotations(("a", "x", 200, 300), ("a", "x", 350, 470), ("a", "x", 600, 700))
    annotations = pl.concat([rows, regions], how="horizontal")
    result = curate(annotations, make_videos("a", num_frames=1000), CONFIG)
    assert stretches(result, x_min=0.0) == [
        ("rest", 0, 200),
        ("straddling", 101, 230),
        ("straddling", 270, 399),
        ("rest", 300, 499),
        ("rest", 400, 600),
        ("straddling", 501, 630),
        ("straddling", 670, 799),
        ("rest", 700, 880),
    ]
    of_the_other = stretches(result, x_min=0.5)
    assert ("straddling", 251, 380) in of_the_other
    assert ("straddling", 440, 569) in of_the_other
    # One interval of both players: two ids.
    everyone = result.stretches["clip_id"].to_list()
    assert Counter(everyone).most_common(1)[0][1] == 1
    # A stroke of unknown place is in everybody's way, as is one of the same person elsewhere.
    unknown = annotations.with_columns(
        pl.when(pl.col("start_frame") == 350).then(None).otherwise(pl.col(name)).alias(name)
        for name in regions.columns
    )
    assert ("straddling", 270, 380) in stretches(curate(unknown, make_videos("a"), CONFIG))
    for names, held in ((("ann", "ann", "ann"), True), (("ann", "bob", "ann"), False)):
        named = annotations.with_columns(player_id=pl.Series(names))
        found = curate(named, make_videos("a"), CONFIG)
        assert (("straddling", 270, 380) in stretches(found, x_min=0.0)) == held
        assert found.stretches.filter(x_min=0.5)["player_id"].unique().to_list() == [names[1]]


def test_no_rest_covers_a_stroke_in_a_tight_box_inside_a_wide_one(
    make_annotations, make_videos
) -> None:
    """Their intersection over union is 0.17, and the wide box holds all of the tight one."""
    wide, tight = (0.0, 0.0, 0.6, 1.0), (0.3, 0.3, 0.5, 0.8)
    regions = pl.DataFrame(
        [wide, tight, wide], schema=["x_min", "y_min", "x_max", "y_max"], orient="row"
    )
    rows = make_annotations(("a", "x", 400, 520), ("a", "x", 1000, 1120), ("a", "x", 1600, 1720))
    annotations = pl.concat([rows, regions], how="horizontal")
    result = curate(annotations, make_videos("a", num_frames=2000), CONFIG)
    assert {*result.stretches["x_min"]} == {0.0, 0.3}
    for x_min in (0.0, 0.3):
        rests = stretches(result, kind="rest", x_min=x_min)
        assert all(end <= 1000 or start >= 1120 for _, start, end in rests)
        assert ("straddling", 901, 1030) in stretches(result, x_min=x_min)


def test_nobody_reviews_stretches() -> None:
    with pytest.raises(ValidationError, match="whole_video_negatives=true lists frames that nobod"):
        CurationConfig(whole_video_negatives=True, reviewed_negatives_only=True)
