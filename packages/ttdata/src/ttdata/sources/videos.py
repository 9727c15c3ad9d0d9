"""The videos of a source: found in `videos/` or `videos.csv`, probed side by side."""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unicodedata import normalize

import polars as pl

from ttdata.errors import AnnotationError, VideoError
from ttdata.schema import Video
from ttdata.sources.annotations import FILES, completed_table, read_text_table, require_columns
from ttdata.sources.folder import files_below, split_named
from ttdata.storage.spreadsheet import unescape_formula
from ttdata.storage.tables import conform
from ttdata.urls import is_url
from ttdata.video.probe import probe

logger = logging.getLogger(__name__)

_SUFFIXES = (
    "3g2 3gp asf avi divx dv f4v flv gif h264 h265 hevc m2t m2ts m2v m4v mjpeg mjpg mkv mov mp4 "
    "mp4v mpeg mpg mts mxf nut ogg ogv qt rm rmvb ts vob webm wmv wtv y4m"
)
SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
"""The extensions of videos; readers name what else a class folder holds."""

_FACTS = ("fps", "num_frames", "width", "height")
_PROBED = pl.Schema({**FILES, "frame_seconds": pl.List(pl.Float64)})
_THREADS = 8


def find_videos(folder: Path) -> list[Path]:
    """Video files below a folder, also through links, sorted by path; hidden ones are left out."""
    return [path for path in files_below(folder) if path.suffix.lower() in SUFFIXES]


def files_table(root: Path, paths: Iterable[Path]) -> pl.DataFrame:
    """FILES rows of video files: the id is the path below the root, without its extension.

    Raises:
        AnnotationError: if two files have one id.
    """
    by_id: dict[str, Path] = {}
    for path in paths:
        video_id = normalize("NFC", path.relative_to(root).with_suffix("").as_posix())
        if video_id in by_id:
            raise AnnotationError(
                f"two videos with one id {video_id!r}: {by_id[video_id]} and {path}; rename one"
            )
        by_id[video_id] = path
    rows = {"video_id": list(by_id), "path": [str(path.resolve()) for path in by_id.values()]}
    frame = pl.DataFrame(rows, schema={"video_id": pl.String, "path": pl.String})
    return completed_table(root, frame, FILES)


def list_videos(root: Path) -> pl.DataFrame:
    """The videos of a source folder as FILES: `videos/<video_id>.<ext>` and `videos.csv`.

    `videos.csv` gives the columns that a file cannot tell (`player_id`, `session_id`, `split`), a
    `path` (absolute, below the root, or a URL), and the facts of videos that are not at hand.

    Raises:
        AnnotationError: if there is neither, or `videos.csv` is unreadable or repeats an id.
    """
    found = files_table(root / "videos", find_videos(root / "videos"))
    listing = root / "videos.csv"
    if not listing.is_file():
        if found.is_empty():
            raise AnnotationError(
                f"{root}: no videos; expected videos/<video_id>.mp4 or videos.csv"
            )
        return found
    listed = read_listing(listing, root)
    merged = listed.join(found.select("video_id", found="path"), on="video_id", how="left")
    merged = merged.with_columns(path=pl.coalesce("path", "found")).drop("found")
    others = found.join(listed, on="video_id", how="anti")
    return pl.concat([merged, others]).sort("video_id")


LISTED_TEXTS = ("video_id", "player_id", "session_id")
"""Columns of `videos.csv` that hold text from outside."""


def read_listing(path: Path, root: Path) -> pl.DataFrame:
    """`videos.csv` as FILES; a path that names no file is null, a URL stays as it is.

    Raises:
        AnnotationError: if the table is unreadable or lacks ids, repeats one, or has an unknown
            split.
    """
    raw = unescape_formula(read_text_table(path), LISTED_TEXTS)
    require_columns(path, raw, ("video_id",))
    if "split" in raw.columns:
        raw = raw.with_columns(given_split=_splits(path, raw["split"]))
    frame = completed_table(path, raw, FILES)
    twice = frame.filter(pl.col("video_id").is_duplicated() | (pl.col("video_id") == ""))
    if twice.height:
        raise AnnotationError(f"{path}: video_id {twice['video_id'][0]!r} is empty or there twice")
    located = [_existing(root, text) for text in frame["path"]]
    _warn_of_missing(path, root, frame["path"], located)
    return frame.with_columns(path=pl.Series("path", located, dtype=pl.String))


def _splits(path: Path, column: pl.Series) -> pl.Series:
    texts = column.cast(pl.String).str.strip_chars()
    named = texts.map_elements(split_named, return_dtype=pl.String)
    unknown = texts.filter(named.is_null() & (texts != ""))
    if len(unknown):
        raise AnnotationError(f"{path}: split {unknown[0]!r}, expected train, validation or test")
    return named


def _existing(root: Path, text: str | None) -> str | None:
    if text is None:
        return None
    for form in (text, normalize("NFC", text), normalize("NFD", text)):
        path = root / form
        if path.is_file():
            return str(path.resolve())
    return text if is_url(text) else None


def _warn_of_missing(
    path: Path, root: Path, listed: Iterable[str | None], located: Iterable[str | None]
) -> None:
    """Name the listed paths that lead nowhere: their videos can only be used with facts given."""
    missing = [a for a, b in zip(listed, located, strict=True) if a is not None and b is None]
    if missing:
        slashes = "; folders are divided by /, not by \\" if "\\" in missing[0] else ""
        logger.warning(
            "%s: listed paths that name no file: %d, the first '%s', looked for below %s%s",
            *(path, len(missing), missing[0], root, slashes),
        )


def probe_videos(files: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The facts of every video that can be used, and a warning for every one that cannot.

    Args:
        files: rows as FILES; where a path is at hand the file's own facts hold.

    Returns:
        Rows as Video, sorted by id; and one line per video that is left out, with the reason.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        results = list(pool.map(_facts_of, files.iter_rows(named=True)))
    good = [row for row in results if isinstance(row, dict)]
    frame = pl.DataFrame(good, schema=_PROBED).pipe(conform, Video).sort("video_id")
    return frame, [row for row in results if isinstance(row, str)]


def _facts_of(row: dict[str, object]) -> dict[str, object] | str:
    """The row with its facts filled in, or why it cannot be used."""
    if row["path"] is None or is_url(str(row["path"])):
        problems = [name for name in _FACTS if row[name] is None or not row[name] > 0]  # type: ignore[operator]
        if problems:
            return (
                f"{row['video_id']}: no video file at hand, and videos.csv gives no positive "
                f"{', '.join(problems)}"
            )
        return row
    try:
        metadata = probe(Path(str(row["path"])))
    except VideoError as error:
        return str(error)
    facts = {name: getattr(metadata, name) for name in _FACTS}
    seconds = metadata.frame_seconds
    return row | facts | {"frame_seconds": None if seconds is None else seconds.tolist()}
