"""The log of a run's training clips: per epoch how sure the network was of each label.

`clips.jsonl` begins with a line that names the clips; a line per epoch then holds the logits of
their given labels and the largest other ones, in that order (specification 5.8).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ttdata.errors import InputError
from ttdata.storage.atomic import write_text
from ttdata.storage.tables import check_version

SCHEMA_VERSION = 1
_DIGITS = 4


@dataclass(frozen=True, eq=False)
class ClipMargins:
    """What a log holds of E epochs and N clips."""

    clip_ids: tuple[str, ...]
    epochs: tuple[int, ...]
    given: np.ndarray
    """(E, N) float64: the logit of the label that the clip has."""
    other: np.ndarray
    """(E, N) float64: the largest of the other classes' logits."""


class ClipLog:
    """Writes the log of one run; a line appears whole or is not read."""

    def __init__(self, path: Path, clip_ids: Iterable[str]) -> None:
        self._path, self._clip_ids = path, sorted(clip_ids)

    def keep(self, epochs_done: int) -> None:
        """Begin the file, or remove the lines of epochs that will be computed again.

        Args:
            epochs_done: of the checkpoint from which training goes on.
        """
        header = {"schema_version": SCHEMA_VERSION, "clip_ids": self._clip_ids}
        lines = list(_lines(self._path))
        same = bool(lines) and lines[0] == header
        kept = [line for line in lines[1:] if line["epoch"] < epochs_done] if same else []
        write_text(self._path, "".join(map(_text, [header, *kept])))

    def append(self, epoch: int, answers: Mapping[str, tuple[float, float]]) -> None:
        """Add the line of one epoch.

        Args:
            epoch: from 0 on.
            answers: logits by clip_id, of the given label and the largest other one; those of
                stretches, which are no clips of the dataset, are left out.
        """
        pairs = [answers[clip_id] for clip_id in self._clip_ids]
        given, other = ([round(pair[place], _DIGITS) for pair in pairs] for place in (0, 1))
        with self._path.open("a", encoding="utf-8") as handle:
            handle.write(_text({"epoch": epoch, "given": given, "other": other}))


def read_clip_log(path: Path) -> ClipMargins:
    """What a run's `clips.jsonl` holds; a last line that a crash left incomplete is left out.

    Raises:
        InputError: if there is no such file, or not one epoch in it.
        VersionError: if another release wrote it.
    """
    lines = list(_lines(path))
    if len(lines) < 2:
        found = "no epoch" if lines else "no log of clips"
        raise InputError(f"{path}: {found}, expected what `tttrain fit` writes; train again")
    header, epochs = lines[0], lines[1:]
    check_version(path, header.get("schema_version"), SCHEMA_VERSION)
    return ClipMargins(
        clip_ids=tuple(header["clip_ids"]),
        epochs=tuple(line["epoch"] for line in epochs),
        given=np.array([line["given"] for line in epochs], np.float64),
        other=np.array([line["other"] for line in epochs], np.float64),
    )


def logged_clips(path: Path) -> tuple[str, ...]:
    """The clips that a run learned from, as its log names them; none where there is no log."""
    return next((tuple(line["clip_ids"]) for line in _lines(path)), ())


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n"


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return
