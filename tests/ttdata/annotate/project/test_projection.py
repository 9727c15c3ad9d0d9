"""The projection follows from the events alone, to the byte."""

import itertools
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ttdata.annotate.store.errors import Conflict, Refused
from ttdata.annotate.store.events import (
    BoundsChanged,
    Done,
    LabelSet,
    MarkMade,
    MarkRemoved,
    PlayerSet,
    Redone,
    Reopened,
    Seen,
    Undone,
)
from ttdata.annotate.store.projection import projection_bytes, rebuild
from ttdata.annotate.store.rows import marks_of, stored_events
from ttdata.annotate.store.spans import gaps, merged

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
PEOPLE = {900: "ann", 901: "bob"}

frames = st.none() | st.integers(0, 1001)
bodies = st.one_of(
    st.builds(MarkMade, start_frame=frames, end_frame=frames, label=st.sampled_from([None, HIT])),
    st.builds(BoundsChanged, start_frame=frames, end_frame=frames, from_first_frame=st.booleans()),
    st.builds(LabelSet, label=st.sampled_from([None, HIT, LOOP, "Lob"])),
    st.builds(PlayerSet, player_id=st.sampled_from([None, "p1"])),
    st.builds(MarkRemoved),
    st.sampled_from([Undone, Redone]),
    st.builds(Seen, spans=st.just(((0, 600),)) | st.just(((500, 1000), (0, 3)))),
    st.builds(Done),
    st.builds(Reopened),
)
steps = st.tuples(st.sampled_from([900, 901]), st.integers(1, 3), bodies, st.booleans())


def send(log, assignment: int, number: int, body, honest: bool) -> None:
    """Send a step as a browser would: with the revision it knows, or a wrong one."""
    mark_id = str(UUID(int=number + 10 * assignment))
    row = log.db.execute("SELECT revision FROM mark WHERE mark_id = ?", (mark_id,)).fetchone()
    base = (row[0] if row else 1) + (0 if honest else 1)
    if isinstance(body, type):  # undo or redo: of the step that is next
        order = "DESC" if body is Undone else "ASC"
        step = log.db.execute(
            "SELECT uuid, mark_id FROM step WHERE assignment_id = ? AND undone = ? "
            f"ORDER BY seq {order}",
            (str(UUID(int=assignment)), int(body is Redone)),
        ).fetchone()
        if step is None:
            return
        mark_id, body = step[1], body(event=step[0])
        base = log.db.execute("SELECT revision FROM mark WHERE mark_id=?", (mark_id,)).fetchone()[0]
    of_mark = not isinstance(body, Seen | Done | Reopened)
    person = "tea" if isinstance(body, Reopened) else PEOPLE[assignment]
    needs_base = of_mark and not isinstance(body, MarkMade)
    event = log.event(
        body,
        UUID(mark_id).int if of_mark else None,
        base if needs_base else None,
        person=person,
        assignment=assignment,
    )
    before = projection_bytes(log.db)
    try:
        answer = log.store(event)
    except (Refused, Conflict):
        assert projection_bytes(log.db) == before  # what is refused changes nothing
        return
    assert log.store(event) == answer


def check_marks(log) -> None:
    """The paper's three errors are in no finished work, and no bound is outside the video."""
    for start, end, label, state in log.db.execute(
        "SELECT start_frame, end_frame, label, state FROM mark JOIN assignment USING "
        "(assignment_id) WHERE NOT removed"
    ):
        assert start is None or 0 <= start < 1000
        assert end is None or 0 < end <= 1000
        assert None in (start, end) or start < end
        assert state == "open" or None not in (start, end, label)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(steps, max_size=25))
def test_any_sequence_of_events(make_log, sequence) -> None:
    log = make_log()
    log.open("a")
    log.open("a", "bob", 901)
    for assignment, number, body, honest in sequence:
        send(log, assignment, number, body, honest)
        check_marks(log)
    events = list(stored_events(log.db))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    before = projection_bytes(log.db)
    rebuild(log.db)
    assert projection_bytes(log.db) == before
    log.db.close()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(bodies, max_size=15))
def test_undoing_all_leaves_no_mark_and_redoing_all_brings_all_back(make_log, sequence) -> None:
    log = make_log()
    log.open("a")
    for body in sequence:
        if not isinstance(body, Done | Reopened):
            send(log, 900, 1, body, True)
    marks = [mark.content for mark in marks_of(log.db, str(UUID(int=900)))]
    for direction in (Undone, Redone):
        for _ in sequence:
            send(log, 900, 1, direction, True)
        left = [mark.content for mark in marks_of(log.db, str(UUID(int=900)))]
        if direction is Undone:
            assert left == []
    # What was taken back before stays so only if nothing was left to redo then.
    redo_was_empty = all(not isinstance(body, type) for body in sequence)
    assert not redo_was_empty or left == marks
    log.db.close()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))), st.integers(1, 40))
def test_spans_against_sets(spans, num_frames) -> None:
    covered = {frame for start, end in spans for frame in range(start, end)}
    found = merged(spans)
    assert {frame for start, end in found for frame in range(start, end)} == covered
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))
    inside = [(start, min(end, num_frames)) for start, end in found if start < num_frames]
    missing = {frame for start, end in gaps(inside, num_frames) for frame in range(start, end)}
    assert missing == set(range(num_frames)) - covered
