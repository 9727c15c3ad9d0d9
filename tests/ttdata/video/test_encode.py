"""Writing of films that browsers play."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ttdata.video.decode import decoded, frames
from ttdata.video.encode import even_size, h264_writer


def test_a_copy_is_small_even_and_in_square_pixels() -> None:
    assert even_size((1080, 1920), 640) == (360, 640)
    assert even_size((1920, 1080), 640) == (1138, 640)
    assert even_size((101, 75), 640) == (100, 74)
    assert even_size((1, 1), 640) == (2, 2)
    assert even_size((1, 500), 1280, least_px=16) == (16, 500)


def test_pictures_come_back_at_their_times(tmp_path: Path) -> None:
    shades, ticks = [20, 120, 220], [0, 3, 4]
    with h264_writer(tmp_path / "a.mp4", Fraction(1, 100), 5, {"crf": "10"}, "a key") as write:
        for shade, tick in zip(shades, ticks, strict=True):
            write(np.full((32, 48, 3), shade, np.uint8), tick)
    found = list(frames(tmp_path / "a.mp4"))
    assert [time for _, time, _ in found] == pytest.approx([0, 0.03, 0.04])
    assert [image.mean() for _, _, image in found] == pytest.approx(shades, abs=3)
    frame = next(decoded(tmp_path / "a.mp4")).raw
    assert frame.format.name == "yuv420p"
