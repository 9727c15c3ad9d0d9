"""Label Studio timeline labels, exported as JSON or JSON-MIN: 1-based frames (specification 1.7).

`{"ranges": [{"start": 301, "end": 420}], "timelinelabels": ["Push"]}` names the first and the last
frame, counted from 1. They are frames of no file: Label Studio multiplies the time that its player
shows by the `frameRate` of `<Video>`, whatever the video has. So `[300, 420) / frameRate` in
seconds is what was marked. A range with several labels is an annotation per label.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import polars as pl

from ttdata.sources.annotations import Source
from ttdata.sources.formats.beside import Row, json_files, make_source, video_id_of
from ttdata.sources.formats.json_tree import Node, read_json, try_json
from ttdata.sources.videos import SUFFIXES

NAME = "label-studio"
_LABELS = "timelinelabels"
_RATES = ("fps", "frameRate", "framerate", "frame_rate")
_DEFAULT_RATE = 24.0
"""Frames that Label Studio counts in a second where `<Video frameRate>` does not say."""

_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""Label Studio puts eight digits before the name of an uploaded file."""


def matches(path: Path) -> bool:
    """Whether the path is such a file, or a folder with one in it."""
    return any(_is_ours(try_json(file)) for file in json_files(path))


def _is_ours(value: object) -> bool:
    tasks = value if isinstance(value, list) else [value]
    return bool(tasks) and all(
        isinstance(task, dict)
        and (
            (isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list))
            or any(_is_region(item) for item in _values(task))
        )
        for task in tasks
    )


def _values(task: dict[str, object]) -> list[object]:
    return [item for value in task.values() if isinstance(value, list) for item in value]


def _is_region(value: object) -> bool:
    return isinstance(value, dict) and _LABELS in value and "ranges" in value


def read(path: Path) -> Source:
    """The annotations of every file, in seconds; the annotator is `completed_by`.

    The rate at which they were counted is that of the task's data, else `annotation_fps` of
    `videos.csv`, else 24.

    Raises:
        AnnotationError: naming file and element, if one is broken.
    """
    rates: dict[str, float] = {}
    rows = [row for file in json_files(path) for row in _rows(file, rates)]
    source = make_source(NAME, path, rows)
    listed = source.files.filter(pl.col("annotation_fps") > 0)
    rates = dict(listed.select("video_id", "annotation_fps").iter_rows()) | rates
    rate = pl.col("video_id").replace_strict(rates, default=_DEFAULT_RATE, return_dtype=pl.Float64)
    timed = source.annotations.with_columns(
        start_seconds=pl.col("start_frame") / rate,
        end_seconds=pl.col("end_frame") / rate,
        start_frame=pl.lit(None, pl.Int64),
        end_frame=pl.lit(None, pl.Int64),
    )
    return replace(source, annotations=timed, rates=rates, assumed_rate=_DEFAULT_RATE)


def _rows(file: Path, rates: dict[str, float]) -> Iterator[Row]:
    """The annotations of a file; the rates that its tasks state are added to `rates`."""
    top = read_json(file)
    tasks = top.items() if isinstance(top.value, list) else iter([top])
    for place, task in enumerate(tasks, 1):
        data = task.get("data") if task.has("data") else task
        video_id = _video(data)
        rate = _rate(data)
        if rate is not None and rates.setdefault(normalize("NFC", video_id), rate) != rate:
            raise data.error(f"the rate {rates[normalize('NFC', video_id)]:g} of the same video")
        regions = _regions(task) if task.has("annotations") else _minimal(task)
        for number, (who, region) in enumerate(regions, 1):
            annotations = (
                (bounds, label) for bounds in _ranges(region) for label in _labels(region)
            )
            for part, ((start, end), label) in enumerate(annotations, 1):
                yield {
                    "annotation_id": f"{file.name}#{place}.{number}.{part}",
                    "video_id": video_id,
                    "annotator_id": who,
                    "file": file,
                    "start_frame": start - 1,
                    "end_frame": end,
                    "label": label,
                }


def _rate(data: Node) -> float | None:
    """The rate that a task's data state, for `<Video frameRate="$fps">`."""
    for name in _RATES:
        if data.has(name):
            value = data.get(name).value
            try:
                rate = float(value) if isinstance(value, str) else data.get(name).number()
            except ValueError as error:
                raise data.get(name).error("a rate above 0") from error
            if not 0 < rate < math.inf:
                raise data.get(name).error("a rate above 0")
            return rate
    return None


def _regions(task: Node) -> Iterator[tuple[str, Node]]:
    """Annotator and timeline region, of annotations that were not cancelled."""
    for annotation in task.get("annotations").items():
        if annotation.has("was_cancelled") and annotation.get("was_cancelled").value is True:
            continue
        who = _person(annotation.get("completed_by")) if annotation.has("completed_by") else ""
        for result in annotation.get("result").items():
            # Other controls of the same task are no strokes.
            if result.has("value") and result.get("value").has(_LABELS):
                yield who, result.get("value")


def _minimal(task: Node) -> Iterator[tuple[str, Node]]:
    who = _person(task.get("annotator")) if task.has("annotator") else ""
    for _, member in task.members():
        if isinstance(member.value, list):
            for item in member.items():
                if _is_region(item.value):
                    yield who, item


def _person(node: Node) -> str:
    for name in ("email", "username", "id"):
        if node.has(name):
            return _person(node.get(name))
    return node.value if isinstance(node.value, str) else str(node.integer())


def _ranges(region: Node) -> list[tuple[int, int]]:
    return [
        (item.get("start").integer(), item.get("end").integer())
        for item in region.get("ranges").items()
    ]


def _labels(region: Node) -> list[str | None]:
    return [item.text() for item in region.get(_LABELS).items()] or [None]


def _video(data: Node) -> str:
    """The id of the task's video: its member `video`, else the only one that names a video."""
    if data.has("video"):
        media = data.get("video").text()
    else:
        named = [
            member.text()
            for _, member in data.members()
            if isinstance(member.value, str) and Path(member.value).suffix.lower() in SUFFIXES
        ]
        if len(named) != 1:
            raise data.error("a member 'video'")
        media = named[0]
    video_id = video_id_of(media)
    uploaded = _UPLOADED.fullmatch(video_id) if "/upload/" in media else None
    return uploaded.group(1) if uploaded else video_id
