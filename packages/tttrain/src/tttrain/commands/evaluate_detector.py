"""`tttrain evaluate-detector`: how well strokes of whole test videos are found and named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.errors import InputError
from ttdata.storage.atomic import write_json
from ttdata.storage.dataset import Dataset, load_dataset
from ttdata.storage.job_folder import check_lasting
from tttrain.commands.fit_detector import rejection_class
from tttrain.indexing.baselines import argmax_strokes, grid_strokes, one_annotator_strokes, shuffled
from tttrain.indexing.detector import (
    FOLDER,
    Detector,
    check_whole_videos,
    head_rows,
    motion_curves,
    stored,
    stored_head,
)
from tttrain.indexing.jobs.items import Parallel
from tttrain.indexing.measures.scores import DetectionScores, detection_scores
from tttrain.indexing.scorer import Scored, VideoScorer, lengths
from tttrain.indexing.split_videos import SplitVideos, most_frequent, videos_of_split
from tttrain.indexing.tracks import by_video
from tttrain.run import Run, clean_folder

SCHEMA_VERSION = 1
CEILING = "one annotator"
"""Perfect detection with the boundaries of one annotator of each stroke."""
_SHOWN = ("pxr", "map", "f1", "f1_class_blind", "global_iou")


def evaluate_detector(
    run_folder: str | Path,
    dataset_folder: str | Path,
    *,
    device: str = "auto",
    split: str = "test",
    workers: int | None = None,
    videos_per_gpu: int = Parallel.videos_per_gpu,
) -> dict[str, Any]:
    """Measure a run's detector on the whole videos of a split, beside baselines and a ceiling.

    The baselines: the likeliest class of every cell in runs of at least 30 frames; motion alone;
    boxes of 150 frames side by side. The last two give the most frequent true name. The ceiling:
    every stroke found, with the boundaries of one of its annotators. And what is left where the
    network's scores and features are shuffled in time: next to nothing.

    Args:
        run_folder: with a detector (`tttrain fit-detector`).
        dataset_folder: divided so that whole videos are in the split.
        device: "auto", "cpu", "cuda" or "cuda:N".
        split: whose videos are measured.
        workers: videos at once; None: one per core. The result does not depend on it.
        videos_per_gpu: that share a GPU.

    Returns:
        What is written to `RUN/detector/<split>.json`: `rows`, the measures by name.

    Raises:
        InputError: if the run or the dataset does not suit.
        TTError: if videos cannot be scored, after all others were.
    """
    check_lasting(run_folder, "RUN")
    run, dataset = Run(Path(run_folder).absolute()), load_dataset(dataset_folder)
    check_whole_videos(run)
    detector = stored(run)
    rejection_class(dataset)
    found = videos_of_split(dataset, split)
    _check_unseen(detector, found, dataset)
    scorer = VideoScorer(
        run,
        detector.negative,
        device,
        stride_frames=detector.decoder.stride_frames,
        features=detector.head is not None,
        still_below_px=detector.still_below_px,
    )
    parallel, folder = Parallel(workers, videos_per_gpu), run.folder / FOLDER
    with run.lock("detector"), clean_folder(folder):
        scored = scorer.of_videos(found.videos, found.tracks, folder / "scores", parallel)
    found = found.within(lengths(scored))
    videos, frequent = _videos(found, scored), most_frequent(found.truths)
    boxes = grid_strokes(videos.select("num_frames", video_id="track_id"), frequent)
    tracked = {
        **_found(run, detector, scorer, scored, ""),
        "argmax": pl.concat([argmax_strokes(curve) for curve in scorer.curves(scored)]),
        **_motion_row(detector, scored, frequent),
        "boxes of 150 frames": boxes,
        **_found(run, detector, scorer, shuffled(scored), ", shuffled"),
    }
    rows = {name: by_video(strokes, found.tracks) for name, strokes in tracked.items()}
    rows[CEILING] = one_annotator_strokes(dataset, found.truths)
    measured = videos.unique("video_id", keep="first", maintain_order=True)
    result = {
        "schema_version": SCHEMA_VERSION,
        "split": split,
        "weights_sha256": detector.weights_sha256,
        "use": detector.kind,
        "rows": {
            name: _values(
                detection_scores(
                    found.truths,
                    strokes,
                    measured.select("video_id", "fps", "num_frames"),
                    annotated=found.annotated,
                )
            )
            for name, strokes in rows.items()
        },
    }
    write_json(folder / f"{split}.json", result)
    return result


def _check_unseen(detector: Detector, found: SplitVideos, dataset: Dataset) -> None:
    """Refuse to measure on what the detector learned from.

    Raises:
        InputError: naming one such video.
    """
    known = sorted(detector.known_videos & set(found.videos["video_id"]))
    if known:
        raise InputError(
            f"{dataset.path}: the detector learned from {len(known)} of the "
            f"{found.videos.height} videos, such as {known[0]!r}; divide the dataset as it was "
            "then, or fit the detector again"
        )


def _found(
    run: Run, detector: Detector, scorer: VideoScorer, scored: Scored, note: str
) -> dict[str, pl.DataFrame]:
    """What decoder and joint head find, by name."""
    decoder = detector.decoder
    rows = {f"decoder ({decoder.chosen.kind}){note}": decoder.decode(scorer.curves(scored))}
    if detector.head is not None:
        head = stored_head(run, detector)
        rows[f"joint head{note}"] = head_rows(head, detector.head, scored)
    return rows


def _motion_row(detector: Detector, scored: Scored, label: str) -> dict[str, pl.DataFrame]:
    if detector.motion is None:
        return {}
    curves = motion_curves(scored, detector.motion.stride_frames, label)
    return {"motion alone": detector.motion.decode(curves)}


def _videos(found: SplitVideos, scored: Scored) -> pl.DataFrame:
    """`video_id, track_id, fps, num_frames`: the frames that were decoded, per track."""
    lengths = [scored[track.track_id].num_frames for track in found.tracks]
    tracks = pl.DataFrame(
        {
            "video_id": [track.video_id for track in found.tracks],
            "track_id": [track.track_id for track in found.tracks],
            "num_frames": lengths,
        }
    )
    fps = found.videos.select("video_id", "fps")
    return tracks.join(fps, on="video_id", maintain_order="left")


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
