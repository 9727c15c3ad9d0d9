"""`tttrain fit`: from shards to a run folder, or on from where a killed one stood."""

import logging
import os
import platform
import subprocess
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ttdata.errors import InputError, TTError
from ttdata.machine import available_memory
from ttdata.storage.outputs import check_output_folder
from tttrain.config import TrainConfig
from tttrain.data.dataset import TrainingData, open_data
from tttrain.report.summary import leakage
from tttrain.run import Run, RunInfo, available_threads, differences
from tttrain.training.torch_state import preserved

logger = logging.getLogger(__name__)

_PACKAGES = ("tttrain", "ttflow", "ttdata", "ttmodels", "torch", "ray", "numpy")


def fit(config: TrainConfig, data: str | Path, out: str | Path) -> Run:
    """Train as configured; a run that was interrupted goes on, a finished one is left alone.

    Args:
        config: a recipe or one of your own.
        data: shards that `ttflow extract` wrote.
        out: the run folder.

    Returns:
        The run, with its model.

    Raises:
        InputError: if the shards do not suit the configuration, or the folder holds a run with
            another configuration or other data, or something else, or is, holds or lies in `data`.
        TTError: if training failed; the same call goes on from the last checkpoint.
    """
    data, out = Path(data), Path(out)
    check_output_folder(out, "a run", [data])
    run = Run(out.absolute())
    shards = open_data(data.absolute())
    check(config, shards, run)
    if run.exists() and run.info().state == "finished":
        logger.info("%s: this run is finished; nothing to do", run.folder)
        return run
    info = _plan(config, shards)
    with run.lock("fit"):
        run.remove_leftovers()
        run.write_info(info)
        _announce(info, shards)
        with preserved():
            _launch(run, info)
        run.write_info(run.info().model_copy(update={"state": "finished"}))
    logger.info("model: %s", run.model_folder)
    return run


def check(config: TrainConfig, data: TrainingData, run: Run) -> tuple[int, int, int]:
    """Refuse what cannot be trained, before anything is.

    Args:
        config: what is asked for.
        data: the shards.
        run: where it would stand; one that holds the same run is welcome.

    Returns:
        T, H, W of the network's input.

    Raises:
        InputError: as `fit`.
    """
    shape = config.network.clip_shape or data.clip_shape
    data.check_shape(shape)
    if not data.clips["train"]:
        raise InputError(f"{data.path}: no clip has the split 'train'; run `ttdata split` first")
    if run.exists():
        _check_same(run, config, data)
    return shape


def _plan(config: TrainConfig, data: TrainingData) -> RunInfo:
    resolved = _resolve(config, data)
    return RunInfo(
        state="training",
        config=config,
        resolved=resolved,
        data=str(data.path),
        dataset_hash=data.hash,
        classes=data.classes,
        flow_scale_xy_px=data.flow_scale(),
        num_clips={name: len(clips) for name, clips in data.clips.items()},
        split=data.split,
        extraction=data.extraction,
        seed=config.seed,
        versions=_versions(),
        git_revision=_git_revision(),
    )


def _resolve(config: TrainConfig, data: TrainingData) -> TrainConfig:
    """Fill in what the configuration leaves to the shards and the machine."""
    shape = config.network.clip_shape or data.clip_shape
    execution = config.execution
    threads = execution.torch_threads or max(1, available_threads() // execution.num_workers)
    path = execution.data_path
    if path == "auto":
        path = "resident" if data.resident_gib() <= _resident_limit(config) else "stream"
    return config.with_changes(
        network={"clip_shape": shape}, execution={"torch_threads": threads, "data_path": path}
    )


def _resident_limit(config: TrainConfig) -> float:
    """GiB of decoded clips that a worker may keep."""
    if config.execution.resident_max_gib is not None:
        return config.execution.resident_max_gib
    return available_memory() / 2**30 / 2 / config.execution.num_workers


def _check_same(run: Run, config: TrainConfig, data: TrainingData) -> None:
    old = run.info()
    changed = differences(old.config.result_values(), config.result_values())
    if changed:
        raise InputError(
            f"{run.folder}: holds a run with other settings ({'; '.join(changed)}); "
            "take the same settings or another --out"
        )
    if old.dataset_hash != data.hash:
        raise InputError(
            f"{run.folder}: holds a run on other data (dataset {old.dataset_hash[:12]}, "
            f"now {data.hash[:12]}); take another --out"
        )


def _launch(run: Run, info: RunInfo) -> None:
    from tttrain.training.progress import follow
    from tttrain.training.ray_train import launch

    ended = threading.Event()
    watcher = threading.Thread(target=follow, args=(run, info, ended), daemon=True)
    watcher.start()
    try:
        launch(run, info.resolved)
    finally:
        ended.set()
        watcher.join(timeout=10)
    if not (run.model_folder / "config.json").is_file():
        raise TTError(f"{run.folder}: training ended without a model; run the same command again")


def _announce(info: RunInfo, data: TrainingData) -> None:
    logger.info("recipe %s: %s", info.config.recipe, info.resolved.model_dump_json())
    counts = ", ".join(f"{count} {name}" for name, count in info.num_clips.items())
    resident = info.resolved.execution.data_path == "resident"
    place = "kept in memory" if resident else "streamed every epoch"
    logger.info(
        "pixels: %s (%.2f GiB a worker when decoded; the limit is %.2f)",
        place,
        data.resident_gib(),
        _resident_limit(info.config),
    )
    logger.info("clips: %s; %d classes; seed %d", counts, len(info.classes), info.seed)
    logger.info(leakage(None if info.split is None else info.split.model_dump(mode="json")))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _git_revision() -> str | None:
    """The revision of the working folder, or None where there is no git or no repository."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None
