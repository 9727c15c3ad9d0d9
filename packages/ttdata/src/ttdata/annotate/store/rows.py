"""Single rows of a project's database, as models."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter

from ttdata.annotate.store.events import AnyBody, Event
from ttdata.annotate.store.spans import Span
from ttdata.annotate.store.states import Answer, AssignmentState, MarkState

_MARK = "mark_id, assignment_id, revision, start_frame, end_frame, label, player_id, removed"
_ASSIGNMENT = "assignment_id, video_id, person, purpose, state, times_reopened"
_BODY: TypeAdapter[AnyBody] = TypeAdapter(AnyBody)
_EVENT = "seq, at, uuid, person, assignment, mark, base_revision, kind, body"


@dataclass(frozen=True)
class StoredEvent:
    """An event in the log."""

    seq: int
    at: int
    """Milliseconds since 1970, UTC."""
    event: Event


def _mark(row: tuple[object, ...]) -> MarkState:
    return MarkState.model_validate(dict(zip(_MARK.split(", "), row, strict=True)))


def _assignment(row: tuple[object, ...]) -> AssignmentState:
    return AssignmentState.model_validate(dict(zip(_ASSIGNMENT.split(", "), row, strict=True)))


def mark_of(connection: sqlite3.Connection, mark_id: str) -> MarkState | None:
    """A mark, removed or not; None where there is none of this id."""
    query = f"SELECT {_MARK} FROM mark WHERE mark_id = ?"
    row = connection.execute(query, (mark_id,)).fetchone()
    return _mark(row) if row else None


def marks_of(connection: sqlite3.Connection, assignment: str) -> tuple[MarkState, ...]:
    """The marks of an assignment that are not removed, by their place in the video."""
    query = (
        f"SELECT {_MARK} FROM mark WHERE assignment_id = ? AND NOT removed "
        "ORDER BY start_frame, end_frame, mark_id"
    )
    return tuple(map(_mark, connection.execute(query, (assignment,))))


def assignment_of(connection: sqlite3.Connection, assignment: str) -> AssignmentState | None:
    """An assignment; None where there is none of this id."""
    query = f"SELECT {_ASSIGNMENT} FROM assignment WHERE assignment_id = ?"
    row = connection.execute(query, (assignment,)).fetchone()
    return _assignment(row) if row else None


def assignments_of(
    connection: sqlite3.Connection, *, person: str | None = None, video_id: str | None = None
) -> tuple[AssignmentState, ...]:
    """The assignments of a person, of a video, or of both, in the order of their opening."""
    query = (
        f"SELECT {_ASSIGNMENT} FROM assignment "
        "WHERE person = ifnull(?, person) AND video_id = ifnull(?, video_id) ORDER BY opened_seq"
    )
    return tuple(map(_assignment, connection.execute(query, (person, video_id))))


def seen_spans(connection: sqlite3.Connection, assignment: str) -> list[Span]:
    """The frames that an assignment's person was shown, as disjoint spans in order."""
    query = "SELECT start_frame, end_frame FROM seen WHERE assignment_id = ? ORDER BY start_frame"
    return list(connection.execute(query, (assignment,)))


def num_frames_of(connection: sqlite3.Connection, video_id: str) -> int | None:
    """The number of frames of a video; None of an unknown one."""
    query = "SELECT num_frames FROM video WHERE video_id = ?"
    row = connection.execute(query, (video_id,)).fetchone()
    return int(row[0]) if row else None


def answer_to(connection: sqlite3.Connection, seq: int) -> Answer:
    """What was answered to an event."""
    (text,) = connection.execute("SELECT body FROM answer WHERE seq = ?", (seq,)).fetchone()
    return Answer.model_validate_json(text)


def event_of(connection: sqlite3.Connection, uuid: str) -> StoredEvent | None:
    """The event of a uuid; None where it is not in the log."""
    query = f"SELECT {_EVENT} FROM event WHERE uuid = ?"
    row = connection.execute(query, (uuid,)).fetchone()
    return _stored(row) if row else None


def stored_events(connection: sqlite3.Connection, after: int = 0) -> Iterator[StoredEvent]:
    """The log from its beginning, or after an event's number, in order."""
    query = f"SELECT {_EVENT} FROM event WHERE seq > ? ORDER BY seq"
    return map(_stored, connection.execute(query, (after,)).fetchall())


def _stored(
    row: tuple[int, int, str, str, str | None, str | None, int | None, str, str],
) -> StoredEvent:
    seq, at, uuid, person, assignment, mark, base_revision, kind, body = row
    # As JSON, since strict models take lists there only.
    text = f'{{"kind": "{kind}"' + (f", {body[1:]}" if body != "{}" else "}")
    event = Event(
        uuid=uuid,
        person=person,
        assignment=assignment,
        mark=mark,
        base_revision=base_revision,
        body=_BODY.validate_json(text),
    )
    return StoredEvent(seq, at, event)
