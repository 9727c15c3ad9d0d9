"""ActivityNet JSON: all videos in one file, segments in seconds (specification 1.7).

`{"database": {"match_01": {"subset": "training", "annotations": [{"segment": [2.5, 3.5], "label":
"Push"}]}}}`. The end is where the segment ends, so exclusive as ours.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ttdata.sources.annotations import Source
from ttdata.sources.folder import split_named
from ttdata.sources.formats.beside import Row, json_files, make_source
from ttdata.sources.formats.json_tree import Node, read_json, try_json
from ttdata.storage.atomic import write_json

NAME = "activitynet"
_SUBSETS = {"training": "train", "validation": "validation", "testing": "test"}
"""What is written; split_named reads other spellings, too."""


def matches(path: Path) -> bool:
    """Whether the path is such a file, or a folder with one in it."""
    return any(_is_ours(try_json(file)) for file in json_files(path))


def _is_ours(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("database"), dict)


def read(path: Path) -> Source:
    """The annotations of every file, in seconds; `subset` is the video's split.

    Raises:
        AnnotationError: naming file and element, if one is broken.
    """
    rows: list[Row] = []
    facts: list[Row] = []
    notes: list[str] = []
    for file in json_files(path):
        for video_id, video in read_json(file).get("database").members():
            rows += _rows(file, video_id, video)
            split = _split(video)
            facts.append({"video_id": video_id, "given_split": split})
            if split is None and video.has("subset"):
                place = video.get("subset").error(f"one of {', '.join(_SUBSETS)}")
                notes.append(f"no split is taken from {place}")
    return make_source(NAME, path, rows, facts, notes)


def _split(video: Node) -> str | None:
    return split_named(video.get("subset").text()) if video.has("subset") else None


def _rows(file: Path, video_id: str, video: Node) -> Iterator[Row]:
    if not video.has("annotations"):
        return
    for number, annotation in enumerate(video.get("annotations").items(), 1):
        segment = annotation.get("segment")
        bounds = list(segment.items())
        if len(bounds) != 2:
            raise segment.error("two numbers")
        yield {
            "annotation_id": f"{file.name}#{video_id}#{number}",
            "video_id": video_id,
            "file": file,
            "start_seconds": bounds[0].number(),
            "end_seconds": bounds[1].number(),
            "label": annotation.get("label").text() if annotation.has("label") else None,
        }


def write(out: Path, annotations: pl.DataFrame) -> None:
    """Write one file.

    Args:
        out: the JSON file, or the folder that gets an `activitynet.json`.
        annotations: `video_id, label, start_seconds, end_seconds, video_seconds, given_split`;
            bounds and labels not null.
    """
    database: dict[str, object] = {}
    for (video_id,), rows in annotations.group_by("video_id", maintain_order=True):
        first = rows.row(0, named=True)
        video: dict[str, object] = {}
        for subset, split in _SUBSETS.items():
            if split == first["given_split"]:
                video["subset"] = subset
        if first["video_seconds"] is not None:
            video["duration"] = first["video_seconds"]
        database[str(video_id)] = video | {"annotations": [_annotation(r) for r in rows.to_dicts()]}
    target = out if out.suffix.lower() == ".json" else out / "activitynet.json"
    write_json(target, {"version": "1.3", "database": database, "taxonomy": []})


def _annotation(row: dict[str, object]) -> dict[str, object]:
    return {"segment": [row["start_seconds"], row["end_seconds"]], "label": row["label"]}
