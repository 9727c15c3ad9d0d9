"""Small sources, made where a test needs them."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

LABEL = "Offensive Forehand Hit"


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """A function that writes a tiny video: `write_video(path, num_frames, fps, size_hw, hidden)`.

    Leading `hidden` frames are hidden by an edit list.
    """

    def write(
        path: Path,
        num_frames: int,
        fps: int = 30,
        size_hw: Sequence[int] = (32, 48),
        hidden: int = 0,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        muxer = {"use_editlist": "1"} if hidden else {}
        with av.open(str(path), "w", container_options=muxer) as container:
            stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
            stream.height, stream.width = size_hw
            stream.pix_fmt = "yuv420p"
            stream.thread_count = 1
            for index in range(num_frames):
                picture = np.full((*size_hw, 3), index % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = index - hidden, Fraction(1, fps)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def write_timed_video() -> Callable[..., Path]:
    """A function that writes a tiny video of frames shown at given milliseconds.

    `write(path, milliseconds, codec, audio, options, muxer)`; with `audio` sound begins at 0 s.
    """

    def write(
        path: Path,
        milliseconds: Sequence[int],
        codec: str = "libx264",
        audio: bool = False,
        options: dict[str, str] | None = None,
        muxer: dict[str, str] | None = None,
        tick: Fraction = Fraction(1, 1000),
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", container_options=muxer or {}) as container:
            stream = container.add_stream(codec, rate=30, options=options or {})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.thread_count = 1
            stream.time_base = stream.codec_context.time_base = tick
            sound = container.add_stream("aac", rate=8000) if audio else None
            for index, time in enumerate(milliseconds):
                picture = np.full((48, 64, 3), 9 * index % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = round(time / 1000 / tick), tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if sound is not None:
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 16000), np.int16), format="s16", layout="mono"
                )
                silence.sample_rate, silence.pts, silence.time_base = 8000, 0, Fraction(1, 8000)
                container.mux(sound.encode(silence))
                container.mux(sound.encode())
        return path

    return write


@pytest.fixture(scope="session")
def make_annotations() -> Callable[..., pl.DataFrame]:
    """Annotations from `(video, annotator, start, end[, label])` rows."""

    def make(*rows: tuple[object, ...], **columns: object) -> pl.DataFrame:
        names = ("video_id", "annotator_id", "start_frame", "end_frame", "label")
        full = [(*row, LABEL)[:5] for row in rows]
        data = {name: [row[index] for row in full] for index, name in enumerate(names)}
        return pl.DataFrame(data | columns, strict=False)

    return make


@pytest.fixture(scope="session")
def make_videos() -> Callable[..., pl.DataFrame]:
    """Rows as Video at 120 fps: `make_videos("a", "b", num_frames=10_000)`."""

    def make(*names: str, num_frames: int = 10_000, fps: float = 120.0, **columns: object):
        from ttdata.schema import Video
        from ttdata.storage.tables import conform

        facts = {"fps": fps, "num_frames": num_frames, "width": 640, "height": 360}
        frame = pl.DataFrame({"video_id": list(names)}, schema={"video_id": pl.String})
        return frame.with_columns(**{k: pl.lit(v) for k, v in (facts | columns).items()}).pipe(
            conform, Video
        )

    return make
