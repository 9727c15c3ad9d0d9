"""Prints the epochs of a run as they appear in its metrics file, whoever writes them."""

import logging
import threading
from statistics import median
from typing import Any

from tttrain.metrics import Accuracy
from tttrain.run import Run, RunInfo

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5


def follow(run: Run, info: RunInfo, ended: threading.Event) -> None:
    """Log a line per epoch until `ended` is set; epochs that are there already are not repeated."""
    # A restart drops and recomputes epochs; their lines are equal and need not be shown twice.
    shown = len(run.metrics())
    last_round = False
    while True:
        entries = run.metrics()
        for entry in entries[shown:]:
            logger.info(line(entry, info.resolved.epochs, entries))
        shown = max(shown, len(entries))
        if last_round:
            return
        last_round = ended.wait(POLL_SECONDS)


def line(entry: dict[str, Any], epochs: int, entries: list[dict[str, Any]]) -> str:
    """One epoch in words: losses, accuracies with n and interval, speed, time left."""
    done = entry["epoch"] + 1
    left = median(item["seconds"] for item in entries[:done]) * (epochs - done)
    return (
        f"epoch {done}/{epochs}: train loss {entry['train_loss']:.3f}, "
        f"accuracy {_accuracy(entry, 'train')}; "
        f"validation loss {entry['validation_loss']:.3f}, "
        f"accuracy {_accuracy(entry, 'validation')}{', best so far' if entry['best'] else ''}; "
        f"{entry['clips_per_second']:.1f} clips/s, {_duration(left)} left"
    )


def _accuracy(entry: dict[str, Any], name: str) -> str:
    n = entry[f"{name}_n"]
    found = Accuracy(round(entry[f"{name}_accuracy"] * n), n)
    low, high = found.interval
    return f"{found.value:.0%} ({low:.0%} to {high:.0%}, n={n})" if n else "of no clip"


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
