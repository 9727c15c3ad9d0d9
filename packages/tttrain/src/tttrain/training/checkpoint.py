"""The checkpoint of a run: one file that is replaced atomically.

The file holds the last epoch's weights, optimiser and schedule, and the best weights, so that they
never disagree. Random draws are keyed by epoch and clip, so no generator needs to be kept.
"""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ttdata.errors import InputError, VersionError
from ttdata.storage.atomic import atomic_path
from tttrain.training.best_epoch import Best
from tttrain.training.schedule import Plateau

SCHEMA_VERSION = 2


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after `epoch` epochs are complete."""

    result_hash: str
    epochs_done: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    best: Best | None
    plateau: Plateau


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; readers see the old one or the new one, whole."""
    best = checkpoint.best
    with atomic_path(path) as temporary:
        torch.save(
            {
                "schema_version": SCHEMA_VERSION,
                "result_hash": checkpoint.result_hash,
                "epochs_done": checkpoint.epochs_done,
                "weights": checkpoint.weights,
                "optimizer": checkpoint.optimizer,
                "best": None if best is None else vars(best),
                "plateau": _plateau_values(checkpoint.plateau),
            },
            temporary,
        )


def load(path: Path, result_hash: str, earlier_hashes: Collection[str] = ()) -> Checkpoint | None:
    """The checkpoint of this configuration, or None where there is no file. Nothing is unpickled.

    Args:
        path: of the file.
        result_hash: of the configuration and the data.
        earlier_hashes: by which other releases knew the same configuration and data.

    Raises:
        InputError: if the file is damaged or belongs to another configuration.
        VersionError: if another schema version wrote it.
    """
    if not path.exists():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        version, found = values["schema_version"], values["result_hash"]
    except Exception as error:  # torch reports damage by many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable checkpoint ({reason}); delete it") from error
    if version != SCHEMA_VERSION:
        raise VersionError(f"{path}: schema version {version}, this release reads {SCHEMA_VERSION}")
    if found not in (result_hash, *earlier_hashes):
        raise InputError(f"{path}: of configuration {found}, expected {result_hash}; delete it")
    best, plateau = values["best"], values["plateau"]
    return Checkpoint(
        result_hash=found,
        epochs_done=values["epochs_done"],
        weights=values["weights"],
        optimizer=values["optimizer"],
        best=None if best is None else Best(**best),
        plateau=Plateau(plateau["lowest_loss"], plateau["stalled_epochs"], plateau["drops"]),
    )


def _plateau_values(plateau: Plateau) -> dict[str, Any]:
    return {
        "lowest_loss": plateau.lowest_loss,
        "stalled_epochs": plateau.stalled_epochs,
        "drops": plateau.reductions,
    }


class Writer:
    """Writes checkpoints beside the training thread, at most one at a time."""

    def __init__(self, path: Path, minutes: float) -> None:
        self._path, self._seconds = path, minutes * 60
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed since the last checkpoint began."""
        return time.monotonic() - self._last >= self._seconds

    def submit(self, checkpoint: Checkpoint) -> None:
        """Start writing; waits for the one before. The state must not change any more."""
        self.wait()
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._write, args=(checkpoint,))
        self._thread.start()

    def wait(self) -> None:
        """Wait until the file is written; an error of the writing thread is raised here."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _write(self, checkpoint: Checkpoint) -> None:
        try:
            save(self._path, checkpoint)
        except BaseException as error:  # carried to the training thread by wait()
            self._error = error
