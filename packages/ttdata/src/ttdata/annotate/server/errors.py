"""What a refusal is answered with, all in one place: a page to people, JSON to programs."""

import errno
import logging
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from ttdata.annotate.server.access import NotAllowed, NotSigned
from ttdata.annotate.server.context import Context
from ttdata.annotate.server.guard import logged_path
from ttdata.annotate.store.errors import (
    Conflict,
    DiskFull,
    NotOwn,
    ProjectError,
    Refused,
    TooMany,
    TooOften,
)
from ttdata.errors import InputError, TTError, VersionError

_log = logging.getLogger(__name__)

# The first that fits counts. A page gives up what is answered with 422 and keeps what fails
# otherwise: a full disk (507) or a damaged database (503) must lose nothing.
_STATUS: tuple[tuple[type[TTError], int], ...] = (
    (NotOwn, 403),
    (TooMany, 429),
    (TooOften, 429),
    (DiskFull, 507),
    (Refused, 422),
    (ProjectError, 503),
    (VersionError, 503),
    (InputError, 422),
    (TTError, 503),
)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the routes with its status and one line."""
    app.add_exception_handler(Conflict, _conflict)
    app.add_exception_handler(TTError, _refused)
    app.add_exception_handler(OSError, _system)
    app.add_exception_handler(NotSigned, _not_signed)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def refusal(request: Request, status: int, text: str) -> Response:
    """An answer that says what is wrong in one line."""
    if not _is_page(request):
        return JSONResponse({"error": text}, status)
    context: Context = request.app.state.context
    title = HTTPStatus(status).phrase
    return context.pages.answer("refused.html", request, status=status, title=title, text=text)


def _is_page(request: Request) -> bool:
    path = request.url.path
    return request.method == "GET" and not path.startswith(("/api/", "/films/", "/static/"))


async def _conflict(_: Request, error: Exception) -> Response:
    assert isinstance(error, Conflict)
    return JSONResponse({"mark": error.mark.model_dump(), "error": str(error)}, 409)


async def _refused(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status >= 500:
        _log.error("%s: %s", logged_path(request.url.path), error)
    answer = refusal(request, status, str(error))
    if isinstance(error, TooOften):
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


async def _system(request: Request, error: Exception) -> Response:
    """A full disk, met where files are written: reviews, exports, backups."""
    assert isinstance(error, OSError)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return await _refused(request, DiskFull())


async def _not_signed(request: Request, _: Exception) -> Response:
    if _is_page(request):
        return RedirectResponse("/login", 303)
    return refusal(request, 401, "nobody is logged in; log in again")


async def _not_allowed(request: Request, _: Exception) -> Response:
    return refusal(request, 403, "this is not for your role")


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["loc"][0] == "path":
        return refusal(request, 404, "there is no such page")
    return refusal(request, 422, f"{place}: {str(first['msg']).lower()}")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = "there is no such page" if error.status_code == 404 else str(error.detail)
    return refusal(request, error.status_code, text)
