"""Reference strokes: finished marks with three moments, for the page on the quality of strokes."""

import sqlite3

from ttdata.annotate.store.events import Frame
from ttdata.settings import FrozenModel


class Moments(FrozenModel):
    """Frames of a video, all within the mark."""

    ready: Frame
    """The last frame before the player moves towards the ball."""
    contact: Frame
    """The first frame in which the bat meets the ball."""
    end: Frame
    """The last frame of the follow-through."""


class Choosable(FrozenModel):
    """A finished mark that may be a reference stroke."""

    mark_id: str
    assignment_id: str
    revision: int
    start_frame: int
    end_frame: int
    """Exclusive."""
    label: str
    moments: Moments | None = None
    """Where it is a reference stroke already."""


def choosable_marks(
    connection: sqlite3.Connection, video_id: str, negative: str | None = None
) -> tuple[Choosable, ...]:
    """The marks of a video that may be reference strokes, by their place; without their people.

    Args:
        connection: to the project's database.
        video_id: the video.
        negative: the class that is no stroke.
    """
    rows = connection.execute(
        "SELECT annotation_id, assignment_id, revision, m.start_frame, m.end_frame, m.label, "
        'r.ready, r.contact, r."end" '
        "FROM exported_mark AS m JOIN mark ON mark_id = annotation_id "
        "LEFT JOIN exported_reference AS r USING (annotation_id) "
        "WHERE m.video_id = ? AND m.label IS NOT ? ORDER BY m.start_frame, m.end_frame, mark_id",
        (video_id, negative),
    )
    return tuple(
        Choosable(
            **dict(zip(_CHOOSABLE, row[:6], strict=True)),
            moments=None if row[6] is None else Moments(ready=row[6], contact=row[7], end=row[8]),
        )
        for row in rows
    )


_CHOOSABLE = ("mark_id", "assignment_id", "revision", "start_frame", "end_frame", "label")


class FilmCount(FrozenModel):
    """A video with finished marks."""

    position: int
    video_id: str
    marks: int
    references: int


def count_references(
    connection: sqlite3.Connection, negative: str | None = None
) -> tuple[FilmCount, ...]:
    """The videos with marks that may be reference strokes, and how many are, by their order."""
    rows = connection.execute(
        "SELECT position, m.video_id, count(*), count(r.annotation_id) FROM exported_mark AS m "
        "JOIN video ON video.video_id = m.video_id "
        "LEFT JOIN exported_reference AS r ON r.annotation_id = m.annotation_id "
        "WHERE m.label IS NOT ? GROUP BY position ORDER BY position",
        (negative,),
    )
    names = ("position", "video_id", "marks", "references")
    return tuple(FilmCount(**dict(zip(names, row, strict=True))) for row in rows)
