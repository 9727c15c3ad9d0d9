"""What the events amount to: assignments, marks, frames seen, answers.

Nothing here refuses anything: an event that is in the log was checked before it got there. So the
tables can be emptied and built again, and hold the same bytes.
"""

import json
import sqlite3
from dataclasses import dataclass

from ttdata.annotate.store.events import (
    AssignmentOpened,
    BoundsChanged,
    Done,
    Edit,
    Event,
    LabelSet,
    MarkMade,
    MarkRemoved,
    PlayerSet,
    Redone,
    ReferenceRemoved,
    ReferenceSet,
    Reopened,
    Seen,
    Undone,
)
from ttdata.annotate.store.rows import assignment_of, mark_of, seen_spans, stored_events
from ttdata.annotate.store.spans import merged
from ttdata.annotate.store.states import Answer, Content

_TABLES = {
    "answer": "seq",
    "reference": "mark_id",
    "step": "seq",
    "seen": "assignment_id, start_frame",
    "mark": "mark_id",
    "assignment": "assignment_id",
}
"""The tables of the projection in the order in which they can be emptied, and their keys."""


@dataclass(frozen=True)
class Step:
    """A change of a mark that can be undone, or redone."""

    seq: int
    uuid: str
    mark_id: str
    before: Content
    after: Content


def next_undo(connection: sqlite3.Connection, assignment: str) -> Step | None:
    """The step that undoing takes back: the last one that stands."""
    return _step(connection, assignment, "NOT undone ORDER BY seq DESC")


def next_redo(connection: sqlite3.Connection, assignment: str) -> Step | None:
    """The step that redoing brings back: the first one that was taken back."""
    return _step(connection, assignment, "undone ORDER BY seq")


def _step(connection: sqlite3.Connection, assignment: str, which: str) -> Step | None:
    row = connection.execute(
        "SELECT seq, uuid, mark_id, before, after FROM step "
        f"WHERE assignment_id = ? AND {which} LIMIT 1",
        (assignment,),
    ).fetchone()
    if row is None:
        return None
    before, after = (Content.model_validate_json(text) for text in row[3:])
    return Step(row[0], row[1], row[2], before, after)


def apply_event(connection: sqlite3.Connection, seq: int, event: Event) -> Answer:
    """Write what an event changes, and the answer to it.

    Args:
        connection: within a transaction.
        seq: the event's number in the log.
        event: that fits what is there.
    """
    body, assignment = event.body, event.assignment or ""
    match body:
        case MarkMade() | BoundsChanged() | LabelSet() | PlayerSet() | MarkRemoved():
            _edit(connection, seq, event, body)
        case Undone() | Redone():
            _step_back_or_forth(connection, assignment, undo=isinstance(body, Undone))
        case Seen():
            _see(connection, assignment, body)
        case AssignmentOpened():
            connection.execute(
                "INSERT INTO assignment VALUES (?, ?, ?, ?, 'open', ?, NULL, 0)",
                (assignment, body.video_id, event.person, body.purpose, seq),
            )
        case Done():
            connection.execute(
                "UPDATE assignment SET state = 'done', done_seq = ? WHERE assignment_id = ?",
                (seq, assignment),
            )
        case ReferenceSet():
            connection.execute(
                "INSERT OR REPLACE INTO reference VALUES (?, ?, ?, ?, ?, ?)",
                (event.mark, body.ready, body.contact, body.end, event.person, seq),
            )
        case ReferenceRemoved():
            connection.execute("DELETE FROM reference WHERE mark_id = ?", (event.mark,))
        case Reopened():
            connection.execute(
                "UPDATE assignment SET state = 'open', done_seq = NULL, "
                "times_reopened = times_reopened + 1 WHERE assignment_id = ?",
                (assignment,),
            )
    answer = _answer(connection, seq, event)
    connection.execute("INSERT INTO answer VALUES (?, ?)", (seq, answer.model_dump_json()))
    return answer


def _answer(connection: sqlite3.Connection, seq: int, event: Event) -> Answer:
    about_assignment = isinstance(event.body, AssignmentOpened | Done | Reopened)
    return Answer(
        seq=seq,
        uuid=event.uuid,
        mark=mark_of(connection, event.mark) if event.mark else None,
        assignment=assignment_of(connection, event.assignment or "") if about_assignment else None,
    )


def edited(content: Content, body: Edit) -> Content:
    """The content of a mark after an edit."""
    match body:
        case MarkMade():
            return Content.model_validate(body.model_dump(exclude={"kind", "from_first_frame"}))
        case BoundsChanged():
            bounds = {"start_frame": body.start_frame, "end_frame": body.end_frame}
            return content.model_copy(update=bounds)
        case LabelSet():
            return content.model_copy(update={"label": body.label})
        case PlayerSet():
            return content.model_copy(update={"player_id": body.player_id})
        case MarkRemoved():
            return content.model_copy(update={"removed": True})


def _edit(connection: sqlite3.Connection, seq: int, event: Event, body: Edit) -> None:
    mark_id, assignment = event.mark or "", event.assignment or ""
    known = mark_of(connection, mark_id)
    after = edited(known.content if known else Content(), body)
    # A new mark that is undone is as one that was removed: it keeps what was set.
    before = known.content if known else after.model_copy(update={"removed": True})
    if known is None:
        connection.execute(
            "INSERT INTO mark VALUES (?, ?, 1, ?, ?, ?, ?, ?)",
            (mark_id, assignment, *_values(after)),
        )
    else:
        _set_content(connection, mark_id, after)
    connection.execute("DELETE FROM step WHERE assignment_id = ? AND undone", (assignment,))
    texts = before.model_dump_json(), after.model_dump_json()
    connection.execute(
        "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, 0)",
        (seq, assignment, mark_id, event.uuid, *texts),
    )


def _step_back_or_forth(connection: sqlite3.Connection, assignment: str, *, undo: bool) -> None:
    step = (next_undo if undo else next_redo)(connection, assignment)
    if step is None:
        raise ValueError(f"assignment {assignment}: the log has a step too many")
    _set_content(connection, step.mark_id, step.before if undo else step.after)
    connection.execute("UPDATE step SET undone = ? WHERE seq = ?", (int(undo), step.seq))


def _set_content(connection: sqlite3.Connection, mark_id: str, content: Content) -> None:
    connection.execute(
        "UPDATE mark SET revision = revision + 1, start_frame = ?, end_frame = ?, label = ?, "
        "player_id = ?, removed = ? WHERE mark_id = ?",
        (*_values(content), mark_id),
    )


def _values(content: Content) -> tuple[object, ...]:
    bounds = content.start_frame, content.end_frame
    return (*bounds, content.label, content.player_id, int(content.removed))


def _see(connection: sqlite3.Connection, assignment: str, body: Seen) -> None:
    spans = merged([*seen_spans(connection, assignment), *body.spans])
    connection.execute("DELETE FROM seen WHERE assignment_id = ?", (assignment,))
    connection.executemany(
        "INSERT INTO seen VALUES (?, ?, ?)", [(assignment, *span) for span in spans]
    )


def rebuild(connection: sqlite3.Connection) -> None:
    """Empty the projection and build it again from the events.

    Args:
        connection: within a transaction.
    """
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table}")
    for stored in stored_events(connection):
        apply_event(connection, stored.seq, stored.event)


def projection_bytes(connection: sqlite3.Connection) -> bytes:
    """All rows of the projection, a JSON line each, in an order that its content alone gives."""
    lines = [
        json.dumps([table, *row], ensure_ascii=False)
        for table, key in _TABLES.items()
        for row in connection.execute(f"SELECT * FROM {table} ORDER BY {key}")
    ]
    return "\n".join(lines).encode()
