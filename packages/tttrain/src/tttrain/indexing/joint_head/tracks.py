"""FeatureTrack: the features of one track of a video; which rows of a table are its own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttmodels import CELL_FRAMES


@dataclass(frozen=True, eq=False)
class FeatureTrack:
    """Features of one track (`indexing.tracks`), for each whole 8 frames.

    Raises:
        InputError: if the features have another shape than the video, hold what is no finite
            number, or the video is shorter than a cell.
    """

    video_id: str
    """Names the track; of a video with one player it is the video's."""
    features: np.ndarray
    """(cells, values) floats, float16 is enough; cell k is frames [8 k, 8 k + 8)."""
    num_frames: int

    def __post_init__(self) -> None:
        shape, expected = self.features.shape, self.num_frames // CELL_FRAMES
        if expected < 1:
            raise InputError(
                f"{self.video_id}: has {self.num_frames} frames, expected at least {CELL_FRAMES}; "
                "leave the video out"
            )
        if len(shape) != 2 or shape[0] != expected or self.features.dtype.kind != "f":
            raise InputError(
                f"{self.video_id}: features are {self.features.dtype} of shape {shape}, expected "
                f"floats ({expected}, values) for {self.num_frames} frames; compute them again"
            )
        bad = ~np.isfinite(self.features).all(axis=1)
        if bad.any():
            cell = int(bad.argmax())
            raise InputError(
                f"{self.video_id}: features of frame {cell * CELL_FRAMES} (cell {cell}) are not "
                "finite numbers; compute them again"
            )

    def __len__(self) -> int:
        return len(self.features)

    def values(self, first: int, last: int) -> np.ndarray:
        """Features (last - first, values) float32 of cells [first, last), a copy."""
        return np.array(self.features[first:last], dtype=np.float32)


def check_together(tracks: Sequence[FeatureTrack]) -> None:
    """Refuse tracks that do not belong together.

    Raises:
        InputError: if there is none, one is there twice, or their features differ in number.
    """
    if not tracks:
        raise InputError("joint head: no track of features, expected at least one")
    (name, count), *_ = Counter(track.video_id for track in tracks).most_common(1)
    if count > 1:
        raise InputError(f"{name}: {count} tracks of features have this name, expected one")
    values = tracks[0].features.shape[1]
    for track in tracks:
        if track.features.shape[1] != values:
            raise InputError(
                f"{track.video_id}: has {track.features.shape[1]} values per cell, but "
                f"{tracks[0].video_id} has {values}; compute both with the same network"
            )


def own_rows(table: pl.DataFrame, tracks: Sequence[FeatureTrack], what: str) -> list[pl.DataFrame]:
    """The rows of each track; rows of others are left out.

    Args:
        table: `video_id, start_frame, end_frame`, ends exclusive.
        tracks: checked by `check_together`.
        what: names the table in messages.

    Raises:
        InputError: if a column is missing, frames are no integers or lie outside the video.
    """
    _check_columns(table, what)
    found = []
    for track in tracks:
        rows = table.filter(pl.col("video_id") == track.video_id)
        _check_frames(rows, track, what)
        found.append(rows)
    return found


def _check_columns(table: pl.DataFrame, what: str) -> None:
    for column in ("video_id", "start_frame", "end_frame"):
        if column not in table.columns:
            raise InputError(
                f"{what}: no column {column!r} among {', '.join(table.columns) or 'none'}"
            )
        dtype = table.schema[column]
        if column != "video_id" and not (dtype.is_integer() or dtype == pl.Null):
            raise InputError(f"{what}: {column} is {dtype}, expected integers; round it first")


def _check_frames(rows: pl.DataFrame, track: FeatureTrack, what: str) -> None:
    for start, end in rows.select("start_frame", "end_frame").iter_rows():
        if start is None or end is None or not 0 <= start < end <= track.num_frames:
            raise InputError(
                f"{what}: {track.video_id}: frames [{start}, {end}), expected a stretch inside "
                f"[0, {track.num_frames})"
            )
