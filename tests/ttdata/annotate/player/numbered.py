"""Videos whose frames show their number, in every way that files count frames."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ttdata.video.decode import frames

BITS, ROWS = 12, 2
"""The number burnt into the picture: six blocks in either half, most significant first."""


def numbered_picture(number: int, size_hw: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: the blocks on a coloured ground, which shows what is upside down."""
    height, width = size_hw
    bits = np.array([number >> place & 1 for place in range(BITS - 1, -1, -1)]).reshape(ROWS, -1)
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * bits.shape[1] // width
    grey = 40 + 170 * bits[rows][:, columns]
    ramp = np.linspace(0, 30, width)[None, :] * np.ones((height, 1))
    return np.stack([grey + ramp, grey, grey + 30 - ramp], axis=2).astype(np.uint8)


def read_burnt(picture: np.ndarray) -> int:
    """The number in a picture of any size; the strip must be cut off."""
    grey, columns = picture.mean(axis=2), BITS // ROWS
    height, width = grey.shape
    bits = [
        grey[int((row + 0.5) * height / ROWS), int((column + 0.5) * width / columns)] > 132
        for row in range(ROWS)
        for column in range(columns)
    ]
    return int("".join("1" if bit else "0" for bit in bits), 2)


def write_numbered(
    path: Path,
    num_frames: int,
    fps: Fraction = Fraction(120),
    size_hw: tuple[int, int] = (90, 160),
    milliseconds: Sequence[int] | None = None,
    hidden: int = 0,
    matrix: Sequence[int] | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video; with `milliseconds` its rate varies, an edit list cuts `hidden` frames."""
    tick = Fraction(1, 1000) if milliseconds else 1 / fps
    path.parent.mkdir(parents=True, exist_ok=True)
    muxer = {"use_editlist": "1"} if hidden else {}
    with av.open(str(path), "w", container_options=muxer) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = size_hw
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        stream.time_base = stream.codec_context.time_base = tick
        if matrix is not None:
            stream.set_display_matrix(list(matrix))
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, size_hw), "rgb24")
            frame.pts = milliseconds[number] if milliseconds else number - hidden
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


B_FRAMES = {"preset": "veryfast", "bf": "3", "g": "250"}


def four_sources(folder: Path, num_frames: int, size_hw: tuple[int, int]) -> dict[str, Path]:
    """A constant rate, 119.88, a rate that varies, and B-frames whose first frames are hidden."""
    jitter = np.random.default_rng(0).integers(4, 14, num_frames)
    times = [int(value) for value in np.cumsum(jitter)]
    odd = Fraction(120_000, 1001)

    def write(name: str, **how: object) -> Path:
        path = folder / f"{name}.mp4"
        return path if path.is_file() else write_numbered(path, num_frames, size_hw=size_hw, **how)

    return {
        "constant": write("constant", options={"preset": "ultrafast"}),
        "119.88": write("119_88", fps=odd, options={"preset": "ultrafast"}),
        "variable": write("variable", milliseconds=times, options=B_FRAMES),
        "edited": write("edited", hidden=7, options=B_FRAMES),
    }


def burnt_numbers(source: Path, read: Callable[[np.ndarray], int] = read_burnt) -> list[int]:
    """What every frame of the source shows, by the decoder that extraction uses."""
    return [read(image) for _, _, image in frames(source)]
