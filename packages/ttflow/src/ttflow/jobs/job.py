"""One video as one unit of work: what a worker process is told and what it answers."""

import errno
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ttdata.errors import TTError
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import ClipSpec

if TYPE_CHECKING:
    from ttflow.flow.estimators import Estimator


class Job(BaseModel):
    """Everything a worker needs to extract one video."""

    model_config = ConfigDict(frozen=True)

    shards: Path
    video_id: str
    path: str = Field(description="a path that all workers see, or a URL")
    key: str
    source: tuple[int, str]
    expected_frames: int
    clips: tuple[ClipSpec, ...]
    config: FlowConfig


class Workers(BaseModel):
    """What jobs may use."""

    model_config = ConfigDict(frozen=True)

    count: int | None = None
    """Videos at once; null: one per core. A cluster that runs already decides by its own cores."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one and the estimator can use it."""
    videos_per_gpu: int = Field(default=8, ge=1, le=100)
    """Tasks that decode for one GPU. An estimate: a core decodes and masks 1080p at some 100 frames
    a second, a GPU computes the flow of a thousand."""

    @property
    def gpu_share(self) -> float:
        """Of a GPU, for each video: Ray counts in steps of 1/10000, so rounded down."""
        return (10_000 // self.videos_per_gpu) / 10_000


class Progress(BaseModel):
    """A job is at work: so many frames of its video are decoded."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["progress"] = "progress"
    video_id: str
    num_frames: int


class Outcome(BaseModel):
    """What became of a job; `error` is null when its manifest is committed."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["outcome"] = "outcome"
    video_id: str
    error: str | None = None
    disk_full: bool = False
    """The error is not the video's: every other job will meet it too."""
    num_frames: int = 0
    flow_frames: int = 0
    seconds: float = 0.0


Event = Annotated[Progress | Outcome, Field(discriminator="kind")]
EVENT: TypeAdapter[Progress | Outcome] = TypeAdapter(Event)

_PROGRESS_FRAMES = 500
"""Between two signs of life. A fixed number: a job that is run again tells the same."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def watched_job(job: Job, device: str = "cpu") -> Iterator[Progress | Outcome]:
    """Run a job in a thread of its own and tell how far it is; the last event is the outcome."""
    events: queue.SimpleQueue[Progress | Outcome] = queue.SimpleQueue()

    def tell(num_frames: int) -> None:
        if num_frames % _PROGRESS_FRAMES == 0:
            events.put(Progress(video_id=job.video_id, num_frames=num_frames))

    def work() -> None:
        events.put(run_job(job, device, tell))

    threading.Thread(target=work, daemon=True).start()
    while isinstance(event := events.get(), Progress):
        yield event
    yield event


def run_job(
    job: Job, device: str = "cpu", on_frame: Callable[[int], None] | None = None
) -> Outcome:
    """Extract one video into its shards folder; whatever goes wrong becomes the outcome's error.

    Args:
        job: what to do.
        device: cpu or cuda, where the flow is computed.
        on_frame: called with the number of frames decoded so far.
    """
    start = time.monotonic()
    try:
        num_frames, flow_frames = _extract(job, device, on_frame)
    except TTError as error:
        return Outcome(video_id=job.video_id, error=str(error))
    except Exception as error:  # one video must never end the job of all others
        reason = " ".join(f"{job.path}: {type(error).__name__}: {error}".split())
        full = isinstance(error, OSError) and error.errno in DISK_FULL
        return Outcome(video_id=job.video_id, error=reason, disk_full=full)
    return Outcome(
        video_id=job.video_id,
        num_frames=num_frames,
        flow_frames=flow_frames,
        seconds=time.monotonic() - start,
    )


def _extract(job: Job, device: str, on_frame: Callable[[int], None] | None) -> tuple[int, int]:
    from ttflow.extraction.pipeline import extract_video
    from ttflow.shards.writer import VideoWriter

    estimator = _estimator(job.config.estimator, device)
    with VideoWriter(job.shards, job.video_id, job.key) as writer:
        counts = extract_video(
            job.path, job.clips, job.config, estimator, writer, job.expected_frames, on_frame
        )
        writer.commit(job.source, counts.num_frames, counts.flow_frames)
    return counts.num_frames, counts.flow_frames


@lru_cache(maxsize=1)
def _estimator(name: str, device: str) -> "Estimator":
    """The estimator of this process; its libraries keep to the one core a job is given."""
    import cv2
    import torch

    from ttflow.flow.estimators import create

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    return create(name, device)
