"""What a network has learned from, so that no clip is named by one that has seen its film."""

import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ttdata.errors import InputError
from ttflow.shards.reader import Shards, open_shards
from tttrain.clip_log import logged_clips
from tttrain.data.dataset import TrainingData
from tttrain.data.division import read_division
from tttrain.run import Run

logger = logging.getLogger(__name__)


def check_unseen(source: Path, data: TrainingData) -> None:
    """Refuse weights of a run that has learned from films of these clips, or chosen its epoch by.

    Films are the same where the ends of their files are. Where the run's shards are gone, the ids
    of its training clips decide. The runs whose weights it began with count, too. What a model
    folder without its run has learned from nobody knows, which is logged.

    Args:
        source: of `--init`: a run, or a model folder.
        data: whose clips will be named.

    Raises:
        InputError: if there is such a clip; names it.
    """
    found = False
    for run in _runs(source.absolute()):
        found = True
        if seen := _seen(run, open_shards(data.path)):
            raise InputError(
                f"--init {source}: {run.folder} has learned from, or chosen its epoch by, "
                f"{len(seen)} clips of films that are in {data.path} ({seen[0]}), expected "
                "other films: what it says of them would be no honest figure; train it on other "
                "data, or leave --init out"
            )
    if not found:
        logger.warning(
            "--init %s: a model folder without its run does not say what it has learned from; the "
            "figures are honest only if that was other clips than those of %s",
            *(source, data.path),
        )


def _runs(source: Path) -> Iterator[Run]:
    """The run that a path means, then those with whose weights it and its predecessors began."""
    known: set[Path] = set()
    at: Path | None = source
    while at is not None and at not in known:
        known.add(at)
        run = Run(at) if Run(at).exists() else Run(at.parent)
        if not run.exists() or at not in (run.folder, run.model_folder):
            return
        yield run
        init = run.info().init
        at = None if init is None else Path(init.source)


def _seen(run: Run, shards: Shards) -> list[str]:
    """Clips of the run that lie in films of these shards, sorted."""
    path = Path(run.info().data)
    if not (path / "clips.parquet").is_file():
        return sorted(set(logged_clips(run.clips_path)) & set(shards.clips["clip_id"]))
    own, division = open_shards(path), read_division(run)
    clips = (own if division is None else division.applied(own)).clips
    used = clips.filter(pl.col("split").is_in(["train", "validation"]))
    here = set(_films(shards).values())
    same = [video for video, film in _films(own).items() if film in here]
    return sorted(used.filter(pl.col("video_id").is_in(same))["clip_id"])


def _films(shards: Shards) -> dict[str, tuple[int, str]]:
    """Size and hash of the ends of each film with pixels, by video."""
    return {
        video: (manifest.source_size_bytes, manifest.source_sha256_ends)
        for video, manifest in shards.manifests.items()
    }
