"""Training: which clips, what is told of each mark, and of the whole once it is done."""

import pytest

from ttdata.annotate.project import Project
from ttdata.annotate.store.errors import NotOwn
from ttdata.annotate.store.events import MarkMade
from ttdata.annotate.work.assigning import next_video
from ttdata.annotate.work.feedback import Bound, MarkFeedback, feedback_of
from ttdata.annotate.work.golden import Truth, score_person, set_truth
from ttdata.annotate.work.training import Practice, open_training, own_training, practice_of
from ttdata.annotate.work.videos import add_video, list_videos

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
TRUTH = (
    Truth(start_frame=100, end_frame=220, label=HIT),
    Truth(start_frame=400, end_frame=520, label=LOOP),
    Truth(start_frame=700, end_frame=820, label=HIT),
)


def make_golden(log, *names: str) -> None:
    for name in names:
        set_truth(log.db, name, TRUTH)


def test_every_third_golden_clip_is_for_training_and_given_to_nobody_unawares(
    log, make_video
) -> None:
    for number in range(7):
        add_video(log.db, make_video(f"g{number}"))
    make_golden(log, *(f"g{number}" for number in range(7)))
    flags = [video.training for video in list_videos(log.db) if video.golden]
    assert flags == [False, True, False, False, True, False, False]
    had = set()
    for turn in range(5):
        had.add(next_video(log.db, "ann", golden_share=0.5, annotators_per_video=1))
        for name in sorted(had):
            if not log.db.execute(
                "SELECT 1 FROM assignment WHERE video_id = ?", (name,)
            ).fetchone():
                log.finish(name, "ann", 2000 + 10 * turn)
    assert any(name.startswith("g") for name in had)
    assert not had & {"g1", "g4"}


def test_training_clips_come_one_after_the_other(project: Project) -> None:
    for name in "ab":
        project.marks.write(lambda db, n=name: set_truth(db, n, TRUTH))
    first = open_training(project.marks, "ann")
    assert (first.video_id, first.purpose) == ("b", "training")
    assert open_training(project.marks, "ann") == first
    with project.marks.reading() as db:
        assert practice_of(db, "ann") == Practice(clips=1, done=0)
        assert own_training(db, "ann", first.assignment_id) == first
        for person, name in (("bob", first.assignment_id), ("ann", "unknown")):
            with pytest.raises(NotOwn, match="is no training of"):
                own_training(db, person, name)
    project.marks.write(lambda db: db.execute("UPDATE assignment SET state = 'done'"))
    assert open_training(project.marks, "ann") is None
    with project.marks.reading() as db:
        assert practice_of(db, "ann") == Practice(clips=1, done=1)


def training(log, *strokes: tuple[int, int, str]):
    """Ann's work on the training clip `b`; marks are 901, 902, ..."""
    make_golden(log, "a", "b")
    log.open("b", purpose="training")
    for mark, (start, end, label) in enumerate(strokes, 901):
        log.send(MarkMade(start_frame=start, end_frame=end, label=label), mark)
    return log.db.execute("SELECT assignment_id FROM assignment").fetchone()[0]


def test_each_completed_mark_is_told_and_no_other_stroke(log) -> None:
    name = training(log, (106, 217, HIT), (400, 530, HIT), (600, 650, HIT))
    log.send(MarkMade(start_frame=710), 990)  # not complete
    told = feedback_of(log.db, own_training(log.db, "ann", name))
    assert (told.missed, told.score) == (None, None)
    first, second, third = told.marks
    assert first == MarkFeedback(
        mark_id=first.mark_id,
        truth=TRUTH[0],
        label_is_right=True,
        start=Bound(frames=6, milliseconds=50.0),
        end=Bound(frames=-3, milliseconds=-25.0),
    )
    assert (second.label_is_right, second.truth) == (False, TRUTH[1])
    assert (second.start.frames, second.end.milliseconds) == (0, 83.3)
    assert (third.truth, third.label_is_right) == (None, None)
    assert "700" not in told.model_dump_json()


def test_of_two_marks_of_a_stroke_one_is_the_second(log) -> None:
    name = training(log, (104, 220, HIT), (100, 221, LOOP))
    told = feedback_of(log.db, own_training(log.db, "ann", name))
    assert [(mark.label_is_right, mark.is_second) for mark in told.marks] == [
        (False, False),
        (True, True),
    ]


def test_after_done_what_was_missed_and_the_score_are_told(log) -> None:
    name = training(log, (106, 217, HIT), (400, 530, HIT), (600, 650, HIT))
    log.db.execute("UPDATE assignment SET state = 'done'")
    told = feedback_of(log.db, own_training(log.db, "ann", name))
    assert told.missed == (TRUTH[2],)
    assert (told.score.recall.hits, told.score.recall.of) == (2, 3)
    assert told.score.recall.interval == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert (told.score.precision.hits, told.score.labels.hits) == (2, 1)
    # Training is no score: that is of clips given unawares.
    assert score_person(log.db, "ann").recall.of == 0
    assert score_person(log.db, "ann", training=True).recall == told.score.recall


def test_times_of_a_variable_rate_are_those_of_the_frames(log, make_video) -> None:
    seconds = [i / 120 if i < 150 else 1.25 + (i - 150) / 60 for i in range(1000)]
    add_video(log.db, make_video("x"))
    add_video(log.db, make_video("y", frame_seconds=seconds))
    make_golden(log, "x", "y")
    log.open("y", purpose="training")
    log.send(MarkMade(start_frame=103, end_frame=226, label=HIT), 901)
    name = log.db.execute("SELECT assignment_id FROM assignment").fetchone()[0]
    (mark,) = feedback_of(log.db, own_training(log.db, "ann", name)).marks
    assert (mark.start.milliseconds, mark.end.milliseconds) == (25.0, 100.0)


def test_golden_clips_of_an_earlier_release_are_divided(make_video, tmp_path) -> None:
    import sqlite3

    from ttdata.annotate.store.migration import migrate, scripts_of

    db = sqlite3.connect(":memory:", isolation_level=None)
    scripts = scripts_of("marks")
    migrate(db, tmp_path / "m", scripts[:1])
    for number in range(5):
        db.execute(
            "INSERT INTO video (video_id, path, fingerprint, fps, num_frames, width, height, "
            "golden) VALUES (?, '', ?, 120, 1000, 640, 360, ?)",
            (f"v{number}", str(number), int(number > 0)),
        )
    db.execute("INSERT INTO event VALUES (1, 'u', 0, 'p', NULL, NULL, NULL, 'k', '{}')")
    db.execute("INSERT INTO assignment VALUES ('x', 'v1', 'p', 'annotate', 'open', 1, NULL, 0)")
    migrate(db, tmp_path / "m", scripts)
    found = db.execute("SELECT video_id FROM video WHERE training").fetchall()
    db.close()
    assert found == [("v3",)]  # v1 was given to somebody
