"""From a video to the stored rows of its clips: one pass, in memory that no length changes.

    decoded frames -> working frames, foreground -> flow, masked     (runs only)
        -> centre per frame -> Track: filled and smoothed, half a kernel late
        -> FrameQueue: pixels wait for their centres -> patches, encoded once -> rows

No Ray here; `ray_pipeline` calls `extract_video` once per video.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ttdata.errors import VideoError
from ttdata.video.decode import DecodedFrame, decoded
from ttflow.extraction.assemble import Assembler, Sink
from ttflow.extraction.frame_buffer import FrameQueue, StoredFrame
from ttflow.flow.estimators import Estimator
from ttflow.foreground import Foreground
from ttflow.roi import Region, Track, frame_centers
from ttflow.schema import FLAG_NO_FLOW, FLAG_UNMASKED, FlowConfig
from ttflow.shards.intervals import ClipSpec, Interval, VideoPlan, inside, plan_video, unions
from ttflow.shards.patches import quantize_flow


@dataclass(frozen=True)
class VideoFacts:
    """What a pass over a video found."""

    num_frames: int
    flow_frames: int


@dataclass(frozen=True)
class Motion:
    """A working frame and its flow to the next one."""

    index: int
    time_seconds: float
    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    """None where there is no foreground information."""
    flow: NDArray[np.float32]
    """(2, H, W), masked where there is a mask; zero for the last frame of the video."""
    has_successor: bool = True

    @property
    def flags(self) -> int:
        """The sum of FLAG_NO_FLOW and FLAG_UNMASKED that applies."""
        missing = 0 if self.has_successor else FLAG_NO_FLOW
        return missing + (FLAG_UNMASKED if self.mask is None else 0)


def extract_video(
    path: Path | str,
    clips: Sequence[ClipSpec],
    config: FlowConfig,
    estimator: Estimator,
    sink: Sink,
    promised_frames: int = 0,
    on_frame: Callable[[int], None] | None = None,
) -> VideoFacts:
    """Compute the stored rows of a video's clips and give them to the sink.

    Stored intervals depend on how many frames the video really has. The pass begins with the
    promised number; if it turns out wrong in a way that matters, one more pass follows.

    Args:
        path: of the video.
        clips: its clips, any order; each `clip_id` once.
        config: everything that changes a pixel.
        estimator: of the flow, on the CPU or a GPU.
        sink: takes the rows.
        promised_frames: the expected number of frames, from `videos.parquet`.
        on_frame: called with the number of frames decoded so far in this pass.

    Returns:
        the number of decoded frames, and of those flow was computed for.

    Raises:
        VideoError: if the video cannot be decoded, or ends before a clip does.
    """
    longest = max((clip.end_frame for clip in clips), default=0)
    total_frames = max(promised_frames, longest)
    ordered = sorted(clips, key=lambda clip: (clip.end_frame, clip.start_frame, clip.clip_id))
    for _ in range(2):
        plan = plan_video(ordered, config, total_frames)
        facts = _pass(path, ordered, plan, config, estimator, sink, on_frame)
        _check_ends(path, ordered, facts.num_frames)
        if plan_video(ordered, config, facts.num_frames) == plan:
            return facts
        total_frames = facts.num_frames
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
) -> VideoFacts:
    counter = _Counter(on_frame)
    working = working_frames(counter.count(decoded(path, config.hwaccel)), config, plan.runs)
    run = _Run(clips, plan, config, sink)
    last_frames = {end - 1 for _, end in plan.runs}
    flow_frames = 0
    try:
        for motion in motions(working, plan.runs, estimator):
            run.push(motion)
            flow_frames += motion.has_successor
            if motion.index in last_frames:
                run.finish()
        run.finish()
    finally:
        run.close()
    return VideoFacts(counter.num_frames, flow_frames)


class _Counter:
    """Counts what passes through, and tells."""

    def __init__(self, on_frame: Callable[[int], None] | None) -> None:
        self.num_frames = 0
        self._on_frame = on_frame

    def count(self, frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        for frame in frames:
            self.num_frames += 1
            if self._on_frame is not None:
                self._on_frame(self.num_frames)
            yield frame


@dataclass(frozen=True)
class WorkingFrame:
    """A frame at working size with its foreground."""

    index: int
    time_seconds: float
    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None


def working_frames(
    frames: Iterator[DecodedFrame], config: FlowConfig, runs: Sequence[Interval]
) -> Iterator[WorkingFrame]:
    """Working frames from the first of the video to the successor of the last run.

    All of them feed the background model. Later frames are decoded, which finds damage and the
    video's length, but not converted.
    """
    foreground = Foreground(config)
    size = (config.frame_height, config.frame_width)
    last = max((end for _, end in runs), default=-1)
    for frame in frames:
        if frame.index > last:
            continue
        rgb = frame.image(size)
        yield WorkingFrame(frame.index, frame.time_seconds, rgb, foreground(rgb))


def motions(
    frames: Iterator[WorkingFrame], runs: Sequence[Interval], estimator: Estimator
) -> Iterator[Motion]:
    """Frames of the runs with their flow: pairs (t, t + 1), in order.

    Batches are as large as the estimator likes, also across runs, so that a GPU is kept busy where
    runs are short. No more than a batch of frames waits.
    """
    pending: list[tuple[WorkingFrame, WorkingFrame]] = []
    previous: WorkingFrame | None = None
    for frame in frames:
        if previous is not None and inside(previous.index, runs):
            pending.append((previous, frame))
            if len(pending) >= estimator.batch_size:
                yield from _with_flow(pending, estimator)
                pending = []
        previous = frame
    yield from _with_flow(pending, estimator)
    if previous is not None and inside(previous.index, runs):
        nothing = np.zeros((2, *previous.rgb.shape[:2]), np.float32)
        yield Motion(
            previous.index, previous.time_seconds, previous.rgb, previous.mask, nothing, False
        )


def _with_flow(
    pairs: list[tuple[WorkingFrame, WorkingFrame]], estimator: Estimator
) -> Iterator[Motion]:
    if not pairs:
        return
    first, second = (
        torch.from_numpy(np.stack([pair[side].rgb for pair in pairs])).permute(0, 3, 1, 2)
        for side in (0, 1)
    )
    flows = estimator(first, second).cpu().numpy()
    for (frame, _), flow in zip(pairs, flows, strict=True):
        masked = flow if frame.mask is None else flow * frame.mask
        yield Motion(frame.index, frame.time_seconds, frame.rgb, frame.mask, masked)


class _Run:
    """The tracks of the run in progress, and the pixels that wait for their centres."""

    def __init__(
        self, clips: Sequence[ClipSpec], plan: VideoPlan, config: FlowConfig, sink: Sink
    ) -> None:
        self._config = config
        self._stored = unions(plan.stored)
        self._regions: list[Region | None] = sorted(
            {clip.region for clip in clips}, key=lambda region: region or ()
        )
        self._assembler = Assembler(clips, plan.stored, config, sink)
        self._queue = FrameQueue()
        self._begin()

    def _begin(self) -> None:
        config = self._config
        size = (config.frame_height, config.frame_width)
        self._tracks = [
            Track(size, config.smooth_taps, config.smooth_sigma_frames) for _ in self._regions
        ]
        self._centers: list[deque[torch.Tensor]] = [deque() for _ in self._regions]
        self._moving: list[deque[bool]] = [deque() for _ in self._regions]
        self._stored_flags: deque[bool] = deque()

    def push(self, motion: Motion) -> None:
        """Add the next frame of the run."""
        stored = inside(motion.index, self._stored)
        self._stored_flags.append(stored)
        if stored:
            flow = quantize_flow(motion.flow)
            self._queue.push(
                StoredFrame(motion.index, motion.time_seconds, motion.flags, motion.rgb, flow)
            )
        flow_tensor = torch.from_numpy(motion.flow)[None]
        for position, region in enumerate(self._regions):
            center = self._center(flow_tensor, region)
            self._moving[position].append(center is not None)
            self._centers[position].extend(self._tracks[position].push(center))
        self._drain()

    def _center(self, flow: torch.Tensor, region: Region | None) -> torch.Tensor | None:
        config = self._config
        found, moving = frame_centers(
            flow,
            None,  # the flow is masked already
            (config.crop_height, config.crop_width),
            config.roi_alpha,
            config.roi_threshold_px,
            region,
        )
        return found[0] if bool(moving[0]) else None

    def finish(self) -> None:
        """The run is over: every frame that waits gets its centre; a new run may begin."""
        for track, centers in zip(self._tracks, self._centers, strict=True):
            centers.extend(track.finish())
        self._drain()
        self._begin()

    def close(self) -> None:
        """Free the queue."""
        self._queue.close()

    def _drain(self) -> None:
        while self._stored_flags and all(self._centers):
            stored = self._stored_flags.popleft()
            centers = [waiting.popleft() for waiting in self._centers]
            moving = [waiting.popleft() for waiting in self._moving]
            if stored:
                points = {
                    region: ((float(center[0]), float(center[1])), moves)
                    for region, center, moves in zip(self._regions, centers, moving, strict=True)
                }
                self._assembler.push(self._queue.pop(), points)
