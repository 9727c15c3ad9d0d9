"""What the measurement of strokes found, for tables, pages and programs (docs/formats.md)."""

from typing import Literal

from pydantic import Field

from ttdata.settings import FrozenModel
from tttrain.quality.consistency import Progress
from tttrain.quality.reference import Spread
from tttrain.quality.words import HIDDEN

SCHEMA_VERSION = 1
Hand = Literal["left", "right"]


class Measured(FrozenModel):
    """A measure of a phase of a stroke, against the references where there are enough."""

    name: str = Field(description="of `tttrain.quality.measures.MEASURES`")
    value: float | None = Field(description="null where there is nothing to measure")
    reference: float | None = Field(default=None, description="mean of the references")
    difference: float | None = Field(default=None, description="value minus that")
    percentile: float | None = Field(
        default=None, description="(1 + references that are at least as large) / (n + 1)"
    )
    chance: float | None = Field(
        default=None, description="of an unchanged stroke to lie as far from the mean"
    )
    outside: bool | None = Field(
        default=None, description="chance < 0.05; null where that cannot be told"
    )
    words: str | None = Field(default=None, description="the same for a teacher")


class PhaseQuality(FrozenModel):
    """A phase of a stroke."""

    name: str = Field(description="backswing, forward, follow_through or stroke")
    start_frame: float = Field(description="of the video, not rounded")
    end_frame: float = Field(description="of the video, not rounded")
    measures: tuple[Measured, ...]


class StrokeQuality(FrozenModel):
    """A stroke; without phases where it was refused or measured without pose."""

    clip_id: str
    video_id: str
    player_id: str | None
    session_id: str | None
    session: str | None = Field(
        default=None,
        description="what counts as its session: `session_id`, else the video; null for the only "
        "stroke of a video",
    )
    label: str
    start_frame: int = Field(description="of the clip")
    end_frame: int = Field(description="exclusive")
    fps: float
    video_path: str | None = Field(
        default=None, description="where the video lies, or its URL; null where that is not known"
    )
    is_reference: bool
    hand: Hand | None = Field(default=None, description="that holds the bat")
    mirrored: bool = False
    camera_degrees: float | None = Field(
        default=None, description="of the video: the player's across line in the ready pose"
    )
    torso_px: float | None = None
    moments: dict[str, float] = Field(
        default_factory=dict, description="frame of ready, backswing, contact, end; not rounded"
    )
    contact_spread_seconds: float | None = Field(
        default=None, description="half of the middle half of what references say"
    )
    phases: tuple[PhaseQuality, ...] = ()
    distance: float | None = Field(default=None, description="overall; about 1 for a reference")
    distance_percentile: float | None = None
    refused: str | None = Field(default=None, description="why it is not compared")
    compared_with: str | None = Field(
        default=None,
        description="`player_id` of the references it is set against; null: those of all players",
    )
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What a teacher should look at: the measures that are outside, phase by phase."""
        return tuple(
            item.words
            for phase in self.phases
            for item in phase.measures
            if item.outside and item.words
        )

    @property
    def hidden(self) -> str | None:
        """The note on where the hand with the bat is hidden; None: nowhere for long."""
        return next((text for text in self.notes if text.startswith(HIDDEN)), None)


class ReferenceClass(FrozenModel):
    """The references of a class, of one player where each is compared with his own."""

    label: str
    player_id: str | None
    clip_ids: tuple[str, ...]
    sessions: tuple[str, ...]
    cannot_tell: str | None = Field(description="why nothing is called outside; null: it can be")
    spreads: dict[str, dict[str, Spread | None]] = Field(description="by phase and measure")


MEASURES_VERSION = 3
"""Of what is measured now; see `Quality.measures_version`."""


class Quality(FrozenModel):
    """`quality.json`: all that was measured."""

    schema_version: int = SCHEMA_VERSION
    measures_version: int = Field(
        default=1,
        description="2: gain from fit and chords with depth, residual with depth; 3: moments and "
        "trunk turn of places that do not jump, what is hidden is null; versions are not to be "
        "compared",
    )
    data: str = Field(description="the shards or the index that were measured")
    reference_data: str | None = Field(
        default=None, description="other shards whose marked strokes are references, too"
    )
    references_file: str
    coarse: bool = Field(description="measured without pose")
    by_player: bool = Field(description="each player compared with his own references only")
    references: tuple[ReferenceClass, ...]
    strokes: tuple[StrokeQuality, ...]
    progress: tuple[Progress, ...]
