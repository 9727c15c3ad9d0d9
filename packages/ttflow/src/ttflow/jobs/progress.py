"""Progress of an extraction: videos, clips, frames per second, time left."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from ttflow.jobs.job import Job, Outcome, Progress

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 5.0


def track_jobs(jobs: Sequence[Job], events: Iterable[Progress | Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes, with a bar on a terminal and a line now and then elsewhere."""
    tally = Tally(jobs)
    last = time.monotonic()
    for event in events:
        tally.add(event)
        now = time.monotonic()
        if isinstance(event, Outcome):
            if event.error is not None:
                _clear_line()
                logger.warning("failed: %s: %s", event.video_id, event.error)
            yield event
        if sys.stderr.isatty():
            _clear_line()
            sys.stderr.write(tally.line(now) + ("\n" if tally.finished else ""))
            sys.stderr.flush()
        elif now - last >= _SECONDS_BETWEEN_LINES or tally.finished:
            logger.info("%s", tally.line(now))
            last = now


def _clear_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


class Tally:
    """What is done of some jobs, and how long the rest will take at the speed so far."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._expected = {job.video_id: job.expected_frames for job in jobs}
        self._clips = {job.video_id: len(job.clips) for job in jobs}
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
        return (
            f"{len(self._done)}/{len(self._expected)} videos, "
            f"{sum(self._clips[v] for v in self._done)} clips, "
            f"{speed:.0f} frames/s, {time_left} left"
        )
