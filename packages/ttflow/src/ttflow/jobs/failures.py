"""Videos that fail: an error becomes a line of `failures.jsonl`, and the others go on.

A video that cannot be decoded costs its own clips only. A full disk is no video's fault: it stops
the whole command, and no video is said to have failed because of it.
"""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ttdata.errors import TTError
from ttdata.storage.atomic import write_text
from ttflow.errors import ExtractError
from ttflow.jobs.job import Job, Outcome
from ttflow.schema import Failure
from ttflow.shards.layout import failures_path

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
WORKER_DIED = "its worker process died, also when tried again"


def failed_outcome(video_id: str, path: str, error: BaseException) -> Outcome:
    """The outcome of work on a video that raised: the error in one line."""
    if isinstance(error, TTError):
        return Outcome(video_id=video_id, error=str(error))
    reason = " ".join(f"{path}: {type(error).__name__}: {error}".split())
    return Outcome(video_id=video_id, error=reason, disk_full=is_disk_full(error))


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that the disk or the quota is full."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def failures_of(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> list[Failure]:
    """The failures of single videos; a job without an outcome lost its worker process."""
    errors = {outcome.video_id: outcome.error for outcome in outcomes if not outcome.disk_full}
    complete = not any(outcome.disk_full for outcome in outcomes)
    found = []
    for job in jobs:
        default = f"{job.path}: {WORKER_DIED}" if complete else None
        if (error := errors.get(job.video_id, default)) is not None:
            found.append(
                Failure(video_id=job.video_id, path=job.path, error=error, num_clips=len(job.clips))
            )
    return found


def write_failures(shards: Path, failures: Iterable[Failure]) -> None:
    """Write `failures.jsonl`, a line per video; empty where all went well."""
    write_text(failures_path(shards), "".join(f.model_dump_json() + "\n" for f in failures))


def failures_error(shards: Path, failures: Sequence[Failure], num_videos: int) -> ExtractError:
    """The error that ends a command of so many videos, some of which failed."""
    return ExtractError(
        f"{len(failures)} of {num_videos} videos failed, the others are finished; "
        f"{failures_path(shards)} names them; the first: {failures[0].error}"
    )


@contextmanager
def disk_errors(shards: Path) -> Iterator[None]:
    """What goes wrong with the disk of a shards folder, in one line.

    Raises:
        ExtractError: for every OSError.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full_error(shards) from error
        where = error.filename or shards
        raise ExtractError(f"{where}: {error.strerror or error}") from error


def disk_full_error(shards: Path, when: str = "") -> ExtractError:
    """The error that ends a command when the disk is full; names the disks that can be meant."""
    places = [str(shards)]
    if shards.exists() and shards.stat().st_dev != os.stat(tempfile.gettempdir()).st_dev:
        places.append(tempfile.gettempdir())  # where frames wait for their centre
    return ExtractError(
        f"no space left on the disk of {' or '.join(places)}{when}; "
        "what is finished is kept, the same command goes on once there is room"
    )
