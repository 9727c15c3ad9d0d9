"""One pass over a video: the landmarks of all its clips."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ttdata.curation.player_regions import Region
from ttdata.errors import VideoError
from ttdata.video.decode import DecodedFrame, Hwaccel, decoded
from ttflow.pose.clip_pose import ClipPose, estimated_frames
from ttflow.pose.config import PoseConfig
from ttflow.pose.model import PoseModel
from ttflow.pose.tracker import Tracker


@dataclass(frozen=True)
class PoseClip:
    """A clip whose player is to be followed."""

    clip_id: str
    stored: tuple[int, int]
    """Its stored frames, the end exclusive."""
    region: Region | None = None


def estimate_video(
    path: Path | str,
    clips: Sequence[PoseClip],
    fps: float,
    model: PoseModel,
    config: PoseConfig,
    *,
    hwaccel: Hwaccel = "none",
    on_frame: Callable[[int], None] | None = None,
) -> list[ClipPose]:
    """Estimate the landmarks of the clips of a video, each with a track of its own.

    The video is decoded once, up to the last frame that is needed; only frames that are estimated
    are converted to pictures, one at a time.

    Args:
        path: of the video, or a URL.
        clips: its clips, any order; they may overlap.
        fps: of the video.
        model: of `open_model`, or another.
        config: rate and thresholds.
        hwaccel: see `ttdata.video.decode.frames`.
        on_frame: called with the number of frames decoded so far.

    Returns:
        one for each clip, in their order.

    Raises:
        VideoError: if the video cannot be decoded, or ends before a clip does.
    """
    open_clips = [_OpenClip(clip, model, config) for clip in clips]
    wanting: dict[int, list[_OpenClip]] = {}
    for clip, each in zip(clips, open_clips, strict=True):
        for index in estimated_frames(*clip.stored, fps, config.rate_hz).tolist():
            wanting.setdefault(index, []).append(each)
    end = max((clip.stored[1] for clip in clips), default=0)
    for frame in _frames_until(path, end, hwaccel):
        if takers := wanting.get(frame.index):
            picture = frame.image()
            for each in takers:
                each.picture_hw = (picture.shape[0], picture.shape[1])
                each.tracker.add(frame.index, picture)
        if on_frame is not None:
            on_frame(frame.index + 1)
    return [each.pose(fps) for each in open_clips]


class _OpenClip:
    def __init__(self, clip: PoseClip, model: PoseModel, config: PoseConfig) -> None:
        self.tracker = Tracker(model, config, clip.region)
        self.picture_hw = (0, 0)
        self._clip_id = clip.clip_id

    def pose(self, fps: float) -> ClipPose:
        found = self.tracker.result()
        return ClipPose(
            frames=found.frames,
            points=found.points,
            world=found.world,
            visibility=found.visibility,
            presence=found.presence,
            clip_id=self._clip_id,
            fps=fps,
            picture_hw=self.picture_hw,
        )


def _frames_until(path: Path | str, end: int, hwaccel: Hwaccel) -> Iterator[DecodedFrame]:
    """The frames of a video before `end`, all of which must be there."""
    count = 0
    for frame in islice(decoded(path, hwaccel), end):
        count += 1
        yield frame
    if count < end:
        raise VideoError(
            f"{path}: only {count} frames decode, expected {end}, as extraction found; "
            "run `ttflow extract` again"
        )
