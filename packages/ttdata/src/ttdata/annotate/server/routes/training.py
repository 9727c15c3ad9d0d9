"""Training: a clip of known strokes, marked as any other, and what was right about it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Ctx
from ttdata.annotate.server.routes.annotating import filled_page
from ttdata.annotate.work.feedback import Feedback, feedback_of
from ttdata.annotate.work.golden import score_person
from ttdata.annotate.work.training import open_training, own_training, practice_of

router = APIRouter()

Who = Annotated[Signed, signed()]


@router.get("/train")
def show_overview(who: Who, request: Request, context: Ctx) -> HTMLResponse:
    """What training is, how far one is, and how well it went."""
    person = who.person.pseudonym
    with context.project.marks.reading() as db:
        practice = practice_of(db, person)
        score = score_person(db, person, training=True)
    return context.pages.answer("train.html", request, practice=practice, score=score)


@router.get("/train/next")
def go_on(who: Who, context: Ctx) -> Response:
    """The next clip; the overview where none is left."""
    found = open_training(context.project.marks, who.person.pseudonym)
    where = "/train" if found is None else f"/train/{found.assignment_id}"
    return RedirectResponse(where, 303)


@router.get("/train/{assignment_id:uuid}")
def show_page(assignment_id: UUID, who: Who, context: Ctx) -> HTMLResponse:
    """The annotator's page, which here tells what was right."""
    with context.project.marks.reading() as db:
        found = own_training(db, who.person.pseudonym, str(assignment_id))
    return filled_page(
        found.assignment_id, feedback=f"/api/training/{found.assignment_id}/feedback"
    )


@router.get("/api/training/{assignment_id:uuid}/feedback")
def show_feedback(assignment_id: UUID, who: Who, context: Ctx) -> Feedback:
    """What is told of completed marks, and after "done" of the whole clip."""
    with context.project.marks.reading() as db:
        return feedback_of(db, own_training(db, who.person.pseudonym, str(assignment_id)))
