"""H.264 files from RGB frames, the same bytes for the same frames."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ttdata.storage.atomic import atomic_path
from ttdata.synth.config import SynthConfig


def encode(target: Path, frames: Iterable[NDArray[np.uint8]], config: SynthConfig) -> None:
    """Write frames as an MP4 with H.264 (yuv420p, BT.601), atomically.

    One encoder thread: with more, x264's decisions depend on their number.

    Args:
        target: the `.mp4` file.
        frames: (H, W, 3) uint8 RGB, `config.height` x `config.width`.
        config: rate, size and quality.
    """
    rate = Fraction(config.fps).limit_denominator(1001)
    parameters = {"x264-params": "threads=1:lookahead-threads=1:colormatrix=smpte170m"}
    options = {"crf": str(config.crf), "preset": config.preset, **parameters}
    with (
        atomic_path(target) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = config.width, config.height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = 1 / rate
        for number, rgb in enumerate(frames):
            planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(np.asarray(planes, dtype=np.uint8), "yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
