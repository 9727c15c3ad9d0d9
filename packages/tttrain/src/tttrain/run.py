"""A run folder: what was asked for, how training went, and the model that came out.

run.json            the configuration as asked and as resolved, versions, data, state
division.json       the splits that replace those of the shards, for a run that was told some
metrics.jsonl       one line per epoch
clips.jsonl         per epoch, how sure the network was of each training clip's label
checkpoint.pt       where training stands: last and best weights, optimiser
model/              weights, labels, normalisation: what `predict` and other people need
evaluation/         one JSON file per tested split
report/index.html   the report
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ttdata.errors import InputError
from ttdata.machine import available_cores
from ttdata.schema import SplitInfo
from ttdata.settings import FrozenModel, first_problem
from ttdata.storage.atomic import write_json, write_text
from ttdata.storage.job_folder import in_ray_job
from ttdata.storage.tables import check_version
from ttflow.pose.config import PoseConfig
from ttflow.schema import FlowConfig
from tttrain.config import TrainConfig
from tttrain.flat_keys import into_sections

SCHEMA_VERSION = 2
WRITTEN = (
    *("run.json", "division.json", "metrics.jsonl", "clips.jsonl", "checkpoint.pt"),
    *("model", "evaluation", "report", "tensorboard"),
)
"""Names of what is written in a run folder."""


class InitInfo(FrozenModel):
    """The weights that a run began with (`tttrain fit --init`)."""

    source: str = Field(description="absolute path of the model folder")
    weights_sha256: str = Field(description="of its weights")
    taken: tuple[str, ...] = Field(description="layers that began with its weights")
    fresh: dict[str, str] = Field(description="layers that began at random, and why")


class RunInfo(FrozenModel):
    """`run.json`: everything that decides the result, and the state of the run."""

    schema_version: int = SCHEMA_VERSION
    state: Literal["training", "finished"]
    config: TrainConfig = Field(description="as asked for")
    resolved: TrainConfig = Field(
        description="with what was left open filled in; threads and data path as the first worker "
        "sized them on its machine"
    )
    data: str = Field(description="absolute path of the shards")
    dataset_hash: str = Field(
        description="of the clips, their labels and splits, the pixels, and the landmarks where "
        "the network reads them"
    )
    classes: tuple[str, ...]
    flow_scale_xy_px: tuple[float, float] = Field(description="flow that becomes 1, per axis")
    num_clips: dict[str, int] = Field(description="by split")
    split: SplitInfo | None = None
    division_sha256: str | None = Field(
        default=None, description="of `division.json`; null: the splits are those of the shards"
    )
    extraction: FlowConfig | None = Field(
        default=None, description="how the shards were made; for `predict` on videos"
    )
    pose_estimation: PoseConfig | None = Field(
        default=None,
        description="how the landmarks were estimated; null for networks that read none",
    )
    seed: int
    init: InitInfo | None = Field(default=None, description="null where all began at random")
    levels: dict[str, tuple[str | None, ...]] = Field(
        default_factory=dict,
        description="each class's value on each level of network.head_labels=levels",
    )
    mirrored: dict[str, str] = Field(
        default_factory=dict, description="labels that mirrored clips exchange"
    )
    computed_on: str | None = Field(
        default=None, description="device and precision of the first worker, once it has started"
    )
    versions: dict[str, str]
    git_revision: str | None = None


class Run:
    """A folder that `tttrain fit` writes."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @property
    def info_path(self) -> Path:
        """`run.json`."""
        return self.folder / "run.json"

    @property
    def division_path(self) -> Path:
        """`division.json`."""
        return self.folder / "division.json"

    @property
    def metrics_path(self) -> Path:
        """`metrics.jsonl`."""
        return self.folder / "metrics.jsonl"

    @property
    def clips_path(self) -> Path:
        """`clips.jsonl`."""
        return self.folder / "clips.jsonl"

    @property
    def checkpoint_path(self) -> Path:
        """`checkpoint.pt`."""
        return self.folder / "checkpoint.pt"

    @property
    def model_folder(self) -> Path:
        """`model/`."""
        return self.folder / "model"

    @property
    def report_path(self) -> Path:
        """`report/index.html`."""
        return self.folder / "report" / "index.html"

    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.info_path.is_file()

    def info(self) -> RunInfo:
        """What `run.json` says.

        Raises:
            InputError: if the folder holds no run, or a damaged one.
            VersionError: if another release wrote it.
        """
        try:
            values = json.loads(self.info_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{self.folder}: holds no run (no run.json)") from None
        except ValueError as error:
            raise InputError(f"{self.info_path}: not a readable JSON file ({error})") from error
        if not isinstance(values, dict):
            raise InputError(
                f"{self.info_path}: holds no JSON object; expected a run's description"
            )
        values = _in_sections(values)
        check_version(self.info_path, values.get("schema_version"), SCHEMA_VERSION)
        try:
            return RunInfo.model_validate(values, context={"stored": True})
        except ValidationError as error:
            raise InputError(f"{self.info_path}: {first_problem(error)}") from error

    def write_info(self, info: RunInfo) -> None:
        """Write `run.json`."""
        write_json(self.info_path, info.model_dump(mode="json"))

    def metrics(self) -> list[dict[str, Any]]:
        """The epochs so far; a last line that a crash left incomplete is left out."""
        if not self.metrics_path.is_file():
            return []
        entries = []
        for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:
                break
        return entries

    def append_metrics(self, entry: dict[str, Any]) -> None:
        """Add the line of one epoch."""
        with self.metrics_path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry, allow_nan=False) + "\n")

    def keep_metrics(self, epochs_done: int) -> None:
        """Remove the lines of epochs that will be computed again, and all that follows a gap."""
        kept = []
        for epoch, entry in enumerate(self.metrics()):
            if entry["epoch"] != epoch or epoch >= epochs_done:
                break
            kept.append(json.dumps(entry, allow_nan=False) + "\n")
        write_text(self.metrics_path, "".join(kept))

    def remove_leftovers(self) -> None:
        """Remove temporary files of a job that died; only while the lock is held."""
        for pattern in (".*.tmp", "model/.*.tmp"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool = False) -> Iterator[None]:
        """Hold `.<name>.lock`, which its process's death releases.

        Args:
            name: "fit" for the command, "worker" for the process that writes, "detector" for
                the commands that write `detector/`.
            wait: for a predecessor to end, instead of an error.

        Raises:
            InputError: if another process holds it and `wait` is off.
        """
        with lock_folder(self.folder, name, wait=wait):
            yield


@contextlib.contextmanager
def lock_folder(folder: Path, name: str, *, wait: bool = False) -> Iterator[None]:
    """Hold `.<name>.lock` of a folder, as `Run.lock`; the folder is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            command = {"detector": "fit-detector` or `evaluate-detector"}.get(name, name)
            raise InputError(
                f"{folder}: another `tttrain {command}` works on this folder; wait for it"
            ) from None
        yield


@contextlib.contextmanager
def clean_folder(folder: Path) -> Iterator[None]:
    """Remove what dead jobs left half-written below a folder, before and after some work.

    After as well: processes that outlived their killed command end soon after it, maybe only while
    the next one works. Only while the folder's lock is held.
    """
    _remove_temporary(folder)
    yield
    _remove_temporary(folder)


def _remove_temporary(folder: Path) -> None:
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def _in_sections(values: dict[str, Any]) -> dict[str, Any]:
    """What `run.json` holds, lifted to today's schema where it is of version 1 (flat keys)."""
    if values.get("schema_version") != 1:
        return values
    found = {name: values.get(name) for name in ("config", "resolved")}
    configs = {name: into_sections(flat) for name, flat in found.items() if isinstance(flat, dict)}
    return values | configs | {"schema_version": SCHEMA_VERSION}


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """`key: old, now new` for every value that differs, nested keys joined by dots."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after, name = old.get(key), new.get(key), prefix + key
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{name}.")
        elif before != after:
            found.append(f"{name} {json.dumps(before)}, now {json.dumps(after)}")
    return found


def stored_json(path: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """What a JSON file holds; None where there is none, or one without these values."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict) or any(values.get(key) != wanted[key] for key in wanted):
        return None
    return values


def available_threads() -> int:
    """Threads torch should use: a core each, or fewer where OMP_NUM_THREADS says so."""
    cores, limit = available_cores(), thread_limit()
    return cores if limit is None else min(cores, limit)


def thread_limit() -> int | None:
    """What OMP_NUM_THREADS asks for; None where it is not set.

    In a submitted job a 1 says nothing: Ray sets it for every job's command.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked == "1" and in_ray_job():
        return None
    return int(asked) or None if asked.isdigit() else None
