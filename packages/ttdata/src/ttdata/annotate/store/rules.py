"""What an event must fit before it is stored: who, what mark, which frames, which label."""

import sqlite3
from collections.abc import Container

from ttdata.annotate.store.errors import Conflict, NotOwn, Refused
from ttdata.annotate.store.events import (
    AssignmentOpened,
    BoundsChanged,
    Done,
    Event,
    Exported,
    LabelSet,
    LoggedIn,
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
from ttdata.annotate.store.projection import next_redo, next_undo
from ttdata.annotate.store.reference_rules import check_reference
from ttdata.annotate.store.rows import (
    assignment_of,
    assignments_of,
    mark_of,
    marks_of,
    num_frames_of,
    seen_spans,
)
from ttdata.annotate.store.spans import gaps
from ttdata.annotate.store.states import AssignmentState, MarkState
from ttdata.annotate.store.wording import number_of


def check_event(connection: sqlite3.Connection, event: Event, labels: Container[str]) -> None:
    """Raise unless an event may be stored.

    Args:
        connection: to what is there.
        event: new to the log.
        labels: the classes of the project's taxonomy.

    Raises:
        Conflict: if it speaks of a mark that has changed since its person saw it.
        NotOwn: if it speaks of another person's work.
        Refused: if it breaks any other rule.
    """
    body = event.body
    _check_parts(event)
    match body:
        case LoggedIn() | Exported():
            return
        case AssignmentOpened():
            _check_opening(connection, event, body)
            return
    if isinstance(body, ReferenceSet | ReferenceRemoved):
        check_reference(connection, event, body)
        return
    assignment = _assignment(connection, event)
    if isinstance(body, Seen):
        _check_spans(connection, assignment, body)
        return
    if assignment.state != "open":
        raise Refused(f"video {assignment.video_id!r}: is done; a teacher can open it again")
    match body:
        case MarkMade():
            _check_new(connection, event)
            _check_bounds(connection, assignment, body)
            _check_label(body.label, labels)
        case Done():
            _check_done(connection, assignment)
        case Undone() | Redone():
            _check_step(connection, event, body)
        case BoundsChanged() | LabelSet() | PlayerSet() | MarkRemoved():
            _check_change(connection, event, assignment, labels)


def _check_parts(event: Event) -> None:
    """Whether the event names an assignment, a mark and a revision as its kind needs them."""
    body = event.body
    alone = isinstance(body, LoggedIn | Exported)
    makes = isinstance(body, MarkMade)
    of_mark = not alone and not isinstance(body, AssignmentOpened | Seen | Done | Reopened)
    expected = {
        "assignment": not alone,
        "mark": of_mark,
        "base_revision": of_mark and not makes,
    }
    for name, needed in expected.items():
        if (getattr(event, name) is not None) != needed:
            raise Refused(f"event {event.kind}: {name} {'is missing' if needed else 'is no part'}")


def _check_opening(connection: sqlite3.Connection, event: Event, body: AssignmentOpened) -> None:
    if num_frames_of(connection, body.video_id) is None:
        raise Refused(f"video {body.video_id!r}: is not in the project")
    if assignments_of(connection, person=event.person, video_id=body.video_id):
        raise Refused(f"video {body.video_id!r}: {event.person} has it already")
    if assignment_of(connection, event.assignment or "") is not None:
        raise Refused(f"assignment {event.assignment}: is there already")


def _assignment(connection: sqlite3.Connection, event: Event) -> AssignmentState:
    """The assignment of an event; its own person's, or for reopening somebody else's."""
    found = assignment_of(connection, event.assignment or "")
    own = found is not None and found.person == event.person
    if found is None or (not own and not isinstance(event.body, Reopened)):
        raise NotOwn(f"assignment {event.assignment}: is none of {event.person}")
    if isinstance(event.body, Reopened):
        if own:
            raise Refused(f"video {found.video_id!r}: nobody opens his own work again")
        if found.state == "open":
            raise Refused(f"video {found.video_id!r}: is not done")
        return found.model_copy(update={"state": "open"})
    return found


def _check_spans(connection: sqlite3.Connection, assignment: AssignmentState, body: Seen) -> None:
    num_frames = num_frames_of(connection, assignment.video_id) or 0
    for start, end in body.spans:
        if not start < end <= num_frames:
            raise Refused(
                f"video {assignment.video_id!r}: seen frames [{start}, {end}), expected a span "
                f"within [0, {num_frames})"
            )


def _check_new(connection: sqlite3.Connection, event: Event) -> None:
    found = mark_of(connection, event.mark or "")
    if found is None:
        return
    if found.assignment_id == event.assignment:
        raise Conflict(found)
    raise Refused(f"mark {event.mark}: the id is taken")


def _mark(connection: sqlite3.Connection, event: Event) -> MarkState:
    """The mark of an event, as its person saw it."""
    found = mark_of(connection, event.mark or "")
    if found is None or found.assignment_id != event.assignment:
        raise Refused(f"mark {event.mark}: is none of assignment {event.assignment}")
    if found.revision != event.base_revision:
        raise Conflict(found)
    return found


def _check_change(
    connection: sqlite3.Connection,
    event: Event,
    assignment: AssignmentState,
    labels: Container[str],
) -> None:
    if _mark(connection, event).removed:
        raise Refused(f"mark {event.mark}: is removed; undo that first")
    if isinstance(event.body, BoundsChanged):
        _check_bounds(connection, assignment, event.body)
    if isinstance(event.body, LabelSet):
        _check_label(event.body.label, labels)


def _check_bounds(
    connection: sqlite3.Connection, assignment: AssignmentState, body: MarkMade | BoundsChanged
) -> None:
    num_frames = num_frames_of(connection, assignment.video_id) or 0
    start, end, video = body.start_frame, body.end_frame, f"video {assignment.video_id!r}"
    if start == 0 and not body.from_first_frame:
        raise Refused(f"{video}: start 0, expected a later frame, or from_first_frame if it is so")
    if start is not None and start >= num_frames:
        raise Refused(
            f"{video}: start {start}, expected below its {number_of(num_frames, 'frame')}"
        )
    if end is not None and not 0 < end <= num_frames:
        raise Refused(
            f"{video}: end {end}, expected above 0, at most its {number_of(num_frames, 'frame')}"
        )
    if start is not None and end is not None and end <= start:
        raise Refused(f"{video}: end {end}, expected above the start {start}")


def _check_label(label: str | None, labels: Container[str]) -> None:
    if label is not None and label not in labels:
        raise Refused(f"label {label!r}: expected a class of the project's taxonomy")


def _check_step(connection: sqlite3.Connection, event: Event, body: Undone | Redone) -> None:
    undo = isinstance(body, Undone)
    step = (next_undo if undo else next_redo)(connection, event.assignment or "")
    if step is None:
        raise Refused(f"there is nothing to {'undo' if undo else 'redo'} in this video")
    found = _mark(connection, event)
    if (step.uuid, step.mark_id) != (body.event, event.mark):
        raise Conflict(found)


def _check_done(connection: sqlite3.Connection, assignment: AssignmentState) -> None:
    video = f"video {assignment.video_id!r}"
    lacking = [m for m in marks_of(connection, assignment.assignment_id) if not m.is_complete]
    if lacking:
        mark = lacking[0]
        raise Refused(
            f"{video}: {number_of(len(lacking), 'mark lacks', 'marks lack')} a bound or label, the "
            f"first is [{mark.start_frame}, {mark.end_frame}) {mark.label}; complete or remove them"
        )
    num_frames = num_frames_of(connection, assignment.video_id) or 0
    unseen = gaps(seen_spans(connection, assignment.assignment_id), num_frames)
    if unseen:
        frames = sum(end - start for start, end in unseen)
        raise Refused(
            f"{video}: {frames} of {number_of(num_frames, 'frame')} were not seen, the first are "
            f"[{unseen[0][0]}, {unseen[0][1]}); watch them, then say done"
        )
