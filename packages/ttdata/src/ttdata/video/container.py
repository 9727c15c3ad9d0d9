"""Opening of a video, choice of its stream, and orientation, for decoding and probing alike."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from ttdata.urls import is_url, local
from ttdata.video.location import open_binary

_CLOCK_STARTS_ANYWHERE = 0x0200
"""FFmpeg's AVFMT_TS_DISCONT."""


def open_container(location: Path | str, accelerator: HWAccel | None = None) -> Any:
    """Open a video, a file or a URL, for reading.

    Raises:
        av.FFmpegError, OSError: if it is missing or no video.
        VideoError: if fsspec cannot open the URL.
    """
    plain = local(location)
    # An absolute path: a name such as `data:1.mp4` would be taken for a protocol.
    source = open_binary(plain) if is_url(plain) else str(Path(plain).absolute())
    return av.open(source, metadata_errors="replace", hwaccel=accelerator)


def best_stream(container: Any) -> Any:
    """The video stream that is read, by FFmpeg's choice, or None where there is none."""
    return container.streams.best("video")


def clock_start(container: Any) -> float:
    """The time stamp, in seconds, at which a player's clock shows zero.

    MP4, MOV, Matroska and AVI count from zero themselves, so a picture that comes late is late.
    The clocks of transport streams and their like start anywhere: there the first stream begins at
    zero.
    """
    if container.format.flags & _CLOCK_STARTS_ANYWHERE and container.start_time is not None:
        return float(container.start_time / av.time_base)
    return 0.0


@dataclass(frozen=True)
class Orientation:
    """How a stored picture becomes the one that a viewer shows: one of eight ways."""

    mirrored: bool
    """First it is flipped upside down."""
    turns: int
    """Then it is turned counterclockwise by so many quarters, 0 to 3."""

    @property
    def swaps_sides(self) -> bool:
        """Whether the shown width is the stored height."""
        return self.turns % 2 == 1


def orientation(frame: VideoFrame) -> Orientation:
    """The orientation that a frame's display matrix states; angles are rounded to quarters."""
    return Orientation(_is_mirrored(frame), turns(frame))


def turns(frame: VideoFrame) -> int:
    """The quarters, 0 to 3, of the angle that a frame's display matrix states."""
    return round(frame.rotation / 90) % 4


def _is_mirrored(frame: VideoFrame) -> bool:
    """Whether the display matrix reverses the picture's sense; its angle cannot tell."""
    try:
        listed: Any = frame.side_data
    except ValueError:  # PyAV lists no side data beside kinds it does not know, such as Exif
        return False
    if (found := listed.get(Type.DISPLAYMATRIX)) is None:
        return False
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(found))
    return bool(a * d < b * c)


def reason(error: Exception) -> str:
    """The first line of what FFmpeg or the operating system says."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
