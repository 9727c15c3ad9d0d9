"""Who may do what: every route names the roles that it is for, or stands in OPEN."""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from ttdata.annotate.people.directory import SESSION_MS, Person
from ttdata.annotate.server.context import Context, Ctx
from ttdata.annotate.server.settings import ServeSettings
from ttdata.annotate.store.states import Role

OPEN = frozenset({"/login", "/join/{token}", "/setup/{token}", "/static/{name}"})
"""The paths that need no session."""


@dataclass(frozen=True)
class Signed:
    """Somebody with a session."""

    person: Person
    session: str
    """The token; pages never show it."""


class NotSigned(Exception):
    """Nobody is signed in, or the 12 hours are over."""


class NotAllowed(Exception):
    """The role is another's."""


def signed(*roles: Role) -> Any:
    """Ask for a session, and for a role.

    As the type of a route's argument: `who: Annotated[Signed, signed("reviewer")]`.

    Args:
        *roles: who may; teachers always may. By default everybody who has a session.
    """

    def check(request: Request, context: Ctx) -> Signed:
        found = find_signed(request, context)
        if found is None:
            raise NotSigned
        role = found.person.role
        if roles and role != "teacher" and role not in roles:
            raise NotAllowed
        return found

    return Depends(check)


def find_signed(request: Request, context: Context) -> Signed | None:
    """The person behind a request; None where there is no session. Call it in a thread."""
    token = request.cookies.get(context.settings.cookie)
    person = context.project.people.whose(token) if token else None
    if token is None or person is None:
        return None
    found = Signed(person, token)
    request.state.signed = found  # for the navigation
    return found


def set_session(response: Response, session: str, settings: ServeSettings) -> None:
    """Give the browser a session."""
    response.set_cookie(
        settings.cookie,
        session,
        max_age=SESSION_MS // 1000,
        path="/",
        secure=settings.is_tls,
        httponly=True,
        samesite="strict",
    )


def forget_session(response: Response, settings: ServeSettings) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        settings.cookie, path="/", secure=settings.is_tls, httponly=True, samesite="strict"
    )
