"""Films, with ranges, and what pages are made of."""

from email.utils import formatdate
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as PathPart
from starlette.responses import FileResponse, Response

from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Ctx
from ttdata.annotate.server.errors import refusal
from ttdata.annotate.server.films import Film
from ttdata.annotate.store.rows import assignment_of

router = APIRouter()

Position = Annotated[int, PathPart(le=2**62)]
MOST_RANGES = 4
"""Of a film at once; browsers ask for one."""
_NO_TIME = formatdate(0, usegmt=True)
"""When copies were made could tell which are golden clips; what changes is told by the ETag."""
_STATIC = Path(__file__).parents[2] / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@router.get("/films/{position:int}")
def show_film(
    position: Position, who: Annotated[Signed, signed("reviewer")], request: Request, context: Ctx
) -> Response:
    """A film, or ranges of it."""
    return _film(context.films.at(position), request)


@router.get("/films/{assignment_id:uuid}")
def show_own_film(
    assignment_id: UUID, who: Annotated[Signed, signed()], request: Request, context: Ctx
) -> Response:
    """The film of one's own work: its place among all could tell that it is a golden clip."""
    with context.project.marks.reading() as db:
        found = assignment_of(db, str(assignment_id))
    if found is None or found.person != who.person.pseudonym:
        raise HTTPException(404)
    return _film(context.films.of(found.video_id), request)


def _film(film: Film | None, request: Request) -> Response:
    if film is None:
        raise HTTPException(404)
    if film.proxy is None:
        return refusal(request, 503, "the film is not ready yet; try again in a few minutes")
    if request.headers.get("range", "").count(",") >= MOST_RANGES:
        return refusal(request, 416, f"range: expected at most {MOST_RANGES} at once")
    return FileResponse(
        film.proxy.path, media_type="video/mp4", headers={"Last-Modified": _NO_TIME}
    )


@router.get("/static/{name}")
def show_static(name: str) -> Response:
    """A script, style sheet or picture of the pages."""
    path = _STATIC / name
    # The folder's own list decides, so that no name leads out of it.
    if path.suffix not in _TYPES or path not in set(_STATIC.iterdir()):
        raise HTTPException(404)
    return FileResponse(path, media_type=_TYPES[path.suffix])
