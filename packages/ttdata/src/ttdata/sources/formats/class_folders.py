"""Trimmed clips in folders named by class: `<class>/<clip>` (specification 1.7).

A `clips.csv` beside the folders may add `player_id` and `session_id` per `path`, and a `label` that
replaces the folder's name; other columns are ignored.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from ttdata.errors import AnnotationError
from ttdata.sources.annotations import (
    ANNOTATION_COLUMNS,
    FILES,
    Source,
    completed_table,
    read_text_table,
    require_columns,
)
from ttdata.sources.folder import files_below, is_hidden, split_named
from ttdata.sources.videos import SUFFIXES, files_table, find_videos, read_listing

NAME = "class-folders"
ANNOTATOR = "folder"
"""The annotator of annotations that a folder's name makes."""

_NO_CLIPS = frozenset(
    f".{name}"
    for name in [
        "csv",
        "db",
        "docx",
        "htm",
        "html",
        "ini",
        "jpeg",
        "jpg",
        "json",
        "log",
        "md",
        "parquet",
        "pdf",
        "png",
        "py",
        "sh",
        "srt",
        "tsv",
        "txt",
        "vtt",
        "xlsx",
        "xml",
        "yaml",
        "yml",
        "zip",
    ]
)
"""The extensions of files that are surely no clips."""

_CLIPS_COLUMNS = ("label", "player_id", "session_id")


def matches(path: Path) -> bool:
    """Whether the path is a folder with a video in a subfolder that may be a class.

    A folder `videos` alone is no class, nor are folders named after splits: such a source is in
    another layout, which was not recognised.
    """
    if not path.is_dir():
        return False
    videos = [video.relative_to(path) for video in find_videos(path)]
    folders = {video.parts[0] for video in videos if len(video.parts) > 1}
    listed = (path / "clips.csv").is_file()
    return bool(folders) and (
        listed or (folders != {"videos"} and not any(map(split_named, folders)))
    )


def read(path: Path) -> Source:
    """One annotation per file: the whole file, labelled by its first folder.

    Raises:
        AnnotationError: if there is no video, two have one id, a class has no video but other
            files, or `clips.csv` is unreadable.
    """
    videos = find_videos(path)
    files = files_table(path, videos)
    has_folder = pl.col("video_id").str.contains("/", literal=True)
    label = pl.when(has_folder).then(pl.col("video_id").str.split("/").list.first())
    source = source_of_files(path, files.with_columns(label=label), NAME)
    return replace(source, notes=passed_over(path, videos))


def passed_over(root: Path, videos: Sequence[Path]) -> tuple[str, ...]:
    """A line about the files in subfolders that are no videos, and one about empty folders.

    Raises:
        AnnotationError: if a folder holds no video and files that may be clips of a class.
    """
    known = set(videos)
    others = [file for file in files_below(root) if file not in known and file.parent != root]
    full = {file.relative_to(root).parts[0] for file in videos}
    for file in others:
        name = file.relative_to(root).parts[0]
        if name not in full and file.suffix.lower() not in _NO_CLIPS:
            raise AnnotationError(
                f"{root / name}: the class would lose all its clips: {file.name} has none of the "
                f"extensions of videos ({', '.join(sorted(SUFFIXES))}); rename or convert them, "
                "or move the folder out of the source"
            )
    notes = []
    if others:
        shown = ", ".join(file.relative_to(root).as_posix() for file in others[:3])
        more = ", ..." if len(others) > 3 else ""
        notes.append(f"passed over: {len(others)} files that are no videos ({shown}{more})")
    filled = full | {file.relative_to(root).parts[0] for file in others}
    empty = sorted(
        entry.name
        for entry in root.iterdir()
        if entry.is_dir() and not is_hidden(entry.name) and entry.name not in filled
    )
    if empty:
        notes.append(f"passed over: folders without a file: {', '.join(empty)}")
    return tuple(notes)


def source_of_files(root: Path, files: pl.DataFrame, name: str) -> Source:
    """The source of trimmed files with a `label` each, completed from `clips.csv|videos.csv`.

    Raises:
        AnnotationError: if there is no file, or a table beside them is unreadable.
    """
    if files.is_empty():
        raise AnnotationError(f"{root}: holds no video; expected <class>/<clip>.mp4")
    facts = files.pipe(_with_clips_csv, root / "clips.csv").pipe(_with_videos_csv, root)
    annotations = facts.select(
        "video_id",
        "label",
        "player_id",
        annotation_id="video_id",
        annotator_id=pl.lit(ANNOTATOR),
        whole_file=pl.lit(True),
    )
    present = facts.filter(pl.col("path").is_not_null())
    return Source(
        format=name,
        annotations=completed_table(root, annotations, ANNOTATION_COLUMNS),
        files=completed_table(root, present.drop("label"), FILES),
        trimmed=True,
    )


def _with_clips_csv(files: pl.DataFrame, table: Path) -> pl.DataFrame:
    """Fill in what `clips.csv` says of its paths; a row without file stays, without path."""
    if not table.is_file():
        return files
    raw = read_text_table(table)
    require_columns(table, raw, ("path",))
    if "session_id" not in raw.columns and "near_identical_group" in raw.columns:
        raw = raw.rename({"near_identical_group": "session_id"})
    known = [name for name in _CLIPS_COLUMNS if name in raw.columns]
    rows = raw.select(
        pl.col("path")
        .str.strip_prefix("./")
        .str.replace(r"\.[^./]*$", "")
        .str.normalize("NFC")
        .alias("video_id"),
        *(_blank_to_null(name) for name in known),
    ).filter(pl.col("video_id").is_not_null())
    twice = rows.filter(pl.col("video_id").is_duplicated())
    if twice.height:
        raise AnnotationError(f"{table}: path {twice['video_id'][0]!r} is there twice")
    return _filled(files, rows, how="full")


def _with_videos_csv(files: pl.DataFrame, root: Path) -> pl.DataFrame:
    table = root / "videos.csv"
    if not table.is_file():
        return files
    rows = read_listing(table, root).select("video_id", "player_id", "session_id", "given_split")
    return _filled(files, rows, how="left")


def _filled(files: pl.DataFrame, rows: pl.DataFrame, how: str) -> pl.DataFrame:
    """The files with every non-null value of `rows` in place of theirs, sorted by id."""
    names = [name for name in rows.columns if name != "video_id"]
    joined = files.join(rows, on="video_id", how=how, suffix="_new", coalesce=True)  # type: ignore[arg-type]
    filled = joined.with_columns(pl.coalesce(f"{name}_new", name).alias(name) for name in names)
    return filled.select(files.columns).sort("video_id")


def _blank_to_null(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String).str.strip_chars().str.normalize("NFC")
    return pl.when(text != "").then(text).alias(name)
