"""Pages from templates: every value is escaped, and a missing one is an error."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from ttdata.annotate.oversight.wording import FILTERS
from ttdata.annotate.store.states import Role
from ttdata.storage.html import environment_of

_FOLDER = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True)
class Link:
    """A page in everybody's navigation who may see it."""

    text: str
    path: str
    roles: tuple[Role, ...]


_ALL: tuple[Role, ...] = ("annotator", "reviewer", "teacher")
_REVIEWER: tuple[Role, ...] = ("reviewer", "teacher")
_TEACHER: tuple[Role, ...] = ("teacher",)
LINKS = (
    Link("Overview", "/teacher", _TEACHER),
    Link("People", "/teacher/people", _TEACHER),
    Link("Videos", "/teacher/videos", _TEACHER),
    Link("Agreement", "/teacher/agreement", _TEACHER),
    Link("Export", "/teacher/export", _TEACHER),
    Link("Backups", "/teacher/backups", _TEACHER),
    Link("Practise", "/train", _ALL),
    Link("Mark strokes", "/annotate", _ALL),
    Link("Settle doubts", "/review", _REVIEWER),
    Link("Reference strokes", "/references", _REVIEWER),
)
"""In the order in which they stand there."""


class Pages:
    """The templates of the platform."""

    def __init__(self) -> None:
        self._environment = environment_of(_FOLDER, FILTERS)

    def answer(
        self, name: str, request: Request, *, status: int = 200, **content: Any
    ) -> HTMLResponse:
        """A filled template.

        Args:
            name: of the file; it may use `who`, a Person or null, and `links`, his pages.
            request: that it answers.
            status: of the answer.
            **content: by the names that the template uses.
        """
        signed = getattr(request.state, "signed", None)
        who = None if signed is None else signed.person
        links = () if who is None else [link for link in LINKS if who.role in link.roles]
        shown = {"who": who, "links": links, "path": request.url.path} | content
        text = self._environment.get_template(name).render(shown)
        return HTMLResponse(text, status)
