"""One video as one unit of work: what a worker process is told and what it answers."""

import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ttdata.errors import TTError
from ttflow.intervals import ClipSpec
from ttflow.schema import FlowConfig

if TYPE_CHECKING:
    from ttflow.flow import Estimator


class Job(BaseModel):
    """Everything a worker needs to extract one video."""

    model_config = ConfigDict(frozen=True)

    shards: Path
    video_id: str
    path: Path
    key: str
    source: tuple[int, str]
    promised_frames: int
    clips: tuple[ClipSpec, ...]
    config: FlowConfig
    device: str = "cpu"


class Outcome(BaseModel):
    """What became of a job; `error` is null when its manifest is committed."""

    model_config = ConfigDict(frozen=True)

    video_id: str
    error: str | None = None
    num_frames: int = 0
    flow_frames: int = 0
    seconds: float = 0.0


def run_job(job: Job) -> Outcome:
    """Extract one video into its shards folder; whatever goes wrong becomes the outcome's error."""
    start = time.monotonic()
    try:
        num_frames, flow_frames = _extract(job)
    except TTError as error:
        return Outcome(video_id=job.video_id, error=str(error))
    except Exception as error:  # one video must never end the job of all others
        reason = f"{job.path}: {type(error).__name__}: {error}"
        return Outcome(video_id=job.video_id, error=" ".join(reason.split()))
    return Outcome(
        video_id=job.video_id,
        num_frames=num_frames,
        flow_frames=flow_frames,
        seconds=time.monotonic() - start,
    )


def _extract(job: Job) -> tuple[int, int]:
    from ttflow.pipeline import extract_video
    from ttflow.writer import VideoWriter

    estimator = _estimator(job.config.estimator, job.device)
    with VideoWriter(job.shards, job.video_id, job.key) as writer:
        facts = extract_video(
            job.path, job.clips, job.config, estimator, writer, job.promised_frames
        )
        writer.commit(job.source, facts.num_frames, facts.flow_frames)
    return facts.num_frames, facts.flow_frames


@lru_cache(maxsize=1)
def _estimator(name: str, device: str) -> "Estimator":
    """The estimator of this process; its libraries keep to the one core a job is given."""
    import cv2
    import torch

    from ttflow.flow import create

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    return create(name, device)
