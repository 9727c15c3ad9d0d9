"""Frames of a video in presentation order, as a viewer would see them."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ttdata.errors import VideoError
from ttdata.video.container import (
    Orientation,
    best_stream,
    clock_start,
    open_container,
    orientation,
    reason,
    turns,
)

Image = NDArray[np.uint8]
Hwaccel = Literal["none", "auto"]

_FALLBACK_FPS = 25.0

EXACT = (
    Interpolation.AREA
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
"""Area averages, colour at full resolution, and the same pixels on every CPU."""

_DEVICES = ("cuda", "vaapi", "videotoolbox", "d3d11va")
_EXACT_CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
"""Their standards fix every bit of a decoded frame, so a device gives what software gives."""


def frames(
    path: Path | str, size: tuple[int, int] | None = None, hwaccel: Hwaccel = "none"
) -> Iterator[tuple[int, float, Image]]:
    """Decode a video: yields index, time in seconds, and an RGB image.

    The best video stream, in presentation order, display matrix applied. One decoder thread;
    memory does not depend on the length. A frame number in an annotation is this index.

    Args:
        path: of the video, or a URL that fsspec opens.
        size: (height, width) to resize to by area interpolation; None gives the displayed size,
            with pixels made square where the file states another aspect.
        hwaccel: "auto" decodes on a device where there is one that can, else in software. Only
            codecs whose standard fixes every bit are given to it, so the pixels of an undamaged
            file are the same.

    Yields:
        index from 0, presentation time from where a player's clock starts (strictly increasing: a
        missing or backward timestamp is replaced by the previous one plus a frame's duration),
        (H, W, 3) uint8.

    Raises:
        VideoError: if the file cannot be opened, has no video, yields no frame, or a frame cannot
            be decoded; names file, frame and the number of frames its header promises.
    """
    for frame in decoded(path, hwaccel):
        yield frame.index, frame.time_seconds, frame.image(size)


@dataclass(frozen=True)
class DecodedFrame:
    """A frame that is decoded but not yet converted: the picture costs as much again."""

    index: int
    time_seconds: float
    raw: VideoFrame
    pixel_aspect: Fraction | None
    """Width over height of a stored pixel, where the file states it."""

    converter: VideoReformatter
    """Shared by the frames of a video: it keeps its tables from frame to frame."""

    orientation: Orientation
    """As the picture is displayed."""

    @property
    def shown_hw(self) -> tuple[float, float]:
        """Height and width as displayed, in square pixels."""
        stored = float(self.raw.height), float(self.raw.width * (self.pixel_aspect or 1))
        return stored[::-1] if self.orientation.swaps_sides else stored

    def image(self, size: tuple[int, int] | None = None) -> Image:
        """(H, W, 3) uint8 RGB, oriented as displayed and resized by area; see `frames`."""
        height, width = self.raw.height, self.raw.width
        shown = self.orientation
        if size is None:
            stored = height, max(1, round(width * (self.pixel_aspect or 1)))
        else:
            stored = (size[1], size[0]) if shown.swaps_sides else size
        reduces = stored[0] <= height and stored[1] <= width
        image = self._rgb(stored) if reduces else _resized(self._rgb((height, width)), stored)
        if shown.mirrored:
            image = image[::-1]
        # FFmpeg's angle is counterclockwise, as is rot90's.
        return np.ascontiguousarray(np.rot90(image, shown.turns))

    def _rgb(self, size_hw: tuple[int, int]) -> Image:
        """The stored picture, converted and reduced in one step."""
        # One thread: PyAV starts a pool per frame otherwise, at many times the cost.
        rgb = self.converter.reformat(
            self.raw, size_hw[1], size_hw[0], "rgb24", interpolation=EXACT, threads=1
        )
        return np.asarray(rgb.to_ndarray(), np.uint8)


def decoded(path: Path | str, hwaccel: Hwaccel = "none") -> Iterator[DecodedFrame]:
    """The frames of `frames`, not yet converted.

    Raises:
        VideoError: as `frames`.
    """
    with _open(path, hwaccel) as container:
        stream = best_stream(container)
        if stream is None:
            raise VideoError(f"{path}: holds no video stream")
        if stream.codec_context is None:
            raise VideoError(f"{path}: its video is in a codec that this FFmpeg does not know")
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        step_seconds = 1.0 / float(stream.average_rate or _FALLBACK_FPS)
        zero_seconds = clock_start(container)
        time_seconds, index = -np.inf, 0
        source, converter = iter(container.decode(stream)), VideoReformatter()
        shown: Orientation | None = None
        while (frame := _next_frame(source, path, index, stream.frames)) is not None:
            stated = None if frame.time is None else frame.time - zero_seconds
            if stated is None or stated <= time_seconds:
                stated = time_seconds + step_seconds if index else 0.0
            time_seconds = float(stated)
            # PyAV ties a frame that was asked for its matrix into a cycle, so that its picture
            # stays until Python looks for those: ask the first one, and where its angle changes.
            if shown is None or turns(frame) != shown.turns:
                shown = orientation(frame)
            aspect = stream.sample_aspect_ratio
            yield DecodedFrame(index, time_seconds, frame, aspect, converter, shown)
            index += 1
        if index == 0:
            raise VideoError(f"{path}: opens but yields no frame{_promise(stream.frames)}")


def _open(path: Path | str, hwaccel: Hwaccel) -> Any:
    container = _opened(path, None)
    stream = best_stream(container)
    context = None if stream is None else stream.codec_context
    if hwaccel == "none" or context is None or context.codec.canonical_name not in _EXACT_CODECS:
        return container
    for device in _DEVICES:
        if device in hwdevices_available():
            try:
                accelerated = _opened(path, HWAccel(device, allow_software_fallback=True))
            except VideoError:  # the library knows the device, this machine has none
                continue
            container.close()
            return accelerated
    return container


def _opened(path: Path | str, accelerator: HWAccel | None) -> Any:
    try:
        return open_container(path, accelerator)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be opened as a video ({reason(error)})") from error


def _next_frame(
    source: Iterator[VideoFrame], path: Path | str, index: int, promised: int
) -> VideoFrame | None:
    try:
        return next(source, None)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: frame {index} cannot be decoded{_promise(promised)}: {reason(error)}"
        ) from error


def _promise(promised: int) -> str:
    return f" (the header promises {promised} frames)" if promised else ""


def _resized(image: Image, size_hw: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA), np.uint8)
