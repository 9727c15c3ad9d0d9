"""Training: golden clips that people know to be such, which tell at once what was right.

A golden clip is either for training or for scoring people unawares, never both: who has been shown
the truth of a clip cannot be scored by it.
"""

import sqlite3
from uuid import uuid4

from ttdata.annotate.store.errors import NotOwn
from ttdata.annotate.store.events import AssignmentOpened, Event
from ttdata.annotate.store.mark_store import MarkStore
from ttdata.annotate.store.rows import assignment_of, assignments_of
from ttdata.annotate.store.states import AssignmentState
from ttdata.settings import FrozenModel


class Practice(FrozenModel):
    """How far a person is with training."""

    clips: int
    """That there are."""
    done: int
    """That he has finished."""


def open_training(store: MarkStore, person: str) -> AssignmentState | None:
    """The clip that a person practises on next, opened where it is new; None where none is left.

    His own open one first, else the first that he never had, in the order of adding.

    Args:
        store: of the project.
        person: a pseudonym.
    """

    def job(db: sqlite3.Connection) -> AssignmentState | None:
        own = {found.video_id: found for found in assignments_of(db, person=person)}
        query = "SELECT video_id FROM video WHERE training ORDER BY position"
        for (video_id,) in db.execute(query).fetchall():
            found = own.get(video_id)
            if found is not None and found.state == "open" and found.purpose == "training":
                return found
            if found is None:
                name = str(uuid4())
                body = AssignmentOpened(video_id=video_id, purpose="training")
                opened = Event(uuid=name, person=person, assignment=name, body=body)
                return store.append_within(db, opened).assignment
        return None

    return store.write(job)


def practice_of(connection: sqlite3.Connection, person: str) -> Practice:
    """How many clips there are to practise on, and how many a person has finished."""
    (clips,) = connection.execute("SELECT count(*) FROM video WHERE training").fetchone()
    (done,) = connection.execute(
        "SELECT count(*) FROM assignment JOIN video USING (video_id) "
        "WHERE training AND person = ? AND purpose = 'training' AND state = 'done'",
        (person,),
    ).fetchone()
    return Practice(clips=clips, done=done)


def own_training(connection: sqlite3.Connection, person: str, assignment: str) -> AssignmentState:
    """A person's own training; the truth of anything else is shown to nobody.

    Raises:
        NotOwn: if it is none of his, or no training.
    """
    found = assignment_of(connection, assignment)
    if found is not None and found.person == person and found.purpose == "training":
        query = "SELECT training FROM video WHERE video_id = ?"
        if connection.execute(query, (found.video_id,)).fetchone()[0]:
            return found
    raise NotOwn(f"assignment {assignment}: is no training of {person}")
