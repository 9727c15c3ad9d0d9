"""The annotation files of a source, the videos beside them, and a Source from their rows."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

import polars as pl

from ttdata.errors import AnnotationError, InputError
from ttdata.sources.annotations import ANNOTATION_COLUMNS, FILES, Source, completed_table
from ttdata.sources.folder import files_below, is_hidden
from ttdata.sources.videos import SUFFIXES, files_table, list_videos

Row = Mapping[str, object]
"""An annotation as a reader finds it: columns of ANNOTATION_COLUMNS, and the `file` it is in."""

_OURS = ("taxonomy.json", "dataset.json")
"""May lie beside annotations and hold none."""


def annotation_files(path: Path, suffix: str) -> list[Path]:
    """The file itself, or the folder's files with this suffix, sorted; hidden ones are left out."""
    if not path.is_dir():
        return [path] if path.suffix.lower() == suffix else []
    return [file for file in files_below(path) if file.suffix.lower() == suffix]


def json_files(path: Path, below: str | None = None) -> list[Path]:
    """The file itself, or the folder's own JSON files, sorted: elsewhere lie those of other tools.

    Args:
        path: the file or folder.
        below: a file's name that counts in subfolders, too.
    """
    return [
        file
        for file in annotation_files(path, ".json")
        if file == path
        or (file.parent == path and file.name not in _OURS)
        or (file.name == below and file.parent.parent == path)
    ]


def folder_of(path: Path) -> Path:
    """The folder that a source is: the path itself, or where the file lies."""
    return path if path.is_dir() else path.parent


def videos_beside(root: Path) -> pl.DataFrame:
    """FILES of `videos/` and `videos.csv`, else of the videos in the folder itself; maybe none.

    Raises:
        AnnotationError: if `videos.csv` is unreadable or two videos have one id.
    """
    if (root / "videos").is_dir() or (root / "videos.csv").is_file():
        return list_videos(root)
    loose = (file for file in sorted(root.iterdir()) if file.suffix.lower() in SUFFIXES)
    return files_table(root, (file for file in loose if not is_hidden(file.name)))


def video_id_of(media: str) -> str:
    """The video that a path or URL in an annotation file means.

    What follows a folder `videos`, else the file's name; without a video's extension. Percent
    signs are read as in URLs where there is a scheme.

    >>> video_id_of("file:///home/me/match%2001.mp4"), video_id_of("./videos/monday/a.MOV")
    ('match 01', 'monday/a')
    """
    scheme, found, rest = media.partition("://")
    path = unquote(rest) if found and scheme.isalpha() else media
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..")]
    below = parts.index("videos") + 1 if "videos" in parts[:-1] else len(parts) - 1
    name = "/".join(parts[max(below, 0) :])
    stem, dot, extension = name.rpartition(".")
    return stem if dot and f".{extension.lower()}" in SUFFIXES else name


def make_source(
    format: str,
    path: Path,
    rows: Sequence[Row],
    facts: Iterable[Row] = (),
    notes: Iterable[str] = (),
) -> Source:
    """A source of untrimmed videos from the rows of its annotation files.

    Where two files without an annotator speak of one video, their names stand for the annotators:
    else two people's annotations would count as one person's.

    Args:
        format: the format's name.
        path: the file or folder.
        rows: the annotations; `file` names where each is from.
        facts: columns of FILES that the annotation files tell; they fill what the videos beside
            do not, and add videos that are not at hand.
        notes: lines about what was not understood.

    Raises:
        AnnotationError: if there is no annotation, or two have one id.
    """
    if not rows:
        raise AnnotationError(f"{path}: holds no annotation in the format {format}")
    rows = [{**row, "video_id": normalize("NFC", str(row["video_id"]))} for row in rows]
    files_of_video: dict[object, set[object]] = defaultdict(set)
    for row in rows:
        if not row.get("annotator_id"):
            files_of_video[row["video_id"]].add(row["file"])
    full = [
        {**row, "annotator_id": Path(str(row["file"])).stem}
        if not row.get("annotator_id") and len(files_of_video[row["video_id"]]) > 1
        else row
        for row in rows
    ]
    names = [name for name in ANNOTATION_COLUMNS if any(name in row for row in full)]
    columns = {name: [row.get(name) for row in full] for name in names}
    frame = pl.DataFrame(columns, schema={name: ANNOTATION_COLUMNS[name] for name in names})
    annotations = completed_table(path, frame, ANNOTATION_COLUMNS)
    twice = annotations.filter(pl.col("annotation_id").is_duplicated())
    if twice.height:
        raise AnnotationError(
            f"{path}: the annotation {twice['annotation_id'][0]!r} is there twice"
        )
    files = _with_facts(path, videos_beside(folder_of(path)), list(facts))
    return Source(format, annotations, files, trimmed=False, notes=tuple(notes))


def _with_facts(path: Path, files: pl.DataFrame, facts: Sequence[Row]) -> pl.DataFrame:
    names = [name for name in FILES if any(name in row for row in facts)]
    if not names:
        return files
    columns = {name: [row.get(name) for row in facts] for name in names}
    told = completed_table(path, pl.DataFrame(columns, strict=False), FILES)
    told = told.unique("video_id", keep="first", maintain_order=True)
    # A video without a stated rate stays unknown: its row would only repeat its id.
    told_new = told.join(files, on="video_id", how="anti").filter(pl.col("fps").is_not_null())
    joined = files.join(told, on="video_id", how="left", suffix="_told", maintain_order="left")
    filled = joined.with_columns(
        pl.coalesce(name, f"{name}_told") for name in FILES if name != "video_id"
    ).select(FILES.names())
    return pl.concat([filled, told_new]).sort("video_id")


def path_below(root: Path, video_id: str, suffix: str) -> Path:
    """`<root>/<video_id><suffix>`, never outside the root.

    Raises:
        InputError: if the id cannot be a path.
    """
    parts = video_id.split("/")
    if any(part == "" or is_hidden(part) or re.search(r"[\0\\]", part) for part in parts):
        raise InputError(f"video {video_id!r}: its id cannot be a file's name")
    return root.joinpath(*parts[:-1], parts[-1] + suffix)
