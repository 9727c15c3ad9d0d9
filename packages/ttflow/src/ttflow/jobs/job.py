"""One video as one unit of work: what a worker process gets and the events it sends back."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ttdata.errors import InputError
from ttdata.machine import available_cores
from ttflow.estimator_names import ON_GPU, canonical_name, uses_gpu
from ttflow.pose.config import PoseConfig
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import ClipSpec, Interval


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


class PoseJob(Job):
    """As `Job`, for the poses of a video: `expected_frames` are those up to the last one needed."""

    pose: PoseConfig
    fps: float
    stored: tuple[Interval, ...] = Field(description="of each clip, in their order")
    file: Path = Field(description="that is written, and commits them")


class Workers(BaseModel):
    """The cores and the device that jobs may use."""

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


def check_workers(estimator: str, workers: Workers) -> None:
    """Refuse what no machine could give: a GPU for an estimator that has no use for one.

    Raises:
        InputError: in that case, and for more workers than this machine has cores.
    """
    if workers.device == "cuda" and not uses_gpu(estimator):
        raise InputError(
            f"--device cuda: estimator {canonical_name(estimator)!r} computes on the CPU only; "
            f"those with a GPU path: {', '.join(ON_GPU)}; or use --device auto"
        )
    check_count(workers)


def check_count(workers: Workers) -> None:
    """Refuse more workers than this machine has cores.

    Raises:
        InputError: in that case.
    """
    cores = available_cores()
    # A cluster that runs already decides by its own cores, and the number is not used.
    if workers.count is not None and workers.count > cores and not os.environ.get("RAY_ADDRESS"):
        raise InputError(f"--workers {workers.count}: this machine has {cores} cores")


class Progress(BaseModel):
    """An event of a running job: so many frames of its video are decoded."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["progress"] = "progress"
    video_id: str
    num_frames: int


class Outcome(BaseModel):
    """The last event of a job; `error` is null when what it makes is committed."""

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
