"""What a teacher sees: activity, coverage, progress, agreement; with answers worked out by hand."""

from itertools import count

import pytest

from ttdata.annotate.oversight.activity import Activity, PersonActivity
from ttdata.annotate.oversight.agreement import PairAgreement, project_agreement
from ttdata.annotate.oversight.coverage import Coverage, coverage_of, read_videos
from ttdata.annotate.oversight.people_progress import read_people
from ttdata.annotate.store.events import (
    AnyBody,
    AssignmentOpened,
    Event,
    Exported,
    MarkMade,
    MarkRemoved,
    Seen,
)
from ttdata.annotate.store.log import append_event
from ttdata.annotate.work.golden import Truth, set_truth

HIT, LOOP, PUSH = "Offensive Forehand Hit", "Offensive Forehand Loop", "Defensive Backhand Push"
MINUTE, HOUR = 60_000, 3_600_000
UID = "00000000-0000-0000-0000-{:012x}"
WHOLE = Seen(spans=((0, 1000),))


class Timed:
    """Sends events of one person at times that a test says."""

    def __init__(self, log, person: str, assignment: int) -> None:
        self.log, self.person, self.assignment = log, person, UID.format(assignment)
        self.numbers = count(assignment * 1000)

    def __call__(self, at: int, body: AnyBody, mark: int | None = None, base: int | None = None):
        event = Event(
            uuid=UID.format(next(self.numbers)),
            person=self.person,
            assignment=None if isinstance(body, Exported) else self.assignment,
            mark=None if mark is None else UID.format(mark),
            base_revision=base,
            body=body,
        )
        append_event(self.log.db, event, at, {HIT, LOOP, PUSH})


def test_time_is_spent_between_events_that_are_near(log) -> None:
    ann, activity = Timed(log, "ann", 900), Activity()
    assert activity.read(log.db, 0) == {}
    ann(1 * MINUTE, AssignmentOpened(video_id="a"))
    ann(2 * MINUTE, MarkMade(start_frame=10), 1)
    ann(4 * MINUTE, MarkMade(start_frame=20), 2)  # two minutes later: no pause
    assert activity.read(log.db, 4 * MINUTE)["ann"] == PersonActivity(
        last_at=4 * MINUTE, spent_ms=3 * MINUTE, marks_last_hour=2
    )
    ann(6 * MINUTE + 1, WHOLE)  # after a pause, which is not counted
    ann(6 * MINUTE + 501, MarkRemoved(), 2, 1)
    ann(7 * MINUTE, Exported(marks=0, sha256="0" * 64))  # no work at a video
    found = activity.read(log.db, 7 * MINUTE)["ann"]
    assert found == PersonActivity(
        last_at=6 * MINUTE + 501, spent_ms=3 * MINUTE + 500, marks_last_hour=1
    )
    assert Activity().read(log.db, 7 * MINUTE) == {"ann": found}  # at once as little by little
    later = activity.read(log.db, 2 * MINUTE + HOUR)["ann"]
    assert later.marks_last_hour == 0


def test_coverage_counts_videos_that_enough_people_have_done(log) -> None:
    for person, assignment in (("ann", 900), ("bob", 910)):
        log.finish("a", person, assignment, (100, 200, HIT), (300, 400, LOOP))
    log.finish("b", "ann", 920, (100, 200, HIT))
    log.open("c", "eve", 930, purpose="training")
    videos = read_videos(log.db)
    assert [(v.position, v.video_id, v.done, v.opened) for v in videos] == [
        (1, "a", 2, 2),
        (2, "b", 1, 1),
        (3, "c", 0, 0),
    ]
    assert [(w.person, w.state, w.marks) for w in videos[0].work] == [
        ("ann", "done", 2),
        ("bob", "done", 2),
    ]
    assert coverage_of(videos, 2) == Coverage(videos=3, done=1, begun=1, marks=5)
    assert coverage_of(videos, 1) == Coverage(videos=3, done=2, begun=0, marks=5)


def test_golden_clips_are_apart(log) -> None:
    set_truth(log.db, "a", [Truth(start_frame=100, end_frame=200, label=HIT)])
    log.finish("a", "ann", 900, (100, 200, HIT))
    assert coverage_of(read_videos(log.db), 1) == Coverage(videos=2, done=0, begun=0, marks=0)
    set_truth(log.db, "b", [])  # the second is to practise on
    kinds = [video.kind for video in read_videos(log.db)]
    assert kinds == ["golden clip", "golden clip, to practise", "to mark"]


@pytest.fixture
def crowd(project, finish):
    """Two agree on a hit, and are of two minds on a loop; one is late by 4 frames."""
    finish("a", "ann", 900, (100, 200, HIT), (400, 500, LOOP), (700, 720, HIT))
    finish("a", "bob", 910, (104, 204, HIT), (400, 500, HIT))
    finish("b", "ann", 920, (100, 200, PUSH))
    return project


def test_agreement_is_that_of_curation(crowd) -> None:
    found = project_agreement(crowd)
    assert (found.marks, found.rejected, found.strokes, found.alone) == (6, 1, 2, 1)
    assert found.share_unanimous == 0.5
    assert found.start_spread_frames == 2
    label, *coarser = found.levels
    assert [level.level for level in coarser] == ["type", "hand"]
    # Krippendorff: coincidences hit-hit 2, hit-loop 1 either way; 1 - 3 * 2 / (2 * 3 * 1) = 0.
    assert label.alpha == pytest.approx(0)
    assert label.matrix.labels == (HIT, LOOP)
    assert label.matrix.counts == ((1, 1), (1, 0))
    assert [(m.label, m.other, m.pairs, m.of) for m in label.mixed] == [(HIT, LOOP, 1, 2)]
    assert coarser[0].matrix.counts == ((2,),)
    assert coarser[0].alpha is None


def test_agreement_of_each_person_and_pair(crowd, finish) -> None:
    finish("a", "eve", 930, (100, 200, HIT), (400, 500, LOOP))
    found = project_agreement(crowd)
    rows = {
        row.person: (row.marks, row.accepted, row.compared, row.agreeing) for row in found.people
    }
    # The others of ann on the loop are of two minds, those of bob are not.
    assert rows == {"ann": (4, 3, 1, 1), "bob": (2, 2, 2, 1), "eve": (2, 2, 1, 1)}
    offsets = {row.person: row.start_offset_frames for row in found.people}
    assert offsets == {"ann": 0, "bob": 2, "eve": 0}
    assert [(p.one, p.other, p.compared, p.agreeing) for p in found.pairs] == [
        ("ann", "bob", 2, 1),
        ("bob", "eve", 2, 1),
        ("ann", "eve", 2, 2),
    ]
    assert isinstance(found.pairs[0], PairAgreement)
    assert found.pairs[2].interval[1] == 1


def test_agreement_before_anything_is_finished(project) -> None:
    found = project_agreement(project)
    assert (found.marks, found.strokes, found.share_unanimous) == (0, 0, None)
    assert found.people == found.pairs == ()
    assert found.levels[0].matrix.labels == ()


def test_progress_of_people(crowd, finish) -> None:
    crowd.people.add("bob", "annotator")
    crowd.people.add("tea", "teacher")
    crowd.people.invite("bob")
    crowd.marks.write(
        lambda db: set_truth(
            db,
            "c",
            [
                Truth(start_frame=100, end_frame=200, label=HIT),
                Truth(start_frame=400, end_frame=500, label=LOOP),
            ],
        )
    )
    finish("c", "bob", 940, (100, 200, LOOP))
    ann, bob, tea = read_people(crowd, {"bob": PersonActivity(spent_ms=5000)})
    assert (ann.pseudonym, ann.account, ann.videos_done, ann.marks) == ("ann", None, 2, 4)
    assert (bob.videos_done, bob.golden_done, bob.spent_ms, bob.videos_open) == (2, 1, 5000, 0)
    assert (bob.golden.recall.hits, bob.golden.recall.of) == (1, 2)
    assert (bob.golden.labels.hits, bob.golden.labels.of) == (0, 1)
    assert bob.golden.recall.interval == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert bob.account is not None
    assert (bob.account.invited_at is None, bob.account.joined_at) == (False, None)
    assert bob.practice.recall.of == 0
    assert (tea.videos_done, tea.golden.recall.share) == (0, None)
