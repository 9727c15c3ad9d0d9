"""Videos as Ray tasks, one each, on the cluster that runs or on one of our own."""

import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import lru_cache
from typing import Any

from ttflow.jobs.job import Outcome, Progress, Workers
from ttflow.jobs.worker import keep_to_one_core, watched
from tttrain.indexing.jobs.items import (
    OnFrame,
    Parallel,
    VideoFunction,
    VideoItem,
    VideoWork,
    attempt,
)

Task = Callable[..., Iterator[dict[str, Any]]]


def task_events(
    items: Sequence[VideoItem], work: VideoWork, parallel: Parallel, device: str
) -> Generator[Progress | Outcome]:
    """Work on the videos in tasks; events come as they happen, an outcome per video among them.

    A video whose process dies is tried again twice; then it has no outcome.

    Args:
        items: at least one.
        work: sent to every worker process, which loads its function once.
        parallel: how many at once.
        device: "auto" takes a share of a GPU where there is one, "cuda" insists, "cpu" takes none.

    Raises:
        InputError: if a GPU is asked for and there is none, or others take the whole cluster.
        ExtractError: if Ray itself does not start or breaks down.
    """
    from ttflow.jobs import ray_pipeline

    settings = {"count": parallel.workers, "videos_per_gpu": parallel.videos_per_gpu}
    workers = Workers.model_validate({**settings, "device": device})
    rows = [{"video_id": item.video_id, "item": pickle.dumps(item)} for item in items]
    with ray_pipeline.working_cluster(workers.count):
        on_gpu = ray_pipeline.finds_gpu(workers)
        sent = {"work": pickle.dumps(work), "device": "cuda" if on_gpu else "cpu"}
        share = workers.gpu_share if on_gpu else None
        yield from ray_pipeline.task_events(rows, shipped_task(), sent, share)


def shipped_task() -> Task:
    """What a worker does with a row, sent as code: it works also where this package is missing.

    Ray throws away, unseen, what goes wrong before a task's first line. So this one imports nothing
    before it can say so, and what it gets are bytes.
    """

    def task(row: dict[str, Any], work: bytes, device: str) -> Iterator[dict[str, Any]]:
        import json
        import platform

        try:
            from tttrain.indexing.jobs.tasks import row_events
        except Exception as error:
            reason = (
                f"{row['video_id']}: {type(error).__name__} on {platform.node()}: {error}; "
                "all machines of a cluster need the same packages"
            )
            outcome = {"kind": "outcome", "video_id": row["video_id"], "error": reason}
            yield {"event": json.dumps(outcome)}
        else:
            yield from row_events(row, work, device)

    return task


def row_events(row: dict[str, Any], work: bytes, device: str) -> Iterator[dict[str, Any]]:
    """The events of a row's video; what cannot be loaded is its error, too."""

    def function(item: VideoItem, on_frame: OnFrame) -> int:
        return _loaded(work, device)(item, on_frame)

    def outcome(report: OnFrame) -> Outcome:
        return attempt(pickle.loads(row["item"]), function, report)

    for event in watched(row["video_id"], outcome):
        yield {"event": event.model_dump_json()}


@lru_cache(maxsize=1)
def _loaded(work: bytes, device: str) -> VideoFunction:
    """The function of this process."""
    keep_to_one_core()
    made: VideoWork = pickle.loads(work)
    return made.load(device)
