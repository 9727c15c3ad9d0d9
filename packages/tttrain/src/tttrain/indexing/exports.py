"""Found strokes in the formats that people correct them in, and that other tools read."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from ttdata.sources.annotations import ANNOTATION_COLUMNS
from ttdata.sources.formats import activitynet, crowd, eaf, mediaeval_xml
from ttdata.sources.formats.beside import path_below
from ttdata.sources.formats.eaf import milliseconds
from tttrain.indexing.document import VideoIndex

ANNOTATOR = "tttrain index"
"""Who found the strokes, in formats that name the annotator."""


def write_exports(out: Path, indexes: Sequence[VideoIndex]) -> None:
    """Write the strokes of all videos as CSV, ActivityNet JSON, MediaEval XML and ELAN.

    Args:
        out: the folder; it gets `strokes.csv` (as a crowd export, which `ttdata curate` reads),
            `activitynet.json`, `mediaeval/<video_id>.xml` and `elan/<video_id>.eaf`.
        indexes: one per video; a video without strokes is in none of the files. What an earlier
            index left of other videos goes.

    Raises:
        InputError: if a format cannot hold a video's id or rate.
    """
    strokes = annotations(indexes)
    crowd.write(out / "strokes.csv", strokes.select(ANNOTATION_COLUMNS.names()))
    activitynet.write(out / "activitynet.json", strokes)
    timed = strokes.filter(milliseconds("end") > milliseconds("start"))
    mediaeval_xml.write(out / "mediaeval", strokes)
    eaf.write(out / "elan", timed)
    for folder, suffix, rows in (("mediaeval", ".xml", strokes), ("elan", ".eaf", timed)):
        _remove_others(out / folder, suffix, rows["video_id"].unique())


def _remove_others(folder: Path, suffix: str, video_ids: Iterable[str]) -> None:
    """Remove files of videos that are not among these."""
    kept = {path_below(folder, video_id, suffix) for video_id in video_ids}
    for path in folder.rglob(f"*{suffix}"):
        if path not in kept:
            path.unlink()


def annotations(indexes: Sequence[VideoIndex]) -> pl.DataFrame:
    """The strokes as annotations, with the facts of their videos that the formats need."""
    rows = [
        {
            "annotation_id": f"{index.video_id}@{stroke.start_frame}-{stroke.end_frame}",
            "video_id": index.video_id,
            "annotator_id": ANNOTATOR,
            "start_frame": stroke.start_frame,
            "end_frame": stroke.end_frame,
            "start_seconds": stroke.start_seconds,
            "end_seconds": stroke.end_seconds,
            "label": stroke.label,
            "player_id": stroke.player,
            "whole_file": False,
            "fps": index.fps,
            "num_frames": index.num_frames,
            "video_seconds": index.duration_seconds,
            "path": index.video,
        }
        for index in indexes
        for stroke in index.strokes
    ]
    video = {
        "fps": pl.Float64(),
        "num_frames": pl.Int64(),
        "video_seconds": pl.Float64(),
        "path": pl.String(),
        "given_split": pl.String(),
    }
    return pl.DataFrame(rows, schema={**ANNOTATION_COLUMNS, **video})
