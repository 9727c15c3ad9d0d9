"""A small copy of a video that browsers cannot play: the same frames at the same times."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ttdata.errors import VideoError
from ttdata.storage.atomic import atomic_path
from ttdata.urls import is_url, local
from ttdata.video.container import best_stream, open_container, reason
from ttdata.video.decode import DecodedFrame
from ttdata.video.encode import even_size, h264_writer
from ttdata.video.location import fingerprint
from ttflow.shards.layout import digest

Floats = NDArray[np.float64]

LARGEST_WIDTH_PX = 640
_TICK = Fraction(1, 90_000)
"""Divides the frames of all common rates, and a millisecond."""
_CODECS = {
    "mov,mp4,m4a,3gp,3g2,mj2": frozenset({"h264", "vp9", "av1"}),
    "matroska,webm": frozenset({"vp8", "vp9", "av1"}),
}
_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_ENCODER = {"preset": "superfast", "crf": "23", "bf": "0", "g": "60"}
"""Without frames out of order, and with a key frame every 60: seeks are exact and quick."""
_VERSION = 1
"""Of what a proxy looks like: where a page is made anew, so is a proxy of another version.

It does not by itself make a finished page anew."""


def is_playable(location: str | Path) -> bool:
    """Whether the common browsers play a video as it is.

    H.264, VP9 or AV1 in MP4 or MOV, VP8, VP9 or AV1 in WebM, of 8 bits and 4:2:0. A file that is
    read over fsspec is not: the page has to work from the disk.

    Raises:
        VideoError: if it cannot be opened.
    """
    plain = local(location)
    if is_url(plain):
        return False
    try:
        with open_container(plain) as container:
            stream, name = best_stream(container), container.format.name
            if stream is None or stream.codec_context is None:
                return False
            # Matroska and WebM have one reader, and browsers play WebM only.
            fits = name != "matroska,webm" or Path(plain).suffix.lower() == ".webm"
            context = stream.codec_context
            known = context.codec.canonical_name in _CODECS.get(name, frozenset())
            return fits and known and context.pix_fmt in _PIXELS
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{plain}: cannot be opened as a video ({reason(error)})") from error


def proxy_key(location: str | Path, edges_seconds: Floats) -> str:
    """Names what a proxy follows from: the source's bytes, its times, and how proxies are made.

    Args:
        location: path or URL of the source.
        edges_seconds: see `proxy_writer`.

    Raises:
        VideoError: if the source cannot be read.
    """
    times = hashlib.sha256(_ticks(edges_seconds).tobytes()).hexdigest()
    return digest([*fingerprint(location), times, LARGEST_WIDTH_PX, _ENCODER, _VERSION])[:16]


def is_proxy_of(path: Path, key: str) -> bool:
    """Whether a file is a whole proxy with this key; it holds its own."""
    try:
        with av.open(str(path.absolute())) as container:
            return container.metadata.get("comment") == key
    except (av.FFmpegError, OSError):
        return False


@contextmanager
def proxy_writer(
    target: Path, key: str, edges_seconds: Floats
) -> Iterator[Callable[[DecodedFrame], None]]:
    """Write a proxy in H.264, at most LARGEST_WIDTH_PX wide, without sound, whole or not at all.

    Args:
        target: the MP4 file.
        key: of `proxy_key`; stored in the file.
        edges_seconds: (N + 1,), when each frame begins, and when the last one ends. A file's own
            times are not always those that count: an AVI has none for frames out of order.

    Yields:
        a function that takes the video's frames in order, all of them.
    """
    ticks = _ticks(edges_seconds)
    last_ticks = int(ticks[-1] - ticks[-2])
    with (
        atomic_path(target) as temporary,
        h264_writer(temporary, _TICK, last_ticks, _ENCODER, key) as write,
    ):
        size_hw: tuple[int, int] | None = None

        def take(frame: DecodedFrame) -> None:
            nonlocal size_hw
            # A film may change its shape midway.
            size_hw = size_hw or even_size(frame.shown_hw, LARGEST_WIDTH_PX)
            write(frame.image(size_hw), int(ticks[frame.index]))

        yield take


def _ticks(edges_seconds: Floats) -> NDArray[np.int64]:
    """Times in ticks, strictly ascending."""
    ticks = np.round(np.asarray(edges_seconds) / float(_TICK)).astype(np.int64)
    places = np.arange(len(ticks))
    return np.maximum.accumulate(ticks - places) + places
