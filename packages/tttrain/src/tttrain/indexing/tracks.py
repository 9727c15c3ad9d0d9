"""A player of a video: where several play, each has scores and strokes of their own."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from ttflow.extraction.regions import player_regions
from ttflow.roi import Region

HALVES: tuple[Region, ...] = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0))
"""Regions of two players at a table's ends, seen from its side, where nobody marked them."""


@dataclass(frozen=True)
class Track:
    """One region of a video, followed from its first frame to its last."""

    video_id: str
    region: Region | None
    player: str | None
    """"left" or "right", "player 1", "player 2" ... from left to right; None: the only one."""

    @property
    def track_id(self) -> str:
        """Names the track among those of all videos."""
        return self.video_id if self.player is None else f"{self.video_id}\t{self.player}"


def video_of(track_id: str) -> str:
    """The id of the video that a track belongs to."""
    return track_id.partition("\t")[0]


def tracks_of(video_id: str, regions: Iterable[Region | None]) -> tuple[Track, ...]:
    """The tracks of a video, left to right.

    Args:
        video_id: of the video.
        regions: of its strokes, each as often as it occurs; None: unknown.
    """
    found = player_regions(regions)
    if len(found) == 1:
        return (Track(video_id, found[0], None),)
    names = ("left", "right") if len(found) == 2 else [f"player {k + 1}" for k in range(len(found))]
    return tuple(Track(video_id, region, name) for region, name in zip(found, names, strict=True))


def by_track(strokes: pl.DataFrame, tracks: Iterable[Track]) -> pl.DataFrame:
    """Strokes with the id of their track as `video_id`, so that each track is a video by itself.

    A stroke without a region in a video of several tracks belongs to none and is left out.

    Args:
        strokes: rows with `video_id` and the bounds of regions, as Clip.
        tracks: of all videos; a stroke belongs to the one whose centre is nearest to its own.
    """
    known = pl.DataFrame(
        [
            {
                "video_id": track.video_id,
                "track_id": track.track_id,
                "track_x": _centre(track.region)[0],
                "track_y": _centre(track.region)[1],
            }
            for track in tracks
        ],
        schema={
            "video_id": pl.String,
            "track_id": pl.String,
            "track_x": pl.Float64,
            "track_y": pl.Float64,
        },
    )
    x, y = (pl.col("x_min") + pl.col("x_max")) / 2, (pl.col("y_min") + pl.col("y_max")) / 2
    far = (x - pl.col("track_x")) ** 2 + (y - pl.col("track_y")) ** 2
    alone = pl.len().over("row") == 1
    near = far == far.min().over("row")
    return (
        strokes.with_row_index("row")
        .join(known, on="video_id")
        .filter(alone | near)
        .sort("row", "track_id")
        .unique("row", keep="first", maintain_order=True)
        .with_columns(video_id="track_id")
        .select(strokes.columns)
    )


def by_video(strokes: pl.DataFrame, tracks: Iterable[Track]) -> pl.DataFrame:
    """Strokes of tracks as strokes of their videos, with `player`; by video, then by time."""
    names = pl.DataFrame(
        [(track.track_id, track.video_id, track.player) for track in tracks],
        schema={"video_id": pl.String, "of_video": pl.String, "player": pl.String},
        orient="row",
    )
    return (
        strokes.join(names, on="video_id")
        .with_columns(video_id="of_video")
        .drop("of_video")
        .sort("video_id", "start_frame", "end_frame", "player", maintain_order=True)
    )


def _centre(region: Region | None) -> tuple[float, float]:
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    return (left + right) / 2, (top + bottom) / 2
