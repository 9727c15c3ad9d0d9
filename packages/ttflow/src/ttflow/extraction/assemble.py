"""Stored rows from frames whose centres are known; overlapping clips share encoded bytes."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ttflow.compiled.cells import cell_means
from ttflow.extraction.frames import EncodedFrame, FlowFrame, PatchFrame
from ttflow.extraction.tracking import Points
from ttflow.roi import Region
from ttflow.schema import FLAG_NO_MOTION, FLOW_UNIT, FlowConfig
from ttflow.shards.intervals import ClipSpec, Interval
from ttflow.shards.patches import (
    center_crop,
    cut_flow,
    cut_rgb,
    encode_flow,
    encode_rgb,
    patch_left_top,
)

BACKGROUND_HW = (18, 32)
"""Height and width of the picture of the background-only baseline (specification 3.3)."""


class Sink(Protocol):
    """Takes the rows of a video, columns of `PartRow`, in order of their stored end."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Take a row."""

    def restart(self) -> None:
        """Forget the rows taken so far: the video starts again."""


@dataclass
class _OpenClip:
    spec: ClipSpec
    stored: Interval
    frames: list[EncodedFrame] = field(default_factory=list)
    thumbs: list[NDArray[np.uint8]] = field(default_factory=list)


class Assembler:
    """Cuts and encodes patches, once per frame and region, and gives whole clips to the sink."""

    def __init__(
        self,
        clips: Sequence[ClipSpec],
        stored: Sequence[Interval],
        config: FlowConfig,
        sink: Sink,
    ) -> None:
        # Sorted by stored start, so that only clips in progress are looked at.
        pairs = sorted(zip(stored, clips, strict=True), key=lambda pair: pair[0])
        self._waiting = deque(_OpenClip(clip, at) for at, clip in pairs)
        self._open: list[_OpenClip] = []
        self._config = config
        self._sink = sink

    def push(self, frame: FlowFrame, points: Points) -> None:
        """Add the next stored frame of the video with its centres."""
        encoded: dict[Region | None, EncodedFrame] = {}
        thumb: NDArray[np.uint8] | None = None
        while self._waiting and self._waiting[0].stored[0] <= frame.index:
            self._open.append(self._waiting.popleft())
        for clip in self._open:
            region = clip.spec.region
            if region not in encoded:
                patch = cut_frame(frame, *points[region], self._config)
                encoded[region] = encode_frame(patch, self._config)
            clip.frames.append(encoded[region])
            if clip.spec.start_frame <= frame.index < clip.spec.end_frame:
                if thumb is None:
                    thumb = _thumb(frame.rgb)
                clip.thumbs.append(thumb)
            if frame.index == clip.stored[1] - 1:
                self._sink.write(_row(clip))
        self._open = [clip for clip in self._open if frame.index < clip.stored[1] - 1]


def cut_frame(
    frame: FlowFrame, center_xy: tuple[float, float], moves: bool, config: FlowConfig
) -> PatchFrame:
    """The patch of a frame round a centre: cut, its flow quantised."""
    crop_hw = (config.crop_height, config.crop_width)
    frame_hw = (config.frame_height, config.frame_width)
    left, top = patch_left_top(center_xy, crop_hw, frame_hw, config.patch_side)
    return PatchFrame(
        index=frame.index,
        time_seconds=frame.time_seconds,
        flags=frame.flags | (0 if moves else FLAG_NO_MOTION),
        roi_xy=center_xy,
        left_top=(left, top),
        rgb=cut_rgb(frame.rgb, left, top, config.patch_side),
        flow=cut_flow(frame.flow, left, top, config.patch_side),
    )


def encode_frame(patch: PatchFrame, config: FlowConfig) -> EncodedFrame:
    """What is stored of a patch."""
    cropped = center_crop(patch.flow, (config.crop_height, config.crop_width))
    # Not the largest magnitude: -32768 has none, and two passes without a copy are shorter.
    highest, lowest = (edge.astype(np.int32) for edge in (cropped.max((1, 2)), cropped.min((1, 2))))
    fastest = np.maximum(highest, -lowest)
    return EncodedFrame(
        roi_xy=patch.roi_xy,
        left_top=patch.left_top,
        flags=patch.flags,
        time_seconds=patch.time_seconds,
        flow_max_px=(float(fastest[0]) / FLOW_UNIT, float(fastest[1]) / FLOW_UNIT),
        rgb=encode_rgb(patch.rgb, config.jpeg_quality),
        flow=encode_flow(patch.flow),
    )


def _thumb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    cells = [divmod(side, count) for side, count in zip(image.shape, BACKGROUND_HW, strict=False)]
    if any(rest for _, rest in cells) or cells == [(2, 0), (2, 0)]:
        return np.asarray(cv2.resize(image, BACKGROUND_HW[::-1], interpolation=cv2.INTER_AREA))
    means = np.empty((*BACKGROUND_HW, 3), np.uint8)
    cell_means(np.ascontiguousarray(image), means)
    return means


def _row(clip: _OpenClip) -> dict[str, Any]:
    frames = clip.frames
    background = np.rint(np.median(np.stack(clip.thumbs), axis=0)).astype(np.uint8)
    return {
        "clip_id": clip.spec.clip_id,
        "stored_start_frame": clip.stored[0],
        "stored_end_frame": clip.stored[1],
        "roi_xy": [value for frame in frames for value in frame.roi_xy],
        "patch_left_top": [value for frame in frames for value in frame.left_top],
        "flags": [frame.flags for frame in frames],
        "time_seconds": [frame.time_seconds for frame in frames],
        "flow_max_px": [value for frame in frames for value in frame.flow_max_px],
        "rgb": [frame.rgb for frame in frames],
        "flow": [frame.flow for frame in frames],
        "background_rgb": background.tobytes(),
    }
