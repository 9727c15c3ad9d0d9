"""A film whose frames are numbered, and a browser that reads the numbers from the picture."""

import shutil
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

FPS, FRAMES = 60, 240
BROWSER = shutil.which("chromium")


def numbered_picture(number: int, width: int = 320) -> np.ndarray:
    """(80, width, 3): eight blocks, black for 0 and white for 1, most significant first."""
    bits = np.array([number >> bit & 1 for bit in range(7, -1, -1)], np.uint8)
    return np.repeat(np.tile(np.repeat(bits * 255, width // 8), (80, 1))[:, :, None], 3, axis=2)


def read(picture: np.ndarray) -> int:
    """The number in a numbered picture of any size."""
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    height, width = grey.shape
    values = [grey[height // 2, int((place + 0.5) * width / 8)] for place in range(8)]
    return int("".join("1" if value > 127 else "0" for value in values), 2)


@pytest.fixture(scope="session")
def read_number() -> Callable[[np.ndarray], int]:
    return read


@pytest.fixture(scope="session")
def write_numbered() -> Callable[..., Path]:
    """`write(path, codec, pixels, milliseconds, width)` writes frames that show their number.

    Without `milliseconds` there are 240 of them at 60 frames a second.
    """

    def write(
        path: Path,
        codec: str = "libx264",
        pixels: str = "yuv420p",
        milliseconds: list[int] | None = None,
        width: int = 320,
    ) -> Path:
        tick = Fraction(1, 1000) if milliseconds else Fraction(1, FPS)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(FPS))
            stream.width, stream.height, stream.pix_fmt = width, 80, pixels
            stream.time_base = stream.codec_context.time_base = tick
            for number, pts in enumerate(milliseconds or range(FRAMES)):
                frame = av.VideoFrame.from_ndarray(numbered_picture(number, width), "rgb24")
                frame.pts, frame.time_base = pts, tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no chromium here")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


def shown(page: Any) -> int:
    """The number in the film's picture as it stands on the screen."""
    encoded = np.frombuffer(page.locator("#film").screenshot(), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return read(picture)


@pytest.fixture(scope="session")
def shown_frame() -> Callable[[Any], int]:
    return shown


@pytest.fixture(scope="session")
def assert_comes_to_rest_at() -> Callable[[Any, int], None]:
    """The picture shows this frame once it is painted, and stays there: `check(page, frame)`."""

    def check(page: Any, frame: int) -> None:
        page.wait_for_function("film.paused && !film.seeking")
        until = time.monotonic() + 30  # others may use the machine
        while (found := shown(page)) != frame and time.monotonic() < until:
            pass
        assert found == frame
        assert shown(page) == frame

    return check
