"""Coming in and leaving: password, invitation, the first teacher's link."""

from typing import Annotated
from uuid import uuid4

import anyio
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import HTMLResponse, JSONResponse, Response

from ttdata.annotate.server.access import (
    Signed,
    forget_session,
    set_session,
    signed,
)
from ttdata.annotate.server.context import Context, Ctx
from ttdata.annotate.server.errors import refusal
from ttdata.annotate.store.errors import Refused, TooMany
from ttdata.annotate.store.events import Event, LoggedIn
from ttdata.settings import FrozenModel

router = APIRouter()

Token = Annotated[str, Field(max_length=100)]
Password = Annotated[str, Field(min_length=1, max_length=1000)]


class Login(FrozenModel):
    """Who comes in by password."""

    name: str = Field(min_length=1, max_length=100, description="the pseudonym")
    password: Password


class FirstTeacher(FrozenModel):
    """The first teacher, as he wants to be called."""

    name: str = Field(min_length=1, max_length=100, description="the pseudonym")
    password: Password


@router.get("/login")
async def show_login(request: Request, context: Ctx) -> HTMLResponse:
    """The page to log in."""
    waits = context.first_start.token is not None
    return context.pages.answer("login.html", request, waits_for_teacher=waits)


@router.post("/login")
async def log_in(login: Login, request: Request, context: Ctx) -> Response:
    """A session for name and password."""
    address = request.client.host if request.client else ""
    if not context.attempts.begin(address):
        raise TooMany("login: five were wrong within a minute; wait a minute")
    people = context.project.people
    session = await anyio.to_thread.run_sync(
        people.log_in, login.name, login.password, address, limiter=context.hashing
    )
    context.attempts.right(address)
    return await anyio.to_thread.run_sync(_come_in, context, session)


@router.post("/logout")
def log_out(who: Annotated[Signed, signed()], context: Ctx) -> Response:
    """End the session."""
    context.project.people.log_out(who.session)
    context.wall.leave(who.person.pseudonym)
    response = JSONResponse({"next": "/login"})
    forget_session(response, context.settings)
    return response


@router.get("/join/{token}")
def show_invitation(token: Token, request: Request, context: Ctx) -> Response:
    """Whom an invitation is for; looking at it does not use it up."""
    person = context.project.people.invited(token)
    if person is None:
        text = "This invitation is unknown or was used. Ask your teacher for a new one."
        return refusal(request, 404, text)
    return context.pages.answer("join.html", request, person=person, token=token)


@router.post("/join/{token}")
def join(token: Token, context: Ctx) -> Response:
    """A session for an invitation, which is used up by it."""
    return _come_in(context, context.project.people.accept(token))


@router.get("/setup/{token}")
async def show_setup(token: Token, request: Request, context: Ctx) -> Response:
    """The page on which the first teacher chooses a password."""
    if not context.first_start.is_open_for(token):
        text = "This link is unknown or was used. The terminal shows it while it is needed."
        return refusal(request, 404, text)
    return context.pages.answer("setup.html", request, token=token)


@router.post("/setup/{token}")
async def set_up(token: Token, teacher: FirstTeacher, context: Ctx) -> Response:
    """The first teacher, who is logged in by it."""

    def begin() -> Response:
        context.first_start.finish(token, teacher.name, teacher.password)
        return _come_in(context, context.project.people.come_in(teacher.name))

    return await anyio.to_thread.run_sync(begin, limiter=context.hashing)


def _come_in(context: Context, session: str) -> Response:
    """The answer to whoever has come in; the log says so."""
    person = context.project.people.whose(session)
    if person is None:  # erased in this very moment
        raise Refused("login: name or password is wrong")
    body = LoggedIn(role=person.role)
    context.project.marks.append(Event(uuid=str(uuid4()), person=person.pseudonym, body=body))
    response = JSONResponse({"next": "/"})
    set_session(response, session, context.settings)
    return response
