"""The page's events through the store: it takes them all, and makes of them what the page shows."""

import json
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ttdata.annotate.project import Project, create_project
from ttdata.annotate.store.events import AssignmentOpened, Event, Reopened, parse_event
from ttdata.annotate.store.rows import assignment_of, marks_of
from ttdata.annotate.work.videos import ProjectVideo, add_video
from ttdata.taxonomy import TTSTROKE21, Taxonomy

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from served import ASSIGNMENT, Served
from watch import open_page

SEQUENCES = Path(__file__).with_name("sequences.js")
SENT = "(async () => { while (annotate.outbox.state.pending) await sleep(20); })()"
SHOWN = """annotate.marks.all.map(({ mark_id, start_frame, end_frame, label, revision }) =>
  [mark_id, start_frame, end_frame, label, revision])"""


def parsed(raw: dict[str, Any]) -> Event:
    """As a server does it: the person is filled in, the rest is as it came."""
    return parse_event(json.dumps(raw | {"person": "ann"}))


def new_project(folder: Path, taxonomy: Taxonomy, num_frames: int) -> Project:
    """One video, opened by one person."""
    project = create_project(folder, taxonomy)
    video = ProjectVideo(
        video_id="v",
        path=Path("v.mp4"),
        fingerprint="v",
        fps=120,
        num_frames=num_frames,
        width=160,
        height=90,
    )
    project.marks.write(lambda db: add_video(db, video))
    body = AssignmentOpened(video_id="v")
    project.marks.append(Event(uuid=ASSIGNMENT, person="ann", assignment=ASSIGNMENT, body=body))
    return project


def stored(db: sqlite3.Connection) -> list[list[Any]]:
    return rows(
        (m.mark_id, m.start_frame, m.end_frame, m.label, m.revision)
        for m in marks_of(db, ASSIGNMENT)
    )


def rows(found: Iterable[Iterable[Any]]) -> list[list[Any]]:
    return sorted(map(list, found))


@pytest.mark.slow
def test_the_store_takes_every_event_of_random_sequences(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    page = browser.new_page()
    page.goto(f"{served.url}blank.html")
    found = page.evaluate(SEQUENCES.read_text(encoding="utf-8"), [100, 60])
    page.close()
    kinds = {event["body"]["kind"] for event in found["log"]}
    assert kinds == {
        *("mark_made", "bounds_changed", "label_set", "mark_removed", "undone", "redone", "done"),
    }
    with new_project(tmp_path / "p", Taxonomy.infer(["Push", "Loop"]), 400) as project:
        # Each sequence is a page of its own; the store sees the marks of all of them.
        answers = [
            project.marks.submit(parsed(event | {"assignment": ASSIGNMENT}))
            for event in found["log"]
            if event["body"]["kind"] != "done"
        ]
        assert all(answer.result().mark for answer in answers)
        with project.marks.reading() as db:
            assert stored(db) == rows(found["shown"])


@pytest.mark.slow
def test_the_store_takes_every_event_of_a_session(
    browser: Any, served: Served, tmp_path: Path
) -> None:
    served.seen = [(0, 200)]
    page = open_page(browser, served.url)

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)
        page.evaluate("annotate.work.idle()")

    press("i", *["Shift+ArrowRight"] * 8, "o", "o", "f", "h")  # from the first frame, as meant
    press("ArrowUp", "e", "r", "q", "Escape")
    press(*["Shift+ArrowRight"] * 2, "o", "Escape", "i", "u", "y", "x", "u", "x", "p", "Escape")
    press("t", "p", "x", "u", "Shift+ArrowRight", "i", "Shift+ArrowRight", "o", "s", "f", "t")
    page.evaluate("annotate.player.seek(200)")
    for _ in range(40):
        press("ArrowRight")
        page.evaluate("annotate.player.settled()")
    press("Home", *["n"] * 2, "x", "Shift+Enter")
    while page.evaluate("annotate.marks.incomplete.length"):
        page.evaluate("annotate.marks.select(annotate.marks.incomplete[0].mark_id)")
        press("x")
    while page.evaluate("annotate.seen.missing"):
        press("g")
        page.evaluate("annotate.player.settled()")
    press("Shift+Enter")
    page.evaluate(SENT)
    shown = rows(page.evaluate(SHOWN))
    page.context.close()
    assert served.kinds[-1] == "done"
    with new_project(tmp_path / "p", TTSTROKE21, 240) as project:
        early = {"mark": None, "base_revision": None, "assignment": ASSIGNMENT}
        body = {"kind": "seen", "spans": [[0, 200]]}
        project.marks.append(parsed(early | {"uuid": str(uuid4()), "body": body}))
        for event in served.events:
            answer = project.marks.append(parsed(event))
            assert project.marks.append(parsed(event)) == answer
        with project.marks.reading() as db:
            assert stored(db) == shown
            assert assignment_of(db, ASSIGNMENT).state == "done"  # type: ignore[union-attr]
        back = Event(uuid=str(uuid4()), person="tea", assignment=ASSIGNMENT, body=Reopened())
        assert project.marks.append(back).assignment.state == "open"  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_refused_done_lets_people_go_on(browser: Any, served: Served) -> None:
    served.seen = [(0, 240)]
    page = open_page(browser, served.url)
    served.answers = [422]
    page.keyboard.press("Shift+Enter")
    page.evaluate(SENT)
    assert page.inner_text("#said").startswith("Not stored, load this page again.")
    assert page.inner_text("#state") == ""
    page.keyboard.press("i")
    page.evaluate("annotate.work.idle()")
    page.evaluate(SENT)
    assert served.kinds == ["mark_made"]
    page.context.close()


@pytest.mark.slow
def test_changes_that_build_on_a_refused_one_are_not_sent(browser: Any, served: Served) -> None:
    """Their revisions might be those of the mark as another page made it."""
    mark = {"mark_id": str(uuid4()), "start_frame": 10, "end_frame": 90, "label": "Negative"}
    served.marks = [mark | {"removed": False, "revision": 1}]
    page = open_page(browser, served.url)
    served.marks = [mark | {"removed": False, "revision": 3}]
    served.answers = [503, 409]
    page.evaluate(f"annotate.marks.select({mark['mark_id']!r})")
    page.evaluate("for (let n = 0; n < 3; n += 1) annotate.marks.nudge('end', 1)")
    page.evaluate(SENT)
    assert served.kinds == []
    page.evaluate("annotate.marks.nudge('end', 1)")
    page.evaluate(SENT)
    assert [event["base_revision"] for event in served.events if event["mark"]] == [3]
    page.context.close()


@pytest.mark.slow
def test_a_page_to_log_in_is_no_answer(browser: Any, served: Served) -> None:
    page = open_page(browser, served.url)
    served.answers = [303, 200]
    page.keyboard.press("i")
    page.evaluate("annotate.work.idle()")
    page.evaluate(SENT)
    assert served.kinds == ["mark_made"]
    page.context.close()
