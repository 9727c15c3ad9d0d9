"""What the projection says of one mark or assignment, as servers answer it."""

from typing import Literal

from pydantic import Field

from ttdata.settings import FrozenModel

Role = Literal["annotator", "reviewer", "teacher"]
"""What a person may do."""
Purpose = Literal["annotate", "training", "import"]
"""Only what is annotated or imported is exported."""


class Content(FrozenModel):
    """What people set of a mark; null what they did not set yet."""

    start_frame: int | None = None
    end_frame: int | None = Field(default=None, description="exclusive")
    label: str | None = None
    player_id: str | None = None
    removed: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether it has both bounds and a label."""
        return None not in (self.start_frame, self.end_frame, self.label)


class MarkState(Content):
    """A mark as it is: its content, and how often it was changed."""

    mark_id: str
    assignment_id: str
    revision: int = Field(ge=1, description="1 when made, one more with every change")

    @property
    def content(self) -> Content:
        """Without what identifies it."""
        return Content.model_validate(self.model_dump(include=set(Content.model_fields)))


class AssignmentState(FrozenModel):
    """One person's work on one video."""

    assignment_id: str
    video_id: str
    person: str
    purpose: Purpose
    state: Literal["open", "done"]
    times_reopened: int


class Answer(FrozenModel):
    """What is answered to an event once it is committed, and whenever it is sent again."""

    seq: int
    uuid: str
    mark: MarkState | None = None
    assignment: AssignmentState | None = None
