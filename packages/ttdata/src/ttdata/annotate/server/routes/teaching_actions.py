"""What the teacher's pages do: invite, give roles, erase, open again, export, back up."""

from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter
from pydantic import Field

from ttdata.annotate.exchange.backup import back_up
from ttdata.annotate.exchange.export import export_here
from ttdata.annotate.server.access import Signed, signed
from ttdata.annotate.server.context import Ctx
from ttdata.annotate.store.errors import Refused
from ttdata.annotate.store.events import Event, Reopened
from ttdata.annotate.store.states import Answer, Role
from ttdata.settings import FrozenModel

router = APIRouter(prefix="/api/teacher")

MOST_AT_ONCE = 100
"""Invitations."""
_LONGEST_NAME = 100

Teacher = Annotated[Signed, signed("teacher")]


class Next(FrozenModel):
    """Which page to open after something was done."""

    next: str


class Invite(FrozenModel):
    """Who is to be invited: so many people, or these."""

    role: Literal["annotator", "reviewer"] = "annotator"
    count: int = Field(default=1, ge=1, le=MOST_AT_ONCE)
    names: str = Field(
        default="", max_length=20_000, description="a person's name a line; then count is not used"
    )

    @property
    def people(self) -> list[str | None]:
        """A name each, None where it is not given."""
        names = [" ".join(line.split()) for line in self.names.splitlines() if line.strip()]
        return list(names) or [None] * self.count


class GiveRole(FrozenModel):
    """What a person may do from now on."""

    role: Role


class Nothing(FrozenModel):
    """Nothing needs to be said."""


class Erase(FrozenModel):
    """The pseudonym, typed once more."""

    confirm: str = Field(max_length=100)


class Reopen(FrozenModel):
    """Why somebody should go on with a video that he said was done."""

    reason: str = Field(min_length=1, max_length=1000)


class Written(FrozenModel):
    """What an export holds."""

    next: str
    folder: str
    marks: int
    videos: int
    notes: tuple[str, ...]


@router.post("/invitations")
def invite(wanted: Invite, who: Teacher, context: Ctx) -> Next:
    """New people with an invitation each."""
    people = wanted.people
    if len(people) > MOST_AT_ONCE:
        raise Refused(f"names: {len(people)}, expected at most {MOST_AT_ONCE} at once")
    long = [name for name in people if name is not None and len(name) > _LONGEST_NAME]
    if long:
        raise Refused(f"name {long[0][:20]!r}...: expected at most {_LONGEST_NAME} characters")
    context.invitations.make_several(wanted.role, people)
    context.wall.touch()
    return Next(next="/teacher/invitations")


@router.post("/invitations/again")
def invite_all_again(_: Nothing, who: Teacher, context: Ctx) -> Next:
    """A new invitation for everybody who has none to use: the sessions of before have ended."""
    context.invitations.make_again()
    return Next(next="/teacher/invitations")


@router.post("/people/{pseudonym}/invitation")
def invite_again(pseudonym: str, _: Nothing, who: Teacher, context: Ctx) -> Next:
    """A new invitation for somebody who is there; the earlier one no longer counts."""
    context.invitations.make(pseudonym)
    return Next(next=f"/teacher/people/{pseudonym}")


@router.post("/people/{pseudonym}/role")
def give_role(pseudonym: str, wanted: GiveRole, who: Teacher, context: Ctx) -> Next:
    """Let a person do more, or less; at once, also where he is logged in."""
    context.project.people.set_role(pseudonym, wanted.role)
    context.wall.touch()
    return Next(next=f"/teacher/people/{pseudonym}")


@router.post("/people/{pseudonym}/erase")
def erase(pseudonym: str, wanted: Erase, who: Teacher, context: Ctx) -> Next:
    """Forget a person's name and ways in; his marks stay under the pseudonym."""
    if wanted.confirm != pseudonym:
        raise Refused(
            f"confirmation {wanted.confirm!r}: expected {pseudonym!r}; nothing was erased"
        )
    if pseudonym == who.person.pseudonym:
        raise Refused("nobody erases himself: another teacher has to do it")
    context.project.people.erase(pseudonym)
    context.wall.leave(pseudonym)
    return Next(next="/teacher/people")


@router.post("/assignments/{assignment_id:uuid}/reopened")
def open_again(assignment_id: UUID, wanted: Reopen, who: Teacher, context: Ctx) -> Answer:
    """Let a person go on with a video that he said was done; the log keeps the reason."""
    event = Event(
        uuid=str(uuid4()),
        person=who.person.pseudonym,
        assignment=str(assignment_id),
        body=Reopened(reason=wanted.reason),
    )
    answer = context.project.marks.append(event)
    context.wall.touch()
    return answer


@router.post("/exports")
def export(_: Nothing, who: Teacher, context: Ctx) -> Written:
    """Write what is finished into the project's exports."""
    out, done = export_here(context.project, who.person.pseudonym)
    return Written(
        next=f"/teacher/export?made={out.name}",
        folder=str(out),
        marks=done.marks,
        videos=done.videos,
        notes=done.notes,
    )


@router.post("/backups")
def make_backup(_: Nothing, who: Teacher, context: Ctx) -> Next:
    """Write a backup now."""
    back_up(context.project.folder, context.project.marks.clock)
    return Next(next="/teacher/backups?made=true")
