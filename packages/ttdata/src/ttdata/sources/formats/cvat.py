"""CVAT for video 1.1: tracks of shapes, in frames (specification 1.7).

A track labelled with a stroke says when it happens: a run of shapes with `outside="0"` is an
annotation. It begins with its first shape and ends, exclusive, at the first one with `outside="1"`,
or after the track's last shape. CVAT writes absolute 0-based frame numbers, so nothing is
converted.
"""

from collections.abc import Iterator
from pathlib import Path

from ttdata.sources.annotations import Source
from ttdata.sources.formats.beside import Row, annotation_files, folder_of, make_source, video_id_of
from ttdata.sources.formats.xml_tree import Element, read_xml, root_tag

NAME = "cvat"
_ROOT = "annotations"


def matches(path: Path) -> bool:
    """Whether the path is such a file, or a folder with one in it."""
    return any(root_tag(file) == _ROOT for file in annotation_files(path, ".xml"))


def read(path: Path) -> Source:
    """The annotations of every file; the video is the task's `source`, else its `name`.

    Raises:
        AnnotationError: naming file, line and element, if one is broken.
    """
    root = folder_of(path)
    rows = [row for file in annotation_files(path, ".xml") for row in _rows(file, root)]
    return make_source(NAME, path, rows)


def _rows(file: Path, root: Path) -> Iterator[Row]:
    top = read_xml(file)
    if top.tag != _ROOT:
        raise top.error(f"is the root, expected <{_ROOT}>")
    images = top.find_all("image")
    if images:
        raise images[0].error("is of CVAT for images; export as CVAT for video 1.1")
    videos = _videos(top, file)
    for place, track in enumerate(top.find_all("track")):
        # Exports of a project hold several tasks, and every track names its own.
        task = track.attributes.get("task_id", "")
        if task not in videos:
            raise track.error(f"is of the task {task[:40]!r}, which <meta> does not name")
        name = f"{file.relative_to(root)}#{place}"
        for number, (start, end) in enumerate(_runs(track), 1):
            yield {
                "annotation_id": f"{name}.{number}",
                "video_id": videos[task],
                "file": file,
                "start_frame": start,
                "end_frame": end,
                "label": track.get("label"),
            }


def _videos(top: Element, file: Path) -> dict[str, str]:
    """The video of every task, by its id; the first also under no id."""
    tasks = top.descend("meta", "project", "tasks")
    found = tasks.find_all("task") if tasks else []
    if not found:
        found = [t for t in (top.descend("meta", "task"), top.descend("meta", "job")) if t]
    videos: dict[str, str] = {}
    for task in found:
        named = task.descend("source") or task.descend("name")
        video_id = video_id_of(named.text.strip()) if named and named.text.strip() else file.stem
        number = task.descend("id")
        videos.setdefault("", video_id)
        if number is not None:
            videos[number.text.strip()] = video_id
    # The source of a task's export stands beside <task> in some versions.
    beside = top.descend("meta", "source")
    if beside is not None and len(found) < 2 and beside.text.strip():
        videos = dict.fromkeys({"", *videos}, video_id_of(beside.text.strip()))
    return videos or {"": file.stem}


def _is_outside(shape: Element) -> bool:
    """Whether a shape is hidden; a skeleton says so at its points, and is if all of them are."""
    if "outside" in shape.attributes:
        return shape.attributes["outside"].strip() == "1"
    points = [child for child in shape.children if "outside" in child.attributes]
    return bool(points) and all(map(_is_outside, points))


def _runs(track: Element) -> list[tuple[int, int]]:
    """Frames `[start, end)` in which the track is visible; a shape holds until the next one."""
    shapes = sorted(
        (shape.integer("frame"), _is_outside(shape))
        for shape in track.children
        if "frame" in shape.attributes
    )
    runs = []
    start = None
    for frame, outside in shapes:
        if outside and start is not None:
            runs.append((start, frame))
            start = None
        elif not outside and start is None:
            start = frame
    if start is not None:
        runs.append((start, shapes[-1][0] + 1))
    return runs
