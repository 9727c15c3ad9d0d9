"""Display matrices: all eight orientations come out as a viewer shows them."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ttdata.video.container import Orientation, orientation
from ttdata.video.decode import frames
from ttdata.video.probe import probe

# Where the matrix takes a stored step to the right and one down, in shown steps (right, down).
STEPS = {
    "upright": ((1, 0), (0, 1)),
    "mirrored left to right": ((-1, 0), (0, 1)),
    "upside down": ((1, 0), (0, -1)),
    "half a turn": ((-1, 0), (0, -1)),
    "a quarter clockwise": ((0, 1), (-1, 0)),
    "a quarter counterclockwise": ((0, -1), (1, 0)),
    "transposed": ((0, 1), (1, 0)),
    "transposed over the other diagonal": ((0, -1), (-1, 0)),
}
HEIGHT, WIDTH = 48, 64


def picture() -> np.ndarray:
    """Smooth colours, other ones in every corner."""
    corners = np.array([[[250, 20, 20], [20, 250, 20]], [[20, 20, 250], [240, 240, 30]]], np.uint8)
    return cv2.resize(corners, (WIDTH, HEIGHT))


def encode(path: Path, right: tuple[int, int], down: tuple[int, int]) -> Path:
    one = 1 << 16
    matrix = [right[0] * one, right[1] * one, 0, down[0] * one, down[1] * one, 0, 0, 0, 1 << 30]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.set_display_matrix(matrix)
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(picture(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shown(image: np.ndarray, right: tuple[int, int], down: tuple[int, int]) -> np.ndarray:
    """Every pixel moved by the matrix, one by one: the definition, as slow as it is."""
    places = {}
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            places[x * right[1] + y * down[1], x * right[0] + y * down[0]] = image[y, x]
    top, left = min(y for y, _ in places), min(x for _, x in places)
    height, width = (HEIGHT, WIDTH) if right[0] else (WIDTH, HEIGHT)
    out = np.zeros((height, width, 3), image.dtype)
    for (y, x), value in places.items():
        out[y - top, x - left] = value
    return out


@pytest.mark.parametrize("name", STEPS)
def test_a_display_matrix_is_applied_as_a_viewer_does(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / "v.mp4", *STEPS[name])
    plain = next(frames(encode(tmp_path / "plain.mp4", *STEPS["upright"])))[2]
    wanted = shown(plain, *STEPS[name])
    found = next(frames(path))[2]
    np.testing.assert_array_equal(found, wanted)
    assert found.flags.c_contiguous
    metadata = probe(path)
    assert (metadata.height, metadata.width) == found.shape[:2]
    small = next(frames(path, (24, 24)))[2].astype(int)
    reduced = cv2.resize(wanted, (24, 24), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(small - reduced).mean() < 3


def test_side_data_that_pyav_does_not_know_leaves_the_angle() -> None:
    class Frame:
        rotation = -90

        @property
        def side_data(self) -> None:
            raise ValueError("31 is not a valid Type")

    assert orientation(Frame()) == Orientation(mirrored=False, turns=3)  # type: ignore[arg-type]
