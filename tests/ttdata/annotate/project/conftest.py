"""A log of events in memory, and small projects."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from ttdata.annotate.project import Project, create_project
from ttdata.annotate.store.events import AnyBody, AssignmentOpened, Done, Event, MarkMade, Seen
from ttdata.annotate.store.log import append_event
from ttdata.annotate.store.migration import migrate, scripts_of
from ttdata.annotate.store.states import Answer
from ttdata.annotate.work.videos import ProjectVideo, add_video
from ttdata.taxonomy import TTSTROKE21

LABELS = frozenset(TTSTROKE21.classes)
HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"


def uid(number: int) -> str:
    """A readable UUID."""
    return str(UUID(int=number))


def video(video_id: str, num_frames: int = 1000, **facts: object) -> ProjectVideo:
    values = {
        "video_id": video_id,
        "path": f"/videos/{video_id}.mp4",
        "fingerprint": video_id,
        "fps": 120.0,
        "num_frames": num_frames,
        "width": 640,
        "height": 360,
    }
    return ProjectVideo.model_validate(values | facts)


class Log:
    """Sends events; every one gets the next number as its uuid and its time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.db = connection
        self.numbers = itertools.count(1)

    def event(
        self,
        body: AnyBody,
        mark: int | None = None,
        base: int | None = None,
        *,
        person: str = "ann",
        assignment: int | None = 900,
    ) -> Event:
        return Event(
            uuid=uid(next(self.numbers)),
            person=person,
            assignment=None if assignment is None else uid(assignment),
            mark=None if mark is None else uid(mark),
            base_revision=base,
            body=body,
        )

    def store(self, event: Event) -> Answer:
        return append_event(self.db, event, 0, LABELS)

    def send(self, body: AnyBody, *args: int | None, **options: object) -> Answer:
        return self.store(self.event(body, *args, **options))  # type: ignore[arg-type]

    def open(self, video_id: str, person: str = "ann", assignment: int = 900, **more: object):
        body = AssignmentOpened.model_validate({"video_id": video_id} | more)
        return self.send(body, person=person, assignment=assignment)

    def finish(self, video_id: str, person: str, assignment: int, *strokes: tuple[int, int, str]):
        """Open a video, mark strokes in it, and say done; marks are `assignment + 1, ...`."""
        self.open(video_id, person, assignment)
        who = {"person": person, "assignment": assignment}
        for mark, (start, end, label) in enumerate(strokes, assignment + 1):
            self.send(MarkMade(start_frame=start, end_frame=end, label=label), mark, **who)
        self.send(Seen(spans=((0, 1000),)), **who)
        self.send(Done(), **who)

    def count(self, table: str) -> int:
        return int(self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def new_log() -> Log:
    """A log that knows the videos `a`, `b`, `c` of 1000 frames."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection, Path("memory"), scripts_of("marks"))
    for name in "abc":
        add_video(connection, video(name))
    return Log(connection)


@pytest.fixture
def log() -> Iterator[Log]:
    made = new_log()
    yield made
    made.db.close()


@pytest.fixture
def make_log() -> Callable[[], Log]:
    return new_log


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project in a folder, with the videos `a`, `b`, `c` that are not at hand."""
    with create_project(tmp_path / "project", TTSTROKE21, clock=lambda: 1_795_774_500_250) as made:
        made.marks.write(lambda db: [add_video(db, video(name)) for name in "abc"])
        yield made


@pytest.fixture
def finish(project: Project) -> Callable[..., None]:
    """`finish(video_id, person, assignment, *strokes)` in the project."""

    def run(*args: object) -> None:
        def job(db: sqlite3.Connection) -> None:
            log = Log(db)
            log.numbers = itertools.count(int(str(args[2])) * 1000)
            log.finish(*args)  # type: ignore[arg-type]

        project.marks.write(job)

    return run


@pytest.fixture
def make_video() -> Callable[..., ProjectVideo]:
    return video
