"""What people finished, as a source of `ttdata curate`: the same bytes for the same marks."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ttdata.annotate.project import Project
from ttdata.annotate.store.events import Event, Exported
from ttdata.sources.formats import annotation_project, crowd
from ttdata.storage.atomic import atomic_path, write_json
from ttdata.storage.outputs import check_output_folder

_VIDEOS = "videos.csv"


@dataclass(frozen=True)
class Export:
    """What was written, and lines on what was not."""

    marks: int
    videos: int
    notes: tuple[str, ...]


def export_project(project: Project, out: Path, person: str) -> Export:
    """Write `annotations.csv`, `videos.csv` and `taxonomy.json`, and log that it was done.

    Marks of videos that are not done, of golden clips and of models are left out and counted. Ids
    of annotations are those of the marks, so they stay when more is exported later.

    Args:
        project: opened.
        out: the folder; it may hold an earlier export.
        person: who exports, for the log.

    Raises:
        InputError: if `out` holds something else or lies in the project.
        AnnotationError: if no mark is finished.
    """
    check_output_folder(out, "a source", [project.folder])
    source = annotation_project.read(project.folder)
    out.mkdir(parents=True, exist_ok=True)
    crowd.write(out, source.annotations)
    with atomic_path(out / _VIDEOS) as temporary:
        source.files.select(annotation_project.VIDEO_COLUMNS).write_csv(temporary)
    write_json(out / annotation_project.TAXONOMY, project.taxonomy.model_dump(mode="json"))
    digest = hashlib.sha256((out / "annotations.csv").read_bytes()).hexdigest()
    body = Exported(marks=source.annotations.height, sha256=digest)
    project.marks.append(Event(uuid=str(uuid4()), person=person, body=body))
    return Export(source.annotations.height, source.files.height, source.notes)
