"""Every filter at its exact boundary; all reasons that apply; nothing lost."""

import math

import polars as pl
import pytest

from ttdata.curation.filters import apply_filters
from ttdata.errors import AnnotationError
from ttdata.schema import Annotation, CurationConfig
from ttdata.storage.tables import polars_schema
from ttdata.taxonomy import TTSTROKE21

HIT = "Offensive Forehand Hit"


def reasons(annotations: pl.DataFrame, videos: pl.DataFrame, **config: object) -> list[list[str]]:
    numbered = annotations.with_columns(annotation_id=pl.format("{}", pl.int_range(pl.len())))
    judged = apply_filters(numbered, videos, CurationConfig(**config), TTSTROKE21)
    assert judged.schema == polars_schema(Annotation)
    assert (judged["accepted"] == (judged["reasons"].list.len() == 0)).all()
    ordered = judged.sort(pl.col("annotation_id").cast(pl.Int64))
    return ordered["reasons"].to_list()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (1, 73, []),  # 72 frames are 0.6 s: the range is closed
        (1, 72, ["too_short"]),
        (1, 277, []),  # 276 frames are 2.3 s
        (1, 278, ["too_long"]),
        (0, 100, ["starts_at_first_frame"]),
        (9_900, 10_000, []),  # ends with the video
        (9_901, 10_001, ["ends_after_video"]),
        (0, 10_001, ["starts_at_first_frame", "ends_after_video", "too_long"]),
        (50, 50, ["too_short", "empty_interval"]),
        (90, 50, ["too_short", "empty_interval"]),
        (-1, 100, ["empty_interval"]),
        (None, 100, ["empty_interval"]),
        (100, None, ["empty_interval"]),
        (math.nan, 100, ["empty_interval"]),
        (100, math.inf, ["empty_interval"]),
        (1e300, 100, ["empty_interval"]),
    ],
)
def test_interval(make_annotations, make_videos, start, end, expected) -> None:
    assert reasons(make_annotations(("a", "x", start, end)), make_videos("a")) == [expected]


@pytest.mark.parametrize(
    ("fps", "frames", "accepted"),
    [
        (30.0, 18, True),
        (30.0, 17, False),
        (30.0, 69, True),
        (30.0, 70, False),
        (30000 / 1001, 18, True),
        (30000 / 1001, 69, False),  # 2.3023 s
        (25.0, 15, True),
        (24.0, 14, False),
        (50.0, 115, True),
        (240.0, 552, True),
        (240.0, 553, False),
    ],
)
def test_duration_at_other_rates(make_annotations, make_videos, fps, frames, accepted) -> None:
    found = reasons(make_annotations(("a", "x", 10, 10 + frames)), make_videos("a", fps=fps))
    assert (found == [[]]) is accepted


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Off. forehand hit", []),
        ("Non strokes samples", []),
        ("", ["unlabelled"]),
        ("  ", ["unlabelled"]),
        (None, ["unlabelled"]),
        ("Smash", ["unknown_label"]),
    ],
)
def test_label(make_annotations, make_videos, label, expected) -> None:
    assert reasons(make_annotations(("a", "x", 10, 110, label)), make_videos("a")) == [expected]


def test_labels_become_canonical_and_unknown_ones_stay(make_annotations, make_videos) -> None:
    annotations = make_annotations(
        ("a", "x", 10, 110, "Off. Forehand Hit "), ("a", "y", 10, 110, "Smash")
    )
    judged = apply_filters(annotations, make_videos("a"), CurationConfig(), TTSTROKE21)
    assert judged["label"].to_list() == [HIT, "Smash"]


def test_unknown_video_and_every_other_reason(make_annotations, make_videos) -> None:
    annotations = make_annotations(("b", "x", 0, 0, "Smash"), ("", "x", 10, 110))
    assert reasons(annotations, make_videos("a")) == [
        ["starts_at_first_frame", "unknown_label", "unknown_video", "empty_interval"],
        ["unknown_video"],
    ]


def test_trimmed_files_may_start_at_frame_0(make_annotations, make_videos) -> None:
    found = reasons(make_annotations(("a", "x", 0, 100)), make_videos("a"), trimmed=True)
    assert found == [[]]


def test_whole_files_take_the_videos_length(make_annotations, make_videos) -> None:
    annotations = make_annotations(("a", "x", None, None), ("b", "x", None, None)).with_columns(
        whole_file=True
    )
    videos = make_videos("a", num_frames=200)
    for clip_frames, end in ((None, 200), (57, 57), (500, 200)):
        config = CurationConfig(trimmed=True, clip_frames=clip_frames, min_duration_seconds=0.1)
        judged = apply_filters(annotations, videos, config, TTSTROKE21)
        assert judged["end_frame"].to_list() == [end, None]
        assert judged["reasons"].to_list() == [[], ["unknown_video"]]


@pytest.mark.parametrize("end", [76861433640456457.0, 1e300, math.inf, math.nan])
def test_seconds_beyond_every_frame_are_no_number(make_videos, end: float) -> None:
    annotations = pl.DataFrame({"video_id": ["a"], "annotator_id": ["x"], "label": [HIT]})
    annotations = annotations.with_columns(start_seconds=1.0, end_seconds=end)
    assert reasons(annotations, make_videos("a")) == [["empty_interval"]]


def test_seconds_in_place_of_frames(make_videos) -> None:
    annotations = pl.DataFrame(
        {
            "video_id": ["a", "a", "b", "a", "a"],
            "annotator_id": "x",
            "label": HIT,
            "start_seconds": [1.0, 1.004, 1.0, -1.0, 2.0],
            "end_seconds": [2.0, 2.004, 2.0, 1.0, 1.0],
        }
    )
    judged = apply_filters(annotations, make_videos("a"), CurationConfig(), TTSTROKE21).sort(
        "annotation_id"
    )
    # 1.004 s are 120.48 frames: rounded to the nearest one.
    assert judged["start_frame"].to_list()[:2] == [120, 120]
    assert judged["end_frame"].to_list()[:2] == [240, 240]
    assert judged["reasons"].to_list() == [
        [],
        [],
        ["unknown_video"],
        ["empty_interval"],
        ["too_short", "empty_interval"],
    ]


@pytest.mark.parametrize(
    ("region", "kept"),
    [
        ((0.1, 0.2, 0.5, 0.9), True),
        ((0.0, 0.0, 1.0, 1.0), True),
        ((0.5, 0.2, 0.1, 0.9), False),
        ((0.1, 0.2, 1.5, 0.9), False),
        ((0.1, None, 0.5, 0.9), False),
        ((math.nan, 0.2, 0.5, 0.9), False),
    ],
)
def test_region_is_whole_or_absent(make_annotations, make_videos, region, kept) -> None:
    names = ("x_min", "y_min", "x_max", "y_max")
    columns = dict(zip(names, region, strict=True))
    annotations = make_annotations(("a", "x", 10, 110), **columns)
    judged = apply_filters(annotations, make_videos("a"), CurationConfig(), TTSTROKE21)
    assert judged.select(names).row(0) == (region if kept else (None,) * 4)
    assert judged["accepted"].all()


def test_missing_column_and_repeated_id(make_annotations, make_videos) -> None:
    with pytest.raises(AnnotationError, match="no column label; found video_id"):
        apply_filters(
            make_annotations(("a", "x", 1, 2)).drop("label"),
            make_videos(),
            CurationConfig(),
            TTSTROKE21,
        )
    twice = make_annotations(("a", "x", 1, 2), ("a", "y", 1, 2), annotation_id="7")
    with pytest.raises(AnnotationError, match="'7' is there more than once"):
        apply_filters(twice, make_videos("a"), CurationConfig(), TTSTROKE21)


def test_nothing_in_nothing_out(make_annotations, make_videos) -> None:
    judged = apply_filters(
        make_annotations().cast(pl.String), make_videos(), CurationConfig(), TTSTROKE21
    )
    assert judged.schema == polars_schema(Annotation)
    assert judged.is_empty()
