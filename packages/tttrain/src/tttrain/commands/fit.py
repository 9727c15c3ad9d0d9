"""`tttrain fit`: from shards to a run folder, or on from where a killed one stood."""

import logging
import threading
from pathlib import Path

import torch

from ttdata.errors import InputError, TTError
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.outputs import check_output_folder
from tttrain.commands.fit_svm import check_begins_with_none, fit_machine, is_fitted
from tttrain.commands.provenance import git_revision, versions
from tttrain.config import TrainConfig
from tttrain.data.dataset import TrainingData, open_data
from tttrain.data.division import Division, check_same_division, write_division
from tttrain.data.sampling import stretch_shares
from tttrain.report.summary import LAST_EPOCH, leakage
from tttrain.run import InitInfo, Run, RunInfo, differences
from tttrain.training.networks import build
from tttrain.training.torch_state import preserved
from tttrain.training.weights import initial
from tttrain.training.weights.level_head import shared_levels

logger = logging.getLogger(__name__)


def fit(
    config: TrainConfig,
    data: str | Path,
    out: str | Path,
    init: str | Path | None = None,
    *,
    division: Division | None = None,
) -> Run:
    """Train as configured; a run that was interrupted goes on, a finished one is left alone.

    Args:
        config: a recipe or one of your own.
        data: shards that `ttflow extract` wrote.
        out: the run folder.
        init: a finished run or a model folder, whose weights the layers that fit begin with.
        division: splits that replace those of the shards, such as a fold's; None: none does.

    Returns:
        The run, with its model.

    Raises:
        InputError: if the shards do not suit the configuration (also: a schedule that follows the
            validation loss, and no validation clips; network.head_labels=levels, and a taxonomy
            without levels), no layer of `init` fits, or the folder holds a run with another
            configuration, other data or another `init`, or something else, or is, holds or lies in
            `data` or `init`; in a Ray job for relative paths.
        TTError: if training failed; the same call goes on from the last checkpoint.
    """
    data, out = Path(data), Path(out)
    check_lasting(data, "--data")  # workers open it, on their machines
    if init is not None:
        init = Path(init)
        check_lasting(init, "--init")
    check_output_folder(out, "a run", [data, init])
    run = Run(out.absolute())
    shards = open_data(data.absolute(), division)
    check(config, shards, run)
    start = beginning(config, shards, run, init)
    if run.exists() and run.info().state == "finished":
        logger.info("%s: this run is finished; nothing to do", run.folder)
        return run
    info = _plan(config, shards).model_copy(update={"init": start})
    with run.lock("fit"):
        run.remove_leftovers()
        if division is not None:
            write_division(run, division)
        run.write_info(info)
        _announce(info, shards)
        with preserved(), torch.random.fork_rng(_gpus_in_use()):
            (fit_machine if is_fitted(config) else _launch)(run, info)
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
    stretches = data.stretches(config)
    if config.network.reads_pose:
        data.poses([clip.clip_id for clip in data.read_in_training(stretches)])
    _levels(config, data)
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


def _resolved(config: TrainConfig, data: TrainingData) -> TrainConfig:
    shape = config.network.clip_shape or data.clip_shape
    return config.with_changes(network={"clip_shape": shape})


def _levels(config: TrainConfig, data: TrainingData) -> dict[str, tuple[str | None, ...]]:
    if config.network.head_labels == "classes":
        return {}
    found = shared_levels(data.taxonomy)
    if not found and config.network.head_labels == "levels":
        raise InputError(
            f"{data.path}: network.head_labels=levels, and no level of the taxonomy "
            f"{data.taxonomy.name!r} names groups of strokes; expected type, hand or technique of "
            "every stroke in taxonomy.json, or --set network.head_labels=classes"
        )
    return found


def _mirrored(config: TrainConfig, data: TrainingData) -> dict[str, str]:
    augment = config.augment
    return data.taxonomy.mirror_images if augment.mirror and augment.spatial else {}


def beginning(
    config: TrainConfig, data: TrainingData, run: Run, init: Path | None
) -> InitInfo | None:
    """What a new run begins with; one that is there keeps what it began with.

    Raises:
        InputError: if that is something else than `init`, or no layer of `init` fits.
    """
    if run.exists():
        old = run.info().init
        if old is None and init is None:
            return None
        if old is None or init is None or not initial.same(init, old):
            began = "at random" if old is None else f"with the weights of {old.source}"
            raise InputError(
                f"{run.folder}: holds a run that began {began}; take the same --init, or another "
                "--out"
            )
        return old
    if init is None:
        return None
    check_begins_with_none(config, init)
    with torch.device("meta"):
        model = build(_resolved(config, data), len(data.classes))
    return initial.plan(init, model, data.classes)


def _plan(config: TrainConfig, data: TrainingData) -> RunInfo:
    return RunInfo(
        state="training",
        config=config,
        resolved=_resolved(config, data),
        data=str(data.path),
        dataset_hash=data.hash_for(config.network),
        classes=data.classes,
        flow_scale_xy_px=data.flow_scale(),
        num_clips={name: len(clips) for name, clips in data.clips.items()},
        split=data.split,
        division_sha256=data.division and data.division.sha256,
        extraction=data.extraction,
        pose_estimation=data.pose_estimation if config.network.reads_pose else None,
        seed=config.seed,
        levels=_levels(config, data),
        mirrored=_mirrored(config, data),
        versions=versions(),
        git_revision=git_revision(),
    )


def _check_same(run: Run, config: TrainConfig, data: TrainingData) -> None:
    old = run.info()
    changed = differences(old.config.result_values(), config.result_values())
    now = {"levels": _levels(config, data), "mirrored": _mirrored(config, data)}
    changed += differences({name: getattr(old, name) for name in now}, now)
    if changed:
        raise InputError(
            f"{run.folder}: holds a run with other settings ({'; '.join(changed)}); "
            "take the same settings or another --out"
        )
    check_same_division(run, data.division)
    dataset_hash = data.hash_for(config.network)
    if old.dataset_hash != dataset_hash:
        raise InputError(
            f"{run.folder}: holds a run on other data (dataset {old.dataset_hash[:12]}, "
            f"now {dataset_hash[:12]}); take another --out"
        )


def _gpus_in_use() -> list[int]:
    """Whose random numbers a caller may rely on; asking a GPU for them would begin to use it."""
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return list(range(torch.cuda.device_count())) if used else []


def _launch(run: Run, info: RunInfo) -> None:
    from tttrain.training import in_process
    from tttrain.training.progress import follow

    ended = threading.Event()
    watcher = threading.Thread(target=follow, args=(run, info, ended), daemon=True)
    watcher.start()
    try:
        if in_process.suffices(info.resolved):
            in_process.train_here(run, info.resolved)
        else:  # imported only here: seconds that landmarks alone need not spend
            from tttrain.training.ray_train import launch

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
    if execution.data_path == "auto" and info.config.network.reads_pixels:
        size = data.resident_gib(data.stretches(info.resolved))
        logger.info("pixels: %.2f GiB decoded; a worker keeps them up to %s", size, limit)
    counts = ", ".join(f"{count} {name}" for name, count in info.num_clips.items())
    logger.info("clips: %s; %d classes; seed %d", counts, len(info.classes), info.seed)
    _announce_stretches(info, data)
    _announce_labels(info)
    if info.init is not None:
        logger.info("init: %s", initial.told(info.init))
    if not info.num_clips["validation"]:
        logger.warning("no validation clips: %s", LAST_EPOCH)
    logger.info(leakage(None if info.split is None else info.split.model_dump(mode="json")))


def _announce_labels(info: RunInfo) -> None:
    for level, values in info.levels.items():
        names = ", ".join(dict.fromkeys(value for value in values if value is not None))
        logger.info("class head: classes share weights by %s (%s)", level, names)
    if info.mirrored:
        pairs = sorted({tuple(sorted(pair)) for pair in info.mirrored.items()})
        told = ", ".join(f"{first} and {second}" for first, second in pairs)
        logger.info("mirrored clips exchange the labels %s", told)


def _announce_stretches(info: RunInfo, data: TrainingData) -> None:
    for kind, found in data.stretches(info.resolved).items():
        wanted = stretch_shares(info.config)[kind] * info.num_clips["train"]
        few = f", fewer than the {wanted:.0f} asked for" if wanted > len(found) else ""
        count = min(wanted, len(found))
        logger.info("%s: %.0f windows an epoch, of %d stretches%s", kind, count, len(found), few)
