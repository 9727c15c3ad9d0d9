"""Frames with flow get their centres: a track per region, in memory that no length changes."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ttflow.compiled.motion import frame_center
from ttflow.extraction.frame_buffer import FrameQueue
from ttflow.extraction.frames import FlowFrame
from ttflow.roi import Region, Track, region_mask
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import Interval, inside

Points = Mapping[Region | None, tuple[tuple[float, float], bool]]
"""Per region: the smoothed centre (x, y) of a frame, and whether anything moved in it."""


def tracked_frames(
    frames: Iterable[FlowFrame],
    segments: Sequence[Interval],
    wanted: Sequence[Interval],
    regions: Sequence[Sequence[Region | None]],
    config: FlowConfig,
    max_rest_frames: int | None = None,
) -> Iterator[tuple[FlowFrame, Points]]:
    """The wanted frames with their smoothed centres, half a smoothing kernel late.

    Args:
        frames: of the segments, in order.
        segments: sorted and apart; a track begins and ends with its segment.
        wanted: sorted and apart, inside the segments: frames that are kept for their centre.
        regions: to follow in each segment, each on a track of its own; None is the whole frame.
        config: of the region of interest.
        max_rest_frames: see `Track`; None waits for motion however long it takes.
    """
    tracker = _Tracker(wanted, regions, config, max_rest_frames)
    last_frames = {end - 1 for _, end in segments}
    try:
        for frame in frames:
            yield from tracker.push(frame)
            if frame.index in last_frames:
                yield from tracker.finish()
        yield from tracker.finish()
    finally:
        tracker.close()


class _Tracker:
    """Follows the regions of interest through a segment; frames wait in it for their centres."""

    def __init__(
        self,
        wanted: Sequence[Interval],
        regions: Sequence[Sequence[Region | None]],
        config: FlowConfig,
        max_rest_frames: int | None,
    ) -> None:
        self._config = config
        self._wanted = wanted
        self._coming = deque(regions)
        self._regions: Sequence[Region | None] = ()
        self._max_rest_frames = max_rest_frames
        self._queue = FrameQueue()
        self._parts: dict[Region, NDArray[np.bool_]] = {}
        self._begin()

    def _begin(self) -> None:
        """Follow the regions of the next segment: the others would cost time and show nowhere."""
        config = self._config
        if self._coming:
            self._regions = self._coming.popleft()
        size = (config.frame_height, config.frame_width)
        self._tracks = [
            Track(size, config.smooth_taps, config.smooth_sigma_frames, self._max_rest_frames)
            for _ in self._regions
        ]
        self._centers: list[deque[torch.Tensor]] = [deque() for _ in self._regions]
        self._moving: list[deque[bool]] = [deque() for _ in self._regions]
        self._is_wanted: deque[bool] = deque()

    def push(self, frame: FlowFrame) -> Iterator[tuple[FlowFrame, Points]]:
        """Add the next frame of the segment; yields those whose centres are now certain."""
        wanted = inside(frame.index, self._wanted)
        self._is_wanted.append(wanted)
        if wanted:
            self._queue.push(frame)
        for position, region in enumerate(self._regions):
            center = self._center(frame.flow, region)
            self._moving[position].append(center is not None)
            point = None if center is None else torch.tensor(center, dtype=torch.float64)
            self._centers[position].extend(self._tracks[position].push(point))
        return self._drain()

    def _center(
        self, flow: NDArray[np.float32], region: Region | None
    ) -> tuple[float, float] | None:
        config = self._config
        if region is not None and region not in self._parts:
            size = (config.frame_height, config.frame_width)
            self._parts[region] = region_mask(region, size).numpy()
        return frame_center(
            flow,  # masked already
            None if region is None else self._parts[region],
            (config.crop_height, config.crop_width),
            config.roi_alpha,
            config.roi_threshold_px,
        )

    def finish(self) -> Iterator[tuple[FlowFrame, Points]]:
        """End the segment: yields every frame that waits; a new segment may begin."""
        for track, centers in zip(self._tracks, self._centers, strict=True):
            centers.extend(track.finish())
        yield from self._drain()
        self._begin()

    def close(self) -> None:
        """Free the queue."""
        self._queue.close()

    def _drain(self) -> Iterator[tuple[FlowFrame, Points]]:
        while self._is_wanted and all(self._centers):
            wanted = self._is_wanted.popleft()
            centers = [waiting.popleft() for waiting in self._centers]
            moving = [waiting.popleft() for waiting in self._moving]
            if wanted:
                points = {
                    region: ((float(center[0]), float(center[1])), moves)
                    for region, center, moves in zip(self._regions, centers, moving, strict=True)
                }
                yield self._queue.pop(), points
