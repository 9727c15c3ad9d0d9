"""What a network has learned from, so that no clip is named by one that has seen its film."""

import logging
from pathlib import Path

import polars as pl

from ttdata.errors import InputError, TTError
from ttflow.shards.reader import Shards, open_shards
from tttrain.clip_log import logged_clips
from tttrain.data.dataset import TrainingData, open_data_of
from tttrain.data.division import read_division
from tttrain.run import Run

logger = logging.getLogger(__name__)


def check_unseen(source: Path, data: TrainingData) -> None:
    """Refuse weights of a run that has learned from films of these clips, or chosen its epoch by.

    Films are the same where the ends of their files are. Where the run's shards are gone or hold
    other clips now, the ids of its clips decide, as far as it knows them, which is logged. The runs
    whose weights it began with count, too. What a model folder without its run has learned from
    nobody knows, which is logged as well.

    Args:
        source: of `--init`: a run, or a model folder.
        data: whose clips will be named.

    Raises:
        InputError: if there is such a clip; names it.
    """
    runs, unknown = _runs(source.resolve())
    for run in runs:
        if seen := _seen(run, open_shards(data.path)):
            raise InputError(
                f"--init {source}: {run.folder} has learned from, or chosen its epoch by, "
                f"{len(seen)} clips of films that are in {data.path} ({seen[0]}), expected "
                "other films: what it says of them would be no honest figure; train it on other "
                "data, or leave --init out"
            )
    if unknown is not None:
        logger.warning(
            "--init %s: %s: a model folder without its run does not say what it has learned from; "
            "the figures are honest only if that was other clips than those of %s",
            *(source, unknown, data.path),
        )


def _runs(source: Path) -> tuple[list[Run], Path | None]:
    """The run that a path means, then those with whose weights it and its predecessors began.

    The second is where that ends at weights without a run; None where it ends at random weights.
    """
    runs: list[Run] = []
    at = source
    while at not in [known for run in runs for known in (run.folder, run.model_folder)]:
        run = Run(at) if Run(at).exists() else Run(at.parent)
        if not run.exists() or at not in (run.folder, run.model_folder):
            return runs, at
        runs.append(run)
        init = run.info().init
        if init is None:
            break
        at = Path(init.source).resolve()
    return runs, None


def _seen(run: Run, shards: Shards) -> list[str]:
    """Clips of the run that lie in films of these shards, sorted."""
    path, division = Path(run.info().data), read_division(run)
    if not _holds_its_clips(run, path):
        known = set(logged_clips(run.clips_path))
        if division is not None:
            known |= {*division.clip_ids("train"), *division.clip_ids("validation")}
        logger.warning(
            "%s: its shards %s are gone or hold other clips now, so the ids of %d clips that it "
            "knows were compared, not films",
            *(run.folder, path, len(known)),
        )
        return sorted(known & set(shards.clips["clip_id"]))
    own = open_shards(path)
    clips = (own if division is None else division.applied(own)).clips
    used = clips.filter(pl.col("split").is_in(["train", "validation"]))
    here = set(_films(shards).values())
    same = [video for video, film in _films(own).items() if film in here]
    return sorted(used.filter(pl.col("video_id").is_in(same))["clip_id"])


def _holds_its_clips(run: Run, path: Path) -> bool:
    """Whether what lies there now is what the run has learned from."""
    if not (path / "clips.parquet").is_file():
        return False
    info = run.info()
    try:
        return open_data_of(run, path).hash_for(info.resolved.network) == info.dataset_hash
    except TTError:
        return False


def _films(shards: Shards) -> dict[str, tuple[int, str]]:
    """Size and hash of the ends of each film with pixels, by video."""
    return {
        video: (manifest.source_size_bytes, manifest.source_sha256_ends)
        for video, manifest in shards.manifests.items()
    }
