"""What a worker process does: extract the video of one job, whatever goes wrong."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from ttflow.estimator_names import has_weights
from ttflow.jobs.failures import failed_outcome
from ttflow.jobs.job import Job, Outcome, Progress
from ttflow.schema import FlowConfig

if TYPE_CHECKING:
    from ttflow.flow.estimators import Estimator
    from ttflow.flow.raft import Weights

_PROGRESS_FRAMES = 500
"""Between two progress events. A fixed number: a job that is run again sends the same events."""


def watched_job(
    job: Job, device: str = "cpu", weights: "Weights | None" = None
) -> Iterator[Progress | Outcome]:
    """Run a job in a thread of its own and yield its progress; the last event is the outcome.

    Args: see `run_job`.
    """
    return watched(job.video_id, lambda report: run_job(job, device, report, weights))


def watched(
    video_id: str, work: Callable[[Callable[[int], None]], Outcome]
) -> Iterator[Progress | Outcome]:
    """Do some work on a video in a thread of its own and yield its progress, the outcome last.

    Work that is done again yields the same events, also if it finds most of it done already.
    Whatever ends it without an outcome (SystemExit, a panic of polars) becomes a failed one: the
    thread is all that dies of it.

    Args:
        video_id: of the video.
        work: gets what is to be called with the number of frames so far.
    """
    events: queue.SimpleQueue[Progress | Outcome] = queue.SimpleQueue()
    told = 0

    def report(num_frames: int) -> None:
        nonlocal told
        for number in range(told + _PROGRESS_FRAMES, num_frames + 1, _PROGRESS_FRAMES):
            events.put(Progress(video_id=video_id, num_frames=number))
            told = number

    def run() -> None:
        try:
            outcome = work(report)
            report(outcome.num_frames)
        except BaseException as error:  # without an outcome the reader would wait for ever
            outcome = failed_outcome(video_id, video_id, error)
        events.put(outcome)

    threading.Thread(target=run, daemon=True).start()
    while isinstance(event := events.get(), Progress):
        yield event
    yield event


def run_job(
    job: Job,
    device: str = "cpu",
    on_frame: Callable[[int], None] | None = None,
    weights: "Weights | None" = None,
) -> Outcome:
    """Extract one video into its shards folder; whatever goes wrong becomes the outcome's error.

    Args:
        job: what to do.
        device: cpu or cuda, where the flow is computed.
        on_frame: called with the number of frames decoded so far.
        weights: what `weights_of` read on the machine of the command; None: this machine's own
            file, if it is the same.
    """
    return attempt(job, lambda: _extract(job, device, on_frame, weights))


def attempt(job: Job, work: Callable[[], tuple[int, int]]) -> Outcome:
    """The outcome of the work of a job, whatever goes wrong.

    Args:
        job: of a video.
        work: gives the numbers of frames that it decoded, and computed flow for.
    """
    start = time.monotonic()
    try:
        num_frames, flow_frames = work()
    except Exception as error:  # one video must never end the job of all others
        return failed_outcome(job.video_id, job.path, error)
    return Outcome(
        video_id=job.video_id,
        num_frames=num_frames,
        flow_frames=flow_frames,
        seconds=time.monotonic() - start,
    )


def _extract(
    job: Job, device: str, on_frame: Callable[[int], None] | None, weights: "Weights | None"
) -> tuple[int, int]:
    from ttflow.extraction.pipeline import extract_video
    from ttflow.shards.writer import VideoWriter

    if weights is None or weights.sha256 != job.config.weights_sha256:
        weights = weights_of(job.config)
    estimator = _estimator(job.config.estimator, device, weights)
    with VideoWriter(job.shards, job.video_id, job.key) as writer:
        counts = extract_video(
            job.path, job.clips, job.config, estimator, writer, job.expected_frames, on_frame
        )
        writer.commit(job.source, counts.num_frames, counts.flow_frames)
    return counts.num_frames, counts.flow_frames


@lru_cache(maxsize=1)
def _estimator(name: str, device: str, weights: "Weights | None") -> "Estimator":
    """The estimator of this process; its libraries keep to the one core a job is given."""
    from ttflow.flow.estimators import create

    keep_to_one_core()
    return create(name, device, weights=weights)


def keep_to_one_core() -> None:
    """Let the libraries of this process use one thread: a task has a core."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def torch_sees_gpu() -> bool:
    """Whether torch finds a GPU in this process."""
    import torch

    return torch.cuda.is_available()


def weights_of(config: FlowConfig) -> "Weights | None":
    """The file of weights that a configuration asks for, on this machine; None if it needs none.

    Raises:
        InputError: if it is missing or another one than the configuration says.
    """
    if not has_weights(config.estimator):
        return None
    from ttflow.flow.raft import read_weights

    return read_weights(sha256=config.weights_sha256)
