"""Work on many videos: in Ray tasks, or here one after the other; the results are the same."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from ttdata.machine import available_cores
from ttflow.jobs.failures import WORKER_DIED, disk_full_error
from ttflow.jobs.job import Outcome, Progress, Workers, check_count
from ttflow.jobs.progress import Display
from tttrain.indexing.jobs.items import Parallel, VideoFunction, VideoItem, VideoWork, attempt
from tttrain.indexing.jobs.tasks import task_events


def run_videos(
    items: Sequence[VideoItem],
    work: VideoWork,
    here: Callable[[], VideoFunction],
    out: Path,
    *,
    parallel: Parallel | None = None,
    device: str = "auto",
) -> dict[str, str]:
    """Do the work of each video, whatever happens to others.

    Args:
        items: the videos.
        work: for worker processes.
        here: gets the same function in this process; is called where no Ray is used.
        out: where results are written, for messages.
        parallel: how many at once; None: one per core.
        device: "auto", "cpu", "cuda" or "cuda:N"; the last names a GPU of this machine, so all
            videos are worked on here.

    Returns:
        By video, in their order: why it failed; empty where all went well.

    Raises:
        InputError: for more workers than there are cores, or a GPU that there is not.
        TTError: if the disk is full or Ray breaks down; what is finished is kept.
    """
    parallel = parallel or Parallel()
    check_count(Workers(count=parallel.workers))
    if not items:
        return {}
    display, outcomes = Display(items), dict[str, Outcome]()

    def note(event: Progress | Outcome) -> None:
        if isinstance(event, Outcome):
            display.warn(event)
            if event.disk_full:
                raise disk_full_error(out, f" after {len(outcomes)} of {len(items)} videos")
            outcomes[event.video_id] = event
        display.show(event)

    if uses_ray(len(items), parallel, device):
        with closing(task_events(items, work, parallel, device)) as events:
            _each(events, note)
    else:
        _one_by_one(items, here(), note)
    return _errors(items, outcomes)


def uses_ray(num_videos: int, parallel: Parallel, device: str) -> bool:
    """Whether videos go to Ray.

    A cluster that is named always gets them; one of our own is started only where two videos can
    be worked on at once.
    """
    if device.startswith("cuda:"):
        return False
    if os.environ.get("RAY_ADDRESS"):
        return True
    return min(num_videos, parallel.workers or available_cores()) > 1


def _each(events: Iterable[Progress | Outcome], note: Callable[[Progress | Outcome], None]) -> None:
    for event in events:
        note(event)


def _one_by_one(
    items: Sequence[VideoItem],
    function: VideoFunction,
    note: Callable[[Progress | Outcome], None],
) -> None:
    for item in items:

        def on_frame(num_frames: int, video_id: str = item.video_id) -> None:
            note(Progress(video_id=video_id, num_frames=num_frames))

        note(attempt(item, function, on_frame))


def _errors(items: Sequence[VideoItem], outcomes: dict[str, Outcome]) -> dict[str, str]:
    found = {}
    for item in items:
        outcome = outcomes.get(item.video_id)
        error = f"{item.path}: {WORKER_DIED}" if outcome is None else outcome.error
        if error is not None:
            found[item.video_id] = error
    return found
