"""Shows the epochs of a run as they appear in its metrics file, whoever writes them."""

import contextlib
import logging
import sys
import threading
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ttdata.confidence import wilson
from tttrain.run import Run, RunInfo

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5


def follow(run: Run, info: RunInfo, ended: threading.Event) -> None:
    """Show epochs until `ended` is set; those that are there already are not repeated.

    A bar on a terminal, a line per epoch elsewhere.
    """
    with _bar() if sys.stderr.isatty() else contextlib.nullcontext() as bar:
        task = None
        if bar is not None:
            task = bar.add_task("starting", total=info.resolved.schedule.epochs, left="")
        # A restart computes some epochs again; their lines are equal and are shown once.
        shown = len(run.metrics())
        last_round = told = False
        while not last_round:
            last_round = ended.wait(POLL_SECONDS)
            if not told and (started := run.info()).computed_on:
                _tell(place(started), bar)
                told = True
            entries = run.metrics()
            if bar is None or task is None:
                for entry in entries[shown:]:
                    logger.info(line(entry, info.resolved.schedule.epochs, entries))
            elif entries:
                text, left = short(entries, info.resolved.schedule.epochs)
                bar.update(task, completed=len(entries), description=text, left=left)
            shown = max(shown, len(entries))


def _bar() -> Progress:
    columns = (MofNCompleteColumn(), BarColumn(16), TextColumn("{task.fields[left]}"))
    return Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True))


def _tell(text: str, bar: Progress | None) -> None:
    if bar is None:
        logger.info(text)
    else:
        bar.console.print(text, highlight=False, markup=False)


def place(info: RunInfo) -> str:
    """What the first worker computes on, and where it has its pixels, once it has started."""
    execution = info.resolved.execution
    kept = "kept in memory" if execution.data_path == "resident" else "streamed every epoch"
    if not info.resolved.network.reads_pixels:
        kept = "not read"
    threads = execution.torch_threads
    word = "thread" if threads == 1 else "threads"
    return f"first worker: {info.computed_on}, {threads} {word}; pixels {kept}"


def short(entries: list[dict[str, Any]], epochs: int) -> tuple[str, str]:
    """The last epoch for a bar: losses, accuracies and speed; and the time left."""
    entry = entries[-1]
    losses, shares = f"{entry['train_loss']:.3f}", f"{entry['train_accuracy']:.0%}"
    if entry["validation_n"]:
        losses += f"/{entry['validation_loss']:.3f}"
        shares += f"/{entry['validation_accuracy']:.0%}"
    text = f"loss {losses} right {shares} {entry['clips_per_second']:.1f} clips/s"
    return text, f"{_duration(_left(entry, epochs, entries))} left"


def _left(entry: dict[str, Any], epochs: int, entries: list[dict[str, Any]]) -> float:
    """Seconds of the epochs to come, at the pace of the median one so far."""
    done = int(entry["epoch"]) + 1
    seconds = median([float(item["seconds"]) for item in entries[:done]])
    return seconds * (epochs - done)


def line(entry: dict[str, Any], epochs: int, entries: list[dict[str, Any]]) -> str:
    """One epoch in words: losses, accuracies with n and interval, speed, time left."""
    done = entry["epoch"] + 1
    left = _left(entry, epochs, entries)
    return (
        f"epoch {done}/{epochs}: train loss {entry['train_loss']:.3f}, "
        f"accuracy {_accuracy(entry, 'train')}; "
        f"{_validation(entry)}; "
        f"{entry['clips_per_second']:.1f} clips/s, {_duration(left)} left"
    )


def _validation(entry: dict[str, Any]) -> str:
    if not entry["validation_n"]:
        return "no validation clips"
    best = ", best so far" if entry["best"] else ""
    return (
        f"validation loss {entry['validation_loss']:.3f}, "
        f"accuracy {_accuracy(entry, 'validation')}{best}"
    )


def _accuracy(entry: dict[str, Any], name: str) -> str:
    n = entry[f"{name}_n"]
    value = float(entry[f"{name}_accuracy"])
    low, high = wilson(round(value * n), n)
    return f"{value:.0%} ({low:.0%} to {high:.0%}, n={n})"


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
