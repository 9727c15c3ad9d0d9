"""The teacher's pages and what they do, through the server."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
UNKNOWN = "00000000-0000-4000-8000-00000000000f"


@pytest.fixture
def tess(client) -> Any:
    return client("teacher")


@pytest.fixture
def sign(served) -> Iterator[Callable[[str], Any]]:
    """`sign("ann")`: a browser that is logged in as Ann."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(served.client(name))


def do(browser: Any, path: str, **body: Any) -> tuple[int, Any]:
    answer = browser.post(f"/api/teacher/{path}", json=body)
    return answer.status_code, answer.json()


def wall_person(state: Any, pseudonym: str) -> Any:
    return next(person for person in state["people"] if person["pseudonym"] == pseudonym)


def messages(stream: httpx.Response) -> Any:
    """The server-sent events of a stream, as pairs of kind and data."""
    kind = ""
    for line in stream.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_teachers_begin_at_the_overview(tess) -> None:
    assert tess.get("/").headers["location"] == "/teacher"
    assert "At work now" in tess.get("/teacher").text


def test_the_wall_shows_what_annotators_do(tess, hand, sign) -> None:
    ann = hand(sign("ann"))
    assignment = ann.open()
    made = ann.send("mark_made", ann.uid(), start_frame=5)
    assert made.status_code == 200
    report = {"unsent": 2, "assignment": assignment}
    assert ann.client.post("/api/presence", json=report).json() == {"heard": True}
    state = tess.get("/api/teacher/wall").json()
    found = wall_person(state, "ann")
    assert (found["is_here"], found["video"], found["marks"], found["unsent"]) == (True, "a", 1, 2)
    assert found["marks_last_hour"] == 1
    assert wall_person(state, "rex")["is_here"] is False
    assert "tess" not in [person["pseudonym"] for person in state["people"]]  # only watches
    assert state["coverage"] == {"videos": 3, "done": 0, "begun": 1, "marks": 1}


def test_a_page_cannot_say_that_it_shows_somebody_elses_work(tess, hand, sign) -> None:
    ann, bob = hand(sign("ann")), sign("bob")
    report = {"unsent": 0, "assignment": ann.open()}
    assert bob.post("/api/presence", json=report).status_code == 200
    assert wall_person(tess.get("/api/teacher/wall").json(), "bob")["video"] is None


def test_the_stream_tells_changes_and_ends_at_logout(tess, hand, sign) -> None:
    ann = hand(sign("ann"))
    ann.open()
    with tess.stream("GET", "/api/teacher/wall/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        found = messages(stream)
        kind, first = next(found)
        assert (kind, wall_person(first, "ann")["marks"]) == ("wall", 0)
        ann.send("mark_made", ann.uid(), start_frame=5)
        kind, second = next(found)
        assert (kind, wall_person(second, "ann")["marks"]) == ("wall", 1)
        assert second["at"] - first["at"] >= 1000  # at most one a second
        assert tess.post("/logout", json={}).status_code == 200
        assert list(found) == [("end", {})]


def test_the_stream_ends_for_one_who_is_no_teacher_any_more(served, tess, sign) -> None:
    served.project.people.add("tom", "teacher")
    with sign("tom").stream("GET", "/api/teacher/wall/stream") as stream:
        found = messages(stream)
        assert next(found)[0] == "wall"
        assert do(tess, "people/tom/role", role="annotator")[0] == 200
        assert list(found) == [("end", {})]


def test_invitations_are_made_shown_and_used_once(tess, client, served) -> None:
    assert do(tess, "invitations", count="2") == (200, {"next": "/teacher/invitations"})
    assert do(tess, "invitations", names="Anna Meier\n\n Bo  Li \n", role="reviewer")[0] == 200
    people = {p.pseudonym: (p.role, p.name) for p in served.project.people.everyone()}
    assert people["person-01"] == people["person-02"] == ("annotator", None)
    assert people["person-03"] == ("reviewer", "Anna Meier")
    assert people["person-04"] == ("reviewer", "Bo Li")
    page = tess.get("/teacher/invitations").text
    links = re.findall(rf"{re.escape(served.url)}(/join/[\w-]+)", page)
    assert len(links) == 4
    qr = tess.get("/teacher/invitations/person-01/qr.svg")
    assert qr.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in qr.content
    assert b"style" not in qr.content
    assert client(None).post(links[0], json={}).status_code == 200
    assert len(re.findall("/join/", tess.get("/teacher/invitations").text)) == 3
    assert tess.get("/teacher/invitations/person-01/qr.svg").status_code == 404


def test_a_qr_code_holds_the_link(tess, served) -> None:
    segno = pytest.importorskip("segno")
    do(tess, "invitations")
    found = served.app.state.context.invitations.find("person-01")
    svg = tess.get("/teacher/invitations/person-01/qr.svg").content
    size = segno.make(served.url + found.path, error="m", micro=False).symbol_size(border=4)[0]
    assert f'viewBox="0 0 {size} {size}"'.encode() in svg
    assert found.token not in repr(found)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"count": 0}, "greater than or equal to 1"),
        ({"count": 101}, "less than or equal to 100"),
        ({"role": "teacher"}, "'annotator' or 'reviewer'"),
        ({"names": "x\n" * 101}, "101, expected at most 100"),
        ({"names": "x" * 101}, "expected at most 100 characters"),
    ],
)
def test_wrong_invitations_are_refused(tess, body: dict[str, Any], says: str) -> None:
    status, answer = do(tess, "invitations", **body)
    assert status == 422
    assert says in answer["error"]


def test_a_new_invitation_replaces_the_one_before(tess, served) -> None:
    do(tess, "invitations")
    invitations = served.app.state.context.invitations
    first = invitations.find("person-01")
    assert do(tess, "people/person-01/invitation")[0] == 200
    second = invitations.find("person-01")
    assert served.project.people.invited(first.token) is None
    assert served.project.people.invited(second.token).pseudonym == "person-01"


def test_everybody_is_invited_again(tess, served, sign) -> None:
    do(tess, "invitations")
    invitations = served.app.state.context.invitations
    first = invitations.find("person-01")
    served.project.people.add("old", "annotator")
    served.project.people.erase("old")
    assert do(tess, "invitations/again") == (200, {"next": "/teacher/invitations"})
    names = [found.person.pseudonym for found in invitations.unused()]
    assert names == ["ann", "bob", "person-01", "rex"]  # no teacher, nobody who is erased
    assert invitations.find("person-01") == first  # it can still be used
    assert do(tess, "invitations", count=1)[0] == 200
    assert invitations.make_again() == 0


def test_roles(tess, sign) -> None:
    ann = sign("ann")
    assert ann.get("/teacher").status_code == 403
    assert do(tess, "people/ann/role", role="teacher")[0] == 200
    assert ann.get("/teacher").status_code == 200  # at once
    assert do(tess, "people/ann/role", role="annotator")[0] == 200
    status, answer = do(tess, "people/tess/role", role="annotator")
    assert (status, "only teacher" in answer["error"]) == (422, True)


def test_erasing_needs_the_pseudonym_typed(tess, sign) -> None:
    ann = sign("ann")
    status, answer = do(tess, "people/ann/erase", confirm="an")
    assert (status, "nothing was erased" in answer["error"]) == (422, True)
    assert ann.get("/annotate").status_code == 303
    assert do(tess, "people/ann/erase", confirm="ann") == (200, {"next": "/teacher/people"})
    assert ann.get("/api/presence").status_code != 200
    assert ann.post("/logout", json={}).status_code == 401
    state = tess.get("/api/teacher/wall").json()
    assert "ann" not in [person["pseudonym"] for person in state["people"]]
    assert do(tess, "people/ann/invitation")[0] == 422
    assert do(tess, "people/tess/erase", confirm="tess")[0] == 422
    assert "Erase ann" not in tess.get("/teacher/people/ann").text


def test_opening_again_needs_a_reason(tess, served, hand, sign) -> None:
    ann = hand(sign("ann"))
    path = f"assignments/{ann.open()}/reopened"
    assert do(tess, path, reason="look at the end again")[0] == 422  # is not done
    ann.finish((5, 30, HIT))
    assert do(tess, path, reason="")[0] == 422
    page = tess.get("/teacher/videos/1").text
    assert "Open again for ann" in page
    status, answer = do(tess, path, reason="look at the end again")
    assert (status, answer["assignment"]["times_reopened"]) == (200, 1)
    assert ann.data()["state"] == "open"
    with served.project.marks.reading() as db:
        query = "SELECT person, body FROM event WHERE kind = 'reopened'"
        assert db.execute(query).fetchall() == [("tess", '{"reason":"look at the end again"}')]


@pytest.fixture
def crowd(hand, sign) -> Any:
    """Ann and Bob agree on one stroke of `a` and not on the other; Ann has begun `b`."""
    hands = [hand(sign(name), first) for first, name in enumerate(("ann", "bob"), 1)]
    for each in hands:
        each.open()
    for label, each in zip((HIT, LOOP), hands, strict=True):
        each.finish((5, 21, HIT), (23, 39, label))
    return hands


def test_the_agreement_page_has_the_numbers_of_curation(tess, served, crowd) -> None:
    page = tess.get("/teacher/agreement").text
    assert served.app.state.context.agreement.read(served.project).marks == 4
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))
    assert "From 4 marks of videos that are done" in text
    assert tess.get("/teacher/agreement?level=hand").status_code == 200
    assert tess.get("/teacher/agreement?level=other").status_code == 422


def test_agreement_is_measured_anew_after_more_work(served, crowd) -> None:
    kept = served.app.state.context.agreement
    before = kept.read(served.project)
    assert kept.read(served.project) is before
    crowd[0].open()
    crowd[0].finish((5, 21, HIT))
    assert kept.read(served.project).marks == before.marks + 1


def test_exports_go_into_the_project_and_count_what_is_left_out(tess, served, crowd) -> None:
    crowd[0].open()
    crowd[0].send("mark_made", crowd[0].uid(), start_frame=5)
    assert "1 marks of videos not yet done" in tess.get("/teacher/export").text
    status, answer = do(tess, "exports")
    assert (status, answer["marks"], answer["videos"]) == (200, 4, len(videos_of(served)))
    assert answer["notes"] == ["left out: 1 marks of videos not yet done"]
    out = served.project.folder / "exports" / answer["folder"].rpartition("/")[2]
    assert len((out / "annotations.csv").read_text().splitlines()) == 5
    page = tess.get(answer["next"]).text
    assert f"ttdata curate {out} --out MY_DATASET" in page


def videos_of(served) -> set[str]:
    with served.project.marks.reading() as db:
        return {row[0] for row in db.execute("SELECT video_id FROM exported_video")}


def test_nothing_finished_is_nothing_exported(tess, served) -> None:
    status, answer = do(tess, "exports")
    assert (status, "no mark of a video that is done" in answer["error"]) == (422, True)
    assert not list((served.project.folder / "exports").glob("*"))
    assert "disabled" in tess.get("/teacher/export").text


def test_backups_are_made_and_listed(tess, served) -> None:
    assert "There is none yet" in tess.get("/teacher/backups").text
    assert do(tess, "backups") == (200, {"next": "/teacher/backups?made=true"})
    (made,) = (served.project.folder / "backups").iterdir()
    page = tess.get("/teacher/backups?made=true").text
    assert f"ttdata annotate {served.project.folder} restore {made.name}" in page


def test_people_and_videos_in_numbers(tess, crowd) -> None:
    page = tess.get("/teacher/people").text
    assert len(re.findall(r'<th scope="row">', page)) == 4
    assert re.search(r"ready", tess.get("/teacher/videos").text)
    assert tess.get("/teacher/videos/99").status_code == 404
    assert tess.get("/teacher/people/nobody").status_code == 404


def test_no_page_has_inline_code_or_style(tess, crowd) -> None:
    names = ("", "/start", "/people", "/people/ann", "/invitations", "/videos", "/videos/1")
    for name in (*names, "/agreement", "/export", "/backups"):
        answer = tess.get(f"/teacher{name}")
        assert answer.status_code == 200, name
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", answer.text), name


def test_text_of_people_is_escaped(tess, served) -> None:
    do(tess, "invitations", names="<script>alert(1)</script>")
    for path in ("/teacher/people", "/teacher/people/person-01", "/teacher/invitations"):
        page = tess.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_of_two_invitations_at_once_the_one_that_counts_is_shown(served, monkeypatch) -> None:
    people, invitations = served.project.people, served.app.state.context.invitations
    invite, both = people.invite, threading.Barrier(2)

    def slow(pseudonym: str) -> str:
        token = invite(pseudonym)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # the other one is made before this one is kept
        return token

    monkeypatch.setattr(people, "invite", slow)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(invitations.make, ["ann", "ann"]))
    shown = invitations.find("ann")
    assert shown is not None
    assert shown in made
