"""The live wall: who works on what at this moment; watchers are woken by what changes."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ttdata.annotate.oversight.activity import Activity, PersonActivity
from ttdata.annotate.oversight.coverage import (
    Coverage,
    VideoCoverage,
    VideoWork,
    coverage_of,
    read_videos,
)
from ttdata.annotate.people.directory import Person
from ttdata.annotate.store.states import Role
from ttdata.settings import FrozenModel

HERE_MS = 30_000
"""Pages report every ten seconds: who was not heard for three of these is away."""
LEAST_SECONDS = 1.0
"""Between two messages to a watcher."""


class WallPerson(FrozenModel):
    """What one person is at."""

    pseudonym: str
    role: Role
    is_here: bool
    """Whether a page of his has reported within the last 30 s."""
    video: str | None
    """The video of the page that reported last, else the one he has open; null where none is."""
    marks: int
    """In that video."""
    marks_last_hour: int
    """Made within the last hour, in any video, and not taken away."""
    last_at: int | None
    """When he last did something at a video: milliseconds since 1970, UTC."""
    unsent: int
    """Changes that his page holds and the server does not have yet, as the page last said."""
    videos_done: int


class WallState(FrozenModel):
    """The wall at one moment."""

    at: int
    """Milliseconds since 1970, UTC, by the server's clock."""
    people: tuple[WallPerson, ...]
    coverage: Coverage

    @property
    def content(self) -> dict[str, object]:
        """Without the moment: what is equal need not be told again."""
        return self.model_dump(exclude={"at"})


@dataclass(frozen=True)
class _Report:
    at: int
    unsent: int
    video_id: str | None


class Watcher:
    """One page that shows the wall, in the event loop that it was made in."""

    def __init__(self) -> None:
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Say, from any thread, that something has changed."""
        with suppress(RuntimeError):  # its loop is closed: nobody watches any more
            self._loop.call_soon_threadsafe(self._event.set)

    async def changed(self, patience_seconds: float) -> bool:
        """Wait for a change; false where none came in time. Changes meanwhile are one."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), patience_seconds)
        was_set = self._event.is_set()
        self._event.clear()
        return was_set


class Wall:
    """What pages report, kept in memory, and what the project's events tell."""

    def __init__(self, clock: Callable[[], int], annotators_per_video: int = 2) -> None:
        """A wall that has heard of nobody.

        Args:
            clock: milliseconds since 1970, UTC.
            annotators_per_video: how many make a video done.
        """
        self._clock, self._enough = clock, annotators_per_video
        self._activity = Activity()
        self._reports: dict[str, _Report] = {}
        self._watchers: set[Watcher] = set()
        self._lock = threading.Lock()

    def report(self, pseudonym: str, unsent: int, video_id: str | None = None) -> None:
        """Take what a page says of itself.

        Args:
            pseudonym: whose page it is.
            unsent: changes that it holds and the server has not answered.
            video_id: which video it shows; None for a page without one.
        """
        with self._lock:
            self._reports[pseudonym] = _Report(self._clock(), unsent, video_id)
        self.touch()

    def leave(self, pseudonym: str) -> None:
        """Forget what pages of a person reported: he has logged out."""
        with self._lock:
            self._reports.pop(pseudonym, None)
        self.touch()

    def touch(self) -> None:
        """Wake all who watch: something has been stored."""
        with self._lock:
            watchers = tuple(self._watchers)
        for watcher in watchers:
            watcher.wake()

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Be woken by changes, within a coroutine."""
        watcher = Watcher()
        with self._lock:
            self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def activity(self, connection: sqlite3.Connection) -> dict[str, PersonActivity]:
        """By pseudonym, what each did until now."""
        return self._activity.read(connection, self._clock())

    def snapshot(self, connection: sqlite3.Connection, people: Iterable[Person]) -> WallState:
        """The wall as of now.

        Args:
            connection: to the project's database, as of one moment.
            people: who is on the wall.
        """
        activity, videos = self.activity(connection), read_videos(connection)
        now = self._clock()
        with self._lock:
            reports = dict(self._reports)
        return WallState(
            at=now,
            people=tuple(
                _on_wall(
                    person,
                    activity.get(person.pseudonym, PersonActivity()),
                    _work_of(videos, person.pseudonym),
                    reports.get(person.pseudonym),
                    now,
                )
                for person in people
                if person.role != "teacher" or _is_at_work(person, activity, reports)
            ),
            coverage=coverage_of(videos, self._enough),
        )


def _is_at_work(
    person: Person, activity: dict[str, PersonActivity], reports: dict[str, _Report]
) -> bool:
    """Whether a teacher annotates, too."""
    return person.pseudonym in activity or person.pseudonym in reports


def _work_of(videos: tuple[VideoCoverage, ...], person: str) -> dict[str, VideoWork]:
    """A person's work by video."""
    return {v.video_id: work for v in videos for work in v.work if work.person == person}


def _on_wall(
    person: Person,
    activity: PersonActivity,
    work: dict[str, VideoWork],
    report: _Report | None,
    now: int,
) -> WallPerson:
    is_here = report is not None and now - report.at <= HERE_MS
    opened = [video_id for video_id, found in work.items() if found.state == "open"]
    video = report.video_id if report is not None and is_here else None
    if video not in work:
        video = opened[0] if opened else None
    return WallPerson(
        pseudonym=person.pseudonym,
        role=person.role,
        is_here=is_here,
        video=video,
        marks=work[video].marks if video is not None else 0,
        marks_last_hour=activity.marks_last_hour,
        last_at=activity.last_at,
        unsent=report.unsent if report is not None else 0,
        videos_done=sum(found.state == "done" for found in work.values()),
    )
