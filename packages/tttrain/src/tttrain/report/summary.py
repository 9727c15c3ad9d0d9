"""The result of a test in words, for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tttrain.evaluation.metrics import Accuracy
from tttrain.run import Run

LAST_EPOCH = "the weights are those of the last epoch, as none can be called the best"
"""Of a run without validation clips."""

_NAMES = {"test": "Test", "test_vote": "TestVote", "test_avg": "TestAvg"}


def summary(result: dict[str, Any], run_folder: Path) -> str:
    """Accuracies of the network and the baselines, each with n and interval, and the leakage.

    Args:
        result: what `evaluate` returns.
        run_folder: named in the last line, with its report.
    """
    rows = [(_NAMES[key], item) for key, item in result["methods"].items()]
    rows += [(f"baseline: {key}", item) for key, item in result["baselines"].items()]
    rows += [(f"by {key}", item) for key, item in result["levels"].items()]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {Accuracy(item['correct'], item['n'])}" for name, item in rows]
    if left_out := baselines_left_out(result):
        lines.append(left_out)
    largest = result["largest_class"]
    lines.append(f"largest class of these clips: {largest['label']}, {largest['share']:.1%}")
    lines.append(leakage(result["split_info"]))
    if not Run(run_folder).info().num_clips["validation"]:
        lines.append(f"trained without validation clips: {LAST_EPOCH}")
    if others := result["other_extraction"]:
        lines.append(f"extracted otherwise than what the model learned from: {', '.join(others)}")
    lines.append(f"report: {Run(run_folder).report_path}")
    return "\n".join(lines)


def baselines_left_out(result: Mapping[str, Any]) -> str:
    """Which baselines are missing from a result, and why; empty where none is."""
    names_by_reason: dict[str, list[str]] = {}
    for name, reason in result["baselines_left_out"].items():
        names_by_reason.setdefault(reason, []).append(name)
    return "; ".join(
        f"baselines left out: {', '.join(names)} ({reason})"
        for reason, names in names_by_reason.items()
    )


def percent(share: float | None) -> str:
    """A share as text; a dash for none."""
    return "–" if share is None else f"{share:.1%}".replace("%", " %")


def leakage(split: dict[str, Any] | None) -> str:
    """What a split leaks, in words; every accuracy is printed with it."""
    if split is None:
        return "split: unknown, and so is its leakage"
    group = split["group"]
    # Runs of earlier releases did not count them.
    unknown = split.get("unknown_group_clips", 0)
    return (
        f"split: {split['strategy']} by {group}, leakage {split['leakage']:.1%} "
        f"(validation and test clips whose {group} is also in train"
        + (f"; {unknown} of unknown {group} left out)" if unknown else ")")
    )
