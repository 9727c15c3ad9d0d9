"""The page of an audit: what is suspected, with a small film of each clip, for people to judge."""

from pathlib import Path
from typing import Any

import polars as pl

from ttdata.storage.html import write_page
from tttrain.data.dataset import TrainingData
from tttrain.report.summary import percent
from tttrain.report.thumbnails import ANIMATION_FRAMES, animation

MOST_FILMS = 60
"""Suspects shown with a film, of each of the two lists; `audit.csv` has all clips."""


def write_audit_page(
    path: Path, table: pl.DataFrame, result: dict[str, Any], data: TrainingData
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        table: rows as AuditRow.
        result: what `audit` returns.
        data: the shards, for the films.
    """
    test = pl.col("split") == "test"
    listed = table.filter("suspected")
    content = {
        "result": result,
        "lists": {
            "learn": _cards(listed.filter(~test), data),
            "test": _cards(listed.filter(test), data),
        },
        "animation_frames": ANIMATION_FRAMES,
    }
    template = Path(__file__).with_name("templates") / "audit.html.j2"
    write_page(path, template, content, {"percent": percent})


def _cards(rows: pl.DataFrame, data: TrainingData) -> list[dict[str, Any]]:
    clips = {clip.clip_id: clip for found in data.clips.values() for clip in found}
    return [
        row | {"animation": animation(data, clips[row["clip_id"]], data.clip_shape[0])}
        for row in rows.head(MOST_FILMS).to_dicts()
    ]


def audit_lines(result: dict[str, Any], folder: Path) -> list[str]:
    """What `tttrain audit` prints.

    Args:
        result: what `audit` returns.
        folder: of the audit.
    """
    clips, suspected = result["num_clips"], result["num_suspected"]
    lines = [f"{suspected['learn']} of {clips['learn']} labels to look at first"]
    if clips["test"]:
        lines.append(
            f"{suspected['test']} of {clips['test']} test labels, listed apart: who corrects these "
            "says so beside every figure"
        )
    if result["folds"] is None:
        lines.append("by training and neighbours alone; with --folds more errors are found")
    if (rate := result["rate"]) is None:
        lines.append("how many labels are wrong: not estimated (--estimate-rate)")
    else:
        low, high = rate["interval"]
        lines.append(
            f"about {percent(rate['rate'])} of the training labels are wrong (95 % interval "
            f"{percent(low)} to {percent(high)}, n = {rate['n']})"
        )
    lines.append(f"page: {folder / 'index.html'}, table: {folder / 'audit.csv'}")
    return lines
