"""Frames of a video in presentation order, as a viewer would see them."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from ttdata.errors import VideoError
from ttflow.storage import is_url, local, open_binary

Image = NDArray[np.uint8]

_FALLBACK_FPS = 25.0


def frames(
    path: Path | str, size: tuple[int, int] | None = None
) -> Iterator[tuple[int, float, Image]]:
    """Decode a video: yields index, time in seconds, and an RGB image.

    The best video stream, in presentation order, display rotation applied. One decoder thread;
    memory does not depend on the length. A frame number in an annotation is this index.

    Args:
        path: of the video, or a URL that fsspec opens.
        size: (height, width) to resize to by area interpolation; None gives the displayed size,
            with pixels made square where the file states another aspect.

    Yields:
        index from 0, presentation time (strictly increasing: a missing or backward timestamp is
        replaced by the previous one plus a frame's duration), (H, W, 3) uint8.

    Raises:
        VideoError: if the file cannot be opened, has no video, yields no frame, or a frame cannot
            be decoded; names file, frame and the number of frames its header promises.
    """
    for frame in decoded(path):
        yield frame.index, frame.time_seconds, frame.image(size)


@dataclass(frozen=True)
class DecodedFrame:
    """A frame that is decoded but not yet converted: the picture costs as much again."""

    index: int
    time_seconds: float
    raw: VideoFrame
    pixel_aspect: Fraction | None
    """Width over height of a stored pixel, where the file states it."""

    def image(self, size: tuple[int, int] | None = None) -> Image:
        """(H, W, 3) uint8 RGB, rotated as displayed and resized by area; see `frames`."""
        # One thread: PyAV starts a pool per frame otherwise, at many times the cost.
        rgb = self.raw.reformat(format="rgb24", threads=1)
        image: Image = np.asarray(rgb.to_ndarray(), np.uint8)
        if size is None and self.pixel_aspect:
            image = _resized(image, (image.shape[0], round(image.shape[1] * self.pixel_aspect)))
        # FFmpeg's angle is counterclockwise, as is rot90's.
        if turns := round(self.raw.rotation / 90) % 4:
            image = np.ascontiguousarray(np.rot90(image, turns))
        return image if size is None else _resized(image, size)


def decoded(path: Path | str) -> Iterator[DecodedFrame]:
    """The frames of `frames`, not yet converted.

    Raises:
        VideoError: as `frames`.
    """
    with _open(path) as container:
        stream = container.streams.best("video")
        if stream is None:
            raise VideoError(f"{path}: holds no video stream")
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        step_seconds = 1.0 / float(stream.average_rate or _FALLBACK_FPS)
        time_seconds, index = -np.inf, 0
        source = iter(container.decode(stream))
        while (frame := _next_frame(source, path, index, stream.frames)) is not None:
            stated = frame.time
            if stated is None or stated <= time_seconds:
                stated = time_seconds + step_seconds if index else 0.0
            time_seconds = float(stated)
            yield DecodedFrame(index, time_seconds, frame, stream.sample_aspect_ratio)
            index += 1
        if index == 0:
            raise VideoError(f"{path}: opens but yields no frame{_promise(stream.frames)}")


def _open(path: Path | str) -> Any:
    try:
        # An absolute path: a name such as `data:1.mp4` would be taken for a protocol.
        source = open_binary(path) if is_url(local(path)) else str(Path(local(path)).absolute())
        return av.open(source, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be opened as a video ({_reason(error)})") from error


def _next_frame(
    source: Iterator[VideoFrame], path: Path | str, index: int, promised: int
) -> VideoFrame | None:
    try:
        return next(source, None)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: frame {index} cannot be decoded{_promise(promised)}: {_reason(error)}"
        ) from error


def _promise(promised: int) -> str:
    return f" (the header promises {promised} frames)" if promised else ""


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def _resized(image: Image, size_hw: tuple[int, int]) -> Image:
    if image.shape[:2] == size_hw:
        return image
    shape = (max(1, size_hw[1]), max(1, size_hw[0]))
    return np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), np.uint8)
