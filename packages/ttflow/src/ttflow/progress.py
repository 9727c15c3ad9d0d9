"""Progress of an extraction: videos, clips, frames per second, time left."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from ttflow.jobs import Job, Outcome

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 5.0


def track_jobs(jobs: Sequence[Job], outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes, with a bar on a terminal and a line now and then elsewhere."""
    clips = {job.video_id: len(job.clips) for job in jobs}
    frames = {job.video_id: max(1, job.promised_frames) for job in jobs}
    start = last = time.monotonic()
    done_clips = done_frames = 0
    for done_videos, outcome in enumerate(outcomes, 1):
        yield outcome
        done_clips += clips[outcome.video_id]
        done_frames += frames[outcome.video_id]
        now = time.monotonic()
        left_frames = sum(frames.values()) - done_frames
        line = (
            f"{done_videos}/{len(jobs)} videos, {done_clips} clips, "
            f"{done_frames / (now - start):.0f} frames/s, "
            f"{(now - start) / done_frames * left_frames:.0f} s left"
        )
        if outcome.error is not None:
            logger.warning("failed: %s: %s", outcome.video_id, outcome.error)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line}" + ("\n" if done_videos == len(jobs) else ""))
            sys.stderr.flush()
        elif now - last >= _SECONDS_BETWEEN_LINES or done_videos == len(jobs):
            logger.info("%s", line)
            last = now
