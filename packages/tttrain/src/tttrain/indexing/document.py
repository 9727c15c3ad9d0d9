"""`strokes.json`: the strokes of a whole video, and how they were found."""

from typing import Literal

from pydantic import Field

from ttdata.curation.player_regions import Region
from ttdata.settings import FrozenModel

SCHEMA_VERSION = 1


class IndexedStroke(FrozenModel):
    """A stroke that was found in a video."""

    start_frame: int = Field(ge=0, description="first frame")
    end_frame: int = Field(ge=1, description="exclusive")
    start_seconds: float = Field(description="when the first frame is shown")
    end_seconds: float = Field(description="when the frame after the last is shown")
    label: str = Field(description="canonical name of the model's taxonomy")
    score: float = Field(ge=0, le=1, description="how sure the index is of stroke and name")
    player: str | None = Field(default=None, description="the region it was played in, if several")


class VideoIndex(FrozenModel):
    """The strokes of one video, by start frame."""

    schema_version: int = SCHEMA_VERSION
    video_id: str
    video: str = Field(description="absolute path of the file that was read")
    fps: float = Field(gt=0, description="average frames per second")
    num_frames: int = Field(ge=0, description="frames that were decoded")
    video_seconds: float | None = Field(
        default=None, description="when the last frame ends; null: num_frames / fps"
    )
    classes: tuple[str, ...] = Field(description="the model's stroke classes, without rejection")
    model: str = Field(description="the run or model folder, and its weights' checksum")
    decoder: Literal["threshold", "tag", "template", "head"] = Field(
        description="what turned scores into strokes (specification 6)"
    )
    key: str | None = Field(
        default=None, description="hash of video, network, decoder: what the strokes follow from"
    )
    regions: dict[str, Region | None] | None = Field(
        default=None,
        description="by player, the only one by an empty name: where he is followed, as fractions "
        "of the picture (null: all of it); null: of an index that was made before they were kept",
    )
    strokes: tuple[IndexedStroke, ...]

    @property
    def duration_seconds(self) -> float:
        """When the video ends; never before its last stroke."""
        end = self.num_frames / self.fps if self.video_seconds is None else self.video_seconds
        return max([end, *(stroke.end_seconds for stroke in self.strokes)])
