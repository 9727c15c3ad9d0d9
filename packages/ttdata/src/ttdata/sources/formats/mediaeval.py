"""The class folders of MediaEval 2022 and 2023: `train|validation/<Class>/<id>.mp4`, flat `test/`.

`test/test.xml` may label the flat files: `<videos><video name="x.mp4" class="..."/></videos>`,
where `Unknown` means to be predicted. A `test/` sorted into class folders is read as the others.
"""

from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import polars as pl

from ttdata.sources.annotations import Source
from ttdata.sources.folder import split_named
from ttdata.sources.formats.class_folders import passed_over, source_of_files
from ttdata.sources.formats.xml_tree import attributes_xml, read_xml
from ttdata.sources.videos import files_table, find_videos
from ttdata.storage.atomic import write_text

NAME = "mediaeval-folders"
_UNKNOWN = "unknown"


def matches(path: Path) -> bool:
    """Whether the path holds videos in a training folder and another one, all of them splits."""
    if not path.is_dir():
        return False
    splits = {split_named(video.relative_to(path).parts[0]) for video in find_videos(path)}
    return "train" in splits and len(splits) > 1 and None not in splits


def read(path: Path) -> Source:
    """One annotation per file, labelled by its class folder or by `test.xml`, with its split.

    Raises:
        AnnotationError: if there is no video, two have one id, or `test.xml` is unreadable.
    """
    videos = find_videos(path)
    files = files_table(path, videos)
    parts = pl.col("video_id").str.split("/")
    flat = _labels(path)
    named = files.with_columns(
        given_split=parts.list.first().map_elements(split_named, return_dtype=pl.String),
        label=pl.when(parts.list.len() > 2).then(parts.list.get(1, null_on_oob=True)),
    ).join(flat, on="video_id", how="left")
    labelled = named.with_columns(label=pl.coalesce("label", "flat_label")).drop("flat_label")
    return replace(source_of_files(path, labelled, NAME), notes=_notes(path, videos))


def _notes(root: Path, videos: list[Path]) -> tuple[str, ...]:
    """What the splits' folders hold beside videos; each is asked as a folder of classes."""
    return tuple(
        f"{folder.name}: {note}"
        for folder in sorted(root.iterdir())
        if folder.is_dir() and split_named(folder.name)
        for note in passed_over(folder, [file for file in videos if folder in file.parents])
    )


def _labels(root: Path) -> pl.DataFrame:
    """`video_id`, `flat_label` of the test folder's list; no row where there is none."""
    rows: dict[str, str | None] = {}
    lists = [folder / "test.xml" for folder in root.glob("*") if split_named(folder.name) == "test"]
    for xml in filter(Path.is_file, lists):
        for element in read_xml(xml).find_all("video"):
            name, label = element.get("name"), element.attributes.get("class")
            if not name:
                raise element.error("has an empty name")
            known = label is not None and label.strip().lower() != _UNKNOWN
            video_id = f"{xml.parent.name}/{Path(name).with_suffix('').as_posix()}"
            rows[normalize("NFC", video_id)] = label if known else None
    schema = {"video_id": pl.String, "flat_label": pl.String}
    return pl.DataFrame({"video_id": list(rows), "flat_label": list(rows.values())}, schema=schema)


def write(out: Path, annotations: pl.DataFrame) -> None:
    """Write a `test.xml`: the class of every trimmed file; without a label it is `Unknown`.

    Args:
        out: the XML file, or the folder that gets a `test.xml`.
        annotations: `video_id, label` of whole files; `test/` before an id is left out.

    Raises:
        InputError: if a name holds a character that XML cannot.
    """
    lines = [
        f"  <video{attributes_xml(name=_file_name(row['video_id']), **{'class': row['label']})}/>\n"
        for row in annotations.with_columns(pl.col("label").fill_null("Unknown")).iter_rows(
            named=True
        )
    ]
    body = "".join(lines)
    target = out if out.suffix.lower() == ".xml" else out / "test.xml"
    write_text(target, f'<?xml version="1.0" encoding="UTF-8"?>\n<videos>\n{body}</videos>\n')


def _file_name(video_id: str) -> str:
    return f"{video_id.removeprefix('test/')}.mp4"
