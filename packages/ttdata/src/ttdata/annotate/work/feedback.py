"""What training tells: of each completed mark how far it is from the truth, and at the end all."""

import sqlite3
from collections.abc import Sequence

import polars as pl

from ttdata.annotate.store.rows import marks_of
from ttdata.annotate.store.states import AssignmentState, MarkState
from ttdata.annotate.work.golden import Score, Truth, score_marks, strokes_table, truth_of
from ttdata.annotate.work.videos import find_video
from ttdata.curation.matching import PLACE, best_matches
from ttdata.settings import FrozenModel
from ttdata.video.times import FrameTimes, frame_times


class Bound(FrozenModel):
    """How far a bound is from the true one; negative: too early."""

    frames: int
    milliseconds: float


class MarkFeedback(FrozenModel):
    """What is told of one completed mark."""

    mark_id: str
    truth: Truth | None
    """The stroke that it is of; None where no stroke overlaps it by half."""
    is_second: bool = False
    """Whether another mark is nearer to the same stroke."""
    label_is_right: bool | None = None
    start: Bound | None = None
    end: Bound | None = None


class Feedback(FrozenModel):
    """What a person is told of his training on one clip."""

    marks: tuple[MarkFeedback, ...]
    """Of the completed marks, by their place."""
    missed: tuple[Truth, ...] | None = None
    """The strokes without a mark; None until he is done."""
    score: Score | None = None
    """Of this clip; None until he is done."""


def feedback_of(connection: sqlite3.Connection, training: AssignmentState) -> Feedback:
    """What a person is told: of strokes that he has marked, and of the others once he is done.

    Args:
        connection: to the project's database.
        training: as `training.own_training` returns it.
    """
    video = find_video(connection, training.video_id)
    marks = [m for m in marks_of(connection, training.assignment_id) if m.is_complete]
    truths = truth_of(connection, training.video_id)
    if video is None:
        return Feedback(marks=())
    mine, true = strokes_table(training.video_id, marks), strokes_table(training.video_id, truths)
    pairs = best_matches(mine.select(PLACE), true.select(PLACE))
    best = _nearest(pairs)
    of_mark = dict(zip(pairs["row"].to_list(), pairs["target"].to_list(), strict=True))
    times = frame_times({"fps": video.fps, "frame_seconds": video.frame_seconds})
    told = tuple(
        _told(mark, truths[of_mark[row]], times, is_second=best[of_mark[row]] != row)
        if row in of_mark
        else MarkFeedback(mark_id=mark.mark_id, truth=None)
        for row, mark in enumerate(marks)
    )
    if training.state != "done":
        return Feedback(marks=told)
    missed = tuple(stroke for place, stroke in enumerate(truths) if place not in best)
    return Feedback(marks=told, missed=missed, score=score_marks(mine, true))


def _nearest(pairs: pl.DataFrame) -> dict[int, int]:
    """By stroke, the mark that fits it best, as `score_marks` counts it."""
    first = pairs.sort("target", -pl.col("iou"), "row").unique("target", keep="first")
    return dict(zip(first["target"].to_list(), first["row"].to_list(), strict=True))


def _told(mark: MarkState, truth: Truth, times: FrameTimes, *, is_second: bool) -> MarkFeedback:
    return MarkFeedback(
        mark_id=mark.mark_id,
        truth=truth,
        is_second=is_second,
        label_is_right=mark.label == truth.label,
        start=_bound(mark.start_frame, truth.start_frame, times),
        end=_bound(mark.end_frame, truth.end_frame, times),
    )


def _bound(found: int | None, true: int, times: FrameTimes) -> Bound:
    at = found if found is not None else true
    seconds: Sequence[float] = times.seconds_at([at, true]).tolist()
    return Bound(frames=at - true, milliseconds=round(1000 * (seconds[0] - seconds[1]), 1))
