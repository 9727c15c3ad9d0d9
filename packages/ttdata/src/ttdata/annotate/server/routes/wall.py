"""The live wall: its data, a stream of its changes, and what annotators' pages report."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from ttdata.annotate.people.accounts import read_accounts
from ttdata.annotate.server.access import Signed, find_signed, signed
from ttdata.annotate.server.context import Context, Ctx
from ttdata.annotate.server.wall import LEAST_SECONDS, WallState
from ttdata.annotate.store.rows import assignment_of
from ttdata.settings import FrozenModel

router = APIRouter()

PATIENCE_SECONDS = 10.0
"""As often a stream looks by itself who is away by now, and whether its teacher is still in."""

Teacher = Annotated[Signed, signed("teacher")]


class Presence(FrozenModel):
    """What an annotator's page says of itself, every ten seconds and when it changes."""

    unsent: int = Field(ge=0, le=1_000_000, description="changes that wait in the browser")
    assignment: UUID | None = Field(default=None, description="what the page shows")


@router.post("/api/presence")
def report(presence: Presence, who: Annotated[Signed, signed()], context: Ctx) -> dict[str, bool]:
    """Take what a page reports; nothing of it is stored."""
    pseudonym, video_id = who.person.pseudonym, None
    if presence.assignment is not None:
        with context.project.marks.reading() as db:
            found = assignment_of(db, str(presence.assignment))
        if found is not None and found.person == pseudonym:
            video_id = found.video_id
    context.wall.report(pseudonym, presence.unsent, video_id)
    return {"heard": True}


@router.get("/api/teacher/wall")
def show_wall(who: Teacher, context: Ctx) -> WallState:
    """The wall as of now, for pages that cannot keep a stream open."""
    return wall_of(context)


@router.get("/api/teacher/wall/stream")
async def stream_wall(who: Teacher, request: Request, context: Ctx) -> StreamingResponse:
    """The wall whenever it changes, at most once a second, as server-sent events.

    An event `end` is the last: the teacher has logged out, or is none any more.
    """
    return StreamingResponse(_messages(request, context), media_type="text/event-stream")


async def _messages(request: Request, context: Context) -> AsyncIterator[str]:
    told: dict[str, object] | None = None
    with context.wall.watching() as watcher:
        while (state := await run_in_threadpool(_wall_for, request, context)) is not None:
            if state.content == told:
                yield ": nothing new\n\n"  # tells whether anybody is there
            else:
                told = state.content
                yield f"event: wall\ndata: {state.model_dump_json()}\n\n"
            await asyncio.sleep(LEAST_SECONDS)
            await watcher.changed(PATIENCE_SECONDS)
    yield "event: end\ndata: {}\n\n"


def _wall_for(request: Request, context: Context) -> WallState | None:
    """The wall; None where the session that asked has ended."""
    who = find_signed(request, context)
    if who is None or who.person.role != "teacher":
        return None
    return wall_of(context)


def wall_of(context: Context) -> WallState:
    """The wall of a project: all who can come in."""
    accounts = read_accounts(context.project.people)
    people = [account.person for account in accounts if account.erased_at is None]
    with context.project.marks.reading() as db:
        return context.wall.snapshot(db, people)
