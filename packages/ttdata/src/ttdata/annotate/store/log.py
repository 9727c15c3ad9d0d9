"""The append-only log: an event is checked, stored and answered once, however often it is sent."""

import sqlite3
from collections.abc import Container

from ttdata.annotate.store.errors import Refused
from ttdata.annotate.store.events import Event
from ttdata.annotate.store.projection import apply_event
from ttdata.annotate.store.rows import answer_to, event_of
from ttdata.annotate.store.rules import check_event
from ttdata.annotate.store.states import Answer


def append_event(
    connection: sqlite3.Connection, event: Event, at: int, labels: Container[str]
) -> Answer:
    """Store an event and what follows from it; one that is stored already is answered as then.

    Args:
        connection: within a transaction, of the one writer.
        event: as it was sent.
        at: the time, in milliseconds since 1970, UTC.
        labels: the classes of the project's taxonomy.

    Raises:
        Conflict: if its mark has changed since its person saw it.
        Refused: if it breaks another rule, or its uuid belongs to another event.
    """
    stored = event_of(connection, event.uuid)
    if stored is not None:
        if stored.event != event:
            raise Refused(f"event {event.uuid}: the uuid is taken by another event")
        return answer_to(connection, stored.seq)
    check_event(connection, event, labels)
    cursor = connection.execute(
        "INSERT INTO event (uuid, at, person, assignment, mark, base_revision, kind, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(event.uuid, at, event.person, event.assignment, event.mark, event.base_revision),
            *(event.kind, event.body_json),
        ),
    )
    return apply_event(connection, int(cursor.lastrowid or 0), event)
