"""Whole videos of a split: what counts as annotated."""

import polars as pl
import pytest

from tttrain.indexing.split_videos import _with_tracks, _without

NAMES = ["video_id", "start_frame", "end_frame"]


def spans(*rows: tuple[str, int, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=NAMES, orient="row")


def test_what_annotators_could_not_agree_on_is_not_annotated() -> None:
    left = _without(
        spans(("a", 0, 100), ("b", 0, 50), ("b", 60, 90), ("c", 10, 20)),
        spans(("a", 30, 40), ("a", 35, 45), ("b", 45, 65), ("c", 0, 30), ("d", 0, 9)),
    )
    assert left.rows() == [("a", 0, 30), ("a", 45, 100), ("b", 0, 45), ("b", 65, 90)]


def test_without_holes_all_is_left() -> None:
    whole = spans(("a", 0, 100))
    assert _without(whole, whole.clear()).equals(whole)
    assert _without(whole, whole).equals(whole.clear())


LEFT, RIGHT, NONE = (0.1, 0.0, 0.4, 1.0), (0.6, 0.0, 0.9, 1.0), (None,) * 4


def strokes(*rows: tuple) -> pl.DataFrame:
    names = [*NAMES, "label", "x_min", "y_min", "x_max", "y_max"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def two_players():
    """One video of two players; of the stroke in the middle nobody says who played it."""
    return _with_tracks(
        pl.DataFrame({"video_id": ["a"]}),
        strokes(
            ("a", 0, 30, "push", *LEFT), ("a", 50, 80, "lob", *NONE), ("a", 90, 120, "hit", *RIGHT)
        ),
        spans(("a", 0, 130)),
    )


def test_a_stroke_of_an_unknown_player_is_no_rest_of_either() -> None:
    found = two_players()
    assert found.truths["label"].to_list() == ["push", "lob", "hit"]
    assert found.track_truths["label"].to_list() == ["push", "hit"]
    assert found.annotated.rows() == [("a", 0, 130)]
    left, right = "a\tleft", "a\tright"
    assert sorted(found.track_annotated.rows()) == [
        (left, 0, 50), (left, 80, 130), (right, 0, 50), (right, 80, 130)
    ]  # fmt: skip


def test_only_decoded_frames_count(caplog: pytest.LogCaptureFixture) -> None:
    found = two_players().within({"a\tleft": 110, "a\tright": 110})
    assert found.truths.rows()[-1] == ("a", 90, 110, "hit")
    assert found.annotated.rows() == [("a", 0, 110)]
    assert found.track_annotated["end_frame"].max() == 110
    assert "a: decodes to 110 frames, but strokes are marked beyond them" in caplog.text
    assert two_players().within({"a\tleft": 85, "a\tright": 85}).truths.height == 2
