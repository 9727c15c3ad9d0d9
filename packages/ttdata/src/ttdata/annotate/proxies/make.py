"""A proxy: the copy of a video that annotators see, in which frame i is shown at i / fps."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ttdata.annotate.proxies.strip import BLOCK_PX, NUMBER_BITS, draw_strip, strip_height
from ttdata.errors import VideoError
from ttdata.storage.atomic import atomic_path
from ttdata.video.decode import decoded
from ttdata.video.encode import even_size, h264_writer
from ttdata.video.location import fingerprint
from ttdata.video.probe import probe

LARGEST_WIDTH_PX = 1280
OnFrame = Callable[[int, int], None]
"""Told how many frames are written, and how many the file promises."""

_ENCODER = {
    "preset": "superfast",
    "crf": "23",
    "g": "12",
    "bf": "0",
    "sc_threshold": "0",
    "x264-params": "colormatrix=smpte170m",
}
"""A key frame every 12 and none out of order: seeks are exact, at 720p within 0.1 s."""
_LARGEST_DENOMINATOR = 1001
_VERSION = 1
"""Of what a proxy looks like: one of another version is made anew."""


@dataclass(frozen=True)
class Proxy:
    """A finished proxy and what a page needs to know of it."""

    path: Path
    fps: Fraction
    """The source's nominal rate: the average one where it varies."""
    num_frames: int
    width: int
    height: int
    """Of the picture, in pixels; the strip with the frame's number lies below it."""


def proxy_path(source: Path, folder: Path) -> Path:
    """Where the proxy of a video is or will be: the name follows from the video's bytes.

    Raises:
        VideoError: if the source cannot be read.
    """
    return _path_of(fingerprint(source), folder)


def proxy_of(found: str, folder: Path) -> Path:
    """The same of a video whose fingerprint is known, as `SIZE-SHA256`; its file may be away."""
    size, _, digest = found.partition("-")
    return _path_of((int(size), digest), folder)


def _path_of(found: tuple[int, str], folder: Path) -> Path:
    parts = [*found, LARGEST_WIDTH_PX, _ENCODER, _VERSION]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return folder / f"{key[:16]}.mp4"


def make_proxy(source: Path, folder: Path, on_frame: OnFrame | None = None) -> Proxy:
    """Write the proxy of a video, whole or not at all; a finished one is left as it is.

    H.264 of at most LARGEST_WIDTH_PX width without sound. Its frame i is frame i of
    `ttdata.video.frames`, so rotation, edit lists and varying rates are gone.

    Args:
        source: the video.
        folder: of the proxies.
        on_frame: called after every frame; what it raises ends the work and leaves no file.

    Raises:
        VideoError: if the source cannot be decoded, or has more frames than the strip can count.
    """
    target = proxy_path(source, folder)
    if (finished := read_proxy(target)) is not None:
        return finished
    found = probe(source)
    rate = nominal_rate(found.fps)
    _check_length(source, found.num_frames)
    with (
        atomic_path(target) as temporary,
        h264_writer(temporary, 1 / rate, 1, _ENCODER, "") as write,
    ):
        for number, picture in _pictures(source):
            write(picture, number)
            if on_frame is not None:
                on_frame(number + 1, max(number + 1, found.num_frames))
    written = read_proxy(target)
    if written is None:
        raise VideoError(f"{source}: its proxy {target} cannot be read back; check the disk")
    return written


def read_proxy(path: Path) -> Proxy | None:
    """The facts of a finished proxy; None where there is none."""
    if not path.is_file():
        return None
    with (
        contextlib.suppress(av.FFmpegError, OSError),
        av.open(str(path.absolute())) as container,
    ):
        stream = container.streams.video[0]
        height = stream.height - strip_height(stream.width)
        # Rounding to microseconds in the header may change a rate's last digits.
        rate = nominal_rate(float(stream.average_rate or 0))
        return Proxy(path, rate, stream.frames, stream.width, height)
    return None


def nominal_rate(fps: float) -> Fraction:
    """A rate as the fraction that it stands for.

    >>> nominal_rate(119.88011988011988), nominal_rate(25.0)
    (Fraction(120000, 1001), Fraction(25, 1))
    """
    return Fraction(fps).limit_denominator(_LARGEST_DENOMINATOR)


def _pictures(source: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Number and picture of every frame, the strip below it."""
    size_hw: tuple[int, int] | None = None
    for frame in decoded(source):
        _check_length(source, frame.index + 1)
        # A film may change its shape midway.
        size_hw = size_hw or even_size(frame.shown_hw, LARGEST_WIDTH_PX, least_px=BLOCK_PX)
        strip = draw_strip(frame.index, size_hw[1])
        yield frame.index, np.concatenate([frame.image(size_hw), strip])


def _check_length(source: Path, num_frames: int) -> None:
    if num_frames > 1 << NUMBER_BITS:
        raise VideoError(
            f"{source}: more than {1 << NUMBER_BITS} frames, the most that a proxy can number; "
            "cut the recording into parts"
        )
