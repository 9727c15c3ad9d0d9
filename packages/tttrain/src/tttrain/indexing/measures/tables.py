"""Truths, detections, videos: the tables of the measures, checked once, as arrays."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from ttdata.errors import InputError

TRUTH_COLUMNS = ("video_id", "start_frame", "end_frame", "label")
DETECTION_COLUMNS = (*TRUTH_COLUMNS, "score")
SPAN_COLUMNS = ("video_id", "start_frame", "end_frame")


@dataclass(frozen=True, eq=False)
class Intervals:
    """N rows in the order of their table: numbers of video and label, frames, scores."""

    video: np.ndarray
    start: np.ndarray
    end: np.ndarray
    label: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.video)

    def take(self, chosen: np.ndarray) -> "Intervals":
        """The rows that a mask or a list of numbers chooses."""
        parts = (self.video, self.start, self.end, self.label, self.score)
        return Intervals(*(part[chosen] for part in parts))

    def of_video(self, video: int) -> "Intervals":
        """The rows of one video, in their order."""
        return self.take(self.video == video)

    def distinct(self) -> "Intervals":
        """The rows that are not empty, each video, interval, label once, in that order."""
        keys = np.stack([self.video, self.start, self.end, self.label])[:, self.end > self.start]
        kept = np.unique(keys, axis=1)
        return Intervals(kept[0], kept[1], kept[2], kept[3], np.ones(kept.shape[1]))


@dataclass(frozen=True, eq=False)
class Tables:
    """What is compared: V videos, their true and found strokes, the labels by number."""

    video_ids: tuple[str, ...]
    num_frames: np.ndarray
    fps: np.ndarray
    labels: tuple[str, ...]
    truths: Intervals
    detections: Intervals
    spans: Intervals | None


def read_tables(
    truths: pl.DataFrame,
    detections: pl.DataFrame,
    videos: pl.DataFrame,
    annotated: pl.DataFrame | None = None,
) -> Tables:
    """The tables as arrays.

    Raises:
        InputError: if a column is missing, a value is null, frames are no integers, an interval
            ends before it starts or leaves its video, a detection is empty, or a video is unknown.
    """
    facts = _checked(videos, "videos", ("video_id", "num_frames"))
    if facts.is_empty():
        raise InputError("videos: no row, expected one per video")
    repeated = facts.filter(facts["video_id"].is_duplicated())["video_id"]
    if len(repeated):
        raise InputError(f"videos: {repeated[0]!r} is there twice, expected one row per video")
    given = _checked(truths, "truths", TRUTH_COLUMNS)
    found = _checked(detections, "detections", DETECTION_COLUMNS)
    labels = tuple(sorted({*given["label"], *found["label"]}))
    spans = None
    if annotated is not None:
        spans = _intervals(_checked(annotated, "annotated", SPAN_COLUMNS), "annotated", facts, ())
    return Tables(
        tuple(facts["video_id"]),
        facts["num_frames"].to_numpy(),
        _fps(videos),
        labels,
        _intervals(given, "truths", facts, labels),
        _intervals(found, "detections", facts, labels),
        spans,
    )


def _checked(frame: pl.DataFrame, name: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """These columns, texts as String, frames as Int64, scores as Float64, none null."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(
            f"{name}: no column {missing[0]!r} among {', '.join(frame.columns) or 'none'}; "
            f"expected {', '.join(columns)}"
        )
    for column in columns:
        dtype = frame.schema[column]
        counts = column.endswith("_frame") or column == "num_frames"
        if counts and not (dtype.is_integer() or dtype == pl.Null):
            raise InputError(f"{name}: {column} is {dtype}, expected integers; round it first")
    types = {"video_id": pl.String, "label": pl.String, "score": pl.Float64}
    table = frame.select(pl.col(column).cast(types.get(column, pl.Int64)) for column in columns)
    bad = table.select(pl.any_horizontal(pl.all().is_null())).to_series()
    if "score" in columns:
        bad = bad | table["score"].is_nan()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise InputError(f"{name}: row {row} is {table.row(row)}, expected a value in each column")
    return table


def _intervals(
    table: pl.DataFrame, name: str, facts: pl.DataFrame, labels: tuple[str, ...]
) -> Intervals:
    lengths, shortest = dict(facts.iter_rows()), int(name == "detections")
    for video_id, start, end, *_ in table.iter_rows():
        if video_id not in lengths:
            raise InputError(
                f"{name}: {video_id!r}: no such video among the {len(lengths)} of videos; "
                "leave its rows out or add the video"
            )
        if not 0 <= start <= end - shortest <= lengths[video_id] - shortest:
            raise InputError(
                f"{name}: {video_id}: frames [{start}, {end}), expected an interval of at least "
                f"{shortest} frames inside [0, {lengths[video_id]})"
            )
    video = {video_id: number for number, video_id in enumerate(lengths)}
    label = {text: number for number, text in enumerate(labels)}
    size = len(table)
    return Intervals(
        np.array([video[item] for item in table["video_id"]], dtype=np.int64),
        table["start_frame"].to_numpy(),
        table["end_frame"].to_numpy(),
        np.array([label[item] for item in table["label"]] if labels else [0] * size, np.int64),
        table["score"].to_numpy() if "score" in table.columns else np.ones(size),
    )


def _fps(videos: pl.DataFrame) -> np.ndarray:
    """Frames per second (V,), not a number where they are unknown."""
    if "fps" not in videos.columns:
        return np.full(len(videos), np.nan)
    fps = videos["fps"].cast(pl.Float64).fill_null(float("nan"))
    if (fps <= 0).any():
        raise InputError(f"videos: fps is {fps.min()!r}, expected more than 0")
    return fps.to_numpy()
