"""What people finished, as a source of `ttdata curate`: the same bytes for the same marks."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ttdata.annotate.exchange.backup import stamp, stamped
from ttdata.annotate.exchange.references import REFERENCES, write_references
from ttdata.annotate.project import EXPORTS, Project
from ttdata.annotate.store.events import Event, Exported
from ttdata.sources.formats import annotation_project, crowd
from ttdata.sources.videos import LISTED_TEXTS
from ttdata.storage.atomic import atomic_path, write_json
from ttdata.storage.dataset import REVIEWS
from ttdata.storage.outputs import check_output_folder
from ttdata.storage.spreadsheet import escape_formula

_VIDEOS = "videos.csv"


@dataclass(frozen=True)
class Export:
    """What was written, and lines on what was not."""

    marks: int
    videos: int
    notes: tuple[str, ...]


def export_project(project: Project, out: Path, person: str) -> Export:
    """Write what people finished and decided as a source, and log that it was done.

    `annotations.csv`, `videos.csv`, `taxonomy.json`; `reviews.csv` where reviewers have decided,
    `references.csv` where there are reference strokes.

    Marks of videos that are not done, of golden clips and of models are left out and counted. Ids
    of annotations are those of the marks, so they stay when more is exported later.

    Args:
        project: opened.
        out: the folder; it may hold an earlier export.
        person: who exports, for the log.

    Raises:
        InputError: if `out` holds something else, or lies in the project outside its exports.
        AnnotationError: if no mark is finished.
    """
    is_within = out.absolute().parent == (project.folder / EXPORTS).absolute()
    check_output_folder(out, "a source", [] if is_within else [project.folder])
    source = annotation_project.read(project.folder)
    out.mkdir(parents=True, exist_ok=True)
    crowd.write(out, source.annotations)
    with atomic_path(out / _VIDEOS) as temporary:
        listed = source.files.select(annotation_project.VIDEO_COLUMNS)
        escape_formula(listed, LISTED_TEXTS).write_csv(temporary)
    write_json(out / annotation_project.TAXONOMY, project.taxonomy.model_dump(mode="json"))
    if (project.folder / REVIEWS).is_file():
        with atomic_path(out / REVIEWS) as temporary:
            shutil.copyfile(project.folder / REVIEWS, temporary)
    with project.marks.reading() as db:
        write_references(db, out / REFERENCES)
    digest = hashlib.sha256((out / "annotations.csv").read_bytes()).hexdigest()
    body = Exported(marks=source.annotations.height, sha256=digest)
    project.marks.append(Event(uuid=str(uuid4()), person=person, body=body))
    return Export(source.annotations.height, source.files.height, source.notes)


def export_here(project: Project, person: str) -> tuple[Path, Export]:
    """As `export_project`, into a new folder of the project's exports, named by the time.

    Args:
        project: opened.
        person: who exports, for the log.

    Returns:
        The folder, and what was written.

    Raises:
        AnnotationError: if no mark is finished; then there is no new folder.
    """
    out = project.folder / EXPORTS / stamp(project.marks.clock())
    return out, export_project(project, out, person)


def list_exports(project: Project) -> list[Path]:
    """The folders that `export_here` made, the newest first."""
    return stamped(project.folder / EXPORTS)
