"""The project folder: what it holds, making it, opening it."""

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from ttdata.annotate.people.directory import People
from ttdata.annotate.store.errors import ProjectError
from ttdata.annotate.store.lock import ProjectLock
from ttdata.annotate.store.mark_store import MarkStore, now_ms
from ttdata.settings import FrozenModel, first_problem
from ttdata.sources.formats.annotation_project import INFO, MARKS, SCHEMA_VERSION, TAXONOMY
from ttdata.storage.atomic import write_json
from ttdata.storage.tables import check_version
from ttdata.taxonomy import Taxonomy

PEOPLE, PROXIES, BACKUPS, LOCK = "people.sqlite", "proxies", "backups", "project.lock"
EXPORTS = "exports"


class ProjectInfo(FrozenModel):
    """`annotate.json`: what a teacher can set of a project."""

    schema_version: int = SCHEMA_VERSION
    annotators_per_video: int = Field(
        default=2, ge=1, description="people who mark a video without seeing each other's marks"
    )
    golden_share: float = Field(
        default=0.1, ge=0, le=0.5, description="of the videos a person gets, of known truth"
    )


class Project:
    """An opened project. Only one process has it open; its threads share it."""

    def __init__(self, folder: Path, clock: Callable[[], int] = now_ms) -> None:
        """Open a project folder for reading and writing.

        Args:
            folder: that `create_project` made.
            clock: milliseconds since 1970, UTC.

        Raises:
            ProjectError: if the folder is none, is damaged, or is open elsewhere.
            VersionError: if another release has written it.
        """
        self.folder = folder
        self.info = read_info(folder)
        self.taxonomy = read_taxonomy(folder)
        if not (folder / MARKS).is_file():
            raise ProjectError(
                f"{folder}: no {MARKS}; `ttdata annotate {folder} restore BACKUP` brings one back"
            )
        self._lock = ProjectLock(folder / LOCK)
        try:
            self.marks = MarkStore(folder / MARKS, frozenset(self.taxonomy.classes), clock)
            try:
                self.people = People(folder / PEOPLE, clock)
            except BaseException:
                self.marks.close()
                raise
        except BaseException:
            self._lock.close()
            raise

    @property
    def proxies(self) -> Path:
        """The folder of the videos that browsers show."""
        return self.folder / PROXIES

    @property
    def backups(self) -> Path:
        """The folder of the backups."""
        return self.folder / BACKUPS

    def close(self) -> None:
        """Finish what was handed in, and let others open the project."""
        self.marks.close()
        self.people.close()
        self._lock.close()

    def __enter__(self) -> "Project":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create_project(
    folder: Path,
    taxonomy: Taxonomy,
    info: ProjectInfo | None = None,
    clock: Callable[[], int] = now_ms,
) -> Project:
    """Make a project folder and open it.

    Args:
        folder: new or empty.
        taxonomy: whose classes are the labels.
        info: by default ProjectInfo's.
        clock: milliseconds since 1970, UTC.

    Raises:
        ProjectError: if the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(f"{folder}: is there already; expected a new or empty folder")
    for name in (PROXIES, BACKUPS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_json(folder / TAXONOMY, taxonomy.model_dump(mode="json"))
    MarkStore(folder / MARKS, frozenset(taxonomy.classes), clock).close()
    # Written last: a folder without it is no project.
    write_json(folder / INFO, (info or ProjectInfo()).model_dump(mode="json"))
    return Project(folder, clock)


def read_info(folder: Path) -> ProjectInfo:
    """The settings of a project.

    Raises:
        ProjectError: if the folder is no project, or its settings do not fit.
        VersionError: if another release has written it.
    """
    path = folder / INFO
    if not path.is_file():
        raise ProjectError(f"{folder}: no {INFO}; `ttdata annotate {folder} init` makes a project")
    content = _read_object(path)
    check_version(path, content.get("schema_version"), SCHEMA_VERSION)
    try:
        return ProjectInfo.model_validate(content)
    except ValidationError as error:
        raise ProjectError(f"{path}: {first_problem(error)}") from error


def read_taxonomy(folder: Path) -> Taxonomy:
    """The taxonomy of a project.

    Raises:
        ProjectError: if its file cannot be read or is none.
    """
    path = folder / TAXONOMY
    try:
        return Taxonomy.model_validate(_read_object(path))
    except ValidationError as error:
        raise ProjectError(f"{path}: {first_problem(error)}") from error


def _read_object(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(content, dict):
        raise ProjectError(f"{path}: holds {content!r:.40}, expected an object")
    return content
