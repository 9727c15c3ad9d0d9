"""The epochs of a run for TensorBoard, beside `metrics.jsonl`."""

import shutil
from typing import Any

from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

from tttrain.run import Run

_GROUPS = {"loss": "_loss", "accuracy": "_accuracy"}
_SINGLE = ("learning_rate", "momentum", "clips_per_second")


class TensorBoardWriter:
    """Writes `tensorboard/`, anew from the epochs that are there, then epoch by epoch."""

    def __init__(self, run: Run) -> None:
        folder = run.folder / "tensorboard"
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder), flush_secs=10)
        for entry in run.metrics():
            self.add(entry)

    def add(self, entry: dict[str, Any]) -> None:
        """Add the line of an epoch, counted from 1 as everywhere people read."""
        step = entry["epoch"] + 1
        for group, ending in _GROUPS.items():
            for part in ("train", "validation"):
                if entry[f"{part}_n"]:
                    self._writer.add_scalar(f"{group}/{part}", entry[part + ending], step)
        for name in _SINGLE:
            self._writer.add_scalar(name, entry[name], step)

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()
