"""`tttrain fit`: from shards to a run folder, or on from where a killed one stood."""

import logging
import os
import platform
import subprocess
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ttdata.errors import InputError, TTError
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.outputs import check_output_folder
from tttrain.config import TrainConfig
from tttrain.data.dataset import TrainingData, open_data
from tttrain.data.sampling import stretch_shares
from tttrain.report.summary import LAST_EPOCH, leakage
from tttrain.run import Run, RunInfo, differences
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
        InputError: if the shards do not suit the configuration (also: a schedule that follows the
            validation loss, and no validation clips), or the folder holds a run with
            another configuration or other data, or something else, or is, holds or lies in `data`;
            in a Ray job for relative paths.
        TTError: if training failed; the same call goes on from the last checkpoint.
    """
    data, out = Path(data), Path(out)
    check_lasting(data, "--data")  # workers open it, on their machines
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
    data.stretches(config)
    if run.exists():
        _check_same(run, config, data)
    elif not data.clips["validation"]:
        _check_without_validation(config, data)
    return shape


def _check_without_validation(config: TrainConfig, data: TrainingData) -> None:
    """Refuse a schedule that could never do what it says."""
    schedule = config.schedule
    asked, mended = [], []
    if schedule.decay == "plateau":
        asked.append("schedule.decay=plateau")
        mended.append("--set schedule.decay=constant")
    if schedule.patience_epochs is not None:
        asked.append(f"schedule.patience_epochs={schedule.patience_epochs}")
        mended.append("--set schedule.patience_epochs=null")
    if asked:
        raise InputError(
            f"{data.path}: no clip has the split 'validation', expected some for "
            f"{' and '.join(asked)}; run `ttdata split`, or {' '.join(mended)}"
        )


def _plan(config: TrainConfig, data: TrainingData) -> RunInfo:
    shape = config.network.clip_shape or data.clip_shape
    return RunInfo(
        state="training",
        config=config,
        resolved=config.with_changes(network={"clip_shape": shape}),
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
    execution = info.config.execution
    limit = "half of its machine's memory, divided by the workers there"
    if execution.resident_max_gib is not None:
        limit = f"{execution.resident_max_gib:.2f} GiB"
    if execution.data_path == "auto":
        size = data.resident_gib(data.stretches(info.resolved))
        logger.info("pixels: %.2f GiB decoded; a worker keeps them up to %s", size, limit)
    counts = ", ".join(f"{count} {name}" for name, count in info.num_clips.items())
    logger.info("clips: %s; %d classes; seed %d", counts, len(info.classes), info.seed)
    _announce_stretches(info, data)
    if not info.num_clips["validation"]:
        logger.warning("no validation clips: %s", LAST_EPOCH)
    logger.info(leakage(None if info.split is None else info.split.model_dump(mode="json")))


def _announce_stretches(info: RunInfo, data: TrainingData) -> None:
    for kind, found in data.stretches(info.resolved).items():
        wanted = stretch_shares(info.config)[kind] * info.num_clips["train"]
        few = f", fewer than the {wanted:.0f} asked for" if wanted > len(found) else ""
        count = min(wanted, len(found))
        logger.info("%s: %.0f windows an epoch, of %d stretches%s", kind, count, len(found), few)


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
