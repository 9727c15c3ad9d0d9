"""The reviewer's way: the next doubt, his decision on it, and the next at once."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import HTMLResponse

from ttdata.annotate.reviewing.desk import Turn
from ttdata.annotate.reviewing.items import Item, LetteredMark, Proposed
from ttdata.annotate.reviewing.verdicts import Verdict
from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Context, Ctx
from ttdata.annotate.server.routes.annotating import FilmFacts, film_facts
from ttdata.settings import FrozenModel
from ttdata.taxonomy import Taxonomy

router = APIRouter()

Who = Annotated[Signed, signed("reviewer")]


class Doubt(FrozenModel):
    """A doubt as the page shows it."""

    item: Item
    video: FilmFacts | None
    """Null where the film is not ready: the marks can still be compared."""
    marks: tuple[LetteredMark, ...]
    proposals: tuple[Proposed, ...]


class NextDoubt(FrozenModel):
    """What a reviewer looks at now."""

    doubt: Doubt | None
    left: int
    """Doubts that nobody has settled."""


class ItemNamed(FrozenModel):
    """Which item is meant."""

    item_id: str = Field(min_length=1, max_length=100)


class Kept(FrozenModel):
    """Whether an item is still the reviewer's."""

    kept: bool


@router.get("/review")
def show_page(who: Who, request: Request, context: Ctx) -> HTMLResponse:
    """The page on which doubts are settled."""
    return context.pages.answer("review.html", request)


@router.get("/api/review/taxonomy")
def show_taxonomy(who: Who, context: Ctx) -> Taxonomy:
    """The classes, for their keys."""
    return context.project.taxonomy


@router.get("/api/review/next")
def show_next(who: Who, context: Ctx) -> NextDoubt:
    """The doubt that is one's own until it is settled or lies idle."""
    return _next(context, who)


@router.post("/api/review/decisions")
def take_decision(verdict: Verdict, who: Who, context: Ctx) -> NextDoubt:
    """Store a decision in `reviews.csv`, and give the next doubt."""
    context.desk.decide(who.person.pseudonym, verdict)
    return _next(context, who)


@router.post("/api/review/later")
def put_off(named: ItemNamed, who: Who, context: Ctx) -> NextDoubt:
    """Leave a doubt to others, and give the next one."""
    context.desk.put_off(who.person.pseudonym, named.item_id)
    return _next(context, who)


@router.post("/api/review/keep")
def keep(named: ItemNamed, who: Who, context: Ctx) -> Kept:
    """A sign that somebody still looks at it."""
    return Kept(kept=context.desk.keep(who.person.pseudonym, named.item_id))


def _next(context: Context, who: Signed) -> NextDoubt:
    turn: Turn = context.desk.turn(who.person.pseudonym)
    if turn.shown is None:
        return NextDoubt(doubt=None, left=turn.left)
    item = turn.shown.item
    film = context.films.of(item.video_id)
    video = None
    if film is not None and film.proxy is not None:
        video = film_facts(film, item.video_id)
    doubt = Doubt(item=item, video=video, marks=turn.shown.marks, proposals=turn.shown.proposals)
    return NextDoubt(doubt=doubt, left=turn.left)
