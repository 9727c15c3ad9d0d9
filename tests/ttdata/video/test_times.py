"""Seconds to frames and back: known answers, and tables of several videos."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttdata.video.times import (
    FrameTimes,
    are_uneven,
    durations_of,
    frame_times,
    frames_at,
    seconds_at,
)

# 15 frames a second for 4 s, then 30: [120, 150) is 6 to 7 s.
CHANGES = np.concatenate([np.arange(60) / 15, 4 + np.arange(120) / 30])
VIDEOS = pl.DataFrame(
    {
        "video_id": ["changes", "even"],
        "fps": [22.5, 30.0],
        "num_frames": [180, 180],
        "frame_seconds": [CHANGES.tolist(), None],
    }
)
ROWS = pl.DataFrame({"video_id": ["even", "changes", "none", "changes", "even"]})


def test_a_rate_that_changes() -> None:
    times = FrameTimes(22.5, CHANGES)
    assert times.frames_at([0, 2, 4, 6, 7, 8]).tolist() == [0, 30, 60, 120, 150, 180]
    assert times.seconds_at([0, 30, 60, 120, 150, 180]).tolist() == [0, 2, 4, 6, 7, 8]


def test_the_nearest_frame_half_up() -> None:
    times = FrameTimes(2.0, np.array([0.0, 1.0, 1.5]))
    assert times.frames_at([0.49, 0.5, 1.24, 1.25]).tolist() == [0, 1, 1, 2]
    # The last frame is shown as long as the one before it; then the average rate goes on.
    assert times.frames_at([1.74, 1.75, 2.2, 2.25, 3.0]).tolist() == [2, 3, 3, 4, 5]
    assert times.seconds_at([3, 4, -1]).tolist() == [2.0, 2.5, -0.5]
    assert times.frames_at([-1.0, -0.2]).tolist() == [-2, 0]


def test_a_picture_that_comes_late() -> None:
    times = FrameTimes(10.0, 0.5 + np.arange(10) / 10)
    assert times.frames_at([0.0, 0.5, 0.9, 1.5]).tolist() == [0, 0, 4, 10]
    assert times.seconds_at([0, 4, 10]).tolist() == pytest.approx([0.5, 0.9, 1.5])
    # A single frame is shown for as long as the rate says.
    assert FrameTimes(10.0, np.array([0.5])).seconds_at(1) == pytest.approx(0.6)


def test_without_times_the_rate_holds() -> None:
    times = frame_times({"fps": 30.0, "frame_seconds": None})
    assert times.frames_at([0.0, 1.0, 1 / 60, -0.1]).tolist() == [0, 30, 1, -3]
    assert times.seconds_at([30, -3]).tolist() == [1.0, -0.1]
    assert frame_times({"fps": 30.0}).seconds is None


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=30),
    st.integers(0, 500),
    st.integers(-40, 80),
)
def test_every_frame_survives_seconds(gaps_ms, start_ms: int, frame: int) -> None:
    seconds = (start_ms + np.cumsum([0, *gaps_ms])) / 1000
    times = FrameTimes(30.0, seconds)
    if frame >= 0:
        assert times.frames_at(times.seconds_at(frame)) == frame


def test_tables() -> None:
    rows = ROWS.with_columns(time=pl.Series([6.0, 6.0, 6.0, None, 7.0]))
    assert frames_at(rows, VIDEOS, "time").to_list() == [180, 120, None, None, 210]
    rows = ROWS.with_columns(frame=pl.Series([120, 120, 120, None, 150]))
    assert seconds_at(rows, VIDEOS, "frame").to_list() == [4.0, 6.0, None, None, 5.0]
    rows = ROWS.with_columns(start_frame=pl.lit(30), end_frame=pl.lit(60))
    assert durations_of(rows, VIDEOS).to_list() == [1.0, 2.0, None, 2.0, 1.0]
    assert are_uneven(rows, VIDEOS).to_list() == [False, True, False, True, False]


def test_tables_without_times_and_without_rows() -> None:
    """A table of a user's own, or of an older release, has no such column."""
    plain = VIDEOS.drop("frame_seconds")
    rows = ROWS.with_columns(start_frame=pl.lit(0), end_frame=pl.lit(45), time=pl.lit(2.0))
    assert frames_at(rows, plain, "time").to_list() == [60, 45, None, 45, 60]
    assert durations_of(rows, plain).to_list() == [1.5, 2.0, None, 2.0, 1.5]
    assert frames_at(rows.clear(), VIDEOS, "time").dtype == pl.Int64
    assert durations_of(rows.clear(), VIDEOS).to_list() == []


def test_a_time_that_no_frame_number_holds_is_null() -> None:
    rows = ROWS.with_columns(time=pl.lit(1e300))
    assert frames_at(rows, VIDEOS, "time").to_list() == [None] * 5
