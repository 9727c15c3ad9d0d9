"""The videos of a project: what their files told when they were added."""

import sqlite3
from pathlib import Path

import numpy as np
import polars as pl

from ttdata.annotate.store.errors import Refused
from ttdata.schema import Video
from ttdata.settings import FrozenModel
from ttdata.storage.tables import conform, polars_schema

_COLUMNS = (
    "video_id, path, fingerprint, fps, num_frames, width, height, frame_seconds, player_id, "
    "session_id, golden, training"
)


class ProjectVideo(FrozenModel):
    """A video as it is in the project."""

    video_id: str
    path: Path
    fingerprint: str
    """Size and SHA-256 of the first and last MiB: one file under two names is found."""
    fps: float
    num_frames: int
    width: int
    height: int
    frame_seconds: tuple[float, ...] | None = None
    """When each frame is shown; null where frame i is shown at i / fps."""
    player_id: str | None = None
    session_id: str | None = None
    golden: bool = False
    """Whether its strokes are known, to score people by; nobody is told."""
    training: bool = False
    """Whether a golden clip is for training only, with its strokes shown."""


def add_video(connection: sqlite3.Connection, video: ProjectVideo) -> bool:
    """Register a video; false where it is there already, which changes nothing.

    Args:
        connection: within a job of the writer.
        video: that was probed.

    Raises:
        Refused: if the id is another file's, or the file has another id.
    """
    known = connection.execute(
        "SELECT video_id, fingerprint, path FROM video WHERE video_id = ? OR fingerprint = ?",
        (video.video_id, video.fingerprint),
    ).fetchall()
    for video_id, fingerprint, path in known:
        if (video_id, fingerprint) == (video.video_id, video.fingerprint):
            return False
        if video_id == video.video_id:
            raise Refused(
                f"video {video_id!r}: is {path} in the project, found other content in "
                f"{video.path}; rename the new file"
            )
        raise Refused(f"{video.path}: is in the project already, as {video_id!r}")
    seconds = video.frame_seconds
    times = None if seconds is None else np.asarray(seconds, "<f8").tobytes()
    connection.execute(
        f"INSERT INTO video ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(video.video_id, str(video.path), video.fingerprint, video.fps, video.num_frames),
            *(video.width, video.height, times, video.player_id, video.session_id),
            *(int(video.golden), int(video.training)),
        ),
    )
    return True


def list_videos(connection: sqlite3.Connection) -> tuple[ProjectVideo, ...]:
    """All videos in the order of adding."""
    query = f"SELECT {_COLUMNS} FROM video ORDER BY position"
    return tuple(map(_video, connection.execute(query)))


def find_video(connection: sqlite3.Connection, video_id: str) -> ProjectVideo | None:
    """A video; None of an unknown id."""
    query = f"SELECT {_COLUMNS} FROM video WHERE video_id = ?"
    row = connection.execute(query, (video_id,)).fetchone()
    return _video(row) if row else None


def videos_table(connection: sqlite3.Connection) -> pl.DataFrame:
    """All videos as rows of `ttdata.schema.Video`, sorted by id."""
    rows = [
        video.model_dump(include=set(Video.model_fields)) | {"path": str(video.path)}
        for video in list_videos(connection)
    ]
    schema = {
        name: polars_schema(Video)[name]
        for name in Video.model_fields
        if name in ProjectVideo.model_fields
    }
    return conform(pl.DataFrame(rows, schema=schema), Video).sort("video_id")


def _video(row: tuple[object, ...]) -> ProjectVideo:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    if isinstance(times := values["frame_seconds"], bytes):
        values["frame_seconds"] = np.frombuffer(times, "<f8").tolist()
    return ProjectVideo.model_validate(values)
