"""Writes the report of a tested run: one HTML file, offline, for teachers as for engineers."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ttdata.storage.html import write_page
from tttrain.data.dataset import TrainingData
from tttrain.evaluation.calibration import LIMITS, Calibration
from tttrain.evaluation.paper_results import PAPER
from tttrain.report.charts import Series, interval_bar, line_chart, reliability_chart
from tttrain.report.summary import baselines_left_out, percent
from tttrain.report.thumbnails import ANIMATION_FRAMES, animation, stills
from tttrain.run import Run, RunInfo

MAX_CLIPS = 60
"""Clips shown with stills, misses first."""
MAX_ANIMATIONS = 6
"""Clips shown moving, of each kind of mistake."""

_KEY = re.compile('<meta name="result" content="([0-9a-f]+)">')

_METHOD_NAMES = {
    "test": "Network, central window (Test)",
    "test_vote": "Network, vote of all windows (TestVote)",
    "test_avg": "Network, mean of all windows (TestAvg)",
}
_SCORES = {"test": "Central window (Test)", "test_avg": "Mean of all windows (TestAvg)"}
"""The scores whose reliability is shown; TestVote has none of its own."""
BASELINE_NAMES = {
    "largest class": "Always the largest class of training",
    "background": "Nearest background (static scene only)",
    "duration": "Nearest duration",
    "start time": "Nearest start time in the video",
    "pose + SVM": "Body pose, DCT over time, SVM",
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
    template = Path(__file__).with_name("templates") / "report.html.j2"
    write_page(run.report_path, template, _content(run, result, data), {"percent": percent})
    return run.report_path


def reported(run: Run) -> str | None:
    """The `key` of the result that the report shows; None without a report."""
    try:
        found = _KEY.search(run.report_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found and found[1]


def _content(run: Run, result: dict[str, Any], data: TrainingData) -> dict[str, Any]:
    info = run.info()
    num_frames = (info.resolved.network.clip_shape or data.clip_shape)[0]
    return {
        "name": run.folder.name,
        "info": info,
        "result": result,
        "split_name": {"test": "test", "train": "training"}.get(result["split"], result["split"]),
        "split": result["split_info"],
        "headline": result["methods"]["test"],
        "rows": _rows(result, info),
        "left_out": baselines_left_out(result),
        "curves": _curves(run.metrics()),
        "matrix": matrix_content(result),
        "per_class": class_content(result),
        "reliability": _reliability(result),
        "mistakes": _mistakes(result, data, num_frames),
        "animation_frames": ANIMATION_FRAMES,
        "cards": _cards(result, data),
        "recipe": json.dumps(info.resolved.model_dump(mode="json"), indent=2),
    }


def _rows(result: dict[str, Any], info: RunInfo) -> list[dict[str, Any]]:
    """The network's rows and below them the baselines', with bars."""
    config = info.resolved
    augmented = config.augment.spatial or config.augment.temporal
    trained = config.network.model if augmented else f"{config.network.model}_no_augmentation"
    of_paper = config.network.head == "flat"
    paper = PAPER.get(trained if of_paper else "", (None, None, None))
    rows = [
        {"name": _METHOD_NAMES[key], "network": True, "paper": reference, **item}
        for (key, item), reference in zip(result["methods"].items(), paper, strict=True)
    ]
    rows += [
        {"name": BASELINE_NAMES[key], "network": False, "paper": None, **item}
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


def matrix_content(result: Mapping[str, Any]) -> dict[str, Any]:
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
    """Stills, truth and scores of clips: misses first, the surest of them in front."""
    ordered = sorted(
        result["clips"],
        key=lambda item: (not _missed(item), -max(item["scores"]), item["clip_id"]),
    )
    clips = {clip.clip_id: clip for clip in data.clips[result["split"]]}
    return [
        _card(item, result) | {"pictures": stills(data, clips[item["clip_id"]])}
        for item in ordered[:MAX_CLIPS]
    ]


def _mistakes(
    result: dict[str, Any], data: TrainingData, num_frames: int
) -> dict[str, list[dict[str, Any]]]:
    """The surest wrong answers, and the clips whose truth seemed least likely, as animations."""
    classes = result["classes"]
    clips = {clip.clip_id: clip for clip in data.clips[result["split"]]}
    missed = [item for item in result["clips"] if _missed(item)]
    orders = {
        "Surest mistakes": lambda item: (-max(item["scores"]), item["clip_id"]),
        "Farthest from the truth": lambda item: (
            item["scores"][classes.index(item["truth"])],
            item["clip_id"],
        ),
    }
    return {
        name: [
            _card(item, result) | {"animation": animation(data, clips[item["clip_id"]], num_frames)}
            for item in sorted(missed, key=order)[:MAX_ANIMATIONS]
        ]
        for name, order in orders.items()
    }


def _missed(item: dict[str, Any]) -> bool:
    return bool(item["answers"]["test"] != item["truth"])


def _card(item: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Truth and the likeliest names of a clip, with calibrated scores."""
    calibration = Calibration(**result["calibration"]["test"])
    scores = calibration.apply(np.array(item["scores"])).tolist()
    pairs = sorted(zip(result["classes"], scores, strict=True), key=lambda pair: -pair[1])
    return {
        "clip_id": item["clip_id"],
        "truth": item["truth"],
        "right": not _missed(item),
        "top": pairs[:3],
    }


def class_content(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per class that occurs: how often it is recognised, and what it is taken for instead."""
    classes, rows = result["classes"], []
    for index, item in enumerate(result["per_class"]):
        if not item["n"]:
            continue
        others = [
            (count, classes[column])
            for column, count in enumerate(result["confusion"][index])
            if column != index and count
        ]
        others.sort(key=lambda pair: -pair[0])
        answered = sum(row[index] for row in result["confusion"])
        rows.append(
            {
                **item,
                "label": classes[index],
                "answered": answered,
                "precision": item["correct"] / answered if answered else None,
                "taken_for": ", ".join(f"{name} ({count})" for count, name in others[:2]),
            }
        )
    return rows


def _reliability(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Charts, temperature and clips it comes from, of a central window and the mean of all."""
    return [
        {
            "name": name,
            "at_limit": result["calibration"][method]["temperature"] in LIMITS,
            "charts": [
                {"name": which, "chart": reliability_chart(item["bins"]), **item}
                for which, item in result["reliability"][method].items()
            ],
            **result["calibration"][method],
        }
        for method, name in _SCORES.items()
    ]
