"""Reference strokes: which marks, and their three moments."""

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, HTTPException, Request
from pydantic import Field
from starlette.responses import HTMLResponse

from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Context, Ctx
from ttdata.annotate.server.routes.annotating import FilmFacts, film_facts
from ttdata.annotate.server.routes.media import Position
from ttdata.annotate.store.events import Event, Id, ReferenceRemoved, ReferenceSet
from ttdata.annotate.work.references import (
    Choosable,
    FilmCount,
    Moments,
    choosable_marks,
    count_references,
)
from ttdata.annotate.work.visibility import blind_videos
from ttdata.settings import FrozenModel

router = APIRouter()

Who = Annotated[Signed, signed("reviewer")]


class SentMoments(FrozenModel):
    """Three moments of a mark; null: it is no reference stroke any more."""

    uuid: Id = Field(default_factory=lambda: str(uuid4()))
    mark_id: Id
    assignment_id: Id
    revision: int = Field(ge=1, description="of the mark, as it was shown")
    moments: Moments | None


class FilmMarks(FrozenModel):
    """A film and the marks that may be reference strokes."""

    video: FilmFacts
    marks: tuple[Choosable, ...]


class Stored(FrozenModel):
    """The number of the event that says it."""

    seq: int


@router.get("/references")
def show_page(who: Who, request: Request, context: Ctx) -> HTMLResponse:
    """The page on which moments are set."""
    return context.pages.answer("references.html", request)


@router.get("/api/references")
def show_films(who: Who, context: Ctx) -> tuple[FilmCount, ...]:
    """The videos with finished marks, without those that one is annotating oneself."""
    with context.project.marks.reading() as db:
        blind = blind_videos(db, who.person.pseudonym)
        found = count_references(db, context.project.taxonomy.negative)
    return tuple(film for film in found if film.video_id not in blind)


@router.get("/api/references/{position:int}")
def show_marks(position: Position, who: Who, context: Ctx) -> FilmMarks:
    """The marks of a video."""
    return _marks(context, position, who.person.pseudonym)


@router.post("/api/references")
def set_moments(sent: SentMoments, who: Who, context: Ctx) -> Stored:
    """Store three moments, or that there are none."""
    if sent.moments is None:
        body: ReferenceRemoved | ReferenceSet = ReferenceRemoved()
    else:
        body = ReferenceSet(**sent.moments.model_dump())
    event = Event(
        uuid=sent.uuid,
        person=who.person.pseudonym,
        assignment=sent.assignment_id,
        mark=sent.mark_id,
        base_revision=sent.revision,
        body=body,
    )
    return Stored(seq=context.project.marks.append(event).seq)


def _marks(context: Context, position: int, person: str) -> FilmMarks:
    film = context.films.at(position)
    if film is None:
        raise HTTPException(404)
    if film.proxy is None:
        raise HTTPException(503, "the film is not ready yet; try again in a few minutes")
    with context.project.marks.reading() as db:
        if film.video_id in blind_videos(db, person):
            raise HTTPException(403, "you are marking this film yourself: say done first")
        context.desk.note_shown(person, film.video_id)
        marks = choosable_marks(db, film.video_id, context.project.taxonomy.negative)
    return FilmMarks(video=film_facts(film, film.video_id), marks=marks)
