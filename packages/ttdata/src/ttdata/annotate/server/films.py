"""The videos' copies that browsers show, found by the videos' positions, never by a path."""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ttdata.annotate.project import Project
from ttdata.annotate.proxies.make import Proxy, proxy_of, read_proxy


@dataclass(frozen=True)
class Film:
    """A video of the project and its copy."""

    position: int
    video_id: str
    proxy: Proxy | None
    """Null where it is not made yet, or was removed."""

    @property
    def url(self) -> str:
        """Where reviewers' browsers fetch it."""
        return f"/films/{self.position}"


class Films:
    """The copies of a project; what is known of finished ones is kept."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, Proxy] = {}
        self._lock = Lock()

    def at(self, position: int) -> Film | None:
        """The film of a video; None where there is no such video."""
        return self._find("position = ?", position)

    def of(self, video_id: str) -> Film | None:
        """The same by the video's id."""
        return self._find("video_id = ?", video_id)

    def missing(self) -> list[tuple[str, Path]]:
        """Id and source of each video that has no copy, in the order of adding."""
        query = "SELECT video_id, path, fingerprint FROM video ORDER BY position"
        with self._project.marks.reading() as db:
            rows = db.execute(query).fetchall()
        folder = self._project.proxies
        return [(name, Path(path)) for name, path, f in rows if not proxy_of(f, folder).is_file()]

    def _find(self, which: str, value: int | str) -> Film | None:
        query = f"SELECT position, video_id, fingerprint FROM video WHERE {which}"
        with self._project.marks.reading() as db:
            row = db.execute(query, (value,)).fetchone()
        return None if row is None else Film(row[0], row[1], self._proxy(row[2]))

    def _proxy(self, fingerprint: str) -> Proxy | None:
        with self._lock:
            known = self._known.get(fingerprint)
        if known is not None and known.path.is_file():
            return known
        found = read_proxy(proxy_of(fingerprint, self._project.proxies))
        if found is not None:
            with self._lock:
                self._known[fingerprint] = found
        return found
