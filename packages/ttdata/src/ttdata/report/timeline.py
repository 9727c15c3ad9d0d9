"""Every annotation of a video beside what was made of it, as bars for the dataset's report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ttdata.storage.dataset import Dataset
from ttdata.taxonomy import Taxonomy
from ttdata.video.times import frame_times

MAX_VIDEOS = 200
"""A page with more videos is slow to open; those with most items to review are drawn."""


@dataclass(frozen=True)
class Bar:
    """An interval in percent of the video's length in time."""

    left: float
    width: float
    css: str
    text: str


@dataclass(frozen=True)
class Lane:
    """A row of bars: an annotator's annotations, or what was made of all."""

    name: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Timeline:
    """A video: its lanes, first what was made, then a lane per annotator."""

    video_id: str
    seconds: float
    note: str
    lanes: Sequence[Lane]


def timelines(dataset: Dataset, queue: pl.DataFrame) -> tuple[list[Timeline], int]:
    """The timelines to draw, by video id, and how many videos there are.

    Args:
        dataset: a curated dataset.
        queue: as `build_review_queue` returns it; it chooses where there are too many videos.
    """
    held = pl.concat(
        [dataset.annotations.select("video_id"), dataset.actions.select("video_id")]
    ).unique()
    videos = dataset.videos.filter(pl.col("num_frames") > 0).join(held, on="video_id", how="semi")
    counts = queue.group_by("video_id").agg(items=pl.len().cast(pl.Int64))
    chosen = (
        videos.join(counts, on="video_id", how="left")
        .with_columns(pl.col("items").fill_null(0))
        .sort(-pl.col("items"), "video_id")
        .head(MAX_VIDEOS)
        .sort("video_id")
    )
    hues = hue_of_types(dataset.info.taxonomy)
    tables = [
        _by_video(frame, chosen) for frame in (dataset.annotations, dataset.actions, dataset.clips)
    ]
    found = []
    for video in chosen.iter_rows(named=True, buffer_size=1):
        row = video | {"times": (times := frame_times(video))}
        annotations, actions, clips = (table.get(row["video_id"]) for table in tables)
        lanes = [Lane("result", _result_bars(actions, clips, row, hues))]
        lanes += _annotator_lanes(annotations, row, hues)
        note = f"{row['items']} to review" if row["items"] else ""
        seconds = float(times.seconds_at(row["num_frames"]))
        found.append(Timeline(row["video_id"], seconds, note, lanes))
    return found, videos.height


def hue_of_types(taxonomy: Taxonomy) -> dict[str, str]:
    """The CSS class of every label: one per stroke type, one for the rejection class."""
    types = list(dict.fromkeys(stroke.type for stroke in taxonomy.strokes))
    hues = {s.label: f"type{types.index(s.type) % 6}" for s in taxonomy.strokes}
    return hues | ({} if taxonomy.negative is None else {taxonomy.negative: "negative"})


def _by_video(frame: pl.DataFrame, videos: pl.DataFrame) -> dict[str, pl.DataFrame]:
    kept = frame.join(videos.select("video_id"), on="video_id", how="semi")
    return {
        str(key[0]): rows
        for key, rows in kept.sort("start_frame", nulls_last=True).group_by("video_id")
    }


def _result_bars(
    actions: pl.DataFrame | None,
    clips: pl.DataFrame | None,
    video: dict[str, Any],
    hues: dict[str, str],
) -> list[Bar]:
    bars = []
    if clips is not None:
        for row in clips.filter(kind="negative").iter_rows(named=True):
            text = f"{row['label']}, {row['split'] or 'not used'}"
            bars.append(_bar(row, video, "negative" + ("" if row["split"] else " unused"), text))
    splits = {} if clips is None else dict(clips.select("clip_id", "split").iter_rows())
    for row in [] if actions is None else actions.iter_rows(named=True):
        spread = (
            f"{row['num_annotators']} annotators, bounds spread by "
            f"{row['start_spread_frames']:.0f} and {row['end_spread_frames']:.0f} frames"
        )
        if row["status"] == "set_aside":
            said = ", ".join(row["labels"])
            bars.append(_bar(row, video, "aside", f"set aside: {said}; {spread}"))
        elif hues.get(row["label"]) != "negative":
            place = splits.get(row["action_id"]) or "not divided"
            bars.append(_bar(row, video, hues[row["label"]], f"{row['label']}, {place}; {spread}"))
    return bars


def _annotator_lanes(
    annotations: pl.DataFrame | None, video: dict[str, Any], hues: dict[str, str]
) -> list[Lane]:
    if annotations is None:
        return []
    lanes = []
    for key, rows in sorted(annotations.group_by("annotator_id"), key=lambda item: str(item[0][0])):
        bars = []
        for row in rows.iter_rows(named=True):
            css, text = hues.get(row["label"], "aside"), str(row["label"] or "no label")
            if not row["accepted"]:
                reasons = ", ".join(row["reasons"]).replace("_", " ")
                css, text = "rejected", f"rejected: {reasons}; {text}"
            bars.append(_bar(row, video, css, text))
        lanes.append(Lane(str(key[0]) or "unnamed", bars))
    return lanes


def _bar(row: dict[str, Any], video: dict[str, Any], css: str, text: str) -> Bar:
    """A bar inside the video, however wrong the bounds are."""
    total = video["num_frames"]
    start, end = row["start_frame"], row["end_frame"]
    known = [bound for bound in (start, end) if bound is not None]
    first = min(max(min(known, default=0), 0), total)
    last = min(max(max(known, default=0), first), total)
    bounds = f"frames {'?' if start is None else start} to {'?' if end is None else end}"
    left, right, whole = video["times"].seconds_at([first, last, total]).tolist()
    left, right = 100 * left / whole, 100 * right / whole
    return Bar(
        round(min(left, 99.7), 2), round(max(right - left, 0.3), 2), css, f"{text}; {bounds}"
    )
