"""What annotators' pages send: events, one after the other, and the last ones as a page goes."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Context, Ctx
from ttdata.annotate.store.errors import Conflict, NotOwn, Refused, TooOften
from ttdata.annotate.store.events import (
    BoundsChanged,
    Done,
    Event,
    Id,
    LabelSet,
    MarkMade,
    MarkRemoved,
    Name,
    PlayerSet,
    Redone,
    Seen,
    Undone,
)
from ttdata.annotate.store.rows import assignment_of, event_of
from ttdata.annotate.store.states import Answer
from ttdata.settings import FrozenModel, first_problem

router = APIRouter()

Who = Annotated[Signed, signed()]
"""Everybody may annotate."""


class SentEvent(FrozenModel):
    """An event as an annotator's page sends it: about his own marks, without his name."""

    uuid: Id
    person: Name | None = Field(default=None, description="if said, who is logged in")
    assignment: Id
    mark: Id | None = None
    base_revision: int | None = Field(default=None, ge=1)
    body: Annotated[
        MarkMade
        | BoundsChanged
        | LabelSet
        | PlayerSet
        | MarkRemoved
        | Undone
        | Redone
        | Seen
        | Done,
        Field(discriminator="kind"),
    ]


class Handed(FrozenModel):
    """What became of a page's last events."""

    stored: int


_MANY = TypeAdapter(tuple[SentEvent, ...])


@router.post("/api/assignments/{assignment_id:uuid}/events")
async def take_event(assignment_id: UUID, request: Request, who: Who, context: Ctx) -> Answer:
    """Store an event of the page; answered after it is on the disk."""
    try:
        sent = SentEvent.model_validate_json(await request.body())
    except ValidationError as error:
        raise Refused(f"event: {first_problem(error)}") from error
    event = _event(sent, assignment_id, who)
    if seconds := context.pace.seconds_to_wait(who.person.pseudonym):
        raise TooOften(seconds)
    try:
        # No thread waits for the disk: thirty who write leave the films their threads.
        answer = await asyncio.wrap_future(context.project.marks.submit(event))
    except Refused as error:
        if isinstance(error, NotOwn):
            raise
        raise Refused(await run_in_threadpool(_without_id, context, event, str(error))) from error
    context.wall.touch()
    # The page has no use for the assignment, and that names the video.
    return answer.model_copy(update={"assignment": None})


@router.post("/api/assignments/{assignment_id:uuid}/events/last")
async def take_last_events(assignment_id: UUID, request: Request, who: Who, context: Ctx) -> Handed:
    """Store what a page hands over as it goes, one after the other; nobody hears what is refused.

    What builds on something refused is passed over: its person saw the mark as it is not. Whatever
    the browser has kept, too, is sent again by the next page and is then known. It is never too
    much at once, as nobody would send it later; what is new counts for what comes after it.
    """
    try:
        sent = _MANY.validate_json(await request.body())
    except ValidationError as error:
        raise Refused(f"events: {first_problem(error)}") from error
    events = [_event(each, assignment_id, who) for each in sent]
    known = await run_in_threadpool(_known, context, events)
    stored, refused = 0, set[str | None]()
    try:
        for event in events:
            if _builds_on(event, refused):
                continue
            try:
                await asyncio.wrap_future(context.project.marks.submit(event))
            except (Refused, Conflict):
                refused.add(event.mark)
                continue
            stored += 1
            if event.uuid not in known:
                context.pace.charge(who.person.pseudonym)
    finally:  # a full disk ends it
        context.wall.touch()
    return Handed(stored=stored)


def _known(context: Context, events: list[Event]) -> set[str]:
    """The uuids of those that are stored already."""
    with context.project.marks.reading() as db:
        return {event.uuid for event in events if event_of(db, event.uuid) is not None}


def _builds_on(event: Event, refused: set[str | None]) -> bool:
    """Whether an event takes for granted what was refused, of these marks (None: of the video)."""
    if isinstance(event.body, Done):
        return bool(refused)
    return event.mark is not None and event.mark in refused


def _without_id(context: Context, event: Event, text: str) -> str:
    """A refusal that does not name the video: its id could tell that it is a golden clip."""
    with context.project.marks.reading() as db:
        found = assignment_of(db, event.assignment or "")
    return text if found is None else text.replace(f"video {found.video_id!r}", "this video")


def _event(sent: SentEvent, assignment_id: UUID, who: Signed) -> Event:
    """An event of the person who is logged in.

    Raises:
        NotOwn: if it says that it is somebody else's: he may have logged in as somebody else.
        Refused: if it does not fit.
    """
    person = who.person.pseudonym
    if sent.person not in (None, person):
        raise NotOwn(f"event {sent.uuid}: is of {sent.person}, logged in is {person}")
    if sent.assignment != str(assignment_id):
        raise Refused(f"event {sent.uuid}: is of assignment {sent.assignment}, not {assignment_id}")
    return Event(
        uuid=sent.uuid,
        person=person,
        assignment=sent.assignment,
        mark=sent.mark,
        base_revision=sent.base_revision,
        body=sent.body,
    )
