"""What all routes share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends
from starlette.requests import HTTPConnection

from ttdata.annotate.oversight.agreement import KeptAgreement
from ttdata.annotate.people.attempts import Attempts
from ttdata.annotate.people.pace import Pace
from ttdata.annotate.project import Project
from ttdata.annotate.reviewing.desk import ReviewDesk
from ttdata.annotate.server.films import Films
from ttdata.annotate.server.first_start import FirstStart
from ttdata.annotate.server.invitations import Invitations
from ttdata.annotate.server.pages import Pages
from ttdata.annotate.server.settings import ServeSettings
from ttdata.annotate.server.wall import Wall


@dataclass
class LastBackup:
    """The backup of the server's end; none before, or where it could not be written."""

    path: Path | None = None


@dataclass(frozen=True)
class Context:
    """What the server holds while it runs; its parts are safe to use from all threads."""

    project: Project
    settings: ServeSettings
    pages: Pages
    films: Films
    first_start: FirstStart
    attempts: Attempts
    """Logins by address."""
    pace: Pace
    """Changes by person."""
    desk: ReviewDesk
    """Who settles which doubt."""
    hashing: CapacityLimiter
    """Of passwords at once: each takes 32 MiB and a core for a while."""
    wall: Wall
    invitations: Invitations
    agreement: KeptAgreement
    last_backup: LastBackup


async def context(connection: HTTPConnection) -> Context:
    """The server's context."""
    found: Context = connection.app.state.context
    return found


Ctx = Annotated[Context, Depends(context)]
"""As the type of a route's argument: gives the context."""
