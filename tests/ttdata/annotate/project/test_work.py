"""Who gets which video, sees what, and finds how much of what is known."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import polars as pl
import pytest

from ttdata.annotate.store.errors import Refused
from ttdata.annotate.work.assigning import next_video, open_next
from ttdata.annotate.work.golden import Truth, score_person, set_truth, truth_of
from ttdata.annotate.work.proposals import (
    Proposal,
    ProposalSet,
    add_proposals,
    proposals_of,
)
from ttdata.annotate.work.videos import (
    add_video,
    find_video,
    list_videos,
    videos_table,
)
from ttdata.annotate.work.visibility import Visible, visible_of

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
STROKE = (100, 220, HIT)


def propose(log, video_id: str, start: int, end: int, name: str = "f") -> bool:
    found = ProposalSet(set_id=name, file=f"/{name}.csv", format="crowd")
    made = Proposal(video_id=video_id, model="m1", start_frame=start, end_frame=end, label=HIT)
    return add_proposals(log.db, found, [made], 7)


def test_videos_are_registered_once(log, make_video) -> None:
    assert not add_video(log.db, make_video("a"))
    with pytest.raises(Refused, match=r"'a': is /videos/a\.mp4 in the project, found other"):
        add_video(log.db, make_video("a", fingerprint="other"))
    with pytest.raises(Refused, match="is in the project already, as 'a'"):
        add_video(log.db, make_video("d", fingerprint="a"))
    uneven = make_video("d", 3, frame_seconds=(0.0, 0.1, 0.15), player_id="p1")
    assert add_video(log.db, uneven)
    assert find_video(log.db, "d") == uneven
    assert find_video(log.db, "e") is None
    assert [video.video_id for video in list_videos(log.db)] == ["a", "b", "c", "d"]
    assert videos_table(log.db)["frame_seconds"].to_list()[3] == [0.0, 0.1, 0.15]


def work_through(log, people: list[str], k: int) -> dict[str, list[str]]:
    """Everybody takes videos in turn until nobody gets one."""
    had: dict[str, list[str]] = {person: [] for person in people}
    number = 1000
    while True:
        opened = 0
        for person in people:
            if (name := next_video(log.db, person, annotators_per_video=k)) is not None:
                log.finish(name, person, number := number + 10)
                had[person].append(name)
                opened += 1
        if not opened:
            return had


def test_every_video_gets_k_people_the_least_covered_first(log) -> None:
    had = work_through(log, ["p1", "p2", "p3"], 2)
    assert had == {"p1": ["a", "b", "c"], "p2": ["b", "a"], "p3": ["c"]}


def test_assigning_is_the_same_each_time(make_log) -> None:
    assert work_through(make_log(), ["p1", "p2", "p3"], 2) == work_through(
        make_log(), ["p1", "p2", "p3"], 2
    )


def test_an_open_video_comes_first_and_an_abandoned_one_is_given_again(log) -> None:
    log.open("a", "p1", 900)
    assert next_video(log.db, "p1") == "a"
    log.open("a", "p2", 901)
    for name, number in (("b", 910), ("c", 920)):
        log.finish(name, "p3", number)
        log.finish(name, "p4", number + 1000)
    # Two have opened `a` and nobody has finished it.
    assert next_video(log.db, "p3") == "a"
    log.finish("a", "p3", 930)
    log.finish("a", "p4", 940)
    assert next_video(log.db, "p5") is None


def test_a_video_whose_marks_somebody_knows_is_for_others(log) -> None:
    assert next_video(log.db, "p1", not_these={"a", "b"}) == "c"
    assert next_video(log.db, "p1", not_these={"a", "b", "c"}) is None
    log.open("a", "p1", 900)
    assert next_video(log.db, "p1", not_these={"a"}) == "a"  # he began it unseeing


def test_training_covers_nothing(log) -> None:
    log.open("a", "p1", 900, purpose="training")
    assert next_video(log.db, "p2") == "a"
    assert next_video(log.db, "p1") == "b"


def test_a_tenth_are_golden_at_places_nobody_can_count_to(log, make_video) -> None:
    for number in range(60):
        add_video(log.db, make_video(f"v{number:02}", 1000))
    for number in range(8):
        add_video(log.db, make_video(f"g{number}", 1000))
        set_truth(log.db, f"g{number}", [Truth(start_frame=9, end_frame=90, label=HIT)])
    places = {}
    for who, person in enumerate(("ann", "bob")):
        names = []
        for turn in range(40):
            names.append(next_video(log.db, person, annotators_per_video=9))
            log.finish(names[-1], person, 10_000 * (who + 1) + 10 * turn)
        golden = [turn for turn, name in enumerate(names) if name.startswith("g")]
        assert [turn // 10 for turn in golden] == [0, 1, 2, 3]
        places[person] = [turn % 10 for turn in golden]
    assert places["ann"] != places["bob"]
    assert len(set(places["ann"])) > 1
    turns = [next_video(log.db, name, golden_share=0.0) for name in "defghijklm"]
    assert not [name for name in turns if name.startswith("g")]


def test_nobody_sees_anything_before_his_own_done(log) -> None:
    log.finish("a", "bob", 910, STROKE)
    propose(log, "a", 300, 420)
    nothing = Visible()
    assert visible_of(log.db, "ann", "annotator", "a") == nothing  # not begun
    log.open("a", "ann", 900)
    seen = visible_of(log.db, "ann", "annotator", "a")
    assert (seen.own.marks, seen.others, seen.look_here) == ((), (), ())
    for role in ("reviewer", "teacher"):  # who annotates himself is blind, too
        assert visible_of(log.db, "ann", role, "a") == seen


def test_after_done_others_finished_marks_and_places_to_look(log) -> None:
    log.finish("a", "bob", 910, STROKE)
    log.open("a", "eve", 920)
    log.finish("a", "ann", 930)
    propose(log, "a", 300, 420)
    propose(log, "a", 301, 419, "g")
    seen = visible_of(log.db, "ann", "annotator", "a")
    assert [work.assignment.person for work in seen.others] == ["bob"]  # eve's are not finished
    assert [mark.mark_id for mark in seen.others[0].marks] == [str(UUID(int=911))]
    assert seen.look_here == (360,)
    assert visible_of(log.db, "tea", "teacher", "a").others[0].assignment.person == "bob"


def test_truth_is_shown_to_teachers_and_reviewers_only(log) -> None:
    truth = Truth(start_frame=100, end_frame=220, label=HIT)
    set_truth(log.db, "b", [truth])
    log.finish("b", "ann", 910, STROKE)
    assert visible_of(log.db, "ann", "annotator", "b").truth == ()
    assert visible_of(log.db, "tea", "teacher", "b").truth == (truth,)


def test_golden_clips_are_made_before_people_begin(log) -> None:
    strokes = [Truth(start_frame=100, end_frame=220, label=HIT)]
    assert set_truth(log.db, "b", strokes)
    assert not set_truth(log.db, "b", strokes)
    assert truth_of(log.db, "b") == tuple(strokes)
    with pytest.raises(Refused, match="is a golden clip with other strokes"):
        set_truth(log.db, "b", [])
    log.open("a")
    with pytest.raises(Refused, match="1 person has begun to annotate it"):
        set_truth(log.db, "a", strokes)
    with pytest.raises(Refused, match=r"true stroke \[900, 1001\), expected one within its 1000"):
        set_truth(log.db, "c", [Truth(start_frame=900, end_frame=1001, label=HIT)])
    with pytest.raises(Refused, match="'z': is not in the project"):
        set_truth(log.db, "z", strokes)


def test_a_score_with_known_numbers(log) -> None:
    starts = (100, 300, 500, 700)
    set_truth(log.db, "b", [Truth(start_frame=s, end_frame=s + 100, label=HIT) for s in starts])
    set_truth(log.db, "c", [Truth(start_frame=100, end_frame=200, label=HIT)])
    log.finish(
        *("b", "ann", 910),
        (104, 202, HIT),  # starts 4 late, ends 2 late
        (298, 400, LOOP),  # the wrong label; starts 2 early
        (300, 380, HIT),  # a second mark of that stroke
        (560, 660, HIT),  # IoU 0.25: no match
        (700, 750, HIT),  # IoU 0.5 exactly: a match, ends 50 early
        (900, 990, HIT),  # no stroke
    )
    score = score_person(log.db, "ann")
    assert (score.recall.hits, score.recall.of, score.recall.share) == (3, 4, 0.75)
    assert (score.precision.hits, score.precision.of) == (3, 6)
    assert (score.labels.hits, score.labels.of) == (2, 3)
    assert score.labels.interval == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert score.start_error_frames == 2
    assert score.end_error_frames == 2
    assert score.start_offset_frames == 0
    assert score.end_offset_frames == 0
    nobody = score_person(log.db, "bob")  # `c` was nobody's: its stroke counts against nobody
    assert nobody.recall.model_dump() == {"hits": 0, "of": 0, "share": None, "interval": None}
    assert nobody.start_error_frames is None


def test_proposals_are_kept_with_their_source_and_never_vote(log) -> None:
    assert propose(log, "a", 300, 420)
    assert not propose(log, "a", 300, 420)
    ((source, made),) = proposals_of(log.db, "a")
    assert (source.file, source.format, made.model) == ("/f.csv", "crowd", "m1")
    log.finish("a", "ann", 910, STROKE)
    exported = pl.read_database("SELECT * FROM exported_mark", log.db)
    assert exported["start_frame"].to_list() == [100]
    left = dict(log.db.execute("SELECT * FROM left_out"))
    assert left["proposed by models"] == 1


def test_opening_the_next_video_is_one_step(project) -> None:
    first = open_next(project.marks, "ann")
    assert (first.video_id, first.state) == ("a", "open")
    assert open_next(project.marks, "ann") == first
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: open_next(project.marks, f"p{n}"), range(5)))
    # Six people, three videos: two each.
    videos = sorted(work.video_id for work in (first, *found))
    assert videos == ["a", "a", "b", "b", "c", "c"]
