"""From a video to the stored rows of its clips: one pass, in memory that no length changes.

    decoded frames -> working frames, foreground -> flow, masked     (segments only)
        -> centre per frame -> Track: filled and smoothed, half a kernel late
        -> FrameQueue: pixels wait for their centres -> patches, encoded once -> rows

No Ray here; `ray_pipeline` calls `extract_video` once per video.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ttdata.errors import VideoError
from ttdata.video.decode import DecodedFrame, decoded
from ttflow.extraction.assemble import Assembler, Sink
from ttflow.extraction.frames import FlowFrame, WorkingFrame
from ttflow.extraction.masked_flow import Pair, masked_flows
from ttflow.extraction.tracking import tracked_frames
from ttflow.flow.estimators import Estimator
from ttflow.foreground import Foreground
from ttflow.schema import FLAG_NO_FLOW, FLAG_UNMASKED, FlowConfig
from ttflow.shards.intervals import (
    ClipSpec,
    Interval,
    VideoPlan,
    inside,
    plan_video,
    regions_of_segments,
    unions,
)

MAX_SQUASH = 2.0
"""A portrait video that a landscape working frame would squash by more is refused,
and the other way round."""


@dataclass(frozen=True)
class FrameCounts:
    """How many frames a pass decoded, and for how many it computed flow."""

    num_frames: int
    flow_frames: int


def extract_video(
    path: Path | str,
    clips: Sequence[ClipSpec],
    config: FlowConfig,
    estimator: Estimator,
    sink: Sink,
    expected_frames: int = 0,
    on_frame: Callable[[int], None] | None = None,
) -> FrameCounts:
    """Compute the stored rows of a video's clips and give them to the sink.

    Stored intervals depend on how many frames the video really has. The pass begins with the
    expected number; if it turns out wrong in a way that matters, one more pass follows.

    Args:
        path: of the video.
        clips: its clips, any order; each `clip_id` once.
        config: everything that changes a pixel.
        estimator: of the flow, on the CPU or a GPU.
        sink: takes the rows.
        expected_frames: how many frames the video should have, from `videos.parquet`.
        on_frame: called with the number of frames decoded so far in this pass.

    Returns:
        the number of decoded frames, and of those flow was computed for.

    Raises:
        VideoError: if the video cannot be decoded, ends before a clip does, or has another
            shape than the working frame (see `fitting_frames`).
    """
    longest = max((clip.end_frame for clip in clips), default=0)
    total_frames = max(expected_frames, longest)
    ordered = sorted(clips, key=lambda clip: (clip.end_frame, clip.start_frame, clip.clip_id))
    for _ in range(2):
        plan = plan_video(ordered, config, total_frames)
        counts = _pass(path, ordered, plan, config, estimator, sink, on_frame)
        _check_ends(path, ordered, counts.num_frames)
        if plan_video(ordered, config, counts.num_frames) == plan:
            return counts
        total_frames = counts.num_frames
        sink.restart()
    raise VideoError(f"{path}: two passes decoded different numbers of frames")


def _check_ends(path: Path | str, clips: Sequence[ClipSpec], num_frames: int) -> None:
    for clip in clips:
        if clip.end_frame > num_frames:
            raise VideoError(
                f"{path}: clip {clip.clip_id} ends at frame {clip.end_frame}, "
                f"but only {num_frames} frames decode"
            )


def _pass(
    path: Path | str,
    clips: Sequence[ClipSpec],
    plan: VideoPlan,
    config: FlowConfig,
    estimator: Estimator,
    sink: Sink,
    on_frame: Callable[[int], None] | None,
) -> FrameCounts:
    counter = _Counter(on_frame)
    working = working_frames(counter.count(fitting_frames(path, config)), config, plan.segments)
    flows = counter.count_flow(flow_frames(working, plan.segments, estimator))
    regions = regions_of_segments(clips, plan)
    assembler = Assembler(clips, plan.stored, config, sink)
    for frame, points in tracked_frames(flows, plan.segments, unions(plan.stored), regions, config):
        assembler.push(frame, points)
    return FrameCounts(counter.num_frames, counter.num_flow_frames)


class _Counter:
    """Counts the frames that pass through and reports the number."""

    def __init__(self, on_frame: Callable[[int], None] | None) -> None:
        self.num_frames = 0
        self.num_flow_frames = 0
        self._on_frame = on_frame

    def count(self, frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        for frame in frames:
            self.num_frames += 1
            if self._on_frame is not None:
                self._on_frame(self.num_frames)
            yield frame

    def count_flow(self, frames: Iterator[FlowFrame]) -> Iterator[FlowFrame]:
        for frame in frames:
            self.num_flow_frames += not frame.flags & FLAG_NO_FLOW
            yield frame


def fitting_frames(path: Path | str, config: FlowConfig) -> Iterator[DecodedFrame]:
    """The frames of a video, refused where it is portrait and the working frame landscape.

    A little squashing (4:3 shown as 16:9) is the method's; a portrait video in a landscape frame
    would be three times too wide.

    Raises:
        VideoError: if it cannot be decoded, or the working frame would squash it too much.
    """
    working = config.frame_height, config.frame_width
    for frame in decoded(path, config.hwaccel):
        if frame.index == 0:
            height, width = frame.shown_hw
            squash = (width * working[0]) / (height * working[1])
            turned = (width < height) != (working[1] < working[0])
            if turned and not 1 / MAX_SQUASH <= squash <= MAX_SQUASH:
                raise VideoError(
                    f"{path}: {width:.0f} x {height:.0f} pixels would be squashed into a working "
                    f"frame of {working[1]} x {working[0]} (width x height); crop or pad the "
                    "video, or extract videos of this shape into a folder of their own with "
                    "--set frame_width=... --set frame_height=..."
                )
        yield frame


def working_frames(
    frames: Iterator[DecodedFrame], config: FlowConfig, segments: Sequence[Interval]
) -> Iterator[WorkingFrame]:
    """Working frames from the first of the video to the successor of the last segment.

    All of them feed the background model. Later frames are decoded, which finds damage and the
    video's length, but not converted.
    """
    foreground = Foreground(config)
    size = (config.frame_height, config.frame_width)
    last = max((end for _, end in segments), default=-1)
    for frame in frames:
        if frame.index > last:
            continue
        rgb = frame.image(size)
        yield WorkingFrame(frame.index, frame.time_seconds, rgb, foreground(rgb))


def flow_frames(
    frames: Iterator[WorkingFrame], segments: Sequence[Interval], estimator: Estimator
) -> Iterator[FlowFrame]:
    """Frames of the segments with their flow: pairs (t, t + 1), in order.

    Batches are as large as the estimator likes, also across segments, so that a GPU is kept busy
    where segments are short. No more than a batch of frames waits. Where the foreground is empty
    the estimator is not called: see `masked_flow`.
    """
    pending: list[Pair] = []
    previous: WorkingFrame | None = None
    for frame in frames:
        if previous is not None and inside(previous.index, segments):
            pending.append((previous, frame))
            if len(pending) >= estimator.batch_size:
                yield from _with_flow(pending, estimator)
                pending = []
        previous = frame
    yield from _with_flow(pending, estimator)
    if previous is not None and inside(previous.index, segments):
        nothing = np.zeros((2, *previous.rgb.shape[:2]), np.float32)
        yield _flow_frame(previous, nothing, FLAG_NO_FLOW)


def _with_flow(pairs: list[Pair], estimator: Estimator) -> Iterator[FlowFrame]:
    for (frame, _), flow in zip(pairs, masked_flows(pairs, estimator), strict=True):
        yield _flow_frame(frame, flow)


def _flow_frame(frame: WorkingFrame, flow: NDArray[np.float32], flags: int = 0) -> FlowFrame:
    flags += FLAG_UNMASKED if frame.mask is None else 0
    return FlowFrame(frame.index, frame.time_seconds, flags, frame.rgb, flow)
