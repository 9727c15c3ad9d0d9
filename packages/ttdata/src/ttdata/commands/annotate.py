"""The commands of `ttdata annotate PROJECT`."""

import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from ttdata.annotate.exchange.adding import Added, add_paths
from ttdata.annotate.exchange.backup import back_up, restore
from ttdata.annotate.exchange.export import export_project
from ttdata.annotate.exchange.importing import (
    Imported,
    import_marks,
    import_proposals,
    import_truth,
    read_truth,
)
from ttdata.annotate.project import Project, ProjectInfo, create_project
from ttdata.annotate.store.wording import number_of
from ttdata.commands.curate import load_taxonomy
from ttdata.commands.notes import Note
from ttdata.errors import InputError
from ttdata.storage.job_folder import check_lasting
from ttdata.taxonomy import TTSTROKE21

_PROGRESS_SECONDS = 5.0
_PERSON = "command-line"
"""Who acts where no person has logged in."""
_SERVER_NEEDS = ("fastapi", "segno", "starlette", "uvicorn")


def run_init(
    folder: Path, taxonomy: str, annotators_per_video: int, golden_share: float
) -> Iterator[str]:
    """Make a project folder; yields the lines to print.

    Raises:
        InputError: if the folder holds something, or the taxonomy cannot be read.
    """
    check_lasting(folder)
    classes = TTSTROKE21 if taxonomy == "ttstroke21" else load_taxonomy(Path(taxonomy))
    info = ProjectInfo(annotators_per_video=annotators_per_video, golden_share=golden_share)
    create_project(folder, classes, info).close()
    yield f"{folder}: a project of {len(classes.strokes)} kinds of strokes"
    yield f"next: ttdata annotate {folder} add VIDEOS"


def run_add(
    folder: Path,
    paths: Sequence[Path],
    *,
    annotations: bool = False,
    annotator: str | None = None,
    golden: bool = False,
    proposals: bool = False,
) -> Iterator[str]:
    """Add videos and what is known of them; yields the lines to print.

    Args:
        folder: of the project.
        paths: videos and source folders; with `proposals` files of detections.
        annotations: take the sources' annotations, too, as finished marks.
        annotator: whose these are; by default the source says it.
        golden: make the videos golden clips with the strokes that the sources know.
        proposals: take detections of a model for videos that are there.

    Raises:
        InputError: if something cannot be read or does not fit the project.
    """
    if annotations + golden + proposals > 1:
        raise InputError("--annotations, --golden, --proposals: expected one of them")
    if annotator is not None and not annotations:
        raise InputError("--annotator: expected with --annotations only")
    with Project(folder) as project:
        if proposals:
            for path in paths:
                yield from _lines(import_proposals(project, path), path, "proposal")
            return
        for path in paths if golden else ():
            read_truth(project, path)  # else the videos would be there, and be ordinary ones
        added = add_paths(project, paths, _Progress())
        yield from map(Note, added.notes)
        known = len(added.videos) - added.num_new
        were = f", {number_of(known, 'was', 'were')} there" if known else ""
        yield f"{number_of(added.num_new, 'video')} added{were}"
        for path in paths if annotations else ():
            done = import_marks(project, path, annotator=annotator)
            yield from _lines(
                done, path, "annotation as a finished mark", "annotations as finished marks"
            )
        if golden:
            yield from _golden_lines(project, paths, added)


def _golden_lines(project: Project, paths: Sequence[Path], added: Added) -> Iterator[str]:
    # A `truth.csv` may know more videos, whose marks would silently not count.
    named = {video.video_id for video in added.videos}
    ordinary = set(named)
    for path in paths:
        done = import_truth(project, path, named)
        ordinary -= done.videos
        yield from _lines(done, path, "stroke of golden clips", "strokes of golden clips")
    if ordinary:
        yield Note(f"no strokes are known of {', '.join(sorted(ordinary))}: no golden clips")


class _Progress:
    """A line on stderr every few seconds: copying takes about a minute per minute of video."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, source: Path, done: int, promised: int) -> None:
        if time.monotonic() - self._last >= _PROGRESS_SECONDS:
            self._last = time.monotonic()
            sys.stderr.write(f"{source.name}: {done}/{promised} frames\n")


def _lines(done: Imported, path: Path, what: str, plural: str | None = None) -> Iterator[str]:
    yield from map(Note, done.notes)
    yield f"{path}: {number_of(done.count, what, plural)}"


def run_export(folder: Path, out: Path) -> Iterator[str]:
    """Write what people finished as a source; yields the lines to print.

    Raises:
        InputError: if the project cannot be opened, `out` holds something else, or nothing is
            finished.
    """
    with Project(folder) as project:
        done = export_project(project, out, _PERSON)
    yield from map(Note, done.notes)
    yield f"{number_of(done.marks, 'mark')} of {number_of(done.videos, 'video')}: {out}"
    yield f"next: ttdata curate {out} --out DATASET"


def run_backup(folder: Path) -> Iterator[str]:
    """Write a backup; yields the lines to print.

    Raises:
        InputError: if the folder is no project or is damaged.
    """
    yield f"backup: {back_up(folder)}"


def run_restore(folder: Path, backup: str) -> Iterator[str]:
    """Go back to a backup; yields the lines to print.

    Raises:
        InputError: if the backup is none or is damaged, or the project is open elsewhere.
    """
    kept = restore(folder, backup)
    yield f"{folder}: as of {Path(backup).name}; what was there is in {kept}"


def run_serve(
    folder: Path,
    *,
    port: int,
    lan: bool = False,
    certificate: Path | None = None,
    key: Path | None = None,
    host_names: Sequence[str] = (),
    teacher_link: bool = False,
) -> Iterator[str]:
    """Serve the project until Ctrl-C or SIGTERM; yields the lines to print.

    Args:
        folder: of the project.
        port: 0 chooses a free one.
        lan: for other machines, too.
        certificate: PEM file, with its key.
        key: PEM file.
        host_names: further names of this machine.
        teacher_link: a link for a password of a teacher, also where there is one already.

    Raises:
        InputError: if the extra is not installed, or the project, the port or the certificate
            cannot be used.
    """
    missing = [name for name in _SERVER_NEEDS if find_spec(name) is None]
    if missing:
        raise InputError(f"{', '.join(missing)}: not installed; pip install 'ttdata[annotate]'")
    from ttdata.annotate.server.run import serve_folder

    for is_warning, line in serve_folder(
        folder,
        port=port,
        lan=lan,
        certificate=certificate,
        key=key,
        host_names=host_names,
        teacher_link=teacher_link,
    ):
        yield Note(line) if is_warning else line
