"""Each event is stored once, or refused in a line; marks never break the paper's three rules."""

import json
import sqlite3

import pytest

from ttdata.annotate.store.errors import Conflict, NotOwn, Refused
from ttdata.annotate.store.events import (
    AssignmentOpened,
    BoundsChanged,
    Done,
    Exported,
    LabelSet,
    LoggedIn,
    MarkMade,
    MarkRemoved,
    PlayerSet,
    Redone,
    Reopened,
    Seen,
    Undone,
    parse_event,
)

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
ALL = Seen(spans=((0, 1000),))


def uid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012x}"


def test_a_mark_from_making_to_done(log) -> None:
    opened = log.open("a")
    assert opened.assignment.model_dump() == {
        "assignment_id": uid(900),
        "video_id": "a",
        "person": "ann",
        "purpose": "annotate",
        "state": "open",
        "times_reopened": 0,
    }
    made = log.send(MarkMade(start_frame=100), 1)
    assert made.mark.model_dump() == {
        "start_frame": 100,
        "end_frame": None,
        "label": None,
        "player_id": None,
        "removed": False,
        "mark_id": uid(1),
        "assignment_id": uid(900),
        "revision": 1,
    }
    log.send(BoundsChanged(start_frame=100, end_frame=230), 1, 1)
    log.send(LabelSet(label=HIT), 1, 2)
    answer = log.send(PlayerSet(player_id="p1"), 1, 3)
    assert (answer.seq, answer.mark.revision, answer.mark.player_id) == (5, 4, "p1")
    log.send(ALL)
    assert log.send(Done()).assignment.state == "done"


def test_an_event_sent_again_is_answered_as_then_and_stored_once(log) -> None:
    log.open("a")
    event = log.event(MarkMade(start_frame=5), 1)
    first = log.store(event)
    log.send(LabelSet(label=HIT), 1, 1)
    assert log.store(event) == first
    assert log.count("event") == 3
    for changed in (
        {"body": MarkMade(start_frame=6)},
        {"person": "bob"},
        {"mark": uid(2)},
    ):
        with pytest.raises(Refused, match="uuid is taken by another event"):
            log.store(event.model_copy(update=changed))


def test_a_stale_revision_is_a_conflict_with_the_mark_as_it_is(log) -> None:
    log.open("a")
    log.send(MarkMade(start_frame=5), 1)
    now = log.send(LabelSet(label=HIT), 1, 1).mark
    with pytest.raises(Conflict) as raised:
        log.send(LabelSet(label=LOOP), 1, 1)
    assert raised.value.mark == now
    with pytest.raises(Conflict):
        log.send(MarkMade(start_frame=9), 1)
    assert log.count("event") == 3


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"start_frame": 0}, "start 0, expected a later frame"),
        ({"start_frame": 1000}, "start 1000, expected below its 1000 frames"),
        ({"end_frame": 1001}, "end 1001, expected above 0, at most its 1000 frames"),
        ({"end_frame": 0}, "end 0, expected above 0"),
        ({"start_frame": 7, "end_frame": 7}, "end 7, expected above the start 7"),
    ],
)
def test_bounds_outside_the_video_are_refused(log, bounds, words) -> None:
    log.open("a")
    with pytest.raises(Refused, match=f"^video 'a': {words}"):
        log.send(MarkMade(**bounds), 1)
    log.send(MarkMade(), 1)
    with pytest.raises(Refused, match=words):
        log.send(BoundsChanged(**bounds), 1, 1)


def test_the_first_frame_can_be_meant_and_the_end_is_exclusive(log) -> None:
    log.open("a")
    body = MarkMade(start_frame=0, end_frame=1000, from_first_frame=True)
    assert log.send(body, 1).mark.end_frame == 1000


def test_labels_are_those_of_the_taxonomy(log) -> None:
    log.open("a")
    with pytest.raises(Refused, match="label 'Lob': expected a class of the project's taxonomy"):
        log.send(MarkMade(label="Lob"), 1)
    log.send(MarkMade(label=HIT), 1)
    with pytest.raises(Refused, match=r"label 'off\. forehand hit'"):
        log.send(LabelSet(label="off. forehand hit"), 1, 1)
    assert log.send(LabelSet(label=None), 1, 1).mark.label is None


def test_done_needs_whole_marks_and_the_whole_video(log) -> None:
    log.open("a")
    log.send(MarkMade(start_frame=5, end_frame=50), 1)
    log.send(Seen(spans=((0, 400), (390, 700))))
    with pytest.raises(Refused, match=r"1 mark lacks a bound or label, the first is \[5, 50\)"):
        log.send(Done())
    log.send(LabelSet(label=HIT), 1, 1)
    with pytest.raises(
        Refused, match=r"300 of 1000 frames were not seen, the first are \[700, 1000\)"
    ):
        log.send(Done())
    log.send(Seen(spans=((700, 1000),)))
    log.send(Done())
    with pytest.raises(Refused, match="is done; a teacher can open it again"):
        log.send(LabelSet(label=LOOP), 1, 2)
    log.send(Seen(spans=((3, 4),)))  # late ones of a browser's outbox do no harm
    with pytest.raises(Refused, match=r"seen frames \[5, 1001\)"):
        log.send(Seen(spans=((5, 1001),)))


def test_a_removed_mark_does_not_keep_from_done(log) -> None:
    log.open("a")
    log.send(MarkMade(start_frame=5), 1)
    log.send(MarkRemoved(), 1, 1)
    log.send(ALL)
    with pytest.raises(Refused, match="is removed; undo that first"):
        log.send(LabelSet(label=HIT), 1, 2)
    assert log.send(Done()).assignment.state == "done"


def test_only_somebody_else_opens_again(log) -> None:
    log.open("a")
    teacher = {"person": "tea"}
    with pytest.raises(Refused, match="is not done"):
        log.send(Reopened(), **teacher)
    log.send(ALL)
    log.send(Done())
    with pytest.raises(Refused, match="nobody opens his own work again"):
        log.send(Reopened())
    assert log.send(Reopened(reason="asked"), **teacher).assignment.times_reopened == 1
    assert log.send(MarkMade(start_frame=9), 1).mark.revision == 1


def test_nobody_touches_others_work(log) -> None:
    log.open("a")
    log.send(MarkMade(start_frame=9), 1)
    log.open("a", "bob", 901)
    bob = {"person": "bob", "assignment": 901}
    with pytest.raises(NotOwn, match="is none of bob"):  # kept by his browser, not dropped
        log.send(LabelSet(label=HIT), 1, 1, person="bob", assignment=900)
    # Neither words nor a conflict tell anything of another person's mark.
    with pytest.raises(Refused, match="is none of assignment"):
        log.send(LabelSet(label=HIT), 1, 1, **bob)
    with pytest.raises(Refused, match="the id is taken"):
        log.send(MarkMade(start_frame=9), 1, **bob)
    with pytest.raises(Refused, match="nothing to undo in this video"):
        log.send(Undone(event=uid(2)), 1, 1, **bob)


def test_opening_needs_a_video_that_the_person_has_not(log) -> None:
    log.open("a")
    with pytest.raises(Refused, match="video 'a': ann has it already"):
        log.open("a", assignment=901)
    with pytest.raises(Refused, match="video 'z': is not in the project"):
        log.open("z", assignment=901)
    with pytest.raises(Refused, match="is there already"):
        log.open("b")


def test_undo_and_redo_stay_in_one_assignment(log) -> None:
    log.open("a")
    log.open("b", assignment=901)
    made, labelled = log.event(MarkMade(start_frame=9), 1), log.event(LabelSet(label=HIT), 1, 1)
    log.store(made)
    log.store(labelled)
    log.send(MarkMade(start_frame=20), 2, assignment=901)
    undone = log.send(Undone(event=labelled.uuid), 1, 2).mark
    assert (undone.label, undone.revision) == (None, 3)
    undone = log.send(Undone(event=made.uuid), 1, 3).mark
    assert (undone.removed, undone.start_frame) == (True, 9)
    with pytest.raises(Refused, match="nothing to undo"):
        log.send(Undone(event=made.uuid), 1, 4)
    assert not log.send(Redone(event=made.uuid), 1, 4).mark.removed
    assert log.send(Redone(event=labelled.uuid), 1, 5).mark.label == HIT
    with pytest.raises(Refused, match="nothing to redo"):
        log.send(Redone(event=labelled.uuid), 1, 6)
    with pytest.raises(Conflict):  # the browser's history is another one
        log.send(Undone(event=made.uuid), 1, 6)


def test_a_new_step_ends_redoing(log) -> None:
    log.open("a")
    log.send(MarkMade(start_frame=9), 1)
    step = log.event(LabelSet(label=HIT), 1, 1)
    log.store(step)
    log.send(Undone(event=step.uuid), 1, 2)
    log.send(LabelSet(label=LOOP), 1, 3)
    with pytest.raises(Refused, match="nothing to redo"):
        log.send(Redone(event=step.uuid), 1, 4)


def test_events_without_an_assignment(log) -> None:
    log.send(LoggedIn(role="teacher"), assignment=None)
    log.send(Exported(marks=3, sha256="0" * 64), assignment=None)
    assert log.count("assignment") == 0


@pytest.mark.parametrize(
    ("body", "mark", "base", "words"),
    [
        (LabelSet(label=None), None, 1, "mark is missing"),
        (LabelSet(label=None), 1, None, "base_revision is missing"),
        (MarkMade(), 1, 1, "base_revision is no part"),
        (Done(), 1, None, "mark is no part"),
    ],
)
def test_an_event_has_the_parts_of_its_kind(log, body, mark, base, words) -> None:
    log.open("a")
    with pytest.raises(Refused, match=words):
        log.send(body, mark, base)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "mark_made", "start_frame": "5"}, "valid integer"),
        ({"kind": "mark_made", "start_frame": -1}, "greater than or equal to 0"),
        ({"kind": "mark_made", "colour": "red"}, "extra inputs"),
        ({"kind": "nonsense"}, "does not match any of the expected tags"),
        ({"kind": "seen", "spans": []}, "at least 1 item"),
        ({"kind": "seen", "spans": [[1, 2, 3]]}, "body.seen.spans"),
    ],
)
def test_json_that_is_no_event_is_refused_in_a_line(body, words) -> None:
    event = {"uuid": uid(1), "person": "ann", "assignment": uid(2), "body": body}
    with pytest.raises(Refused, match=words) as raised:
        parse_event(json.dumps(event))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("event: body")


def test_the_log_cannot_be_changed(log) -> None:
    log.open("a")
    for statement in (
        "UPDATE event SET person = 'bob'",
        "DELETE FROM event",
        "REPLACE INTO event SELECT * FROM event",
        f"REPLACE INTO event SELECT 99, uuid, at, 'bob', NULL, NULL, NULL, kind, body FROM event "
        f"WHERE uuid = '{uid(1)}'",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="events are never"):
            log.db.execute(statement)
    assert log.count("event") == 1


def test_opening_says_its_purpose(log) -> None:
    log.send(AssignmentOpened(video_id="a", purpose="training"))
    assert log.db.execute("SELECT purpose FROM assignment").fetchall() == [("training",)]
