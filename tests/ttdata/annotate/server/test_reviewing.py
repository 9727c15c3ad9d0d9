"""Reviewing through the server: doubts without names, decisions stored, nobody else's turn."""

import itertools
import threading
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from ttdata.annotate.exchange.export import export_project
from ttdata.annotate.store.events import AssignmentOpened, Done, Event, MarkMade, Seen
from ttdata.annotate.work.videos import ProjectVideo, add_video
from ttdata.commands.curate import curate_source
from ttdata.synth.config import SynthConfig
from ttdata.synth.crowd import annotate
from ttdata.synth.plan import plan_video
from ttdata.synth.write import _write_tables

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"


def add(project: Any, name: str, num_frames: int, fps: float = 30.0, **facts: Any) -> None:
    """A video without a film."""
    values = {"width": 640, "height": 360, "path": f"/{name}.mp4", "fingerprint": f"1-{name}"}
    video = ProjectVideo(video_id=name, num_frames=num_frames, fps=fps, **values | facts)
    project.marks.write(lambda db: add_video(db, video))


def two_annotators(project: Any, videos: int) -> None:
    """Two people disagree about 25 strokes in each of some videos."""
    project.marks.write(lambda db: db.execute("DELETE FROM video"))
    for number in range(videos):
        add(project, f"v{number}", 4000)
    numbers = itertools.count(1)

    def work(db: Any, video_id: str, person: str, label: str) -> None:
        assignment = str(UUID(int=next(numbers)))
        bodies: list[Any] = [AssignmentOpened(video_id=video_id)]
        for i in range(25):
            at = 100 + 60 * i
            bodies.append(MarkMade(start_frame=at, end_frame=at + 30, label=label))
        for body in [*bodies, Seen(spans=((0, 4000),)), Done()]:
            mark = str(UUID(int=next(numbers))) if isinstance(body, MarkMade) else None
            event = {"uuid": str(UUID(int=next(numbers))), "person": person, "mark": mark}
            project.marks.append_within(db, Event(assignment=assignment, body=body, **event))

    def job(db: Any) -> None:
        for number in range(videos):
            work(db, f"v{number}", "ann", HIT)
            work(db, f"v{number}", "bob", LOOP)

    project.marks.write(job)


def test_doubts_are_settled_through_the_server(served) -> None:
    two_annotators(served.project, 1)
    with served.client("rex") as rex:
        first = rex.get("/api/review/next").json()
        assert first["left"] == 25
        doubt = first["doubt"]
        assert (doubt["video"], doubt["item"]["video_id"]) == (None, "v0")  # its film is away
        assert [(m["letter"], m["label"]) for m in doubt["marks"]][:2] == [("A", HIT), ("B", LOOP)]
        assert not [name for name in ("ann", "bob") if f'"{name}"' in str(first)]
        body = {"item_id": doubt["item"]["item_id"], "decision": "relabel", "label": LOOP}
        answer = rex.post("/api/review/decisions", json=body)
        assert answer.status_code == 200
        assert answer.json()["left"] == 24
        again = rex.post("/api/review/decisions", json=body)
        assert (again.status_code, "settled already" in again.json()["error"]) == (422, True)
        item = answer.json()["doubt"]["item"]["item_id"]
        assert rex.post("/api/review/keep", json={"item_id": item}).json() == {"kept": True}
        later = rex.post("/api/review/later", json={"item_id": item}).json()
        assert later["doubt"]["item"]["item_id"] != item
    with served.client("tess") as tess:  # what was put off is free for her
        assert tess.get("/api/review/next").json()["doubt"]["item"]["item_id"] == item
    assert pl.read_csv(served.project.folder / "reviews.csv").select(
        "video_id", "start_frame", "decision", "label", "reviewer_id"
    ).rows() == [("v0", 100, "relabel", LOOP, "rex")]


@pytest.mark.slow
def test_decisions_of_two_reviewers_in_parallel(served, tmp_path) -> None:
    two_annotators(served.project, 3)
    had: list[str] = []
    problems: list[str] = []

    def work(name: str) -> None:
        with served.client(name) as client:
            found = client.get("/api/review/next").json()
            for turn in range(32):
                item = found["doubt"]["item"]
                had.append(item["item_id"])
                body = {"item_id": item["item_id"], "decision": "relabel", "label": HIT}
                if turn % 4 == 3:
                    body = {"item_id": item["item_id"], "decision": "drop"}
                answer = client.post("/api/review/decisions", json=body)
                if answer.status_code != 200:
                    problems.append(answer.text)
                    return
                found = answer.json()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("rex", "tess")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    rows = pl.read_csv(served.project.folder / "reviews.csv")
    assert (rows.height, len(set(had))) == (64, 64)
    assert rows.select("video_id", "start_frame").n_unique() == 64
    dataset = curate_source(served.project.folder, tmp_path / "dataset").dataset
    assert dataset.info.counts["reviews_unmatched"] == 0
    doubted = dataset.actions.filter(pl.col("label").is_null())
    settled = doubted.join(rows, on=["video_id", "start_frame"], how="semi")
    dropped = rows.filter(decision="drop")
    assert settled.height == dropped.height == 16
    with served.client("rex") as rex:
        assert rex.get("/api/review/next").json()["left"] == 3 * 25 - 64


def test_who_reviews_gets_no_film_by_an_annotator_session(client) -> None:
    for path in ("/review", "/references", "/api/review/next", "/api/references/1"):
        assert client("annotator").get(path).status_code == 403


@pytest.mark.slow
def test_a_crowd_through_the_server_gives_the_actions_of_its_table(served, hand, tmp_path) -> None:
    """A synthetic crowd marks as its tables say; what no page can send is left out."""
    config = SynthConfig(num_videos=2, seconds=30, fps=120, seed=3, num_annotators=2)
    plans = [plan_video(config, number) for number in range(config.num_videos)]
    source = tmp_path / "source"
    source.mkdir()
    _write_tables(source, config, plans)
    project = served.project
    project.marks.write(lambda db: db.execute("DELETE FROM video"))
    for plan in plans:
        facts = {"player_id": plan.player_id, "session_id": plan.session_id}
        add(project, plan.video_id, plan.num_frames, 120.0, **facts)
    crowd = [(plan, made) for plan in plans for made in annotate(plan)]
    people = sorted({made.annotator_id for _, made in crowd})
    refused = 0
    for number, name in enumerate(people, 1):
        project.people.add(name, "annotator")
        with served.client(name) as client:
            person = hand(client, number)
            for plan in plans:
                own = [m for p, m in crowd if p is plan and m.annotator_id == name]
                if own:
                    refused += work_through(project, person, plan, own)
    assert refused > 0
    export_project(project, tmp_path / "export", "tess")
    columns = ["video_id", "start_frame", "end_frame", "label", "status", "labels"]
    direct = curate_source(source, tmp_path / "direct").dataset.actions
    through = curate_source(tmp_path / "export", tmp_path / "through").dataset.actions
    assert direct.height > 20
    assert through.select(columns).equals(direct.select(columns))


def work_through(project: Any, hand: Any, plan: Any, own: Any) -> int:
    """Mark what a person of the crowd says; returns how many marks the server refused."""
    person = own[0].annotator_id
    hand.assignment = hand.uid()
    body = AssignmentOpened(video_id=plan.video_id)
    project.marks.append(
        Event(uuid=hand.uid(), person=person, assignment=hand.assignment, body=body)
    )
    refused = 0
    for made in own:
        if made.start_frame is None:
            continue
        name = hand.uid()
        label = project.taxonomy.canonical(made.label)
        bounds = {"start_frame": made.start_frame, "end_frame": made.end_frame}
        answer = hand.send("mark_made", name, **bounds, label=label)
        if answer.status_code == 422:  # frame 0, or after the video
            refused += 1
        elif label is None:  # no video is done with a mark without a name
            assert hand.send("mark_removed", name, 1).status_code == 200
            refused += 1
    assert hand.send("seen", spans=[[0, plan.num_frames]]).status_code == 200
    assert hand.send("done").status_code == 200
    return refused


def test_a_reviewer_who_marks_a_film_himself_sees_no_marks_of_it_before(served, hand) -> None:
    with served.client("ann") as one, served.client("rex") as other:
        ann, rex = hand(one), hand(other, 2)
        ann.open()
        ann.finish((5, 20, HIT))
        assert [film["position"] for film in other.get("/api/references").json()] == [1]
        rex.open()
        while rex.data()["video"]["num_frames"] != ann.data()["video"]["num_frames"]:
            rex.finish()
            rex.open()
        answer = other.get("/api/references/1")
        assert (answer.status_code, HIT in answer.text) == (403, False)
        assert other.get("/api/references").json() == []
        rex.finish((5, 20, HIT))
        assert len(other.get("/api/references/1").json()["marks"]) == 2


@pytest.mark.parametrize(
    ("moments", "status"),
    [
        ({"ready": -1, "contact": 3, "end": 5}, 422),
        ({"ready": 2, "contact": 3, "end": 2**60}, 422),
    ],
)
def test_moments_that_are_no_frames_are_refused(client, moments: dict, status: int) -> None:
    ids = dict.fromkeys(("mark_id", "assignment_id"), "00000000-0000-4000-8000-00000000000f")
    sent = {**ids, "revision": 1, "moments": moments}
    assert client("reviewer").post("/api/references", json=sent).status_code == status


def test_whoever_knows_others_marks_is_not_given_the_video(served) -> None:
    two_annotators(served.project, 1)
    info = served.project.info
    served.project.info = info.model_copy(update={"annotators_per_video": 3})  # one more for v0
    with served.client("rex") as rex, served.client("tess") as tess:
        item = rex.get("/api/review/next").json()["doubt"]["item"]
        body = {"item_id": item["item_id"], "decision": "drop"}
        rex.post("/api/review/decisions", json=body).raise_for_status()
        assert "Nothing left to mark" in rex.get("/annotate").text
        assert given(served, tess) == "v0"


def test_whoever_was_shown_marks_as_references_is_not_given_the_video(served, hand) -> None:
    with served.client("ann") as one, served.client("rex") as other:
        ann, rex = hand(one), hand(other, 2)
        ann.open()
        ann.finish((5, 20, HIT))
        (film,) = other.get("/api/references").json()
        other.get(f"/api/references/{film['position']}").raise_for_status()
        for _ in range(2):
            rex.open()
            assert rex.data()["video"]["num_frames"] != ann.data()["video"]["num_frames"]
            rex.finish()
        assert "Nothing left to mark" in other.get("/annotate").text


def given(served: Any, client: Any) -> str:
    name = client.get("/annotate").headers["location"].rpartition("/")[2]
    with served.project.marks.reading() as db:
        query = "SELECT video_id FROM assignment WHERE assignment_id = ?"
        return db.execute(query, (name,)).fetchone()[0]
