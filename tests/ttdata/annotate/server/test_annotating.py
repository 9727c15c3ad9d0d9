"""The annotator's way through the API, and what he never sees before he is done."""

import asyncio
import dataclasses
import errno
import os
import sqlite3
from typing import Any
from uuid import uuid4

import pytest

from ttdata.annotate.people.pace import Pace
from ttdata.annotate.server.errors import _STATUS
from ttdata.annotate.server.routes import teaching_actions
from ttdata.annotate.store.errors import DiskFull, ProjectError
from ttdata.annotate.work.golden import Truth, set_truth
from ttdata.annotate.work.proposals import Proposal, ProposalSet, add_proposals
from ttdata.errors import TTError

HIT, LOOP, PUSH = "Offensive Forehand Hit", "Offensive Forehand Loop", "Defensive Backhand Push"


@pytest.fixture
def ann(client, hand) -> Any:
    return hand(client("annotator"))


@pytest.fixture
def bob(served, hand) -> Any:
    with served.client("bob") as browser:
        yield hand(browser, 2)


def test_from_the_start_to_the_next_video_and_the_end(ann) -> None:
    assert ann.client.get("/").headers["location"] == "/annotate"
    videos = []
    for number in range(1, 4):
        ann.open()
        before = ann.data()
        assert before["video"]["name"] == f"Video {number}"
        assert (before["state"], before["marks"], before["seen"]) == ("open", [], [])
        assert before["person"] == "ann"
        assert ann.open() == ann.assignment  # the same until it is done
        ann.finish((5, 20, HIT))
        after = ann.data()
        assert after["state"] == "done"
        assert [(m["start_frame"], m["label"]) for m in after["marks"]] == [(5, HIT)]
        assert after["video"]["url"] == f"/films/{ann.assignment}"
        videos.append(after["video"]["num_frames"])
    assert sorted(videos) == [40, 41, 42]
    answer = ann.client.get("/annotate")
    assert (answer.status_code, "Nothing left to mark" in answer.text) == (200, True)


def test_the_page_is_filled_in(ann) -> None:
    text = ann.client.get(f"/annotate/{ann.open()}").text
    assert f'"assignment": "{ann.assignment}"' in text
    assert f'"events": "/api/assignments/{ann.assignment}/events"' in text
    assert text.count("</script>") == text.count("<script")


def test_events_are_answered_with_the_mark_and_once(served, ann) -> None:
    ann.open()
    mark, uuid = ann.uid(), ann.uid()
    event = {
        "uuid": uuid,
        "assignment": ann.assignment,
        "mark": mark,
        "base_revision": None,
        "body": {"kind": "mark_made", "start_frame": 3, "end_frame": None, "label": None},
    }
    url = f"/api/assignments/{ann.assignment}/events"
    first, second = (ann.client.post(url, json=event) for _ in range(2))
    assert first.json() == second.json()
    assert first.json()["mark"]["revision"] == 1
    with served.project.marks.reading() as db:
        found = db.execute("SELECT person FROM event WHERE uuid = ?", (uuid,)).fetchall()
    assert found == [("ann",)]


def test_a_stale_revision_gets_the_mark_as_it_is(ann) -> None:
    ann.open()
    mark = ann.uid()
    ann.send("mark_made", mark, start_frame=3)
    ann.send("label_set", mark, 1, label=HIT)
    answer = ann.send("label_set", mark, 1, label=LOOP)
    assert answer.status_code == 409
    assert (
        answer.json()["mark"] | {"mark_id": mark, "revision": 2, "label": HIT}
        == (answer.json()["mark"])
    )


def test_only_ones_own_work_can_be_read_or_written(ann, bob) -> None:
    ann.open()
    bob.open()
    theirs = f"/api/assignments/{ann.assignment}"
    assert bob.client.get(f"{theirs}/data").status_code == 403
    assert bob.client.get(f"/annotate/{ann.assignment}").status_code == 403
    bob.assignment = ann.assignment
    answer = bob.send("mark_made", bob.uid(), start_frame=3)
    assert answer.status_code == 403  # kept by a page, in case that Ann logs in again
    assert ann.data()["marks"] == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"person": "ann"}, 200),
        ({"person": "bob"}, 403),
        ({"person": "tess"}, 403),
        ({"person": 7}, 422),
        ({"role": "teacher"}, 422),
        ({"at": 5}, 422),
        ({"assignment": "00000000-0000-4000-8000-00000000000f"}, 422),
        ({"body": {"kind": "assignment_opened", "video_id": "b", "purpose": "import"}}, 422),
        ({"mark": None, "body": {"kind": "reopened"}}, 422),
        ({"mark": None, "body": {"kind": "logged_in", "role": "teacher"}}, 422),
        ({"mark": None, "body": {"kind": "exported", "marks": 1, "sha256": "0" * 64}}, 422),
        ({"body": {"kind": "mark_made", "label": "<script>alert(1)</script>"}}, 422),
        ({"body": {"kind": "mark_made", "start_frame": "3"}}, 422),
        ({"body": {"kind": "mark_made", "start_frame": 10**15}}, 422),
        ({"body": {"kind": "mark_made", "start_frame": 0}}, 422),
        ({"mark": "../../etc/passwd"}, 422),
    ],
)
def test_the_server_says_whose_an_event_is(ann, changes: dict[str, Any], status: int) -> None:
    ann.open()
    event = {
        "uuid": ann.uid(),
        "assignment": ann.assignment,
        "mark": ann.uid(),
        "base_revision": None,
        "body": {"kind": "mark_made", "start_frame": 3},
    }
    url = f"/api/assignments/{ann.assignment}/events"
    answer = ann.client.post(url, json=event | changes)
    assert answer.status_code == status, answer.text
    assert "\n" not in answer.json().get("error", "")


def paths_that_annotators_get(app: Any) -> list[str]:
    found, waiting = [], list(app.routes)
    while waiting:
        route = waiting.pop()
        if inner := getattr(route, "original_router", None):
            waiting += inner.routes
        elif "GET" in route.methods:
            found.append(route.path)
    return found


def test_nothing_of_others_before_done(served, ann, bob) -> None:
    """Bob's marks, the truth and proposals of Ann's video reach her in no answer at all."""
    ann.open()
    bob.client.cookies.update({})
    with served.project.marks.reading() as db:
        query = "SELECT video_id FROM assignment WHERE assignment_id = ?"
        (video_id,) = db.execute(query, (ann.assignment,)).fetchone()
        positions = {n for (n,) in db.execute("SELECT position FROM video")}
    while bob.open() and bob.data()["video"]["num_frames"] != ann.data()["video"]["num_frames"]:
        bob.finish()
    bob.finish((7, 23, PUSH))
    proposal = Proposal(
        video_id=video_id, model="net", start_frame=31, end_frame=34, label="Serve Backhand Loop"
    )
    source = ProposalSet(set_id="s" * 64, file="p.csv", format="crowd")

    def job(db: sqlite3.Connection) -> None:
        add_proposals(db, source, [proposal], 0)
        # As if it had become a golden clip: the store allows that before anybody has begun only.
        db.execute("UPDATE video SET golden = 1 WHERE video_id = ?", (video_id,))
        row = (video_id, 11, 29, LOOP)
        db.execute("INSERT INTO truth VALUES (NULL, ?, ?, ?, ?, NULL)", row)

    served.project.marks.write(job)
    with served.project.marks.reading() as db:
        marks = [row[0] for row in db.execute("SELECT mark_id FROM mark")]
    secrets = [*marks, "bob", bob.assignment, "golden", "truth", "proposal", "model_"]
    for path in paths_that_annotators_get(served.app):
        for position in positions if "position" in path else (0,):
            url = path.replace("{assignment_id:uuid}", ann.assignment)
            url = url.replace("{position:int}", str(position)).replace("{token}", "x")
            if "{" in url:  # files of the pages, and ids of others' concerns
                continue
            answer = ann.client.get(url, follow_redirects=True)
            if answer.headers["content-type"].startswith(("text/html", "application/json")):
                assert not [s for s in secrets if s in answer.text], url
    data = ann.data()
    assert (data["others"], data["look_here"], data["marks"]) == ([], [], [])
    ann.finish((6, 22, HIT))
    data = ann.data()
    assert data["others"] == [[{"start_frame": 7, "end_frame": 23, "label": PUSH}]]
    assert data["look_here"] == [32]
    text = ann.client.get(f"/api/assignments/{ann.assignment}/data").text
    assert not [
        s for s in ("bob", bob.assignment, "truth", "golden", "29", "net") if f'"{s}"' in text
    ]


def test_golden_clips_look_like_all_others(served, ann) -> None:
    truths = [Truth(start_frame=11, end_frame=29, label=LOOP)]
    served.project.marks.write(lambda db: [set_truth(db, name, truths) for name in "abc"])
    ann.open()  # the only videos there are, but with a golden share of 0 none is given
    assert ann.client.get("/annotate").text.count("golden") == 0


def test_no_answer_names_the_video(ann) -> None:
    """An id could tell that it is a golden clip."""
    ann.open()
    refused = ann.send("mark_made", ann.uid(), start_frame=0)
    assert (refused.status_code, "this video: start 0" in refused.json()["error"]) == (422, True)
    assert "this video: 40 of 40 frames" in ann.send("done").json()["error"]
    ann.finish((5, 20, HIT))
    assert "this video: is done" in ann.send("mark_made", ann.uid(), start_frame=3).json()["error"]


def test_done_is_answered_without_the_video(ann) -> None:
    ann.open()
    ann.send("seen", spans=[[0, 40]])
    answer = ann.send("done")
    assert (answer.status_code, answer.json()["assignment"]) == (200, None)


def test_a_failing_disk_gives_nothing_up(served, ann, monkeypatch) -> None:
    """A page drops what gets 422 and keeps what gets 503."""
    ann.open()

    def full(*_: object) -> None:
        raise TTError("nothing was stored, the project cannot be written; check the disk")

    monkeypatch.setattr(served.project.marks, "submit", full)
    assert ann.send("mark_made", ann.uid(), start_frame=3).status_code == 503

    def damaged(*_: object) -> None:
        raise ProjectError("people.sqlite: cannot be used")

    monkeypatch.setattr(served.project.people, "whose", damaged)
    answer = ann.send("mark_made", ann.uid(), start_frame=3)
    assert (answer.status_code, answer.json()) == (503, {"error": "people.sqlite: cannot be used"})
    assert [status for _, status in _STATUS][-1] == 503


def test_events_wait_for_the_disk_without_a_thread(served, ann, monkeypatch) -> None:
    """Sixty events that wait for the disk leave films and pages their threads."""
    import httpx

    ann.open()
    submit, held = served.project.marks.submit, []
    monkeypatch.setattr(
        served.project.marks, "submit", lambda event: held.append(_later()) or held[-1]
    )
    url = f"/api/assignments/{ann.assignment}/events"
    cookies, headers = dict(ann.client.cookies), dict(ann.client.headers)

    async def run() -> tuple[int, int]:
        async with httpx.AsyncClient(
            base_url=served.url,
            cookies=cookies,
            headers=headers,
            trust_env=False,
            timeout=20,
            limits=httpx.Limits(max_connections=100),
            verify=False,
        ) as browser:
            events = [
                asyncio.create_task(
                    browser.post(
                        url,
                        json={
                            "uuid": str(uuid4()),
                            "assignment": ann.assignment,
                            "mark": str(uuid4()),
                            "body": {"kind": "mark_made", "start_frame": 3},
                        },
                    )
                )
                for _ in range(60)
            ]
            while len(held) < 60:
                await asyncio.sleep(0.01)
            film = await browser.get(f"/films/{ann.assignment}")
            for future in held:
                future.set_exception(TTError("the disk"))
            return film.status_code, len({(await event).status_code for event in events})

    assert asyncio.run(run()) == (200, 1)
    assert submit is not served.project.marks.submit


def _later() -> Any:
    from concurrent.futures import Future

    return Future()


def made(hand, kind: str, mark: str, base: int | None = None, **body: Any) -> dict[str, Any]:
    facts = {"assignment": hand.assignment, "mark": mark, "base_revision": base}
    return {"uuid": hand.uid(), **facts, "body": {"kind": kind, **body}}


def test_the_last_events_of_a_page_are_stored_in_their_order_and_once(served, ann, bob) -> None:
    ann.open()
    url, mark = f"/api/assignments/{ann.assignment}/events/last", ann.uid()
    last = [
        made(ann, "mark_made", mark, start_frame=3),
        made(ann, "label_set", mark, 1, label=HIT),
        made(ann, "label_set", mark, 1, label=LOOP),  # knows the mark as it was
        made(ann, "seen", None, spans=[[0, 3]]),
    ]
    for _ in range(2):
        answer = ann.client.post(url, json=last)
        assert (answer.status_code, answer.json()) == (200, {"stored": 3})
    (found,) = ann.data()["marks"]
    assert (found["start_frame"], found["label"], found["revision"]) == (3, HIT, 2)
    with served.project.marks.reading() as db:
        stored = [row[0] for row in db.execute("SELECT uuid FROM event ORDER BY seq")]
    assert [each for each in stored if each in {e["uuid"] for e in last}] == [
        last[0]["uuid"],
        last[1]["uuid"],
        last[3]["uuid"],
    ]
    assert bob.client.post(url, json=last).json() == {"stored": 0}
    assert ann.client.post(url, json=[{"uuid": "x"}]).status_code == 422
    assert ann.client.post(url, json=[last[0] | {"person": "bob"}]).status_code == 403


def test_nothing_is_stored_that_builds_on_a_refused_change(ann) -> None:
    """The second change says that it knows revision 2, but its page saw another revision 2."""
    ann.open()
    mark, url = ann.uid(), f"/api/assignments/{ann.assignment}/events/last"
    ann.send("mark_made", mark, start_frame=3, end_frame=9, label=PUSH)
    ann.send("label_set", mark, 1, label=HIT)
    every = [[0, ann.data()["video"]["num_frames"]]]
    last = [
        made(ann, "label_set", mark, 1, label=LOOP),
        made(ann, "label_set", mark, 2, label=PUSH),
        made(ann, "seen", None, spans=every),
        made(ann, "mark_made", ann.uid(), start_frame=12, end_frame=20, label=LOOP),
        made(ann, "done", None),
    ]
    assert ann.client.post(url, json=last).json() == {"stored": 2}
    data = ann.data()
    assert [(m["label"], m["revision"]) for m in data["marks"]] == [(HIT, 2), (LOOP, 1)]
    assert (data["state"], data["seen"]) == ("open", every)


def test_a_full_disk_ends_what_a_page_hands_over(served, ann, monkeypatch) -> None:
    """Later events without earlier ones would make these be refused when they come again."""
    ann.open()
    submit, submitted = served.project.marks.submit, []

    def full(event: Any) -> Any:
        submitted.append(event.uuid)
        if len(submitted) != 2:
            return submit(event)
        future = _later()
        future.set_exception(DiskFull())
        return future

    monkeypatch.setattr(served.project.marks, "submit", full)
    last = [made(ann, "mark_made", ann.uid(), start_frame=start) for start in (3, 4, 5)]
    answer = ann.client.post(f"/api/assignments/{ann.assignment}/events/last", json=last)
    assert answer.status_code == 507
    assert submitted == [event["uuid"] for event in last[:2]]
    assert [mark["start_frame"] for mark in ann.data()["marks"]] == [3]


def test_what_a_page_hands_over_as_it_goes_is_never_too_much(served, ann) -> None:
    """It counts once, however often it is sent."""
    now = [0.0]
    pace = Pace(lambda: now[0], per_second=0.5, at_once=3)
    served.app.state.context = dataclasses.replace(served.app.state.context, pace=pace)
    ann.open()
    statuses = [ann.send("mark_made", ann.uid(), start_frame=3).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    last = [made(ann, "mark_made", ann.uid(), start_frame=4)]
    for _ in range(5):
        answer = ann.client.post(f"/api/assignments/{ann.assignment}/events/last", json=last)
        assert (answer.status_code, answer.json()) == (200, {"stored": 1})
    now[0] = 2
    assert ann.send("mark_made", ann.uid(), start_frame=5).headers["retry-after"] == "2"
    now[0] = 4
    assert ann.send("mark_made", ann.uid(), start_frame=5).status_code == 200


def test_who_sends_too_often_is_told_when_to_go_on(served, ann, bob) -> None:
    now = [0.0]
    pace = Pace(lambda: now[0], per_second=0.5, at_once=3)
    served.app.state.context = dataclasses.replace(served.app.state.context, pace=pace)
    ann.open()
    bob.open()
    for _ in range(3):
        assert ann.send("mark_made", ann.uid(), start_frame=3).status_code == 200
    answer = ann.send("mark_made", ann.uid(), start_frame=3)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert answer.json()["error"] == "too many changes at once: the next one is taken in 2 s"
    assert bob.send("mark_made", bob.uid(), start_frame=3).status_code == 200
    now[0] = 2
    assert ann.send("mark_made", ann.uid(), start_frame=3).status_code == 200
    assert len(ann.data()["marks"]) == 4


def test_a_full_disk_is_507_and_the_event_may_come_again(served, ann) -> None:
    store = served.project.marks
    ann.open()

    def pages(count: int) -> None:
        store.write(lambda db: db.execute(f"PRAGMA max_page_count = {count}").fetchall())

    pages(1)  # as many as there are
    url = f"/api/assignments/{ann.assignment}/events"
    spans = [[start, start + 1] for start in range(0, 40, 2)] * 20
    for _ in range(100):
        event = made(ann, "seen", None, spans=spans)
        answer = ann.client.post(url, json=event)
        if answer.status_code != 200:
            break
    full = "nothing was stored, the project's disk is full; make room on it and try again"
    assert (answer.status_code, answer.json()["error"]) == (507, full)
    pages(1_000_000)
    assert ann.client.post(url, json=event).status_code == 200


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EACCES, 500)])
def test_a_full_disk_is_told_where_files_are_written(
    client, monkeypatch, number: int, status: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(teaching_actions, "back_up", fails)
    answer = client("teacher").post("/api/teacher/backups", json={})
    assert answer.status_code == status
    assert ("disk is full" in answer.json()["error"]) == (status == 507)
