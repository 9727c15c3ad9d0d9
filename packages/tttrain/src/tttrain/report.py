"""Writes the report of a tested run: one HTML file, offline, for teachers as for engineers."""

import base64
import json
from pathlib import Path
from typing import Any

from ttdata.html import write_page
from tttrain.charts import Series, interval_bar, line_chart
from tttrain.data import TrainingData
from tttrain.paper import PAPER
from tttrain.run import Run, RunInfo
from tttrain.samples import central_request
from tttrain.summary import percent

MAX_CLIPS = 60
"""Clips shown with pictures, misses first."""

_METHOD_NAMES = {
    "test": "Network, central window (Test)",
    "test_vote": "Network, vote of all windows (TestVote)",
    "test_avg": "Network, mean of all windows (TestAvg)",
}
_BASELINE_NAMES = {
    "largest class": "Always the largest class of training",
    "background": "Nearest background (static scene only)",
    "duration": "Nearest duration",
    "start time": "Nearest start time in the video",
}


def write_report(run: Run, result: dict[str, Any], data: TrainingData) -> Path:
    """Write `report/index.html` of a run.

    Args:
        run: for its configuration and training curves.
        result: what `evaluate` found.
        data: shards, for the pictures.

    Returns:
        The file.
    """
    template = Path(__file__).with_name("report.html.j2")
    write_page(run.report_path, template, _content(run, result, data), {"percent": percent})
    return run.report_path


def _content(run: Run, result: dict[str, Any], data: TrainingData) -> dict[str, Any]:
    info = run.info()
    cards = _cards(result, data)
    return {
        "name": run.folder.name,
        "info": info,
        "result": result,
        "split_name": {"test": "test", "train": "training"}.get(result["split"], result["split"]),
        "split": result["split_info"],
        "headline": result["methods"]["test"],
        "rows": _rows(result, info),
        "curves": _curves(run.metrics()),
        "matrix": _matrix(result),
        "per_class": [
            (label, item)
            for label, item in zip(result["classes"], result["per_class"], strict=True)
            if item["n"]
        ],
        "cards": cards,
        "recipe": json.dumps(info.resolved.model_dump(mode="json"), indent=2),
    }


def _rows(result: dict[str, Any], info: RunInfo) -> list[dict[str, Any]]:
    """The network's rows and below them the shortcuts', with bars."""
    config = info.resolved
    augmented = config.augment.spatial or config.augment.temporal
    trained = config.model if augmented else f"{config.model}_no_augmentation"
    paper = PAPER.get(trained, (None, None, None))
    rows = [
        {"name": _METHOD_NAMES[key], "network": True, "paper": reference, **item}
        for (key, item), reference in zip(result["methods"].items(), paper, strict=True)
    ]
    rows += [
        {"name": _BASELINE_NAMES[key], "network": False, "paper": None, **item}
        for key, item in result["baselines"].items()
    ]
    for row in rows:
        row["bar"] = interval_bar(row["accuracy"] or 0.0, *row["interval"])
    return rows


def _curves(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not entries:
        return None
    epochs = [entry["epoch"] + 1 for entry in entries]
    best = max(index for index, entry in enumerate(entries) if entry["best"])

    def chart(kind: str, *, percent: bool) -> str:
        series = [Series("training", "train", [entry[f"train_{kind}"] for entry in entries])]
        if entries[0]["validation_n"]:
            values = [entry[f"validation_{kind}"] for entry in entries]
            series.append(Series("validation", "validation", values))
        top = 1.0 if percent else max(max(item.values) for item in series)
        return line_chart(epochs, series, y_max=top, percent=percent, marked=best)

    return {
        "loss": chart("loss", percent=False),
        "accuracy": chart("accuracy", percent=True),
        "best_epoch": epochs[best],
    }


def _matrix(result: dict[str, Any]) -> dict[str, Any]:
    """The confusion matrix without classes that neither occur nor are answered."""
    matrix, classes = result["confusion"], result["classes"]
    used = [
        index
        for index in range(len(classes))
        if any(matrix[index]) or any(row[index] for row in matrix)
    ]
    return {
        "labels": [classes[index] for index in used],
        "rows": [
            (
                classes[row],
                [
                    {
                        "count": matrix[row][column],
                        "share": matrix[row][column] / max(sum(matrix[row]), 1),
                        "right": row == column,
                    }
                    for column in used
                ],
            )
            for row in used
        ],
    }


def _cards(result: dict[str, Any], data: TrainingData) -> list[dict[str, Any]]:
    """Pictures, truth and scores of clips: misses first, the surest of them in front."""
    classes, chosen = result["classes"], []
    for item in result["clips"]:
        right = item["answers"]["test"] == item["truth"]
        chosen.append(((right, -max(item["scores"]), item["clip_id"]), right, item))
    chosen.sort(key=lambda entry: entry[0])
    cards = []
    for _, right, item in chosen[:MAX_CLIPS]:
        top = sorted(zip(classes, item["scores"], strict=True), key=lambda pair: -pair[1])[:3]
        cards.append(
            {
                "clip_id": item["clip_id"],
                "truth": item["truth"],
                "right": right,
                "top": top,
                "pictures": _pictures(data, item["clip_id"], result["split"]),
            }
        )
    return cards


def _pictures(data: TrainingData, clip_id: str, split: str) -> list[str]:
    """Three frames of a clip's central window as data URLs."""
    clip = next(clip for clip in data.clips[split] if clip.clip_id == clip_id)
    row = data.read(clip_id)
    frames = min(data.clip_shape[0], row["stored_end_frame"] - row["stored_start_frame"])
    start = central_request(clip, data.clip_shape[0]).start_frame - row["stored_start_frame"]
    last = len(row["rgb"]) - 1
    places = [min(max(start + frames * part // 4, 0), last) for part in (1, 2, 3)]
    return [
        "data:image/jpeg;base64," + base64.b64encode(row["rgb"][place]).decode() for place in places
    ]
