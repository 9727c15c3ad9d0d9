"""H.264 in MP4 as browsers play it, from RGB pictures."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from ttdata.video.decode import EXACT

Image = NDArray[np.uint8]

_MUXER = {"movflags": "+faststart", "fflags": "+bitexact"}


@contextmanager
def h264_writer(
    target: Path, tick: Fraction, last_ticks: int, options: Mapping[str, str], comment: str
) -> Iterator[Callable[[Image, int], None]]:
    """Write a film in yuv420p without sound; what breaks off leaves an unfinished file.

    Args:
        target: the MP4 file, under any name.
        tick: seconds, the unit of times.
        last_ticks: how long the last picture is shown; the others end where the next begins.
        options: of x264.
        comment: stored in the file.

    Yields:
        a function that takes an (H, W, 3) uint8 RGB picture and when it is shown, in ticks, in
        order. Sides are even and those of the first picture.
    """
    with av.open(str(target.absolute()), "w", format="mp4", options=_MUXER) as container:
        container.metadata["comment"] = comment
        # One thread: the bytes would depend on the number of cores.
        stream = container.add_stream("libx264", options={**options, "threads": "1"})
        stream.pix_fmt, stream.time_base = "yuv420p", tick
        stream.codec_context.time_base = tick
        converter = VideoReformatter()

        def mux(picture: av.VideoFrame | None) -> None:
            for packet in stream.encode(picture):
                packet.duration = last_ticks
                container.mux(packet)

        def take(image: Image, at_ticks: int) -> None:
            if not stream.codec_context.is_open:
                stream.height, stream.width = image.shape[:2]
            rgb = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture = converter.reformat(rgb, format="yuv420p", interpolation=EXACT, threads=1)
            picture.pts, picture.time_base = at_ticks, tick
            mux(picture)

        yield take
        mux(None)


def even_size(
    shown_hw: tuple[float, float], largest_width_px: int, least_px: int = 2
) -> tuple[int, int]:
    """Height and width of a smaller copy: even, as the pixel format asks.

    Args:
        shown_hw: of the video, in square pixels.
        largest_width_px: wider videos are reduced.
        least_px: of either side.

    >>> even_size((1080, 1920), 640), even_size((101, 75), 640), even_size((1, 1), 640)
    ((360, 640), (100, 74), (2, 2))
    """
    height, width = shown_hw
    factor = min(1.0, largest_width_px / width)
    even = [max(least_px, round(side * factor + 1e-6) // 2 * 2) for side in (height, width)]
    return even[0], even[1]
