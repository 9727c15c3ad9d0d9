"""The annotator's way: the next video, its page, its data."""

import json
import sqlite3
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Ctx
from ttdata.annotate.server.films import Film
from ttdata.annotate.store.errors import NotOwn
from ttdata.annotate.store.rows import assignment_of, assignments_of, seen_spans
from ttdata.annotate.store.spans import Span
from ttdata.annotate.store.states import AssignmentState, MarkState, Role
from ttdata.annotate.work.assigning import open_next
from ttdata.annotate.work.visibility import Visible, Work, visible_of
from ttdata.settings import FrozenModel
from ttdata.taxonomy import Taxonomy

router = APIRouter()

_PAGE = Path(__file__).parents[2] / "static" / "annotate.html"
_BEGIN, _END = 'id="page">', "</script>"
_HOME: dict[Role, str] = {"annotator": "/annotate", "reviewer": "/annotate", "teacher": "/teacher"}

Who = Annotated[Signed, signed()]
"""Everybody may annotate."""


class FilmFacts(FrozenModel):
    """The film as the page needs it."""

    name: str
    url: str
    fps: float
    num_frames: int
    width: int
    height: int
    """Of the picture, in pixels, without the strip below it."""


class OtherMark(FrozenModel):
    """A mark of somebody else, who is not named."""

    start_frame: int | None
    end_frame: int | None
    """Exclusive."""
    label: str | None


class Data(FrozenModel):
    """All that the annotator's page shows."""

    video: FilmFacts
    taxonomy: Taxonomy
    marks: tuple[MarkState, ...]
    seen: tuple[Span, ...]
    state: Literal["open", "done"]
    person: str
    """Who is logged in."""
    others: tuple[tuple[OtherMark, ...], ...]
    """By person, in the order in which they began; empty until the video is done."""
    look_here: tuple[int, ...]
    """Frames that a model proposes to look at; empty until the video is done."""


@router.get("/")
def go_home(who: Who) -> Response:
    """Where a person of this role begins."""
    return RedirectResponse(_HOME[who.person.role], 303)


@router.get("/annotate")
def go_on(who: Who, request: Request, context: Ctx) -> Response:
    """The next video, or word that there is none."""
    info = context.project.info
    found = open_next(
        context.project.marks,
        who.person.pseudonym,
        annotators_per_video=info.annotators_per_video,
        golden_share=info.golden_share,
        not_these=context.desk.known_to(who.person.pseudonym),
    )
    if found is None:
        return context.pages.answer("nothing_left.html", request)
    return RedirectResponse(f"/annotate/{found.assignment_id}", 303)


@router.get("/annotate/{assignment_id:uuid}")
def show_page(assignment_id: UUID, who: Who, context: Ctx) -> HTMLResponse:
    """The page on which a person marks a video."""
    with context.project.marks.reading() as db:
        found = _own(db, assignment_id, who)
    return filled_page(found.assignment_id)


def filled_page(assignment_id: str, **more: str) -> HTMLResponse:
    """The annotator's page for an assignment, with further URLs that its parts take."""
    api = f"/api/assignments/{assignment_id}"
    page = {
        "assignment": assignment_id,
        "data": f"{api}/data",
        "events": f"{api}/events",
        "presence": "/api/presence",
        **more,
    }
    before, after = _page_parts()
    # `<` could end the element, whatever the text says.
    return HTMLResponse(before + json.dumps(page).replace("<", "\\u003c") + after)


@cache
def _page_parts() -> tuple[str, str]:
    before, begin, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return before + begin, end + after


@router.get("/api/assignments/{assignment_id:uuid}/data")
def show_data(assignment_id: UUID, who: Who, context: Ctx) -> Data:
    """What the page shows: the film, one's own marks; after "done" others' marks, too."""
    person = who.person
    with context.project.marks.reading() as db:
        found = _own(db, assignment_id, who)
        seen = seen_spans(db, found.assignment_id)
        number = _number(db, found)
        visible = visible_of(db, person.pseudonym, person.role, found.video_id)
    film = context.films.of(found.video_id)
    if film is None or film.proxy is None or visible.own is None:
        raise HTTPException(503, "the film is not ready yet; try again in a few minutes")
    return Data(
        video=film_facts(film, f"Video {number}", f"/films/{found.assignment_id}"),
        taxonomy=context.project.taxonomy,
        marks=visible.own.marks,
        seen=tuple(seen),
        state=found.state,
        person=found.person,
        **_of_others(visible),
    )


def _own(db: sqlite3.Connection, assignment_id: UUID, who: Signed) -> AssignmentState:
    """One's own assignment; whether others have one of this id is not said.

    Raises:
        NotOwn: if it is none of his.
    """
    found = assignment_of(db, str(assignment_id))
    if found is None or found.person != who.person.pseudonym:
        raise NotOwn(f"assignment {assignment_id}: is none of {who.person.pseudonym}")
    return found


def _number(db: sqlite3.Connection, found: AssignmentState) -> int:
    """Which of his videos it is: ids and places could tell which ones are golden clips."""
    own = [each.assignment_id for each in assignments_of(db, person=found.person)]
    return 1 + own.index(found.assignment_id)


def film_facts(film: Film, name: str, url: str | None = None) -> FilmFacts:
    """What a page needs of a film that is ready; by default at the address for reviewers."""
    proxy = film.proxy
    assert proxy is not None
    return FilmFacts(
        name=name,
        url=url or film.url,
        fps=float(proxy.fps),
        num_frames=proxy.num_frames,
        width=proxy.width,
        height=proxy.height,
    )


def _of_others(visible: Visible) -> dict[str, tuple[object, ...]]:
    return {
        "others": tuple(map(_nameless, visible.others)),
        "look_here": visible.look_here,
    }


def _nameless(work: Work) -> tuple[OtherMark, ...]:
    return tuple(
        OtherMark(start_frame=mark.start_frame, end_frame=mark.end_frame, label=mark.label)
        for mark in work.marks
    )
