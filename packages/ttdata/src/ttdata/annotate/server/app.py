"""The application: every router, in the order in which they are asked."""

from anyio import CapacityLimiter
from fastapi import FastAPI

from ttdata.annotate.oversight.agreement import KeptAgreement
from ttdata.annotate.people.attempts import Attempts
from ttdata.annotate.people.pace import Pace
from ttdata.annotate.project import Project
from ttdata.annotate.reviewing.desk import ReviewDesk
from ttdata.annotate.server.context import Context, LastBackup
from ttdata.annotate.server.errors import add_error_handlers
from ttdata.annotate.server.films import Films
from ttdata.annotate.server.first_start import FirstStart
from ttdata.annotate.server.guard import Guard
from ttdata.annotate.server.invitations import Invitations
from ttdata.annotate.server.pages import Pages
from ttdata.annotate.server.routes import (
    annotating,
    entry,
    events,
    media,
    references,
    reviewing,
    teaching,
    teaching_actions,
    training,
    wall,
)
from ttdata.annotate.server.settings import ServeSettings
from ttdata.annotate.server.upkeep import keeping_up
from ttdata.annotate.server.wall import Wall


def create_app(project: Project, settings: ServeSettings) -> FastAPI:
    """The application of an opened project; whoever opened the project closes it afterwards."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=keeping_up)
    app.state.context = Context(
        project=project,
        settings=settings,
        pages=Pages(),
        films=Films(project),
        first_start=FirstStart(project.people, another=settings.teacher_link),
        attempts=Attempts(project.marks.clock),
        pace=Pace(),
        desk=ReviewDesk(project),
        hashing=CapacityLimiter(2),
        wall=Wall(project.marks.clock, project.info.annotators_per_video),
        invitations=Invitations(project.people),
        agreement=KeptAgreement(),
        last_backup=LastBackup(),
    )
    add_error_handlers(app)
    app.add_middleware(Guard, settings=settings)
    app.include_router(entry.router)
    app.include_router(annotating.router)
    app.include_router(events.router)
    app.include_router(training.router)
    app.include_router(reviewing.router)
    app.include_router(references.router)
    app.include_router(media.router)
    app.include_router(teaching.router)
    app.include_router(teaching_actions.router)
    app.include_router(wall.router)
    return app
