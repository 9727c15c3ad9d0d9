"""What a person may see of a video: nobody else's marks before his own are done."""

import sqlite3

from ttdata.annotate.store.rows import assignments_of, marks_of
from ttdata.annotate.store.states import AssignmentState, MarkState, Role
from ttdata.annotate.work.golden import Truth, truth_of
from ttdata.settings import FrozenModel


class Work(FrozenModel):
    """One person's marks of a video."""

    assignment: AssignmentState
    marks: tuple[MarkState, ...]


class Visible(FrozenModel):
    """All that a person may see of a video, apart from the video."""

    own: Work | None = None
    others: tuple[Work, ...] = ()
    """Finished work of other people, in the order in which they began."""
    look_here: tuple[int, ...] = ()
    """Middle frames of what models propose: where to look, without bounds and labels."""
    truth: tuple[Truth, ...] = ()
    """Strokes of a golden clip; for teachers and reviewers only."""


def visible_of(connection: sqlite3.Connection, person: str, role: Role, video_id: str) -> Visible:
    """What a person may see of a video.

    An annotator sees others' marks and models' hints only of videos that he has done. Reviewers and
    teachers see them, unless they have begun to annotate this video themselves and are not done.

    Args:
        connection: to the project's database.
        person: a pseudonym.
        role: his.
        video_id: the video.
    """
    works = [
        Work(assignment=found, marks=marks_of(connection, found.assignment_id))
        for found in assignments_of(connection, video_id=video_id)
    ]
    own = next((work for work in works if work.assignment.person == person), None)
    supervises = role in ("reviewer", "teacher")
    is_done = own is not None and own.assignment.state == "done"
    if not is_done and (own is not None or not supervises):
        return Visible(own=own)
    others = (w for w in works if w.assignment.person != person and w.assignment.state == "done")
    return Visible(
        own=own,
        others=tuple(others),
        look_here=_hints(connection, video_id),
        truth=truth_of(connection, video_id) if supervises else (),
    )


def blind_videos(connection: sqlite3.Connection, person: str) -> frozenset[str]:
    """The videos whose marks by others a person may not see, whatever his role.

    He is annotating them himself and is not done.
    """
    own = assignments_of(connection, person=person)
    return frozenset(found.video_id for found in own if found.state == "open")


def _hints(connection: sqlite3.Connection, video_id: str) -> tuple[int, ...]:
    rows = connection.execute(
        "SELECT DISTINCT (start_frame + end_frame) / 2 AS middle FROM proposal "
        "WHERE video_id = ? ORDER BY middle",
        (video_id,),
    )
    return tuple(middle for (middle,) in rows)
