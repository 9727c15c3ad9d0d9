"""The teacher's pages: what they show. What they do is in `teaching_actions`."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ttdata.annotate.exchange.backup import KEPT, list_backups, moment_of
from ttdata.annotate.exchange.export import list_exports
from ttdata.annotate.oversight.coverage import VideoCoverage, coverage_of, read_videos
from ttdata.annotate.oversight.people_progress import PersonProgress, read_people
from ttdata.annotate.people.accounts import read_accounts
from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Context, Ctx
from ttdata.annotate.server.invitations import qr_svg
from ttdata.report.reliability import Level
from ttdata.sources.formats.annotation_project import read_finished

router = APIRouter()

Teacher = Annotated[Signed, signed("teacher")]

_MOST_MIXED = 10
"""Pairs of names in the first table; all are in the second."""


@router.get("/teacher")
def show_overview(who: Teacher, request: Request, context: Ctx) -> Response:
    """The live wall and how far the project is; before there is any work, the first steps."""
    videos, people = _videos(context), context.project.people.everyone()
    if not videos or len(people) < 2:
        return RedirectResponse("/teacher/start", 303)
    info = context.project.info
    return context.pages.answer(
        "teacher_overview.html",
        request,
        coverage=coverage_of(videos, info.annotators_per_video),
        enough=info.annotators_per_video,
    )


@router.get("/teacher/start")
def show_first_steps(who: Teacher, request: Request, context: Ctx) -> HTMLResponse:
    """Three steps until the first person can begin: strokes, videos, invitations."""
    videos = _videos(context)
    people = [a for a in read_accounts(context.project.people) if a.person.role != "teacher"]
    return context.pages.answer(
        "teacher_start.html",
        request,
        taxonomy=context.project.taxonomy,
        videos=len(videos),
        ready=sum(_is_ready(context, video) for video in videos),
        invited=len(people),
        joined=sum(account.joined_at is not None for account in people),
        folder=str(context.project.folder),
        enough=context.project.info.annotators_per_video,
    )


@router.get("/teacher/people")
def show_people(who: Teacher, request: Request, context: Ctx) -> HTMLResponse:
    """Everybody: role, work, time spent, golden clips; and the form that invites."""
    return context.pages.answer("teacher_people.html", request, people=_people(context))


@router.get("/teacher/people/{pseudonym}")
def show_person(pseudonym: str, who: Teacher, request: Request, context: Ctx) -> HTMLResponse:
    """One person: his numbers, role, invitation, and how to erase him."""
    found = [p for p in _people(context) if p.pseudonym == pseudonym and p.account is not None]
    if not found:
        raise HTTPException(404)
    return context.pages.answer(
        "teacher_person.html",
        request,
        person=found[0],
        is_oneself=pseudonym == who.person.pseudonym,
        invitation=context.invitations.find(pseudonym),
    )


@router.get("/teacher/invitations")
def show_invitations(who: Teacher, request: Request, context: Ctx) -> HTMLResponse:
    """Invitations to print, cut out and hand over."""
    return context.pages.answer(
        "teacher_invitations.html",
        request,
        invitations=context.invitations.unused(),
        origin=context.settings.origin,
        is_lan=context.settings.lan,
        folder=str(context.project.folder),
    )


@router.get("/teacher/invitations/{pseudonym}/qr.svg")
def show_qr(pseudonym: str, who: Teacher, context: Ctx) -> Response:
    """An invitation as a QR code; the address does not tell the secret."""
    found = context.invitations.find(pseudonym)
    if found is None:
        raise HTTPException(404)
    return Response(qr_svg(context.settings.origin + found.path), media_type="image/svg+xml")


@router.get("/teacher/videos")
def show_videos(who: Teacher, request: Request, context: Ctx) -> HTMLResponse:
    """All videos: how many people are done, whether they are golden clips."""
    videos = _videos(context)
    return context.pages.answer(
        "teacher_videos.html",
        request,
        videos=[(video, _is_ready(context, video)) for video in videos],
        coverage=coverage_of(videos, context.project.info.annotators_per_video),
        enough=context.project.info.annotators_per_video,
        folder=str(context.project.folder),
    )


@router.get("/teacher/videos/{position:int}")
def show_video(position: int, who: Teacher, request: Request, context: Ctx) -> HTMLResponse:
    """One video: who marked it, and how to let somebody go on with it."""
    found = [video for video in _videos(context) if video.position == position]
    if not found:
        raise HTTPException(404)
    return context.pages.answer("teacher_video.html", request, video=found[0])


@router.get("/teacher/agreement")
def show_agreement(
    who: Teacher, request: Request, context: Ctx, level: Level = "label"
) -> HTMLResponse:
    """How well people agree, and what gets mixed up."""
    found = context.agreement.read(context.project)
    chosen = [each for each in found.levels if each.level == level]
    if not chosen:
        raise HTTPException(404)
    return context.pages.answer(
        "teacher_agreement.html", request, agreement=found, chosen=chosen[0], most_mixed=_MOST_MIXED
    )


@router.get("/teacher/export")
def show_exports(who: Teacher, request: Request, context: Ctx, made: str = "") -> HTMLResponse:
    """What would leave the project now, and what left it before."""
    finished = read_finished(context.project.folder)
    return context.pages.answer(
        "teacher_export.html",
        request,
        marks=finished.annotations.height,
        videos=finished.files.height,
        notes=finished.notes,
        exports=[(path.name, moment_of(path)) for path in list_exports(context.project)],
        made=made,
        folder=str(context.project.folder),
    )


@router.get("/teacher/backups")
def show_backups(who: Teacher, request: Request, context: Ctx, made: bool = False) -> HTMLResponse:
    """The backups, and the command that goes back to one."""
    found = list_backups(context.project.folder)
    return context.pages.answer(
        "teacher_backups.html",
        request,
        backups=[(path.name, moment_of(path)) for path in found],
        minutes=context.settings.backup_minutes,
        kept=KEPT,
        made=made,
        folder=str(context.project.folder),
    )


def _videos(context: Context) -> tuple[VideoCoverage, ...]:
    with context.project.marks.reading() as db:
        return read_videos(db)


def _is_ready(context: Context, video: VideoCoverage) -> bool:
    film = context.films.at(video.position)
    return film is not None and film.proxy is not None


def _people(context: Context) -> tuple[PersonProgress, ...]:
    with context.project.marks.reading() as db:
        activity = context.wall.activity(db)
    return read_people(context.project, activity)
