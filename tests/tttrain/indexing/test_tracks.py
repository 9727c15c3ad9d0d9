"""Two players of a video are two tracks; strokes go to theirs and come back."""

import polars as pl

from tttrain.indexing.tracks import HALVES, Track, by_track, by_video, tracks_of

LEFT, RIGHT = (0.1, 0.0, 0.4, 1.0), (0.6, 0.0, 0.9, 1.0)


def strokes(*rows: tuple) -> pl.DataFrame:
    names = ["video_id", "start_frame", "x_min", "y_min", "x_max", "y_max"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_one_region_or_none_is_one_track_of_the_videos_name() -> None:
    assert tracks_of("v", [None]) == (Track("v", None, None),)
    (track,) = tracks_of("v", [LEFT, LEFT])
    assert (track.region, track.track_id) == (LEFT, "v")


def test_two_are_left_and_right_three_are_counted() -> None:
    assert [track.player for track in tracks_of("v", [RIGHT, LEFT])] == ["left", "right"]
    assert [track.region for track in tracks_of("v", HALVES)] == list(HALVES)
    middle = (0.4, 0.0, 0.6, 1.0)
    names = [track.player for track in tracks_of("v", [LEFT, middle, RIGHT])]
    assert names == ["player 1", "player 2", "player 3"]


def test_strokes_go_to_the_nearest_track_and_come_back() -> None:
    tracks = (*tracks_of("two", [LEFT, RIGHT]), *tracks_of("one", [None]))
    given = strokes(
        ("two", 50, 0.62, 0.0, 0.92, 1.0),
        ("one", 7, None, None, None, None),
        ("two", 10, *LEFT),
        ("two", 90, None, None, None, None),  # whose it is, nobody knows
        ("other", 1, *LEFT),
    )
    tracked = by_track(given, tracks)
    assert tracked["video_id"].to_list() == ["two\tright", "one", "two\tleft"]
    timed = tracked.with_columns(end_frame=pl.col("start_frame") + 20)
    back = by_video(timed, tracks).select("video_id", "start_frame", "player")
    assert back.rows() == [("one", 7, None), ("two", 10, "left"), ("two", 50, "right")]
