"""Settings and files of preprocessing (docs/flow_shards.md): configuration, parts, manifests.

Legend: T frames, S side of a stored patch in pixels, `xy` a point (x right, y down).
"""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ttdata.schema import Clip
from ttdata.settings import Float32, FrozenModel
from ttflow.estimator_names import canonical_name, has_weights

SCHEMA_VERSION = 1

FLOW_UNIT = 32
"""Stored flow is int16 in units of 1/32 px: at most 0.0157 px off, 0.009 px rms."""

FLAG_NO_FLOW = 1
"""The frame has no successor: its flow is zero and means nothing."""
FLAG_UNMASKED = 2
"""Foreground warm-up: the stored flow is not masked."""
FLAG_NO_MOTION = 4
"""No moving pixel: the ROI centre is interpolated."""


class FlowConfig(FrozenModel):
    """Every number that changes a stored pixel (specification 2)."""

    frame_height: int = Field(default=180, ge=16, description="working frame, pixels")
    frame_width: int = Field(default=320, ge=16, description="working frame, pixels")
    crop_height: int = Field(default=120, ge=8, description="network input, pixels")
    crop_width: int = Field(default=120, ge=8, description="network input, pixels")
    patch_side: int = Field(default=184, ge=8, description="stored square, pixels")
    window_frames: int = Field(default=100, ge=1, description="T: a clip stores at least these")
    margin_frames: int = Field(
        default=10, ge=0, description="stored beyond T or the stroke, a side"
    )
    estimator: str = Field(
        default="auto",
        validate_default=True,
        description="a name `flow.create` knows, stored in full: `auto` is beyond-pixels",
    )
    weights_sha256: str | None = Field(
        default=None, description="of the file of weights; `extract` fills it in for raft"
    )
    foreground: Literal["knn", "mog2", "none"] = "knn"
    foreground_history: int = Field(default=500, ge=1)
    foreground_threshold: float = Field(default=400.0, gt=0, description="KNN: dist2Threshold")
    warmup_frames: int = Field(default=4, ge=0, description="first frames without foreground")
    roi_alpha: float = Field(default=0.6, ge=0, le=1, description="weight of the argmax")
    roi_threshold_px: float = Field(default=0.0, ge=0, description="|Vx|+|Vy| above this moves")
    smooth_taps: int = Field(default=41, ge=1, description="odd: an even kernel shifts the track")
    smooth_sigma_frames: float = Field(default=40 / 9, gt=0)
    jpeg_quality: int = Field(default=95, ge=1, le=100)
    hwaccel: Literal["none", "auto"] = Field(
        default="none", description="auto: decode on a device that gives the same pixels"
    )

    @field_validator("estimator")
    @classmethod
    def _in_full(cls, name: str) -> str:
        return canonical_name(name)

    @model_validator(mode="after")
    def _consistent(self) -> "FlowConfig":
        if self.weights_sha256 is not None and not has_weights(self.estimator):
            raise ValueError(f"weights_sha256 is given, but {self.estimator!r} has no weights")
        if self.smooth_taps % 2 == 0:
            raise ValueError(f"smooth_taps must be odd, found {self.smooth_taps}")
        if self.crop_height > self.frame_height or self.crop_width > self.frame_width:
            raise ValueError(
                f"crop {self.crop_height} x {self.crop_width} exceeds the working frame "
                f"{self.frame_height} x {self.frame_width} (height x width)"
            )
        for name, side in (("crop_height", self.crop_height), ("crop_width", self.crop_width)):
            if self.patch_side < side or (self.patch_side - side) % 2:
                raise ValueError(
                    f"patch_side {self.patch_side} must exceed {name} {side} by an even number"
                )
        return self


class PartRow(FrozenModel):
    """A row of a Parquet part: the pixels of one clip, as `[stored_start, stored_end)` frames."""

    clip_id: str = Field(description="a clip of `clips.parquet`")
    stored_start_frame: int = Field(description="first stored frame, in frames of the video")
    stored_end_frame: int = Field(description="exclusive")
    roi_xy: list[float] = Field(description="2 per frame: smoothed centre x, y, working frame px")
    patch_left_top: list[int] = Field(
        description="2 per frame: left, top of the patch in the working frame; may lie outside it"
    )
    flags: list[int] = Field(
        description="per frame, a sum: 1 no successor, so zero flow; 2 flow not masked (warm-up); "
        "4 nothing moves, the centre is interpolated"
    )
    time_seconds: list[float] = Field(description="per frame, presentation time in the video")
    flow_max_px: list[float] = Field(
        description="2 per frame: max |Vx|, max |Vy| of the stored flow inside the crop"
    )
    rgb: list[bytes] = Field(description="per frame, JPEG of the (S, S, 3) patch")
    flow: list[bytes] = Field(
        description="per frame, zstd of little-endian int16 (2, S, S), x then y, units of 1/32 px"
    )
    background_rgb: bytes = Field(
        description="(18, 32, 3) uint8: temporal median of the clip's working frames over "
        "[start_frame, end_frame), for the background-only baseline"
    )


class ClipRecord(Clip):
    """A row of the shards' `clips.parquet`: a dataset clip with the facts of its video.

    A stretch of the dataset is one, too: of kind `straddling` or `rest`, without a split.
    """

    fps: float = Field(description="average frames per second of the video")
    num_frames: int = Field(description="decoded frames of the video, not the header's promise")
    session_id: str | None = Field(default=None, description="recording session; null if unknown")
    start_seconds: float | None = Field(
        default=None, description="when the clip begins; null where that is start_frame / fps"
    )
    end_seconds: float | None = Field(
        default=None, description="when the clip ends; null where that is end_frame / fps"
    )


class ClipRow(ClipRecord, PartRow):
    """What `read_clips` yields: identity, labels, split and pixels of one clip."""


class PoseRow(FrozenModel):
    """A row of a file in `pose/`: the landmarks of one person through a clip, in n frames."""

    clip_id: str = Field(description="a clip of `clips.parquet`")
    fps: float = Field(description="average frames per second of the video")
    width: int = Field(description="of the displayed picture that the points are in")
    height: int = Field(description="of the displayed picture that the points are in")
    frames: list[int] = Field(
        description="n frame numbers of the video, ascending: every k-th stored one, and the last"
    )
    points: list[Float32] = Field(
        description="33 x 2 per frame: x, y in pixels of the displayed picture"
    )
    world: list[Float32] = Field(
        description="33 x 3 per frame: x, y, z in metres from the middle of the hips"
    )
    visibility: list[Float32] = Field(
        description="33 per frame, 0 to 1; 0 in all 33 where nobody is seen"
    )
    presence: list[Float32] = Field(
        description="per frame, 0 to 1: the flag of the last attempt; 0 where nobody was detected"
    )


class PartInfo(FrozenModel):
    """One Parquet part, as its manifest commits it."""

    file: str = Field(description="name in `parts/`")
    clip_ids: tuple[str, ...] = Field(description="in the order of the row groups")
    num_bytes: int
    sha256: str = Field(description="of the whole file")


class Manifest(FrozenModel):
    """Written last, as `<video>-<key>.json`: it commits the parts of one video.

    The key is a hash of the configuration, the intervals and the source's fingerprint, so labels
    and splits are not in it.
    """

    schema_version: int = SCHEMA_VERSION
    video_id: str
    key: str = Field(description="hash of configuration, intervals, regions and source")
    source_size_bytes: int
    source_sha256_ends: str = Field(description="of the first and last MiB of the video file")
    num_frames: int = Field(description="decoded frames of the video")
    flow_frames: int = Field(description="frames of the segments that have a successor")
    generation: int = Field(
        default=0, description="of two manifests of a video the higher one is in force"
    )
    parts: tuple[PartInfo, ...]


class ShardsInfo(FrozenModel):
    """`shards.json`: what all parts of a shards folder have in common."""

    schema_version: int = SCHEMA_VERSION
    config: FlowConfig
    config_hash: str
    versions: dict[str, str] = Field(default_factory=dict)


class DatasetFolder(FrozenModel):
    """`dataset_folder.json`: where the dataset lay, for commands that look at its videos again."""

    schema_version: int = SCHEMA_VERSION
    path: str = Field(description="absolute, on the machine that wrote it")


class Failure(FrozenModel):
    """A line of `failures.jsonl`: a video that could not be processed, and why."""

    video_id: str
    path: str | None
    error: str
    num_clips: int
