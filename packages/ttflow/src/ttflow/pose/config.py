"""Settings of pose estimation (specification 2.8)."""

from typing import Literal

from pydantic import Field

from ttdata.settings import FrozenModel


class PoseConfig(FrozenModel):
    """Every number that changes an estimated landmark."""

    model: Literal["blazepose_full"] = Field(
        default="blazepose_full", description="the networks, by the name of their weights"
    )
    rate_hz: float = Field(
        default=30.0, gt=0, description="frames a second that are estimated, at most the video's"
    )
    min_detection: float = Field(
        default=0.3, ge=0, le=1, description="a detection of a lower score is none"
    )
    sure_detection: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="of detections with this score the largest is taken; below it the surest",
    )
    min_presence: float = Field(
        default=0.5, ge=0, le=1, description="landmarks of a lower flag are of nobody"
    )
