"""`tttrain evaluate-detector`: how well strokes of whole test videos are found and named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.storage.atomic import write_json
from ttdata.storage.dataset import load_dataset
from ttdata.storage.job_folder import check_lasting
from tttrain.commands.fit_detector import rejection_class
from tttrain.indexing.baselines import argmax_strokes, grid_strokes
from tttrain.indexing.detector import FOLDER, stored
from tttrain.indexing.measures.scores import DetectionScores, detection_scores
from tttrain.indexing.scorer import VideoScorer
from tttrain.indexing.split_videos import videos_of_split
from tttrain.run import Run

SCHEMA_VERSION = 1
_SHOWN = ("pxr", "map", "f1", "f1_class_blind", "global_iou")


def evaluate_detector(
    run_folder: str | Path, dataset_folder: str | Path, *, device: str = "auto", split: str = "test"
) -> dict[str, Any]:
    """Measure a run's detector on the whole videos of a split, beside two baselines.

    The baselines: the likeliest class of every cell in runs of at least 30 frames, and boxes of
    150 frames side by side with the most frequent true name.

    Args:
        run_folder: with a detector (`tttrain fit-detector`).
        dataset_folder: divided so that whole videos are in the split.
        device: "auto", "cpu", "cuda" or "cuda:N".
        split: whose videos are measured.

    Returns:
        What is written to `RUN/detector/<split>.json`: `rows`, the measures by name.

    Raises:
        InputError: if the run or the dataset does not suit.
        VideoError: if a video cannot be decoded.
    """
    check_lasting(Path(run_folder), "RUN")
    run, dataset = Run(Path(run_folder).absolute()), load_dataset(dataset_folder)
    detector = stored(run)
    rejection_class(dataset)
    found = videos_of_split(dataset, split)
    scorer = VideoScorer(
        run, detector.negative, device, stride_frames=detector.decoder.stride_frames
    )
    curves = scorer.curves(found.videos, run.folder / FOLDER / "scores")
    lengths = [curve.num_frames for curve in curves]
    videos = found.videos.select("video_id", "fps").with_columns(num_frames=pl.Series(lengths))
    most_frequent = found.truths["label"].value_counts(sort=True)["label"][0]
    rows = {
        f"detector ({detector.decoder.chosen.kind})": detector.decoder.decode(curves),
        "argmax": pl.concat([argmax_strokes(curve) for curve in curves]),
        "boxes of 150 frames": grid_strokes(videos, most_frequent),
    }
    result = {
        "schema_version": SCHEMA_VERSION,
        "split": split,
        "weights_sha256": detector.weights_sha256,
        "rows": {
            name: _values(
                detection_scores(found.truths, strokes, videos, annotated=found.annotated)
            )
            for name, strokes in rows.items()
        },
    }
    write_json(run.folder / FOLDER / f"{split}.json", result)
    return result


def _values(scores: DetectionScores) -> dict[str, Any]:
    """As JSON, where null stands for what is not a number."""
    values: dict[str, Any] = json.loads(scores.model_dump_json())
    return values


def detector_lines(result: Mapping[str, Any]) -> list[str]:
    """The measures for a terminal: a line per row, then what kinds of errors there are."""
    lines = []
    for name, row in result["rows"].items():
        lines.append(f"{name}:")
        for measure in _SHOWN:
            low, high = row["intervals"].get(measure, (None, None))
            lines.append(
                f"  {measure:<15} {_number(row[measure])}  [{_number(low)}, {_number(high)}]"
            )
        errors = ", ".join(
            f"{key.replace('_', ' ')} {count}" for key, count in row["errors"].items()
        )
        lines.append(f"  {errors}")
    first = next(iter(result["rows"].values()))
    lines.append(
        f"{first['num_truths']} strokes of {first['num_videos']} whole videos of the split "
        f"{result['split']}; intervals: 95 %, bootstrap over videos"
    )
    return lines


def _number(value: float | None) -> str:
    return "  -  " if value is None else f"{value:.3f}"
