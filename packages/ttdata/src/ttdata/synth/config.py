"""Every number that shapes a synthetic source."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ttdata.settings import FrozenModel
from ttdata.taxonomy import TTSTROKE21, Taxonomy


class CrowdConfig(FrozenModel):
    """How annotators err. A rate is the chance per true stroke and annotator, before `skill`."""

    start_at_zero_rate: float = Field(default=0.03, ge=0, le=1, description="start left at frame 0")
    end_past_rate: float = Field(default=0.02, ge=0, le=1, description="end after the video's end")
    too_short_rate: float = Field(default=0.02, ge=0, le=1, description="0.1 to 0.5 s annotated")
    too_long_rate: float = Field(default=0.02, ge=0, le=1, description="2.5 to 4 s annotated")
    wrong_label_rate: float = Field(
        default=0.03, ge=0, le=1, description="another stroke's label, by one annotator at a time"
    )
    missing_label_rate: float = Field(default=0.02, ge=0, le=1, description="label left empty")
    missed_rate: float = Field(default=0.03, ge=0, le=1, description="stroke not annotated at all")
    partial_share: float = Field(
        default=0.08,
        ge=0,
        le=1,
        description="of (video, annotator) pairs: only a part is annotated",
    )
    single_share: float = Field(
        default=0.1, ge=0, le=1, description="of videos: one annotator instead of num_annotators"
    )
    spelling_share: float = Field(
        default=0.15, ge=0, le=1, description="of annotations: label in another spelling"
    )
    boundary_jitter_seconds: float = Field(
        default=0.05,
        ge=0,
        le=0.2,
        description="standard deviation, at both ends of every annotation",
    )
    skill_spread: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="annotators' rates range over 1 -+ this, times the rate",
    )

    @model_validator(mode="after")
    def _rates_leave_correct_annotations(self) -> "CrowdConfig":
        total = sum(getattr(self, name) for name in type(self).model_fields if "_rate" in name)
        if total * (1 + self.skill_spread) > 1:
            raise ValueError(
                f"the error rates sum to {total:g}; times 1 + skill_spread they must not exceed 1"
            )
        return self


class MatchConfig(FrozenModel):
    """How a whole match goes: rallies of changing tempo, and what is done between them."""

    rest_share: float = Field(
        default=0.5,
        ge=0.1,
        le=0.9,
        description="of the time: between rallies, about; there players rest, pick up, feint",
    )
    rally_strokes: float = Field(
        default=3.0, ge=1, le=30, description="mean strokes of a rally, of all players in view"
    )
    tempo_spread: float = Field(
        default=0.15, ge=0, le=0.4, description="rallies' tempos range over exp(-this) to exp(this)"
    )
    pickup_rate: float = Field(default=0.6, ge=0, le=1, description="of rallies: ball picked up")
    fake_share: float = Field(
        default=0.35, ge=0, le=1, description="of what is done between rallies: swings at no ball"
    )
    two_players_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="of the videos, with players_per_video 2: both in view; else one of the pair",
    )


_Factors = tuple[Annotated[float, Field(ge=0.3, le=2.5)], ...]
_Heights = tuple[Annotated[float, Field(ge=-1, le=1)], ...]


class GradesConfig(FrozenModel):
    """Sessions of graded strokes. A level is a factor of the stroke as its player plays it."""

    references: int = Field(
        default=4, ge=0, description="strokes per class and session at grade 1, as references"
    )
    reference_sessions: int = Field(
        default=2, ge=0, description="a player's first sessions, which hold references"
    )
    unchanged: int = Field(
        default=2, ge=0, description="further strokes per class and session at grade 1"
    )
    graded: int = Field(default=1, ge=0, description="strokes per class, session and level")
    mixed: int = Field(
        default=0, ge=0, description="strokes per class and session with every grade drawn"
    )
    amplitude: _Factors = Field(default=(0.6, 0.8, 1.25, 1.5), description="of the arm's swing")
    backswing_time: _Factors = Field(default=(0.7, 1.4), description="of ready to backswing")
    forward_time: _Factors = Field(default=(0.7, 1.4), description="of backswing to contact")
    follow_time: _Factors = Field(default=(0.7, 1.4), description="of contact to end")
    turn: _Factors = Field(default=(0.5, 1.5), description="of the trunk's turn")
    height: _Heights = Field(
        default=(-0.2, 0.2), description="added to the bat hand's at contact, torso lengths"
    )
    variation: float = Field(
        default=0.5,
        ge=0,
        le=2,
        description="of a player's strokes; 1: as in other sources; 0: none but sway and where he "
        "stands",
    )
    session_spread: float = Field(
        default=1.0,
        ge=0,
        le=3,
        description="of habits, camera height and scale between sessions; 0: none",
    )
    azimuth_deg: float = Field(
        default=24.0, ge=0, le=60, description="of the cameras, on the whole"
    )
    azimuth_spread_deg: float = Field(
        default=8.0, ge=0, le=60, description="width of the range of the sessions' azimuths"
    )
    videos_per_session: int = Field(default=1, ge=1, description="of one player")
    poses: bool = Field(default=False, description="write the true joints of every frame")

    @model_validator(mode="after")
    def _holds_strokes(self) -> "GradesConfig":
        levels = (self.amplitude, self.backswing_time, self.forward_time, self.follow_time,
                  self.turn, self.height)  # fmt: skip
        planted = self.graded * sum(len(values) for values in levels) + self.mixed
        if self.references + self.unchanged + planted == 0:
            raise ValueError("sessions without strokes; expected references, unchanged or graded")
        return self


class SynthConfig(FrozenModel):
    """A synthetic source: its videos, its players and its crowd."""

    num_videos: int = Field(default=4, ge=1, description="videos to render")
    num_players: int = Field(default=4, ge=1, description="players, assigned to videos in turn")
    seconds: float = Field(default=30.0, gt=0, description="length of each video")
    fps: float = Field(default=120.0, ge=5, le=1000, description="frames per second")
    width: int = Field(default=640, ge=64, le=7680, multiple_of=2, description="pixels")
    height: int = Field(default=360, ge=64, le=4320, multiple_of=2, description="pixels")
    seed: int = Field(default=0, ge=0, description="the same seed gives the same pixels and truth")
    strokes: tuple[str, ...] = Field(
        default=tuple(stroke.label for stroke in TTSTROKE21.strokes),
        min_length=1,
        description="classes performed, any spelling of the TTStroke-21 taxonomy",
    )
    players_per_video: int = Field(default=1, ge=1, le=2, description="2: one at each table end")
    left_handed_share: float = Field(default=0.15, ge=0, le=1, description="of the players")
    num_annotators: int = Field(default=3, ge=1, description="per video")
    min_stroke_seconds: float = Field(default=0.75, ge=0.7, description="at the player's tempo 1")
    max_stroke_seconds: float = Field(default=1.7, le=1.9, description="at the player's tempo 1")
    ball: bool = Field(default=True, description="draw a ball")
    flicker: float = Field(
        default=0.01, ge=0, le=0.2, description="relative amplitude of the lamps"
    )
    flicker_hz: float = Field(default=99.7, gt=0, description="twice the mains frequency")
    noise: float = Field(default=1.5, ge=0, le=20, description="standard deviation, grey levels")
    shake: float = Field(
        default=0.1, ge=0, le=4, description="camera shake, pixels of a 320 x 180 frame, peak"
    )
    crf: int = Field(default=22, ge=0, le=51, description="x264 quality: lower is better")
    preset: str = Field(default="ultrafast", description="x264 preset")
    crowd: CrowdConfig = CrowdConfig()
    matches: bool = Field(default=False, description="whole matches instead of strokes in a row")
    match: MatchConfig = MatchConfig()
    half_annotated_share: float = Field(
        default=0.0, ge=0, le=1, description="of the videos: annotated in some spans only"
    )
    graded: bool = Field(
        default=False, description="sessions of graded strokes, as long as they need"
    )
    grades: GradesConfig = GradesConfig()

    @field_validator("strokes")
    @classmethod
    def _known(cls, strokes: tuple[str, ...]) -> tuple[str, ...]:
        names = []
        for label in strokes:
            name = TTSTROKE21.canonical(label)
            if name is None or name == TTSTROKE21.negative:
                raise ValueError(f"unknown stroke {label!r}; known: {_LABELS}")
            names.append(name)
        if len(set(names)) < len(names):
            raise ValueError("a stroke is there twice")
        return tuple(name for name in _ORDER if name in names)

    @model_validator(mode="after")
    def _consistent(self) -> "SynthConfig":
        if self.min_stroke_seconds > self.max_stroke_seconds:
            raise ValueError(
                f"min_stroke_seconds {self.min_stroke_seconds} exceeds "
                f"max_stroke_seconds {self.max_stroke_seconds}"
            )
        if self.players_per_video > self.num_players:
            raise ValueError(
                f"players_per_video {self.players_per_video} exceeds num_players {self.num_players}"
            )
        if self.match != MatchConfig() and not self.matches:
            raise ValueError("settings of match without matches=true; add --matches")
        if self.grades != GradesConfig() and not self.graded:
            raise ValueError("settings of grades without graded=true; add --graded")
        if self.graded and (self.matches or self.players_per_video == 2):
            raise ValueError("graded sessions are of one player, and no matches")
        if self.graded and self.seconds != type(self).model_fields["seconds"].default:
            raise ValueError("graded sessions last as long as their strokes; leave seconds out")
        return self

    def recorded(self) -> dict[str, object]:
        """The configuration for `synth.json`, which names later settings only where they are used.

        So a folder of a release that did not know them is still a folder of this configuration.
        """
        values = self.model_dump(mode="json")
        for name in ("matches", "match", "half_annotated_share", "graded", "grades"):
            if getattr(self, name) == type(self).model_fields[name].default:
                values.pop(name)
        return values

    @property
    def num_frames(self) -> int:
        """Frames of each video; graded sessions are as long as their strokes need."""
        return max(1, round(self.seconds * self.fps))

    @property
    def taxonomy(self) -> Taxonomy:
        """TTStroke-21 restricted to the strokes performed, with its rejection class."""
        kept = tuple(stroke for stroke in TTSTROKE21.strokes if stroke.label in self.strokes)
        name = "ttstroke21" if kept == TTSTROKE21.strokes else f"ttstroke21-{len(kept)}-strokes"
        return TTSTROKE21.model_copy(update={"name": name, "strokes": kept})


_ORDER = tuple(stroke.label for stroke in TTSTROKE21.strokes)
_LABELS = ", ".join(_ORDER)
