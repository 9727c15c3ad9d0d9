"""Opening of a video and choice of its stream, for decoding and probing alike."""

from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel

from ttdata.video.location import is_url, local, open_binary


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


def reason(error: Exception) -> str:
    """The first line of what FFmpeg or the operating system says."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
