"""The two Ray Data pipelines: videos to shards, and shards to rows. No arithmetic here.

Tasks, not actors: a decoder that crashes hard then costs a retry of one video.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data

from ttdata.errors import InputError, TTError
from ttdata.machine import available_cores
from ttflow.errors import ExtractError
from ttflow.estimator_names import uses_gpu
from ttflow.jobs.job import EVENT, Job, Outcome, PoseJob, Progress, Workers
from ttflow.jobs.pose_worker import watched_poses
from ttflow.jobs.ray_address import WAIT_VARIABLE, check_address, no_cluster, wait_seconds
from ttflow.jobs.worker import torch_sees_gpu, watched_job, weights_of
from ttflow.schema import ClipRecord
from ttflow.shards.layout import arrow_schema
from ttflow.shards.reader import PIXEL_COLUMNS, Location, open_shards, read_rows

_STARTS = 2
"""How often an embedded Ray is started before that counts as a failure."""
_MAX_RETRIES = 2
"""Of a task whose process died; Ray's own default is to try for ever."""
_BLOCK_BYTES = 16 << 20
CLIPS_PER_TASK = 8
"""Of `read_clips`: rows that a task reads one after the other."""
_PLACES = "places"
Row = dict[str, Any]
_OBJECT_STORE_BYTES = 256 << 20


@contextmanager
def cluster(workers: int | None = None) -> Iterator[None]:
    """A Ray to work on: one that is connected, the one RAY_ADDRESS names, or an embedded one."""
    if ray.is_initialized():
        yield
        return
    start_ray(num_cpus=workers or available_cores(), object_store_memory=_OBJECT_STORE_BYTES)
    try:
        yield
    finally:
        ray.shutdown()


def start_ray(**own: Any) -> None:
    """Connect to the cluster that RAY_ADDRESS names, or start an embedded one.

    Args:
        own: options of `ray.init` for an embedded cluster.

    Raises:
        InputError: if no cluster answers at RAY_ADDRESS.
        ExtractError: if an embedded one does not start, also when tried again.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address := os.environ.get("RAY_ADDRESS"):
        check_address(address)
        try:
            ray.init(address=address, **quiet)
        except (Exception, SystemExit) as error:  # Ray ends the process after a minute or so
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise no_cluster(address, reason) from error
        return
    for attempt in range(_STARTS):
        try:
            # Not just no address: "local" passes over one that an earlier cluster left behind.
            ray.init(address="local", include_dashboard=False, **quiet, **own)
            return
        except (Exception, SystemExit) as error:  # its processes are late on a busy machine
            ray.shutdown()
            if attempt == _STARTS - 1:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise ExtractError(
                    f"Ray does not start on this machine ({reason}), also when tried again; run "
                    "the same command when the machine is less busy, or name a cluster in "
                    "RAY_ADDRESS"
                ) from error


def wait_for_free(needed: Mapping[str, float], instead: str) -> None:
    """Wait until so much of the cluster is free: Ray would wait for ever, and say nothing.

    Args:
        needed: by Ray's name of a resource (CPU, GPU).
        instead: what the user can do with fewer, for the message.

    Raises:
        InputError: if it is not free within the limit; names what is taken and what to do.
    """
    limit = wait_seconds()
    deadline = time.monotonic() + limit
    while lacking := _lacking(needed):
        if time.monotonic() >= deadline:
            raise InputError(
                f"the cluster is full: {lacking} within {limit:g} s; end what takes them, "
                f"{instead}, or set {WAIT_VARIABLE} to wait for longer"
            )
        time.sleep(min(0.5, limit / 4))


def _lacking(needed: Mapping[str, float]) -> str:
    """The first resource of which too little is free, in words; empty where all are."""
    free, total = ray.available_resources(), ray.cluster_resources()
    for name, count in needed.items():
        if (found := free.get(name, 0)) < count:
            return f"{found:g} of {total.get(name, 0):g} {name}s free, expected {count:g}"
    return ""


def run_jobs(jobs: Sequence[Job], workers: Workers) -> Iterator[Progress | Outcome]:
    """Run the jobs, each in a task of its own; events come as they happen, outcomes among them.

    A task decodes on its core, and computes the flow on a share of a GPU where there is one.
    A job whose process dies is tried again twice, then it has no outcome.

    Raises:
        InputError: if a GPU is asked for and there is none, or others take the whole cluster.
        ExtractError: if Ray itself does not start or breaks down.
    """
    with working_cluster(workers.count):
        on_gpu = uses_gpu(jobs[0].config.estimator) and finds_gpu(workers)
        # Sent along: a worker on another machine has no such file, or another one of its name.
        sent = {"device": "cuda" if on_gpu else "cpu", "weights": weights_of(jobs[0].config)}
        rows = [{"job": job.model_dump_json()} for job in jobs]
        yield from task_events(rows, _run_row, sent, workers.gpu_share if on_gpu else None)


def run_pose_jobs(
    jobs: Sequence[PoseJob], workers: Workers, weights: Mapping[str, bytes]
) -> Iterator[Progress | Outcome]:
    """As `run_jobs`, for poses: each video in a task of one core.

    Args:
        jobs: at least one.
        workers: how many at once.
        weights: of the pose networks; sent along, as other machines may have none.

    Raises:
        InputError: if others take the whole cluster.
        ExtractError: if Ray itself does not start or breaks down.
    """
    with working_cluster(workers.count):
        rows = [{"job": job.model_dump_json()} for job in jobs]
        yield from task_events(rows, _run_pose_row, {"weights": dict(weights)})


@contextmanager
def working_cluster(workers: int | None = None) -> Iterator[None]:
    """As `cluster`, once a core of it is free; what breaks in Ray meanwhile is one line.

    Raises:
        InputError: if others take the whole cluster.
        ExtractError: if Ray itself does not start or breaks down.
    """
    shared = ray.is_initialized() or bool(os.environ.get("RAY_ADDRESS"))
    try:
        with cluster(workers):
            if shared:
                wait_for_free({"CPU": 1}, "name another cluster in RAY_ADDRESS")
            yield
    except TTError:
        raise
    except Exception as error:  # a killed cluster shows itself in many types
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ExtractError(
            f"Ray broke down ({reason}); finished videos are kept, the same command goes on"
        ) from error


def task_events(
    rows: Sequence[Row],
    task: Callable[..., Iterator[Row]],
    sent: Row,
    gpu_share: float | None = None,
) -> Iterator[Progress | Outcome]:
    """Run a task of one core for each row; events come as they happen.

    Args:
        rows: one for each task.
        task: yields events as JSON under "event"; run again, it must yield the same ones.
        sent: keyword arguments of all tasks.
        gpu_share: of a GPU for each task; None: no GPU.
    """
    _quiet()
    options: dict[str, Any] = {"num_cpus": 1, "max_retries": _MAX_RETRIES}
    if gpu_share is not None:
        # Without max_calls Ray starts a process per video, which loads torch and CUDA anew.
        options |= {"num_gpus": gpu_share, "max_calls": 0}
    videos = ray.data.from_items(list(rows), override_num_blocks=len(rows))
    with nameless_arguments():
        events = videos.flat_map(task, fn_kwargs=sent, **options)
    events.context.max_errored_blocks = -1
    events.context.target_max_block_size = 1  # every event travels at once
    for row in events.iter_rows():
        yield EVENT.validate_json(row["event"])


@contextmanager
def nameless_arguments() -> Iterator[None]:
    """Ray warns of task arguments without a name of their own; `max_retries` has none yet."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ray_remote_args.*")
        yield


def _run_row(row: dict[str, Any], device: str, weights: Any = None) -> Iterator[dict[str, Any]]:
    for event in watched_job(Job.model_validate_json(row["job"]), device, weights):
        yield {"event": event.model_dump_json()}


def _run_pose_row(row: dict[str, Any], weights: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    for event in watched_poses(PoseJob.model_validate_json(row["job"]), weights):
        yield {"event": event.model_dump_json()}


def finds_gpu(workers: Workers) -> bool:
    """Whether tasks use a GPU: looked for first, as a task waits for ever for one there is not.

    Raises:
        InputError: if one is asked for and there is none, or it stays taken.
    """
    if workers.device == "cpu":
        return False
    if ray.cluster_resources().get("GPU", 0) > 0:
        look = ray.remote(num_gpus=workers.gpu_share)(torch_sees_gpu)
        try:
            if ray.get(look.remote(), timeout=wait_seconds()):
                return True
        except ray.exceptions.GetTimeoutError as error:
            raise InputError(
                f"no GPU of the cluster was free within {wait_seconds():g} s; run again later, set "
                f"{WAIT_VARIABLE} to wait for longer, or use --device cpu"
            ) from error
    if workers.device == "cuda":
        raise InputError("--device cuda: Ray and torch find no GPU here")
    return False


def _quiet() -> None:
    import logging

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def read_clips(
    path: Path | str,
    clip_ids: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    **task_options: Any,
) -> ray.data.Dataset:
    """The clips of a shards folder as a Ray Dataset, one row per clip, typed by `ClipRow`.

    Rows are read when consumed, a few at a time. Stretches are rows, too: filter by `kind`.

    Args:
        path: the folder.
        clip_ids: which clips, in this order; None: all, in the order of `clips.parquet`.
        columns: those of `PartRow` to read; the columns of `ClipRecord` are always there.
        task_options: of the reading tasks (`num_cpus`, `compute`, ...); a step that follows
            runs in the same tasks where it is given the same. By default a task whose process
            died is tried again twice.

    Raises:
        ShardError: if the folder or a clip is missing.
    """
    shards = open_shards(path)
    wanted = list(shards.clips["clip_id"]) if clip_ids is None else list(clip_ids)
    pixels = [name for name in PIXEL_COLUMNS if columns is None or name in columns]
    rows = []
    for clip_id in wanted:
        location = shards.location(clip_id)
        where = {"part": str(location.part), "row_group": location.row_group}
        rows.append(shards.record(clip_id) | where)
    places = pa.schema([("part", pa.string()), ("row_group", pa.int64())])
    schema = pa.unify_schemas([arrow_schema(ClipRecord), places])
    tables = [
        pa.Table.from_pylist(rows[start : start + CLIPS_PER_TASK], schema=schema)
        for start in range(0, max(1, len(rows)), CLIPS_PER_TASK)
    ]
    # As bytes: Ray asks a task with a core of its own about each table that it is given as such.
    items = [{_PLACES: _packed(table)} for table in tables]
    source = ray.data.from_items(items, override_num_blocks=len(items))
    source.context.execution_options.preserve_order = True
    source.context.target_max_block_size = _BLOCK_BYTES
    with nameless_arguments():
        return source.map_batches(
            _with_pixels,
            batch_size=1,
            batch_format="pyarrow",
            fn_kwargs={"columns": pixels},
            zero_copy_batch=True,
            **{"max_retries": _MAX_RETRIES, **task_options},
        )


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _with_pixels(batch: pa.Table, columns: list[str]) -> Iterator[pa.Table]:
    """The packed rows one by one, the place of each one's pixels replaced by the pixels."""
    for packed in batch.column(_PLACES).to_pylist():
        table = pa.ipc.open_stream(packed).read_all()
        for number, place in enumerate(table.select(["part", "row_group"]).to_pylist()):
            pixels = read_rows(Location(Path(place["part"]), place["row_group"]), columns)
            row = table.slice(number, 1).drop_columns(["part", "row_group"])
            for name in columns:
                row = row.append_column(name, pixels.column(name))
            yield row
