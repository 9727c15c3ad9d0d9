"""The kinds of events, and what each says. Events are stored as they are sent, for ever."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from ttdata.annotate.store.errors import Refused
from ttdata.annotate.store.states import Purpose, Role
from ttdata.settings import FrozenModel, first_problem

Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]
"""A UUID in lower case."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Frame = Annotated[int, Field(ge=0, lt=2**40)]


class Body(FrozenModel):
    """What an event of one kind says; values are never converted."""

    model_config = ConfigDict(strict=True)


class AssignmentOpened(Body):
    """A person begins to work on a video."""

    kind: Literal["assignment_opened"] = "assignment_opened"
    video_id: Name
    purpose: Purpose = "annotate"


class Bounded(Body):
    """Bounds of a mark; what is null is not set yet."""

    start_frame: Frame | None = None
    end_frame: Frame | None = Field(default=None, ge=0, lt=2**40, description="exclusive")
    from_first_frame: bool = Field(
        default=False, description="frame 0 as the start is meant; else it is refused"
    )


class MarkMade(Bounded):
    """A new mark, with as much of it as is known."""

    kind: Literal["mark_made"] = "mark_made"
    label: Name | None = None
    player_id: Name | None = None


class BoundsChanged(Bounded):
    """Both bounds of a mark, as they are from now on."""

    kind: Literal["bounds_changed"] = "bounds_changed"


class LabelSet(Body):
    """The label of a mark; null takes it away."""

    kind: Literal["label_set"] = "label_set"
    label: Name | None


class PlayerSet(Body):
    """Who performs the stroke; null where that is not known."""

    kind: Literal["player_set"] = "player_set"
    player_id: Name | None


class MarkRemoved(Body):
    """A mark is taken away; undoing brings it back."""

    kind: Literal["mark_removed"] = "mark_removed"


class Undone(Body):
    """The last step of the assignment that stands is taken back."""

    kind: Literal["undone"] = "undone"
    event: Id = Field(description="the uuid of that step")


class Redone(Body):
    """The step that was taken back last stands again."""

    kind: Literal["redone"] = "redone"
    event: Id = Field(description="the uuid of that step")


class Seen(Body):
    """Frames that were shown to the person, as half-open spans."""

    kind: Literal["seen"] = "seen"
    spans: tuple[tuple[Frame, Frame], ...] = Field(min_length=1, max_length=1000)


class Done(Body):
    """The person has marked every stroke of the video."""

    kind: Literal["done"] = "done"


class Reopened(Body):
    """Somebody else lets the person go on with a video that was done."""

    kind: Literal["reopened"] = "reopened"
    reason: str = Field(default="", max_length=1000)


class ReferenceSet(Body):
    """Three moments of a finished mark, which is a reference stroke from now on."""

    kind: Literal["reference_set"] = "reference_set"
    ready: Frame = Field(description="the last frame before the player moves towards the ball")
    contact: Frame = Field(description="the first frame in which the bat meets the ball")
    end: Frame = Field(description="the last frame of the follow-through")


class ReferenceRemoved(Body):
    """A mark is no reference stroke any more."""

    kind: Literal["reference_removed"] = "reference_removed"


class LoggedIn(Body):
    """A person came in."""

    kind: Literal["logged_in"] = "logged_in"
    role: Role


class Exported(Body):
    """Marks left the project."""

    kind: Literal["exported"] = "exported"
    marks: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the table of annotations")


AnyBody = Annotated[
    AssignmentOpened
    | MarkMade
    | BoundsChanged
    | LabelSet
    | PlayerSet
    | MarkRemoved
    | Undone
    | Redone
    | Seen
    | Done
    | Reopened
    | ReferenceSet
    | ReferenceRemoved
    | LoggedIn
    | Exported,
    Field(discriminator="kind"),
]

Edit = MarkMade | BoundsChanged | LabelSet | PlayerSet | MarkRemoved
"""What can be undone."""


class Event(FrozenModel):
    """An event as it is sent; sequence number and time are the store's."""

    uuid: Id
    person: Name
    assignment: Id | None = None
    mark: Id | None = None
    base_revision: int | None = Field(
        default=None, ge=1, description="the revision of the mark that the person saw"
    )
    body: AnyBody

    @property
    def kind(self) -> str:
        """Of its body."""
        return self.body.kind

    @property
    def body_json(self) -> str:
        """The body as it is stored, without its kind."""
        return self.body.model_dump_json(exclude={"kind"})


def parse_event(text: str | bytes) -> Event:
    """An event from JSON.

    Raises:
        Refused: naming the first member that does not fit.
    """
    try:
        return Event.model_validate_json(text)
    except ValidationError as error:
        raise Refused(f"event: {first_problem(error)}") from error
