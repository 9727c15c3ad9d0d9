"""Progress of work on videos: videos, clips, frames per second, time left."""

import logging
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Protocol

from ttflow.jobs.job import Job, Outcome, Progress

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 5.0


class Tracked(Protocol):
    """A video that is worked on; of a `Job` the clips are counted, too."""

    @property
    def video_id(self) -> str:
        """Of the video."""

    @property
    def expected_frames(self) -> int:
        """How many it has, as far as is known."""


def track_jobs(jobs: Sequence[Tracked], events: Iterable[Progress | Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes, with a bar on a terminal and a line now and then elsewhere."""
    display = Display(jobs)
    for event in events:
        if isinstance(event, Outcome):
            display.warn(event)
            yield event
        display.show(event)


def outcomes_of(jobs: Sequence[Tracked], events: Generator[Progress | Outcome]) -> list[Outcome]:
    """Outcomes of all jobs, or of those that ended before the disk was full."""
    outcomes: list[Outcome] = []
    with closing(events):
        for outcome in track_jobs(jobs, events):
            outcomes.append(outcome)
            if outcome.disk_full:
                break
    return outcomes


class Display:
    """Shows how far some jobs are: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, jobs: Sequence[Tracked]) -> None:
        self._tally = Tally(jobs)
        self._last = time.monotonic()

    def warn(self, outcome: Outcome) -> None:
        """Say at once why a job failed, if it did."""
        if outcome.error is not None:
            _clear_line()
            logger.warning("failed: %s: %s", outcome.video_id, outcome.error)

    def show(self, event: Progress | Outcome) -> None:
        """Take note of an event."""
        self._tally.add(event)
        now = time.monotonic()
        is_due = now - self._last >= _SECONDS_BETWEEN_LINES or self._tally.finished
        if sys.stderr.isatty():
            _clear_line()
            sys.stderr.write(self._tally.line(now) + ("\n" if self._tally.finished else ""))
            sys.stderr.flush()
        elif is_due:
            logger.info("%s", self._tally.line(now))
            self._last = now


def _clear_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


class Tally:
    """What is done of some jobs, and how long the rest will take at the speed so far.

    Stretches, where a dataset has some, are counted as clips: they cost as much.
    """

    def __init__(self, jobs: Sequence[Tracked]) -> None:
        self._expected = {job.video_id: job.expected_frames for job in jobs}
        self._clips = {job.video_id: len(job.clips) for job in jobs if isinstance(job, Job)}
        self._decoded = dict.fromkeys(self._expected, 0)
        self._done: set[str] = set()
        self._start = time.monotonic()

    def add(self, event: Progress | Outcome) -> None:
        """Take note of an event."""
        if isinstance(event, Outcome):
            self._done.add(event.video_id)
        self._decoded[event.video_id] = max(self._decoded[event.video_id], event.num_frames)

    @property
    def finished(self) -> bool:
        """Whether every job has its outcome."""
        return len(self._done) == len(self._expected)

    def line(self, now: float) -> str:
        """The state in words at a time of `time.monotonic`."""
        speed = sum(self._decoded.values()) / max(now - self._start, 1e-9)
        open_videos = self._expected.keys() - self._done
        left = sum(max(0, self._expected[v] - self._decoded[v]) for v in open_videos)
        time_left = timedelta(seconds=round(left / speed)) if speed else "unknown time"
        clips = f"{sum(self._clips[v] for v in self._done)} clips, " if self._clips else ""
        return (
            f"{len(self._done)}/{len(self._expected)} videos, {clips}"
            f"{speed:.0f} frames/s, {time_left} left"
        )
