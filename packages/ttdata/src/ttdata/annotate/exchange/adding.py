"""Videos into a project: found, probed, copied for browsers, registered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ttdata.annotate.project import Project
from ttdata.annotate.proxies.queue import make_proxies
from ttdata.annotate.store.wording import number_of
from ttdata.annotate.work.videos import ProjectVideo, add_video
from ttdata.errors import AnnotationError, InputError
from ttdata.schema import Video
from ttdata.sources.annotations import FILES
from ttdata.sources.formats.beside import videos_beside
from ttdata.sources.videos import SUFFIXES, files_table, probe_videos
from ttdata.storage.tables import empty
from ttdata.urls import is_url
from ttdata.video.location import fingerprint


@dataclass(frozen=True)
class Added:
    """What became of the videos of a source."""

    videos: tuple[ProjectVideo, ...]
    """All that are in the project now, new or not."""
    num_new: int
    notes: tuple[str, ...]
    """A line per video that was left out."""


def find_files(path: Path) -> pl.DataFrame:
    """The videos of a file or a source folder, rows as FILES.

    Raises:
        InputError: if there is none, or the file is no video by its name.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        found = videos_beside(path)
        if found.is_empty():
            raise AnnotationError(f"{path}: no videos; expected videos, videos/ or videos.csv")
        return found
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: its name is no video's; expected a video or a folder of them")
    return files_table(path.parent, [path])


def probed_videos(files: pl.DataFrame) -> tuple[list[ProjectVideo], list[str]]:
    """The videos that can be annotated, and a line for each that cannot.

    Args:
        files: rows as FILES.
    """
    named = files["path"].is_not_null() & ~files["path"].fill_null("").map_elements(
        is_url, return_dtype=pl.Boolean
    )
    notes = [f"{name}: no video file at hand" for name in files.filter(~named)["video_id"]]
    at_hand = files.filter(named)
    table, warnings = probe_videos(at_hand) if at_hand.height else (empty(Video), [])
    videos = []
    for row in table.iter_rows(named=True):
        size, digest = fingerprint(row["path"])
        facts = {name: row[name] for name in ProjectVideo.model_fields if name in row}
        videos.append(ProjectVideo(**facts, fingerprint=f"{size}-{digest}"))
    return videos, [f"video left out: {note}" for note in (*notes, *warnings)]


def add_videos(
    project: Project, files: pl.DataFrame, on_frame: Callable[[Path, int, int], None] | None = None
) -> Added:
    """Make the proxies of videos, then register the videos, all or none.

    What is there already is left as it is. The number of frames is that of the proxy, which shows
    each frame that decodes: nobody could see the others, so nobody could be done.

    Args:
        project: opened.
        files: rows as FILES.
        on_frame: told a source, its frames that are written, and those promised.

    Raises:
        Refused: if a video's id is another file's, or its file has another id.
        InputError: if no video can be read.
    """
    videos, notes = probed_videos(files.select(FILES.names()))
    made = {m.source: m for m in make_proxies([v.path for v in videos], project.proxies, on_frame)}
    usable = []
    for video in videos:
        found = made[video.path]
        if found.proxy is None:
            notes.append(f"video left out: {found.problem}")
            continue
        count = found.proxy.num_frames
        usable.append(video.model_copy(update={"num_frames": count}))
        if count != video.num_frames:
            notes.append(
                f"{video.path}: promises {number_of(video.num_frames, 'frame')}, {count} decode"
            )
    if not usable:
        raise InputError(notes[0] if notes else "no video to add")
    new = project.marks.write(lambda db: [add_video(db, video) for video in usable])
    return Added(tuple(usable), sum(new), tuple(notes))


def add_paths(
    project: Project,
    paths: Sequence[Path],
    on_frame: Callable[[Path, int, int], None] | None = None,
) -> Added:
    """As `add_videos`, of files and source folders.

    Raises:
        InputError: if a path is missing or holds no video, or two videos have one id.
    """
    files = pl.concat([find_files(path) for path in paths])
    twice = files.filter(pl.col("video_id").is_duplicated())
    if twice.height:
        raise InputError(f"two videos with one id {twice['video_id'][0]!r}; rename one")
    return add_videos(project, files, on_frame)
