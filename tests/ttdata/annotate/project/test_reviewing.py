"""Reviewers settle doubts: the order, who gets which, what is stored, that it holds."""

import os
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from ttdata.annotate.exchange.backup import back_up, restore
from ttdata.annotate.exchange.export import export_project
from ttdata.annotate.project import Project
from ttdata.annotate.reviewing.desk import ReviewDesk
from ttdata.annotate.reviewing.doubts import find_doubts
from ttdata.annotate.reviewing.verdicts import Verdict, reviewed_videos
from ttdata.annotate.store.errors import Refused
from ttdata.annotate.store.events import AssignmentOpened, Done, Event, MarkMade, Seen
from ttdata.annotate.work.proposals import Proposal, ProposalSet, add_proposals
from ttdata.annotate.work.videos import add_video
from ttdata.commands.curate import curate_source
from ttdata.errors import AnnotationError
from ttdata.review.queue import read_review_queue

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
AGREED = tuple((980 + 180 * i, 1100 + 180 * i, HIT) for i in range(9))
ANN = ((100, 220, HIT), (450, 570, HIT), (800, 920, HIT), *AGREED)
BOB = ((104, 218, LOOP), (490, 590, HIT), *AGREED)


@pytest.fixture
def doubtful(project: Project, make_video) -> Project:
    """Of `v`: names disagree, bounds spread, one saw what the other did not; and two gaps."""
    project.marks.write(lambda db: add_video(db, make_video("v", 8000)))
    finish_long(project, "v", "ann", 900, ANN)
    finish_long(project, "v", "bob", 910, BOB)
    return project


def verdict(desk: ReviewDesk, person: str, decision: str, **more: object) -> int:
    item = desk.turn(person).shown.item
    values = {"item_id": item.item_id, "decision": decision} | more
    return desk.decide(person, Verdict.model_validate(values))


def test_the_queue_is_that_of_the_curated_project(doubtful: Project, tmp_path: Path) -> None:
    dataset = curate_source(doubtful.folder, tmp_path / "dataset").dataset
    expected = read_review_queue(dataset)
    assert expected["kind"].to_list() == ["action", "action", "action", "negative", "negative"]
    assert find_doubts(doubtful).queue.equals(expected)


def test_an_item_shows_marks_without_names_and_where_proposals_are_from(doubtful: Project) -> None:
    made = Proposal(video_id="v", model="net", start_frame=90, end_frame=230, label=LOOP)
    far = Proposal(video_id="v", model="net", start_frame=900, end_frame=940)
    found = ProposalSet(set_id="x", file="/secret/place/detections.csv", format="crowd")
    doubtful.marks.write(lambda db: add_proposals(db, found, [made, far], 0))
    turn = ReviewDesk(doubtful).turn("rev")
    assert turn.left == 5
    item = turn.shown.item
    assert (item.kind, item.start_frame, item.end_frame) == ("action", 102, 219)
    assert item.why == ("annotators disagree",)
    assert (item.votes, item.label) == (f"1 x {HIT}, 1 x {LOOP}", None)
    assert [tuple(mark.model_dump().values()) for mark in turn.shown.marks] == [
        ("A", 100, 220, HIT, ()),
        ("B", 104, 218, LOOP, ()),
    ]
    (proposed,) = turn.shown.proposals
    assert (proposed.model, proposed.file, proposed.label) == ("net", "detections.csv", LOOP)
    text = turn.model_dump_json()
    assert not [name for name in ("ann", "bob", "secret") if f'"{name}"' in text]


def test_marks_of_the_next_stroke_have_no_letter(project: Project, make_video) -> None:
    project.marks.write(lambda db: add_video(db, make_video("v", 8000)))
    finish_long(project, "v", "ann", 900, ((100, 220, HIT), (225, 345, HIT)))
    finish_long(project, "v", "bob", 910, ((104, 218, LOOP), (225, 345, HIT)))
    shown = ReviewDesk(project).turn("rev").shown
    assert (shown.item.start_frame, shown.item.end_frame) == (102, 219)
    assert [(mark.letter, mark.start_frame) for mark in shown.marks] == [("A", 100), ("B", 104)]


def test_decisions_are_rows_of_reviews_and_hold_in_the_dataset(
    doubtful: Project, tmp_path: Path
) -> None:
    desk = ReviewDesk(doubtful)
    assert verdict(desk, "rev", "relabel", label=LOOP) == 1
    bounds = {"start_frame": 455, "end_frame": 580}
    assert verdict(desk, "rev", "move", **bounds) == 1
    assert verdict(desk, "rev", "drop") == 1
    assert verdict(desk, "rev", "accept") == 1
    assert verdict(desk, "rev", "reject") == 1
    assert desk.turn("rev").left == 0
    rows = pl.read_csv(doubtful.folder / "reviews.csv")
    assert rows.select("start_frame", "decision", "label", "new_start_frame").rows() == [
        (102, "relabel", LOOP, None),
        (470, "move", None, 455),
        (800, "drop", None, None),
        (209, "accept", None, None),
        (570, "reject", None, None),
    ]
    assert rows["reviewer_id"].to_list() == ["rev"] * 5
    curated = curate_source(doubtful.folder, tmp_path / "dataset")
    clips = curated.dataset.clips.select("start_frame", "end_frame", "label")
    assert clips.head(3).rows() == [
        (102, 219, LOOP),
        (209, 465, "Negative"),
        (455, 580, HIT),
    ]
    assert clips["start_frame"].to_list()[3:] == [start for start, _, _ in AGREED]
    assert f"5 decisions of {doubtful.folder / 'reviews.csv'} taken along" in curated.notes
    assert read_review_queue(curated.dataset).height == 0


def test_label_and_bounds_may_be_decided_at_once(doubtful: Project) -> None:
    desk = ReviewDesk(doubtful)
    with pytest.raises(Refused, match="the marks disagree about the name"):
        verdict(desk, "rev", "move", start_frame=101, end_frame=219)
    assert verdict(desk, "rev", "relabel", label=LOOP, start_frame=101, end_frame=219) == 2
    rows = pl.read_csv(doubtful.folder / "reviews.csv")
    assert rows["decision"].to_list() == ["move", "relabel"]
    assert "annotators disagree" not in find_doubts(doubtful).queue["why"].to_list()
    # Right as it is: nobody is asked again.
    assert verdict(desk, "rev", "accept") == 1
    assert find_doubts(doubtful).queue["start_frame"].to_list()[:1] == [800]


@pytest.mark.parametrize(
    ("decision", "more", "told"),
    [
        ("reject", {}, "expected accept, relabel, move, drop"),
        ("accept", {}, "name the stroke, too"),
        ("relabel", {"label": "Smash"}, "expected a class of the project's taxonomy"),
        ("relabel", {"label": HIT, "end_frame": 8001}, "within 8000 frames"),
        ("relabel", {"label": HIT, "start_frame": 219}, "expected a start before the end"),
        ("move", {"label": HIT}, "the bounds were not changed"),
    ],
)
def test_decisions_that_do_not_fit_are_refused(
    doubtful: Project, decision: str, more: dict[str, object], told: str
) -> None:
    desk = ReviewDesk(doubtful)
    with pytest.raises(Refused, match=told):
        verdict(desk, "rev", decision, **more)
    assert not (doubtful.folder / "reviews.csv").exists()
    assert desk.turn("rev").left == 5


def test_two_reviewers_never_have_one_item_until_it_lies_idle(doubtful: Project) -> None:
    time = [0]
    desk = ReviewDesk(doubtful, clock=lambda: time[0], lease_ms=1000)
    first, second = (desk.turn(name).shown.item for name in ("rev", "tea"))
    assert first.item_id != second.item_id
    assert desk.turn("rev").shown.item == first  # after a reload, too
    with pytest.raises(Refused, match="somebody else is looking at this doubt"):
        desk.decide("tea", Verdict(item_id=first.item_id, decision="drop"))
    time[0] = 900
    assert desk.keep("rev", first.item_id)
    time[0] = 1899
    assert not desk.keep("tea", first.item_id)
    time[0] = 1900
    assert desk.turn("tea").shown.item == first
    assert not desk.keep("rev", first.item_id)
    desk.decide("tea", Verdict(item_id=first.item_id, decision="drop"))
    with pytest.raises(Refused, match="is settled already"):
        desk.decide("rev", Verdict(item_id=first.item_id, decision="drop"))


def test_what_is_put_off_comes_last(doubtful: Project) -> None:
    desk = ReviewDesk(doubtful)
    first = desk.turn("rev").shown.item
    desk.put_off("rev", first.item_id)
    assert desk.turn("tea").shown.item == first
    desk.put_off("tea", first.item_id)
    for _ in range(4):
        assert desk.turn("rev").shown.item != first
        verdict(desk, "rev", "accept")
    assert desk.turn("rev").shown.item == first


def test_who_annotates_a_video_does_not_review_it(doubtful: Project) -> None:
    name = "00000000-0000-0000-0000-0000000f0000"
    body = AssignmentOpened(video_id="v")
    doubtful.marks.append(Event(uuid=name, person="rev", assignment=name, body=body))
    desk = ReviewDesk(doubtful)
    assert (desk.turn("rev").shown, desk.turn("rev").left) == (None, 5)
    assert desk.turn("tea").shown is not None


def test_doubts_are_found_anew_when_work_is_finished(project: Project, finish) -> None:
    desk = ReviewDesk(project)
    assert (desk.turn("rev").shown, desk.turn("rev").left) == (None, 0)
    finish("a", "ann", 900, (100, 220, HIT))
    assert desk.turn("rev").left == 0
    finish("a", "bob", 910, (104, 218, LOOP))
    assert desk.turn("rev").left == 1
    assert desk.turn("rev").shown.item.why == ("annotators disagree",)


@pytest.mark.slow
def test_200_decisions_of_two_reviewers_in_parallel(
    project: Project, finish, make_video, tmp_path: Path
) -> None:
    for number in range(6):
        name, at = f"v{number}", 1000 * (number + 1)
        project.marks.write(lambda db, n=name: add_video(db, make_video(n, 8000)))
        strokes = [(100 + 350 * i, 220 + 350 * i, (HIT, LOOP)[i % 2]) for i in range(22)]
        other = [(s + (50 if i % 3 else 1), e, HIT) for i, (s, e, _) in enumerate(strokes)]
        finish_long(project, name, "ann", at, strokes)
        finish_long(project, name, "bob", at + 500, other)
    desk = ReviewDesk(project)
    total = desk.turn("rev").left
    assert total > 200
    lock, had, rows = threading.Lock(), [], []

    def work(person: str) -> None:
        for turn in range(100):
            item = desk.turn(person).shown.item
            with lock:
                had.append(item.item_id)
            if item.kind == "negative":
                found = Verdict(item_id=item.item_id, decision=("accept", "reject")[turn % 2])
            elif turn % 5 == 4:
                found = Verdict(item_id=item.item_id, decision="drop")
            else:
                label = (HIT, LOOP)[turn % 2]
                found = Verdict(item_id=item.item_id, decision="relabel", label=label)
            rows.append(desk.decide(person, found))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("rev", "tea")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows == [1] * 200
    assert len(set(had)) == 200
    found = pl.read_csv(project.folder / "reviews.csv")
    assert found.height == 200
    assert found["reviewer_id"].value_counts().sort("reviewer_id").rows() == [
        ("rev", 100),
        ("tea", 100),
    ]
    assert desk.turn("rev").left == total - 200
    again = ReviewDesk(project)  # curated with the decisions
    left = set(again._open) if again.turn("rev") else set()
    assert left
    assert not left & set(had)
    dataset = curate_source(project.folder, tmp_path / "dataset").dataset
    assert dataset.info.counts["reviews"] == 200
    assert dataset.info.counts["reviews_unmatched"] == 0
    assert read_review_queue(dataset).height == len(left)


def finish_long(
    project: Project, video_id: str, person: str, at: int, strokes: Iterable[tuple[int, int, str]]
) -> None:
    """Finish a video of 8000 frames."""

    def event(number: int, body: object, mark: int | None = None) -> Event:
        ids = [f"00000000-0000-0000-0000-{n:012x}" for n in (at * 1000 + number, at, mark or 0)]
        mark_id = ids[2] if mark else None
        return Event(uuid=ids[0], person=person, assignment=ids[1], mark=mark_id, body=body)

    def job(db: sqlite3.Connection) -> None:
        bodies = [AssignmentOpened(video_id=video_id)]
        bodies += [MarkMade(start_frame=s, end_frame=e, label=name) for s, e, name in strokes]
        bodies += [Seen(spans=((0, 8000),)), Done()]
        for number, body in enumerate(bodies):
            mark = at * 1000 + 500 + number if isinstance(body, MarkMade) else None
            project.marks.append_within(db, event(number, body, mark))

    project.marks.write(job)


def test_decisions_travel_with_export_and_backup(doubtful: Project, tmp_path: Path) -> None:
    desk = ReviewDesk(doubtful)
    verdict(desk, "rev", "relabel", label=LOOP)
    made = back_up(doubtful.folder)
    verdict(desk, "rev", "accept")
    export_project(doubtful, tmp_path / "out", "tea")
    direct = curate_source(doubtful.folder, tmp_path / "direct").dataset
    by_export = curate_source(tmp_path / "out", tmp_path / "by_export").dataset
    assert direct.clips.equals(by_export.clips)
    assert direct.clips["label"].to_list()[0] == LOOP
    texts = [(tmp_path / name / "reviews.csv").read_text() for name in ("direct", "by_export")]
    assert texts == [(doubtful.folder / "reviews.csv").read_text()] * 2
    doubtful.close()
    kept = restore(doubtful.folder, made.name)
    heights = [pl.read_csv(f / "reviews.csv").height for f in (kept, doubtful.folder)]
    assert heights == [2, 1]


def test_decisions_of_a_source_are_taken_once_and_those_of_the_dataset_stay(
    doubtful: Project, tmp_path: Path
) -> None:
    desk = ReviewDesk(doubtful)
    verdict(desk, "rev", "relabel", label=LOOP)
    out = tmp_path / "dataset"
    curate_source(doubtful.folder, out)
    first = (out / "reviews.csv").read_text()
    curate_source(doubtful.folder, out)
    assert (out / "reviews.csv").read_text() == first
    own = "v,800,920,drop,,,,me,,,,,\n"
    (out / "reviews.csv").write_text(first + own)
    verdict(desk, "rev", "accept")
    dataset = curate_source(doubtful.folder, out).dataset
    lines = (out / "reviews.csv").read_text().splitlines()
    assert [line.split(",")[3] for line in lines[1:]] == ["relabel", "drop", "relabel"]
    assert dataset.info.counts["reviews"] == 3


def test_damaged_reviews_are_told_in_one_line(doubtful: Project) -> None:
    (doubtful.folder / "reviews.csv").write_text(
        "video_id,start_frame,end_frame,decision\nv,1,2,maybe\n"
    )
    with pytest.raises(AnnotationError, match=r"reviews\.csv line 2: decision 'maybe'") as raised:
        ReviewDesk(doubtful).turn("rev")
    assert "\n" not in str(raised.value)


def test_made_up_items_that_are_put_off_take_no_memory(doubtful: Project) -> None:
    desk = ReviewDesk(doubtful)
    desk.turn("rev")
    for number in range(9):
        desk.put_off("rev", f"none {number}")
    assert not desk._put_off


def test_a_decision_is_on_the_disk_by_its_name_too(doubtful: Project, monkeypatch) -> None:
    synced, sync = [], os.fsync

    def recorded(handle: int) -> None:
        synced.append(os.path.samestat(os.fstat(handle), doubtful.folder.stat()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    verdict(ReviewDesk(doubtful), "rev", "drop")
    assert synced[-1]


def test_a_desk_knows_whose_marks_somebody_has_seen(doubtful: Project) -> None:
    desk = ReviewDesk(doubtful)
    assert desk.known_to("rev") == frozenset()
    desk.turn("rev")
    assert desk.known_to("rev") == {"v"}  # one in hand
    verdict(desk, "rev", "drop")
    later = ReviewDesk(doubtful)
    assert later.known_to("rev") == {"v"}
    assert later.known_to("other") == frozenset()
    (doubtful.folder / "reviews.csv").write_text("nothing")
    assert later.known_to("rev") == frozenset()  # marking goes on


def test_a_desk_knows_what_was_put_off_or_settled_by_another(doubtful: Project) -> None:
    desk = ReviewDesk(doubtful, clock=lambda: 0)
    desk.put_off("rev", desk.turn("rev").shown.item.item_id)
    assert desk.known_to("rev") == {"v"}
    now = [0]
    desk = ReviewDesk(doubtful, clock=lambda: now[0], lease_ms=1)
    item = desk.turn("one").shown.item
    now[0] = 5
    assert desk.turn("two").shown.item == item
    desk.decide("two", Verdict(item_id=item.item_id, decision="drop"))
    assert desk.known_to("one") == {"v"}
    desk.note_shown("three", "w")
    assert desk.known_to("three") == {"w"}


def test_what_somebody_knows_is_told_while_doubts_are_found(doubtful: Project) -> None:
    desk, found = ReviewDesk(doubtful), []
    thread = threading.Thread(target=lambda: found.append(desk.known_to("rev")), daemon=True)
    with desk._lock:
        thread.start()
        thread.join(5)
        assert found == [frozenset()]


def test_reviews_are_read_again_only_where_they_have_changed(
    doubtful: Project, monkeypatch
) -> None:
    read, desk = [], ReviewDesk(doubtful)

    def counted(path: Path) -> dict[str, frozenset[str]]:
        read.append(path)
        return reviewed_videos(path)

    monkeypatch.setattr("ttdata.annotate.reviewing.desk.reviewed_videos", counted)
    verdict(desk, "rev", "drop")
    assert [desk.known_to(name) for name in ("rev", "rev", "me")] == [{"v"}, {"v"}, frozenset()]
    assert len(read) == 1
    verdict(desk, "me", "drop")
    assert [desk.known_to(name) for name in ("rev", "me")] == [{"v"}, {"v"}]
    assert len(read) == 2
