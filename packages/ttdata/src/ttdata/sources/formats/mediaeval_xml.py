"""TTStroke-21 and MediaEval 2019 to 2021: one XML file per video, in frames (specification 1.7).

`<video><action begin="280" end="372" move="Offensive Backhand Hit"/></video>`: 0-based frames, the
end exclusive, as the organisers' evaluation counts them (`array[begin:end]`), so nothing is
converted. `move="Unknown"` is to be predicted; files of the detection task carry no move.
"""

from pathlib import Path

import polars as pl

from ttdata.sources.annotations import Source
from ttdata.sources.folder import split_named
from ttdata.sources.formats.beside import Row, annotation_files, folder_of, make_source, path_below
from ttdata.sources.formats.xml_tree import attributes_xml, read_xml, root_tag
from ttdata.storage.atomic import write_text

NAME = "mediaeval-xml"
_UNKNOWN = "unknown"
_LIST_ROOT = "videos"
"""The root of the lists of trimmed files, which may lie beside."""


def matches(path: Path) -> bool:
    """Whether the path is such a file, or a folder with one in it."""
    return any(root_tag(file) == "video" for file in annotation_files(path, ".xml"))


def read(path: Path) -> Source:
    """The annotations of every file; the video's id is the file's path below the source.

    A first folder that is named after a split is no part of the id. It is the video's split where
    all its files are in one.

    Raises:
        AnnotationError: naming file, line and element, if one is broken.
    """
    root = folder_of(path)
    rows: list[Row] = []
    splits: dict[str, set[str | None]] = {}
    for file in annotation_files(path, ".xml"):
        if file != path and root_tag(file) == _LIST_ROOT:
            continue
        place = file.relative_to(root).with_suffix("")
        in_split = len(place.parts) > 1 and split_named(place.parts[0]) is not None
        video_id = "/".join(place.parts[1:] if in_split else place.parts)
        splits.setdefault(video_id, set()).add(split_named(place.parts[0]) if in_split else None)
        rows += _rows(file, video_id, place.as_posix())
    facts = [
        {"video_id": video_id, "given_split": next(iter(found)) if len(found) == 1 else None}
        for video_id, found in splits.items()
    ]
    return make_source(NAME, path, rows, facts if any(f["given_split"] for f in facts) else ())


def _rows(file: Path, video_id: str, place: str) -> list[Row]:
    top = read_xml(file)
    if top.tag != "video":
        raise top.error("is the root, expected <video>")
    rows: list[Row] = []
    for number, action in enumerate(top.find_all("action"), 1):
        move = action.attributes.get("move", "")
        rows.append(
            {
                "annotation_id": f"{place}#{number}",
                "video_id": video_id,
                # The train and the test file of one video are by the same people.
                "annotator_id": "",
                "file": video_id,
                "start_frame": action.integer("begin"),
                "end_frame": action.integer("end"),
                "label": None if move.strip().lower() == _UNKNOWN else move,
            }
        )
    return rows


def write(out: Path, annotations: pl.DataFrame) -> None:
    """Write one file per video into a folder; an annotation without label is `Unknown`.

    Args:
        out: the folder; a video `a/b` becomes `a/b.xml`.
        annotations: `video_id, start_frame, end_frame, label`, bounds not null.

    Raises:
        InputError: if an id cannot be a file's name, or XML cannot hold a character.
    """
    _write(out, annotations.with_columns(pl.col("label").fill_null("Unknown")))


def write_detection(out: Path, annotations: pl.DataFrame) -> None:
    """Write the files of the detection task: as `write`, without the moves."""
    _write(out, annotations.with_columns(label=pl.lit(None, pl.String)))


def _write(out: Path, annotations: pl.DataFrame) -> None:
    for (video_id,), rows in annotations.group_by("video_id", maintain_order=True):
        lines = [_action(row) for row in rows.iter_rows(named=True)]
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<video>\n{"".join(lines)}</video>\n'
        write_text(path_below(out, str(video_id), ".xml"), text)


def _action(row: dict[str, object]) -> str:
    bounds = attributes_xml(begin=str(row["start_frame"]), end=str(row["end_frame"]))
    move = "" if row["label"] is None else attributes_xml(move=str(row["label"]))
    return f"  <action{bounds}{move}/>\n"
