"""The tables and settings of curation, one frozen Pydantic model per table (docs/formats.md).

Frames are 0-based and intervals half-open, `[start_frame, end_frame)`.
"""

from typing import Literal

from pydantic import Field, model_validator

from ttdata.settings import FrozenModel
from ttdata.taxonomy import Taxonomy

SCHEMA_VERSION = 1

Reason = Literal[
    "starts_at_first_frame",
    "ends_after_video",
    "too_short",
    "too_long",
    "unlabelled",
    "unknown_label",
    "unknown_video",
    "empty_interval",
]
"""Why an annotation was rejected (specification 1.1), in the order in which reasons are listed."""

Kind = Literal["stroke", "negative", "straddling", "rest"]
"""A clip of a dataset is one of the first two, a stretch one of the others."""
StretchKind = Literal["straddling", "rest"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Strategy = Literal["paper", "grouped", "given", "file"]
Group = Literal["video", "player", "session"]


class Video(FrozenModel):
    """A row of `videos.parquet`: the facts of one video, read from the file itself."""

    video_id: str = Field(description="path below the source, without extension; unique")
    path: str | None = Field(
        default=None, description="absolute path or URL; null where no file is at hand"
    )
    fps: float = Field(gt=0, description="average frames per second")
    num_frames: int = Field(ge=0, description="as the container declares them, else its packets")
    width: int = Field(ge=0, description="pixels as shown, rotation applied")
    height: int = Field(ge=0, description="pixels as shown, rotation applied")
    player_id: str | None = Field(default=None, description="the one player in view")
    session_id: str | None = Field(default=None, description="videos of one recording day or hall")
    given_split: Split | None = Field(default=None, description="the split the source came with")
    frame_seconds: tuple[float, ...] | None = Field(
        default=None,
        description="when each frame is shown; null where frame i is shown at i / fps",
    )


class Region(FrozenModel):
    """Where the player of a stroke is, as fractions of the frame; all four or none."""

    x_min: float | None = Field(default=None, ge=0, le=1, description="share of the width")
    y_min: float | None = Field(default=None, ge=0, le=1, description="share of the height")
    x_max: float | None = Field(default=None, ge=0, le=1, description="share of the width")
    y_max: float | None = Field(default=None, ge=0, le=1, description="share of the height")


class Annotation(Region):
    """A row of `annotations.parquet`: one annotator's stroke, kept whether accepted or not."""

    annotation_id: str = Field(description="unique; the row number where the source has none")
    video_id: str = Field(description="as the source names it, known or not")
    annotator_id: str = Field(description="who made it; empty where the source is silent")
    start_frame: int | None = Field(description="null where the source held no number")
    end_frame: int | None = Field(description="exclusive; null where the source held no number")
    label: str | None = Field(description="canonical where the taxonomy knows it, else as read")
    player_id: str | None = Field(default=None, description="who performs the stroke")
    accepted: bool = Field(description="no reason speaks against it")
    reasons: tuple[str, ...] = Field(description="every Reason that applies; empty when accepted")
    action_id: str | None = Field(default=None, description="the action this annotation supports")


class Action(Region):
    """A row of `actions.parquet`: one stroke, merged from the annotations of its annotators."""

    action_id: str = Field(description="`<video_id>@<start>-<end>`, as clip_id")
    video_id: str = Field(description="a video of `videos.parquet`")
    start_frame: int = Field(description="median of the annotators' starts")
    end_frame: int = Field(description="exclusive; median of the annotators' ends")
    label: str | None = Field(description="null where the annotators disagree and none was chosen")
    status: Literal["accepted", "set_aside"] = Field(description="only accepted ones become clips")
    num_annotators: int = Field(ge=1, description="distinct annotators who annotated it")
    annotation_ids: tuple[str, ...] = Field(description="the annotations merged into it, sorted")
    labels: tuple[str, ...] = Field(description="the annotators' labels, in annotation_ids' order")
    start_spread_frames: float = Field(ge=0, description="largest minus smallest start")
    end_spread_frames: float = Field(ge=0, description="largest minus smallest end")
    overlaps_other: bool = Field(description="overlaps another action of its video by over 0.25")
    player_id: str | None = Field(
        default=None, description="from the annotations, else from the video"
    )


class Clip(Region):
    """A row of `clips.parquet`: a stroke or a negative, with its split."""

    clip_id: str = Field(
        description="`<video_id>@<start>-<end>`, `#2` and on appended where regions share an "
        "interval: a new label or split keeps the id"
    )
    video_id: str = Field(description="a video of `videos.parquet`")
    start_frame: int = Field(description="first frame of the clip")
    end_frame: int = Field(description="exclusive")
    label: str = Field(description="canonical name of the taxonomy")
    kind: Kind = Field(
        description="negative: the label is the rejection class; in shards also straddling, rest: "
        "of `stretches.parquet`"
    )
    split: Split | None = Field(description="null for a negative that is not used, or before split")
    player_id: str | None = Field(default=None, description="who performs it; null if unknown")


class Review(Region):
    """A row of `reviews.csv`: a person's decision, matched by video and interval (IoU >= 0.5).

    Where two players are in view, `player_id` or the region tells whose stroke is meant.
    """

    video_id: str = Field(description="a video of `videos.parquet`")
    start_frame: int = Field(description="first frame of what is reviewed")
    end_frame: int = Field(description="exclusive")
    decision: Literal["accept", "reject", "relabel", "move", "drop"] = Field(
        description="accept, reject: a negative; relabel, move, drop: an action; accept of an "
        "action takes an earlier drop back"
    )
    label: str | None = Field(default=None, description="relabel: the new label, any spelling")
    new_start_frame: int | None = Field(default=None, description="move: the new first frame")
    new_end_frame: int | None = Field(default=None, description="move: the new end, exclusive")
    reviewer_id: str | None = Field(default=None, description="who decided; for the record")
    player_id: str | None = Field(default=None, description="whose stroke, where several overlap")


class Suspect(FrozenModel):
    """A row of `suspects.parquet`: a clip whose label is probably wrong, by an audit."""

    clip_id: str = Field(description="a clip of `clips.parquet`")
    label: str = Field(description="that is doubted; a clip with another one is no suspect now")
    suspicion: float = Field(ge=0, le=1, description="near 1 is most suspect")
    suggested_label: str | None = Field(default=None, description="what it may be instead")
    split: Split | None = Field(default=None, description="when it was audited")


class CoveredSpan(FrozenModel):
    """A row of `covered.parquet`: frames of a half-annotated video that people annotated."""

    video_id: str = Field(description="a video of `videos.parquet`; without a row: all of it")
    start_frame: int = Field(ge=0, description="first frame that people looked at")
    end_frame: int = Field(ge=0, description="exclusive; equal to the start: nothing is covered")


class Stretch(Region):
    """A row of `stretches.parquet`: frames of a video in which every window is a negative."""

    clip_id: str = Field(
        description="`<video_id>@<start>-<end>+<kind>`, `#2` and on appended where regions share "
        "an interval"
    )
    video_id: str = Field(description="a video of `videos.parquet`")
    start_frame: int = Field(description="first frame of the stretch")
    end_frame: int = Field(description="exclusive")
    kind: StretchKind = Field(
        description="straddling: its windows hold up to 0.3 of a stroke's end or beginning; rest: "
        "they lie between strokes"
    )
    player_id: str | None = Field(
        default=None, description="whose region it is; null if unknown, or of several"
    )


class CurationConfig(FrozenModel):
    """Every number that shapes a curated dataset (specification 1)."""

    min_duration_seconds: float = Field(default=0.6, gt=0, description="shortest stroke kept")
    max_duration_seconds: float = Field(default=2.3, gt=0, description="longest stroke kept")
    trimmed: bool = Field(
        default=False, description="each file is one stroke: the frame-0 filter is off"
    )
    clip_frames: int | None = Field(
        default=None, ge=1, description="of a trimmed file at most these first frames are used"
    )
    max_overlap: float = Field(
        default=0.25, ge=0, le=1, description="of two strokes: intersection / shorter duration"
    )
    agreement: Literal["unanimity", "majority", "dawid-skene"] = Field(
        default="unanimity", description="how an action whose annotators disagree gets its label"
    )
    min_label_probability: float = Field(
        default=0.5, ge=0, lt=1, description="dawid-skene: a label must be more probable than this"
    )
    negatives: bool = Field(default=True, description="propose gaps between actions as negatives")
    negative_min_actions: int = Field(default=11, ge=2, description="actions a video must hold")
    negative_widen_frames: int = Field(default=10, ge=0, description="added on each side of a gap")
    window_frames: int = Field(default=100, ge=1, description="T, the shortest negative")
    negative_max_seconds: float = Field(
        default=2.3, gt=0, description="of a longer one the centre of this length is kept"
    )
    reviewed_negatives_only: bool = Field(
        default=False, description="use only accepted proposals; not with `whole_video_negatives`"
    )
    whole_video_negatives: bool = Field(
        default=False,
        description="also list the stretches at and between strokes from which `tttrain fit` can "
        "draw negatives: `stretches.parquet`",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "CurationConfig":
        if self.min_duration_seconds > self.max_duration_seconds:
            raise ValueError(
                f"min_duration_seconds {self.min_duration_seconds} exceeds "
                f"max_duration_seconds {self.max_duration_seconds}"
            )
        return self

    @model_validator(mode="after")
    def _reviewable(self) -> "CurationConfig":
        if self.reviewed_negatives_only and self.whole_video_negatives:
            raise ValueError(
                "whole_video_negatives=true lists frames that nobody reviews, expected false with "
                "reviewed_negatives_only=true; switch one of them off"
            )
        return self


class SplitInfo(FrozenModel):
    """How the clips of a dataset were divided, and the leakage of that division."""

    strategy: Strategy
    group: Group = "video"
    seed: int = 0
    shares: tuple[float, float, float] = Field(
        default=(0.7, 0.2, 0.1), description="train, validation, test; what `grouped` aims at"
    )
    leakage: float = Field(
        ge=0, le=1, description="share of test and validation clips whose group is also in train"
    )
    unknown_group_clips: int = Field(
        default=0, ge=0, description="test and validation clips of unknown group; not in leakage"
    )


class DatasetInfo(FrozenModel):
    """`dataset.json`: what a dataset folder (or the shards made from it) is about."""

    schema_version: int = SCHEMA_VERSION
    source: str
    taxonomy: Taxonomy
    config: CurationConfig
    counts: dict[str, int] = Field(description="the funnel: annotations, accepted, actions, ...")
    split: SplitInfo | None = None
    versions: dict[str, str] = Field(default_factory=dict, description="tools that wrote this")
