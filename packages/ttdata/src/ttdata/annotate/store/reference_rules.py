"""What a reference stroke must fit: a finished mark, and three moments within it, in order."""

import sqlite3

from ttdata.annotate.store.errors import Conflict, Refused
from ttdata.annotate.store.events import Event, ReferenceRemoved, ReferenceSet
from ttdata.annotate.store.rows import mark_of
from ttdata.annotate.store.states import MarkState


def check_reference(
    connection: sqlite3.Connection, event: Event, body: ReferenceSet | ReferenceRemoved
) -> None:
    """Raise unless a mark may become a reference stroke, or be none any more.

    Who may say so is for those to check who know the roles.

    Raises:
        Conflict: if the mark has changed since its person saw it.
        Refused: if the mark is not finished, or a moment lies outside it or out of order.
    """
    found = mark_of(connection, event.mark or "")
    if found is None or found.assignment_id != event.assignment:
        raise Refused(f"mark {event.mark}: is none of assignment {event.assignment}")
    if found.revision != event.base_revision:
        raise Conflict(found)
    if isinstance(body, ReferenceRemoved):
        query = "SELECT 1 FROM reference WHERE mark_id = ?"
        if connection.execute(query, (found.mark_id,)).fetchone() is None:
            raise Refused(f"mark {found.mark_id}: is no reference stroke")
        return
    query = "SELECT 1 FROM exported_mark WHERE annotation_id = ?"
    if connection.execute(query, (found.mark_id,)).fetchone() is None:
        raise Refused(f"mark {found.mark_id}: expected one of a video that is done")
    _check_moments(found, body)


def _check_moments(mark: MarkState, body: ReferenceSet) -> None:
    start, last = mark.start_frame or 0, (mark.end_frame or 0) - 1
    if not start <= body.ready < body.contact < body.end <= last:
        raise Refused(
            f"reference: ready {body.ready}, contact {body.contact}, end {body.end}; expected "
            f"frames in this order within {start} to {last}"
        )
