"""Films: as many pictures as frames, the crop in both halves, flow in its colours."""

from pathlib import Path

import numpy as np
import pytest

from ttflow.decode import frames
from ttflow.extraction.frames import FlowFrame
from ttflow.flow.colors import flow_colors, full_length
from ttflow.schema import FlowConfig
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.view.film import FILM_FPS, film_of_clip, film_of_frames

CONFIG = FlowConfig(
    frame_height=48,
    frame_width=80,
    crop_height=16,
    crop_width=24,
    patch_side=40,
    estimator="dis-ultrafast",
)
CAPTION_PX = 28


def crop_edges(half: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row and column of the red line in half a picture, in its own pixels / 2."""
    red = (half[..., 0] > 150) & (half[..., 1] < 110) & (half[..., 2] < 110)
    rows, columns = np.flatnonzero(red.sum(1) > 10), np.flatnonzero(red.sum(0) > 10)
    return rows[0] // 2, rows[-1] // 2, columns[0] // 2, columns[-1] // 2


def test_film_of_a_clip(lib, tmp_path: Path) -> None:
    flow = np.zeros((2, 40, 40), np.int16)
    flow[1, 18:22, 18:22] = 64  # 2 px down
    row = lib.clip_row("vidéo", 12, 15) | {
        "num_frames": 100,
        "stored_start_frame": 10,
        "stored_end_frame": 17,
        "rgb": [encode_rgb(np.full((40, 40, 3), 120, np.uint8), 95)] * 7,
        "flow": [encode_flow(flow)] * 7,
    }
    found = list(frames(film_of_clip(tmp_path / "clip.mp4", row, CONFIG)))
    assert [index for index, _, _ in found] == list(range(7))
    assert found[3][1] == pytest.approx(3 / FILM_FPS)
    image = found[0][2]
    assert image.shape == (CAPTION_PX + 80, 160, 3)
    assert image[:CAPTION_PX].min() < 80  # text
    left, right = image[CAPTION_PX:, :80], image[CAPTION_PX:, 80:]
    for half in (left, right):
        top, bottom, first, last = crop_edges(half)
        assert (top, first) == pytest.approx((12, 8), abs=1)
        assert (bottom, last) == pytest.approx((27, 31), abs=1)
    assert left[70, 70] == pytest.approx(120, abs=6)
    assert right[70, 70].min() > 240  # nothing moves there
    assert right[40, 40, 1] > right[40, 40, [0, 2]].max() + 50  # down is green
    assert list(tmp_path.iterdir()) == [tmp_path / "clip.mp4"]


def test_the_crop_of_a_video_follows_its_centre(tmp_path: Path) -> None:
    gray, still = np.full((48, 80, 3), 120, np.uint8), np.zeros((2, 48, 80), np.float32)
    flows = [FlowFrame(index, index / 30, 0, gray, still) for index in (5, 6)]
    centers = np.array([[20.0, 20.0], [60.0, 30.0]])
    found = list(frames(film_of_frames(tmp_path / "video.mp4", flows, centers, CONFIG)))
    assert len(found) == 2
    for (_, _, image), (x, y) in zip(found, centers, strict=True):
        top, bottom, first, last = crop_edges(image[CAPTION_PX:, :160])
        assert ((first + last) / 2, (top + bottom) / 2) == pytest.approx((x, y), abs=1)


def test_colours_are_directions() -> None:
    flow = np.zeros((2, 1, 4), np.float32)
    flow[:, 0, 1], flow[:, 0, 2], flow[:, 0, 3] = (3, 0), (0, 3), (1.5, 0)
    white, right, down, half = flow_colors(flow, 3.0)[0].astype(int)
    assert white.tolist() == [255, 255, 255]
    assert right.tolist() == [255, 0, 0]
    assert down.argmax() == 1
    assert half[0] == 255
    assert half[1] == pytest.approx(127, abs=2)


def test_the_length_of_full_colour() -> None:
    still = np.zeros((2, 10, 10), np.float32)
    assert full_length(still) == 0.5
    moving = np.full((2, 10, 10), [[[6.0]], [[8.0]]], np.float32)
    assert full_length(still, moving) == pytest.approx(10.0)
