"""VIA 3 (VGG Image Annotator) projects: temporal segments in seconds (specification 1.7).

A metadata entry whose `z` holds two times is an annotation. Its label is the attribute for temporal
segments (`anchor_id` FILE1_Z2_XY0): the one named `label` if there are several, else the first.
"""

from collections.abc import Iterator
from pathlib import Path

from ttdata.sources.annotations import Source
from ttdata.sources.formats.beside import Row, json_files, make_source, video_id_of
from ttdata.sources.formats.json_tree import Node, read_json, try_json

NAME = "via"
_SEGMENT = "FILE1_Z2_XY0"
_CHECKBOX = "2"
"""The type of attributes of which several options may be chosen."""


def matches(path: Path) -> bool:
    """Whether the path is such a file, or a folder with one in it."""
    return any(_is_ours(try_json(file)) for file in json_files(path))


def _is_ours(value: object) -> bool:
    return isinstance(value, dict) and {"project", "metadata", "view", "file"} <= value.keys()


def read(path: Path) -> Source:
    """The annotations of every project file, in seconds.

    Raises:
        AnnotationError: naming file and element, if one is broken.
    """
    rows = [row for file in json_files(path) for row in _rows(file)]
    return make_source(NAME, path, rows)


def _rows(file: Path) -> Iterator[Row]:
    project = read_json(file)
    attribute = _label_attribute(project)
    for name, annotation in project.get("metadata").members():
        bounds = list(annotation.get("z").items())
        # One time is a still frame, none a whole file: neither is a stroke.
        if len(bounds) < 2:
            continue
        if len(bounds) > 2:
            raise annotation.get("z").error("two times")
        labels = _labels(annotation, attribute)
        for number, label in enumerate(labels, 1):
            part = f".{number}" if len(labels) > 1 else ""
            yield {
                "annotation_id": f"{file.name}#{name}{part}",
                "video_id": _video(project, annotation),
                "file": file,
                "start_seconds": bounds[0].number(),
                "end_seconds": bounds[1].number(),
                "label": label,
            }


def _label_attribute(project: Node) -> tuple[str, Node] | None:
    """Id and definition of the attribute that holds the labels."""
    if not project.has("attribute"):
        return None
    found = [
        (name, item)
        for name, item in project.get("attribute").members()
        if item.has("anchor_id") and item.get("anchor_id").value == _SEGMENT
    ]
    named = [
        pair
        for pair in found
        if pair[1].has("aname") and pair[1].get("aname").text().strip().lower() == "label"
    ]
    chosen = named or found
    return chosen[0] if chosen else None


def _labels(annotation: Node, attribute: tuple[str, Node] | None) -> list[str | None]:
    """The labels of an annotation, several where boxes were ticked; [None] where there is none.

    Raises:
        AnnotationError: if a ticked box is none of the attribute's options.
    """
    if attribute is None or not annotation.has("av"):
        return [None]
    name, definition = attribute
    values = annotation.get("av")
    if not values.has(name):
        return [None]
    value = values.get(name).text()
    # A choice stores the key of an option, boxes those of all that are ticked, free text itself.
    options = definition.get("options") if definition.has("options") else None
    if options is None:
        return [value]
    if options.has(value):
        return [options.get(value).text()]
    keys = [key.strip() for key in value.split(",") if key.strip()]
    known = [options.get(key).text() for key in keys if options.has(key)]
    if keys and len(known) == len(keys):
        return list(known)
    if definition.has("type") and _key(definition.get("type")) == _CHECKBOX and keys:
        raise values.get(name).error(f"keys of the options of attribute {name}, with commas")
    return [value]


def _video(project: Node, annotation: Node) -> str:
    """The id of the video that an annotation's view shows."""
    view = project.get("view").get(_key(annotation.get("vid")))
    files = list(view.get("fid_list").items())
    if not files:
        raise view.get("fid_list").error("the id of a file")
    return video_id_of(project.get("file").get(_key(files[0])).get("fname").text())


def _key(node: Node) -> str:
    """Ids are strings in VIA's own files, numbers in those of some converters."""
    return str(node.integer()) if isinstance(node.value, int | float) else node.text()
