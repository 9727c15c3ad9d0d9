"""What is done to many videos: one function, an item per video."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ttdata.errors import InputError
from ttflow.jobs.failures import failed_outcome
from ttflow.jobs.job import Outcome

OnFrame = Callable[[int], None]
"""Is called with the number of a video's frames so far."""


@dataclass(frozen=True)
class VideoItem:
    """A video to work on."""

    video_id: str
    path: str
    """A path that all workers see, or a URL."""
    expected_frames: int
    arguments: tuple[Any, ...] = ()
    """What else the function needs."""


VideoFunction = Callable[[VideoItem, OnFrame], int]
"""Does a video's work, writes the result atomically and returns the number of frames."""


class VideoWork(Protocol):
    """How a worker process gets its function: pickled, it is sent to all."""

    def load(self, device: str) -> VideoFunction:
        """The function, ready to compute on "cpu" or "cuda"."""


@dataclass(frozen=True)
class Parallel:
    """How many videos are worked on at once.

    Raises:
        InputError: for numbers that cannot be.
    """

    workers: int | None = None
    """None: one per core. A cluster that runs already decides by its own cores."""
    videos_per_gpu: int = 4
    """Tasks that share a GPU. An estimate: each decodes on its core and holds the network."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers {self.workers}: expected at least 1")
        if not 1 <= self.videos_per_gpu <= 100:
            raise InputError(f"--videos-per-gpu {self.videos_per_gpu}: expected 1 to 100")


def attempt(item: VideoItem, function: VideoFunction, on_frame: OnFrame) -> Outcome:
    """Work on a video; whatever goes wrong becomes the outcome's error, and the others go on."""
    try:
        return Outcome(video_id=item.video_id, num_frames=function(item, on_frame))
    except Exception as error:  # one video must never end the work on all others
        return failed_outcome(item.video_id, item.path, error)
