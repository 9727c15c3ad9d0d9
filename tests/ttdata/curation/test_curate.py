"""The chain: funnel, agreement, negatives, reviews."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ttdata
from ttdata.curation.curate import curate
from ttdata.curation.decisions import read_reviews
from ttdata.errors import AnnotationError, DatasetError
from ttdata.report.stats import agreement, class_table, durations, level_table
from ttdata.schema import Action, Annotation, Clip, CurationConfig, Review
from ttdata.storage.tables import polars_schema
from ttdata.taxonomy import TTSTROKE21, Taxonomy

LOOP, FLIP, PUSH = "Serve Forehand Loop", "Offensive Backhand Flip", "Defensive Forehand Push"


def check_funnel(funnel: dict[str, int]) -> None:
    """What goes in comes out, or is counted where it was left out."""
    assert funnel["annotations"] == funnel["annotations_rejected"] + funnel["annotations_accepted"]
    assert funnel["actions"] == funnel["actions_set_aside"] + funnel["actions_accepted"]
    assert funnel["gaps"] == funnel["gaps_too_short"] + funnel["negatives_proposed"]
    verdicts = ("usable", "rejected", "touches_rejected", "not_reviewed")
    assert funnel["negatives_proposed"] == sum(funnel[f"negatives_{name}"] for name in verdicts)
    assert funnel["clips_stroke"] + funnel["clips_negative"] == (
        funnel["actions_accepted"] + funnel["negatives_usable"]
    )


# Agreement


@pytest.mark.parametrize(
    ("labels", "unanimity", "majority"),
    [
        ([LOOP], LOOP, LOOP),
        ([LOOP, LOOP, LOOP], LOOP, LOOP),
        ([LOOP, "serve forehand LOOP"], LOOP, LOOP),
        ([LOOP, LOOP, FLIP], None, LOOP),
        ([LOOP, FLIP], None, None),
        ([LOOP, FLIP, PUSH], None, None),
        ([LOOP, LOOP, FLIP, FLIP, PUSH], None, None),
    ],
)
def test_label_of_an_action(make_annotations, make_videos, labels, unanimity, majority) -> None:
    annotations = make_annotations(
        *(("a", f"x{i}", 100, 200, label) for i, label in enumerate(labels))
    )
    for rule, expected in (("unanimity", unanimity), ("majority", majority)):
        result = curate(annotations, make_videos("a"), CurationConfig(agreement=rule))
        action = result.actions.row(0, named=True)
        assert action["label"] == expected
        assert action["status"] == ("accepted" if expected else "set_aside")
        assert result.clips.height == (1 if expected else 0)
        check_funnel(result.funnel)


def test_one_annotator_has_one_vote(make_annotations, make_videos) -> None:
    annotations = make_annotations(
        ("a", "x", 100, 200, LOOP),
        ("a", "x", 101, 201, LOOP),
        ("a", "x", 102, 202, LOOP),
        ("a", "y", 100, 200, FLIP),
        ("a", "z", 100, 200, FLIP),
    )
    action = curate(annotations, make_videos("a"), CurationConfig(agreement="majority")).actions
    assert action["label"].to_list() == [FLIP]
    assert action["num_annotators"].to_list() == [3]
    # One who contradicts himself has no vote.
    torn = make_annotations(("a", "x", 100, 200, LOOP), ("a", "x", 101, 201, FLIP))
    found = curate(torn, make_videos("a"), CurationConfig(agreement="majority")).actions
    assert found["status"].to_list() == ["set_aside"]


# Negatives


def strokes(make_annotations, count: int, step: int = 300, label: str = LOOP) -> pl.DataFrame:
    """Strokes of 100 frames that begin every `step` frames, by one annotator."""
    return make_annotations(
        *(("a", "x", 100 + step * i, 200 + step * i, label) for i in range(count))
    )


@pytest.mark.parametrize(("count", "proposals"), [(10, 0), (11, 10), (12, 11)])
def test_eleven_actions_make_negatives(make_annotations, make_videos, count, proposals) -> None:
    result = curate(strokes(make_annotations, count), make_videos("a"))
    negatives = result.clips.filter(kind="negative")
    assert negatives.height == proposals
    if proposals:
        # The gap [200, 400), widened by 10 on each side.
        assert negatives.row(0, named=True)["clip_id"] == "a@190-410"
        assert set(negatives["label"]) == {"Negative"}
    check_funnel(result.funnel)


@pytest.mark.parametrize(("gap", "usable"), [(79, 0), (80, 10)])
def test_a_negative_holds_a_window(make_annotations, make_videos, gap, usable) -> None:
    result = curate(strokes(make_annotations, 11, step=100 + gap), make_videos("a"))
    assert result.funnel["negatives_usable"] == usable
    assert result.funnel["gaps_too_short"] == 10 - usable
    check_funnel(result.funnel)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (356, (190, 466)),  # 276 frames are 2.3 s: whole
        (357, (190, 466)),  # 277 frames: the odd one goes at the end
        (400, (212, 488)),
    ],
)
def test_of_a_long_gap_the_centre_is_kept(make_annotations, make_videos, step, expected) -> None:
    result = curate(strokes(make_annotations, 11, step=step), make_videos("a"))
    first = result.clips.filter(kind="negative").row(0, named=True)
    assert (first["start_frame"], first["end_frame"]) == expected


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 10_000)], [190, 490, 790]),  # all of the gaps, as without spans
        ([(0, 460)], [190]),  # of the second gap 55 frames are left: too short
        ([(300, 400), (600, 690)], [300]),  # the ends of the gaps that begin at 190 and 490
        ([(250, 260)], []),
        ([(0, 0)], []),  # nobody looked at anything
    ],
)
def test_negatives_lie_in_what_people_covered(
    make_annotations, make_videos, spans, expected
) -> None:
    """Strokes [100, 200), [400, 500) and so on: the gaps are [190, 410), [490, 710), ..."""
    covered = pl.DataFrame([("a", *span) for span in spans], schema=_SPANS, orient="row")
    videos = make_videos("a")
    annotations = strokes(make_annotations, 11)
    result = curate(annotations, videos, covered=covered)
    negatives = result.clips.filter(kind="negative")
    assert negatives["start_frame"].to_list()[:3] == expected
    assert all(
        any(start <= row["start_frame"] and row["end_frame"] <= end for start, end in spans)
        for row in negatives.iter_rows(named=True)
    )
    check_funnel(result.funnel)
    whole = curate(annotations, videos)
    assert whole.clips.equals(curate(annotations, videos, covered=covered.clear()).clips)
    if spans == [(0, 10_000)]:
        assert result.clips.equals(whole.clips)


def test_a_gap_across_two_spans_makes_two_negatives(make_annotations, make_videos) -> None:
    """And a video without spans is annotated from end to end."""
    annotations = pl.concat(
        [
            strokes(make_annotations, 11, step=600).with_columns(video_id=pl.lit(name))
            for name in ("a", "b")
        ]
    )
    spans = [("a", 0, 350), ("a", 450, 800)]
    covered = pl.DataFrame(spans, schema=_SPANS, orient="row")
    result = curate(annotations, make_videos("a", "b"), covered=covered)
    negatives = result.clips.filter(kind="negative")
    in_a = negatives.filter(video_id="a").select("start_frame", "end_frame").rows()
    assert in_a == [(190, 350), (450, 710)]
    assert negatives.filter(video_id="b").height == 10


_SPANS = {"video_id": pl.String, "start_frame": pl.Int64, "end_frame": pl.Int64}


def test_no_proposal_leaves_its_video(make_annotations, make_videos) -> None:
    """The first action ends, the last one begins, nearer to the video's edge than the widening."""
    annotations = strokes(make_annotations, 11, step=240).with_columns(
        start_frame=pl.col("start_frame") - 97, end_frame=pl.col("start_frame") - 92
    )
    config = CurationConfig(min_duration_seconds=0.01)
    result = curate(annotations, make_videos("a", num_frames=2410), config)
    negatives = result.clips.filter(kind="negative").sort("start_frame")
    assert negatives["start_frame"][0] == 0
    assert negatives["end_frame"][-1] == 2410


def test_no_proposal_is_cut_below_a_window(make_annotations, make_videos) -> None:
    annotations = strokes(make_annotations, 11, step=400).with_columns(
        end_frame=pl.col("start_frame") + 40
    )
    videos = make_videos("a", fps=30.0)
    # 2.3 s are 69 frames at 30 fps, the window 100.
    negatives = curate(annotations, videos).clips.filter(kind="negative")
    assert set(negatives["end_frame"] - negatives["start_frame"]) == {100}


def test_set_aside_actions_bound_and_count(make_annotations, make_videos) -> None:
    annotations = pl.concat(
        [strokes(make_annotations, 11), make_annotations(("a", "y", 400, 500, FLIP))]
    )
    result = curate(annotations, make_videos("a"))
    assert result.funnel["actions_set_aside"] == 1
    assert result.funnel["negatives_usable"] == 10
    check_funnel(result.funnel)


@pytest.mark.parametrize(
    ("start", "end", "touched"),
    [(250, 300, [190]), (409, 440, [190]), (410, 440, []), (205, 205, []), (0, 191, [190])],
)
def test_rejected_annotations_spoil_what_they_touch(
    make_annotations, make_videos, start, end, touched
) -> None:
    # Of 50 frames or less all are too short; the last one starts at frame 0.
    annotations = pl.concat(
        [strokes(make_annotations, 11), make_annotations(("a", "y", start, end))]
    )
    result = curate(annotations, make_videos("a"))
    spoilt = result.proposals.filter(verdict="touches_rejected")["start_frame"].to_list()
    assert spoilt == touched
    assert result.funnel["negatives_touches_rejected"] == len(touched)
    check_funnel(result.funnel)


def test_far_reaching_rejected_annotation_is_not_hidden_by_a_later_one(
    make_annotations, make_videos
) -> None:
    rejected = [("a", "y", 0, 1000), ("a", "z", 5, 10)]
    annotations = pl.concat([strokes(make_annotations, 11), make_annotations(*rejected)])
    spoilt = curate(annotations, make_videos("a")).proposals.filter(verdict="touches_rejected")
    assert spoilt["start_frame"].to_list() == [190, 490, 790]


def test_two_players_gap_begins_after_both(make_annotations, make_videos) -> None:
    # The long stroke of frame 100 ends after the one of frame 150.
    first = make_annotations(("a", "x", 100, 370), ("a", "y", 150, 230))
    players = pl.Series(["p", "q"])
    annotations = pl.concat(
        [
            first.with_columns(player_id=players),
            strokes(make_annotations, 10, step=300)
            .with_columns(pl.col("start_frame", "end_frame") + 500)
            .with_columns(player_id=pl.lit("p")),
        ]
    )
    negatives = curate(annotations, make_videos("a")).clips.filter(kind="negative")
    assert negatives.row(0, named=True)["clip_id"] == "a@360-610"


def test_no_negatives_without_a_class_or_when_off(make_annotations, make_videos) -> None:
    annotations = strokes(make_annotations, 11)
    off = curate(annotations, make_videos("a"), CurationConfig(negatives=False))
    without = curate(annotations, make_videos("a"), taxonomy=Taxonomy.infer([LOOP]))
    assert off.funnel["clips_negative"] == without.funnel["clips_negative"] == 0


def test_annotated_negative_is_a_negative(make_annotations, make_videos) -> None:
    clips = curate(
        make_annotations(("a", "x", 100, 200, "Non strokes samples")), make_videos("a")
    ).clips
    assert clips.select("label", "kind").row(0) == ("Negative", "negative")


# Reviews


def reviews(tmp_path, *lines: str) -> pl.DataFrame:
    path = tmp_path / "reviews.csv"
    header = ",".join(polars_schema(Review))
    path.write_text("\n".join([header, *lines]) + "\n")
    return read_reviews(path, TTSTROKE21)


def test_relabel_move_and_drop(make_annotations, make_videos, tmp_path) -> None:
    annotations = make_annotations(
        ("a", "x", 100, 200, LOOP),
        ("a", "y", 100, 200, FLIP),
        ("a", "x", 400, 500),
        ("a", "x", 700, 800),
        ("a", "x", 1000, 1100),
    )
    found = reviews(
        tmp_path,
        "a,110,205,relabel,off. backhand flip,,,me",
        "a,400,500,move,,440,560,me",
        "a,440,560,relabel,Serve Forehand Loop,,,me",  # seen at its new place
        "a,700,800,drop,,,,",
        "a,1040,1300,drop,,,,",  # IoU 60 / 300: nothing there
    )
    result = curate(annotations, make_videos("a"), reviews=found)
    assert result.clips.select("clip_id", "label").rows() == [
        ("a@100-200", FLIP),
        ("a@440-560", LOOP),
        ("a@1000-1100", "Offensive Forehand Hit"),
    ]
    assert result.actions["status"].to_list() == ["accepted", "accepted", "set_aside", "accepted"]
    assert result.annotations["action_id"].to_list()[2] == "a@440-560"
    assert result.unmatched_reviews["line"].to_list() == [6]
    assert (result.funnel["reviews"], result.funnel["reviews_unmatched"]) == (5, 1)
    check_funnel(result.funnel)


def test_last_review_holds(make_annotations, make_videos, tmp_path) -> None:
    found = reviews(
        tmp_path, f"a,100,200,relabel,{LOOP},,,", f"a,102,202,relabel,{PUSH},,,", "b,1,2,drop,,,,"
    )
    result = curate(make_annotations(("a", "x", 100, 200)), make_videos("a"), reviews=found)
    assert result.clips["label"].to_list() == [PUSH]
    assert result.unmatched_reviews["line"].to_list() == [4]


def test_accept_and_reject_proposals(make_annotations, make_videos, tmp_path) -> None:
    annotations = pl.concat([strokes(make_annotations, 11), make_annotations(("a", "y", 250, 300))])
    found = reviews(tmp_path, "a,190,410,accept,,,,", "a,500,700,reject,,,,")
    result = curate(annotations, make_videos("a"), reviews=found)
    assert result.funnel["negatives_usable"] == 9
    assert result.funnel["negatives_rejected"] == 1
    config = CurationConfig(reviewed_negatives_only=True)
    only = curate(annotations, make_videos("a"), config, reviews=found)
    assert only.clips.filter(kind="negative")["clip_id"].to_list() == ["a@190-410"]
    assert only.funnel["negatives_not_reviewed"] == 8
    assert only.unmatched_reviews.is_empty()
    check_funnel(result.funnel)
    check_funnel(only.funnel)


def test_dropped_action_still_bounds_gaps(make_annotations, make_videos, tmp_path) -> None:
    found = reviews(tmp_path, "a,400,500,drop,,,,")
    result = curate(strokes(make_annotations, 11), make_videos("a"), reviews=found)
    assert result.funnel["negatives_usable"] == 10


# Of two players at one time, and a drop taken back

LEFT, RIGHT = (0.0, 0.2, 0.4, 1.0), (0.6, 0.2, 1.0, 1.0)
SIDES = ("x_min", "y_min", "x_max", "y_max")


def two_at_once(make_annotations, **columns: object) -> pl.DataFrame:
    rows = make_annotations(("a", "x", 100, 200), ("a", "x", 100, 200))
    return rows.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ({"player_id": ["anna", "bea"]}, "bea,,,,"),
        (dict(zip(SIDES, zip(LEFT, RIGHT, strict=True), strict=True)), ",0.62,0.25,0.98,1"),
    ],
)
def test_review_of_one_of_two_players(
    make_annotations, make_videos, tmp_path, columns, cells
) -> None:
    found = reviews(tmp_path, f"a,101,201,relabel,{FLIP},,,me,{cells}", "a,100,200,drop,,,,me")
    result = curate(two_at_once(make_annotations, **columns), make_videos("a"), reviews=found)
    # The relabel finds the second; the drop names nobody, which is said.
    assert result.actions["label"].to_list() == [None, FLIP]
    assert result.ambiguous_reviews["line"].to_list() == [3]
    assert result.unmatched_reviews.is_empty()


def test_review_of_an_unknown_player_finds_nothing(make_annotations, make_videos, tmp_path) -> None:
    found = reviews(tmp_path, "a,100,200,drop,,,,me,carla,,,,")
    two = two_at_once(make_annotations, player_id=["anna", "bea"])
    result = curate(two, make_videos("a"), reviews=found)
    assert result.unmatched_reviews["line"].to_list() == [2]
    assert result.clips.height == 2


@pytest.mark.parametrize(
    ("lines", "clip"),
    [
        (["a,100,200,drop,,,,"], None),
        (["a,100,200,drop,,,,", "a,102,202,accept,,,,"], ("a@100-200", "Offensive Forehand Hit")),
        (["a,100,200,drop,,,,", f"a,100,200,relabel,{FLIP},,,"], ("a@100-200", FLIP)),
        (
            [f"a,100,200,relabel,{FLIP},,,", "a,100,200,drop,,,,", "a,100,200,accept,,,,"],
            ("a@100-200", FLIP),
        ),
        (
            ["a,100,200,drop,,,,", "a,100,200,move,,110,210,"],
            ("a@110-210", "Offensive Forehand Hit"),
        ),
        (["a,100,200,accept,,,,", "a,100,200,drop,,,,"], None),
        (["a,100,200,move,,110,210,", "a,110,210,drop,,,,"], None),
    ],
)
def test_a_later_decision_takes_a_drop_back(
    make_annotations, make_videos, tmp_path, lines, clip
) -> None:
    found = reviews(tmp_path, *lines)
    result = curate(make_annotations(("a", "x", 100, 200)), make_videos("a"), reviews=found)
    assert result.clips.select("clip_id", "label").rows() == ([clip] if clip else [])
    assert result.unmatched_reviews.is_empty()
    assert result.ambiguous_reviews.is_empty()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,100,200,drop,,,,,,0.2,,,", "line 2: a region needs x_min, y_min, x_max, y_max, each"),
        ("a,100,200,drop,,,,,,20,30,50,90", "line 2: a region needs x_min, y_min, x_max, y_max"),
        ("a,100,200,delete,,,,", "line 2: decision 'delete', expected one of accept, reject"),
        ("a,100,200,,,,,", "line 2: decision ''"),
        ("a,100,x,drop,,,,", "line 2: start_frame and end_frame must be frame numbers"),
        ("a,200,100,drop,,,,", "line 2: start_frame and end_frame must be"),
        ("a,100,200,relabel,,,,", "line 2: relabel needs a label"),
        ("a,100,200,relabel,Smash,,,", "line 2: label 'Smash' is not in the taxonomy"),
        ("a,100,200,move,,50,,", "line 2: move needs new_start_frame and new_end_frame"),
    ],
)
def test_bad_review_names_its_line(tmp_path, line, message) -> None:
    with pytest.raises(AnnotationError, match=message):
        reviews(tmp_path, line)


def test_move_past_the_end_names_line_and_video(make_annotations, make_videos, tmp_path) -> None:
    found = reviews(tmp_path, "a,100,200,move,,9950,10001,")
    with pytest.raises(AnnotationError, match=r"line 2: .* 10001, but video 'a' has 10000 frames"):
        curate(make_annotations(("a", "x", 100, 200)), make_videos("a"), reviews=found)


# The whole


def test_result_has_the_schemas(make_annotations, make_videos) -> None:
    for annotations in (strokes(make_annotations, 12), make_annotations(("b", "x", 1, 2))):
        result = ttdata.curate(annotations, make_videos("a"))
        assert result.annotations.schema == polars_schema(Annotation)
        assert result.actions.schema == polars_schema(Action)
        assert result.clips.schema == polars_schema(Clip)
        assert result.clips["split"].null_count() == result.clips.height


def test_rows_pass_their_models(make_annotations, make_videos) -> None:
    result = curate(strokes(make_annotations, 12), make_videos("a", player_id="p"))
    for model, frame in (
        (Annotation, result.annotations),
        (Action, result.actions),
        (Clip, result.clips),
    ):
        for row in frame.iter_rows(named=True):
            model.model_validate(row)
    assert set(result.clips["player_id"]) == {"p"}


def test_two_videos_with_one_id(make_annotations, make_videos) -> None:
    with pytest.raises(DatasetError, match="two videos with one id 'a'"):
        curate(make_annotations(("a", "x", 1, 100)), make_videos("a", "a"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "none"]),
            st.sampled_from(["x", "y"]),
            st.one_of(st.none(), st.integers(-50, 4000)),
            st.one_of(st.none(), st.integers(-50, 4000)),
            st.sampled_from([LOOP, FLIP, "Negative", "Smash", "", None]),
        ),
        max_size=60,
    )
)
@settings(max_examples=25, deadline=None)
def test_funnel_loses_nothing(make_annotations, make_videos, rows) -> None:
    annotations = make_annotations(*rows).cast({"start_frame": pl.Int64, "end_frame": pl.Int64})
    annotations = annotations.cast(dict.fromkeys(("video_id", "annotator_id", "label"), pl.String))
    config = CurationConfig(negative_min_actions=2, window_frames=10)
    result = curate(annotations, make_videos("a", "b", num_frames=3500), config)
    check_funnel(result.funnel)
    assert result.funnel["annotations"] == len(rows)
    assert result.clips["clip_id"].is_unique().all()


# Measures


def test_agreement_and_durations(make_annotations, make_videos) -> None:
    annotations = make_annotations(
        ("a", "x", 100, 200),
        ("a", "y", 104, 210),
        ("a", "x", 400, 500, LOOP),
        ("a", "y", 400, 500, FLIP),
        ("a", "x", 800, 1040),
    )
    videos = make_videos("a")
    result = curate(annotations, videos)
    found = agreement(result.annotations, result.actions, TTSTROKE21)
    assert found["actions"] == 2
    assert found["share_unanimous"] == 0.5
    assert found["start_spread_mean_frames"] == 2
    assert found["end_spread_max_frames"] == 10
    timed = durations(result.clips, videos)
    assert timed["stroke"]["n"] == 2
    assert timed["stroke"]["seconds"]["max"] == 2.0
    assert timed["stroke"]["seconds"]["min"] == pytest.approx(103 / 120)
    frames = {"min": 103, "max": 240, "mean": 171.5, "std": pytest.approx(137 / 2**0.5)}
    assert timed["stroke"]["frames"] == frames


def test_class_table_has_all_classes_and_totals(make_annotations, make_videos) -> None:
    clips = curate(strokes(make_annotations, 3), make_videos("a")).clips
    divided = clips.with_columns(split=pl.Series(["train", "train", None], dtype=pl.String))
    rows = class_table(divided, TTSTROKE21.classes)
    assert [row["label"] for row in rows] == [*TTSTROKE21.classes, "total"]
    row = next(row for row in rows if row["label"] == LOOP)
    expected = {"train": 2, "validation": 0, "test": 0, "total": 2, "unused": 1}
    assert row == {"label": LOOP} | expected
    assert rows[-1] == {"label": "total"} | expected


def test_tables_by_type_and_hand() -> None:
    rows = [(LOOP, "train"), (FLIP, "train"), (FLIP, "test"), (PUSH, None), ("Negative", "test")]
    clips = pl.DataFrame(rows, schema=["label", "split"], orient="row")
    by_type = {row["label"]: row for row in level_table(clips, TTSTROKE21, "type")}
    assert list(by_type) == ["Defensive", "Offensive", "Serve", "Negative", "total"]
    assert (by_type["Offensive"]["train"], by_type["Offensive"]["test"]) == (1, 1)
    assert by_type["Defensive"]["unused"] == 1
    by_hand = {row["label"]: row["total"] for row in level_table(clips, TTSTROKE21, "hand")}
    assert by_hand == {"Backhand": 2, "Forehand": 1, "Negative": 1, "total": 4}
