"""Reference strokes: three moments of finished marks, kept as events, exported as a table."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from ttdata.annotate.exchange.export import export_project
from ttdata.annotate.project import Project
from ttdata.annotate.store.errors import Conflict, Refused
from ttdata.annotate.store.events import (
    BoundsChanged,
    Event,
    ReferenceRemoved,
    ReferenceSet,
    Reopened,
)
from ttdata.annotate.store.projection import projection_bytes, rebuild
from ttdata.annotate.work.golden import Truth, set_truth
from ttdata.annotate.work.references import (
    Choosable,
    FilmCount,
    Moments,
    choosable_marks,
    count_references,
)

HIT, NEGATIVE = "Offensive Forehand Hit", "Negative"


def set_reference(store, person: str, mark: Choosable, moments: Moments | None) -> None:
    body = ReferenceRemoved() if moments is None else ReferenceSet(**moments.model_dump())
    event = Event(
        uuid=str(uuid4()),
        person=person,
        assignment=mark.assignment_id,
        mark=mark.mark_id,
        base_revision=mark.revision,
        body=body,
    )
    store.append(event)


def marks(project: Project, video_id: str = "a") -> tuple:
    with project.marks.reading() as db:
        return choosable_marks(db, video_id, NEGATIVE)


def test_moments_are_kept_and_exported(project: Project, finish, tmp_path: Path) -> None:
    finish("a", "ann", 900, (100, 220, HIT), (400, 520, HIT), (600, 700, NEGATIVE))
    first, second = marks(project)
    assert (first.start_frame, first.label, first.moments) == (100, HIT, None)
    moments = Moments(ready=100, contact=160, end=219)
    set_reference(project.marks, "tea", second, Moments(ready=401, contact=402, end=403))
    set_reference(project.marks, "tea", first, Moments(ready=110, contact=150, end=200))
    set_reference(project.marks, "tea", first, moments)  # once more: the last counts
    assert [mark.moments for mark in marks(project)] == [
        moments,
        Moments(ready=401, contact=402, end=403),
    ]
    with project.marks.reading() as db:
        assert count_references(db, NEGATIVE) == (
            FilmCount(position=1, video_id="a", marks=2, references=2),
        )
    set_reference(project.marks, "tea", second, None)
    with project.marks.reading() as db:
        before = projection_bytes(db)
    project.marks.write(rebuild)
    with project.marks.reading() as db:
        assert projection_bytes(db) == before
    export_project(project, tmp_path / "out", "tea")
    assert (tmp_path / "out" / "references.csv").read_text() == (
        f"video_id,start_frame,end_frame,label,ready,contact,end\na,100,220,{HIT},100,160,219\n"
    )
    set_reference(project.marks, "tea", first, None)
    export_project(project, tmp_path / "out", "tea")
    assert not (tmp_path / "out" / "references.csv").exists()


@pytest.mark.parametrize(
    "moments", [(99, 160, 219), (100, 160, 220), (160, 160, 200), (120, 110, 200), (100, 150, 150)]
)
def test_moments_out_of_place_are_refused(
    project: Project, finish, moments: tuple[int, int, int]
) -> None:
    finish("a", "ann", 900, (100, 220, HIT))
    (mark,) = marks(project)
    ready, contact, end = moments
    with pytest.raises(Refused, match="expected frames in this order within 100 to 219"):
        set_reference(project.marks, "tea", mark, Moments(ready=ready, contact=contact, end=end))


def test_only_finished_marks_of_no_golden_clip_are_references(
    project: Project, finish: Callable[..., None]
) -> None:
    project.marks.write(
        lambda db: set_truth(db, "b", [Truth(start_frame=5, end_frame=95, label=HIT)])
    )
    finish("b", "ann", 920, (5, 95, HIT))
    finish("a", "ann", 900, (100, 220, HIT))
    assert marks(project, "b") == ()
    (mark,) = marks(project)
    with project.marks.reading() as db:
        (golden,) = db.execute(
            "SELECT mark_id, assignment_id FROM mark WHERE start_frame = 5"
        ).fetchall()
    other = mark.model_copy(update={"mark_id": golden[0], "assignment_id": golden[1]})
    with pytest.raises(Refused, match="expected one of a video that is done"):
        set_reference(project.marks, "tea", other, Moments(ready=10, contact=20, end=30))
    with pytest.raises(Refused, match="is no reference stroke"):
        set_reference(project.marks, "tea", mark, None)
    wrong = mark.model_copy(update={"assignment_id": golden[1]})
    with pytest.raises(Refused, match="is none of assignment"):
        set_reference(project.marks, "tea", wrong, Moments(ready=110, contact=120, end=130))


def test_a_mark_that_changes_is_no_reference_where_a_moment_lies_outside(log) -> None:
    log.finish("a", "ann", 900, (100, 220, HIT))
    (mark,) = choosable_marks(log.db, "a")

    class Store:
        append = staticmethod(log.store)

    set_reference(Store, "tea", mark, Moments(ready=100, contact=160, end=219))
    log.send(Reopened(), person="tea")
    assert choosable_marks(log.db, "a") == ()
    log.send(BoundsChanged(start_frame=105, end_frame=220), 901, 1)
    log.db.execute("UPDATE assignment SET state = 'done'")
    (changed,) = choosable_marks(log.db, "a")
    assert (changed.revision, changed.moments) == (2, None)
    with pytest.raises(Conflict):
        set_reference(Store, "tea", mark, Moments(ready=110, contact=160, end=219))
