"""Seconds to frames and back, by the presentation times of each video (specification 0.1).

Zero is where a player's clock starts. Everything that turns one into the other goes through here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_COLUMN = "frame_seconds"


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """When the frames of one video are shown.

    >>> times = FrameTimes(22.5, np.array([0.0, 0.1, 0.2, 0.25, 0.3]))
    >>> times.frames_at([0.0, 0.04, 0.06, 0.24, 0.35]).tolist()
    [0.0, 0.0, 1.0, 3.0, 5.0]
    >>> times.seconds_at([1, 3, 5]).round(3).tolist()
    [0.1, 0.25, 0.35]
    """

    fps: float
    """Average frames per second."""
    seconds: Floats | None = None
    """(N,) of every frame, ascending; None where frame i is shown at i / fps."""

    def frames_at(self, seconds: ArrayLike) -> Floats:
        """The frames that begin nearest to these times, half up, as whole float64 numbers.

        A time beyond the last frame's end is counted on at the average rate, one below zero back.
        """
        times = np.asarray(seconds, np.float64)
        even = np.floor(times * self.fps + 0.5)
        if self.seconds is None:
            return np.asarray(even)
        edges = self._edges(self.seconds)
        inside = np.searchsorted((edges[:-1] + edges[1:]) / 2, times, side="right")
        after = len(self.seconds) + np.floor((times - edges[-1]) * self.fps + 0.5)
        beyond = times > edges[-1]
        return np.where(times < 0, even, np.where(beyond, after, inside)).astype(np.float64)

    def seconds_at(self, frames: ArrayLike) -> Floats:
        """When these frames begin; the number of frames stands for the end of the last one."""
        numbers = np.asarray(frames, np.float64)
        if self.seconds is None:
            return np.asarray(numbers / self.fps)
        edges = self._edges(self.seconds)
        last = len(edges) - 1
        inside = edges[np.clip(numbers, 0, last).astype(np.int64)]
        return np.asarray(inside + (numbers - np.clip(numbers, 0, last)) / self.fps)

    def _edges(self, seconds: Floats) -> Floats:
        """(N + 1,): the last frame is shown for as long as the one before it."""
        step = seconds[-1] - seconds[-2] if len(seconds) > 1 else 1 / self.fps
        return np.append(seconds, seconds[-1] + step)


def frame_times(video: dict[str, object]) -> FrameTimes:
    """The times of a video, from a row as Video."""
    seconds = video.get(_COLUMN)
    fps = float(video["fps"])  # type: ignore[arg-type]
    return FrameTimes(fps, None if seconds is None else np.asarray(seconds, np.float64))


def frames_at(rows: pl.DataFrame, videos: pl.DataFrame, column: str) -> pl.Series:
    """The frames nearest to the times in a column, Int64; null where a video or time is unknown.

    Args:
        rows: `video_id` and the column.
        videos: rows as Video; without `frame_seconds` their rates are constant.
        column: of `rows`, in seconds.
    """
    timed = _with_rates(rows, videos, column)
    even = timed.select((pl.col("value") * pl.col("fps") + 0.5).floor())["value"]
    for places, values, times in _uneven(timed, videos):
        even = even.scatter(places, times.frames_at(values))
    # No integer is as large as some mistyped times.
    return even.cast(pl.Int64, strict=False).alias(column)


def seconds_at(rows: pl.DataFrame, videos: pl.DataFrame, column: str) -> pl.Series:
    """When the frames in a column begin, Float64; null where a video or frame is unknown.

    Args:
        rows: `video_id` and the column.
        videos: rows as Video; without `frame_seconds` their rates are constant.
        column: of `rows`, frame numbers.
    """
    timed = _with_rates(rows, videos, column)
    even = timed.select(pl.col("value") / pl.col("fps"))["value"]
    for places, values, times in _uneven(timed, videos):
        even = even.scatter(places, times.seconds_at(values))
    return even.alias(column)


def durations_of(rows: pl.DataFrame, videos: pl.DataFrame) -> pl.Series:
    """How long `[start_frame, end_frame)` is shown, in seconds; null where something is unknown.

    Args:
        rows: `video_id, start_frame, end_frame`.
        videos: rows as Video; without `frame_seconds` their rates are constant.
    """
    length = rows.select("video_id", length=pl.col("end_frame") - pl.col("start_frame"))
    even = seconds_at(length, videos, "length")
    uneven = are_uneven(rows, videos)
    if not uneven.any():
        return even
    exact = seconds_at(rows, videos, "end_frame") - seconds_at(rows, videos, "start_frame")
    return even.zip_with(~uneven, exact)


def are_uneven(rows: pl.DataFrame, videos: pl.DataFrame) -> pl.Series:
    """Whether the rate of each row's video is not constant, or its picture begins late."""
    return rows["video_id"].is_in(_uneven_videos(videos)["video_id"].implode())


def _with_rates(rows: pl.DataFrame, videos: pl.DataFrame, column: str) -> pl.DataFrame:
    return rows.select("video_id", value=pl.col(column).cast(pl.Float64)).join(
        videos.select("video_id", "fps"), on="video_id", how="left", maintain_order="left"
    )


def _uneven_videos(videos: pl.DataFrame) -> pl.DataFrame:
    if _COLUMN not in videos.columns:
        return videos.clear()
    return videos.filter(pl.col(_COLUMN).is_not_null())


def _uneven(
    timed: pl.DataFrame, videos: pl.DataFrame
) -> Iterator[tuple[pl.Series, Floats, FrameTimes]]:
    """Per video without a constant rate: the places of its rows, their values, its times."""
    uneven = _uneven_videos(videos)
    if uneven.is_empty():
        return
    known = timed.with_row_index("place").filter(
        pl.col("value").is_not_null() & pl.col("video_id").is_in(uneven["video_id"].implode())
    )
    place_of = {name: place for place, name in enumerate(uneven["video_id"])}
    for (name,), part in known.group_by("video_id", maintain_order=True):
        place = place_of[name]
        # As an array: a list of Python's numbers takes a hundred times as long.
        seconds = uneven[_COLUMN][place].to_numpy()
        times = FrameTimes(uneven["fps"][place], seconds)
        yield part["place"], part["value"].to_numpy(), times
