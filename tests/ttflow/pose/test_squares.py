"""Squares of a picture and the way back: what no network needs to be asked about."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttflow.pose.blazepose import read_landmarks
from ttflow.pose.model import Square
from ttflow.pose.squares import crop, person_square, to_picture, whole_picture

SQUARES = st.builds(
    Square,
    x=st.floats(-500, 2500),
    y=st.floats(-500, 2500),
    side=st.floats(8, 3000),
    rotation=st.floats(-math.pi, math.pi),
)


def blurred_noise(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(4).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


@pytest.mark.parametrize(
    ("end", "degrees"),
    [((50, 20), 0), ((90, 60), 90), ((50, 100), 180), ((10, 60), -90), ((90, 20), 45)],
    ids=["upright", "head to the right", "head down", "head to the left", "leaning"],
)
def test_the_head_sets_the_rotation(end: tuple[float, float], degrees: float) -> None:
    square = person_square(np.array([50.0, 60.0]), np.array(end, float))
    assert square is not None
    assert (square.x, square.y) == (50, 60)
    assert square.side == pytest.approx(2.5 * math.dist(end, (50, 60)))
    assert math.degrees(square.rotation) == pytest.approx(degrees)
    # The crop shows the head at the top, a fifth of 1.25 times half a side from the border.
    up = to_picture(square, 256) @ (128, 128 - 128 / 1.25, 1)
    np.testing.assert_allclose(up, end, atol=1e-9)


@pytest.mark.parametrize("end", [(50.0, 60.0), (np.nan, 3.0), (np.inf, 3.0)])
def test_points_that_span_nothing_have_no_square(end: tuple[float, float]) -> None:
    assert person_square(np.array([50.0, 60.0]), np.array(end)) is None


@settings(deadline=None, max_examples=30)
@given(square=SQUARES, points=st.lists(st.tuples(*[st.floats(-100, 400)] * 2), min_size=1))
def test_crop_and_back_are_inverse(square: Square, points: list[tuple[float, float]]) -> None:
    """The way there: minus the centre, turned back, in units of a pixel of the crop."""
    mapped = np.array(points) @ (matrix := to_picture(square, 256))[:, :2].T + matrix[:, 2]
    x, y = (mapped - (square.x, square.y)).T * 256 / square.side
    cosine, sine = math.cos(square.rotation), math.sin(square.rotation)
    back = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=1) + 128
    np.testing.assert_allclose(back, points, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(square=SQUARES)
def test_landmarks_return_to_where_they_were_seen(square: Square) -> None:
    seen = np.random.default_rng(0).uniform(0, 256, (39, 2))
    world = np.random.default_rng(1).normal(size=(39, 3))
    logits = np.zeros(39, np.float32)
    pose = read_landmarks(seen / 256, logits, world.astype(np.float32), 0.9, square)
    matrix = np.vstack([to_picture(square, 256), (0, 0, 1)])
    back = np.linalg.solve(matrix, np.vstack([pose.points.T, np.ones(33)]))[:2].T
    np.testing.assert_allclose(back, seen[:33], atol=0.02 * 256 / square.side + 1e-4)
    np.testing.assert_allclose(  # turning changes no length, and no depth
        np.linalg.norm(pose.world, axis=1), np.linalg.norm(world[:33], axis=1), rtol=1e-5
    )
    np.testing.assert_allclose(pose.world[:, 2], world[:33, 2], rtol=1e-6)
    assert pose.visibility.tolist() == [0.5] * 33


def test_a_person_who_lies_is_turned_back_in_the_world() -> None:
    """Head to the right: up in the crop, y < 0, is to the right, x > 0."""
    seen, logits, world = np.zeros((39, 2)), np.zeros(39, np.float32), np.zeros((39, 3), np.float32)
    seen[33], seen[34] = (0.5, 0.5), (0.5, 0.5 - 100 / 256)
    logits[0] = 800.0
    world[0] = (0.0, -0.6, 0.1)
    pose = read_landmarks(seen, logits, world, 0.75, Square(300, 200, 128, math.pi / 2))
    np.testing.assert_allclose(pose.world[0], (0.6, 0.0, 0.1), atol=1e-7)
    assert pose.presence == 0.75
    assert pose.visibility[0] == 1.0
    assert pose.following is not None
    assert pose.following.side == pytest.approx(2.5 * 50)
    assert pose.following.rotation == pytest.approx(math.pi / 2)


def test_a_square_of_the_picture_at_its_own_size_is_the_picture() -> None:
    picture = blurred_noise(64, 64)
    cut = crop(picture, whole_picture(64, 64), 64, repeat_border=True)
    np.testing.assert_array_equal(cut, picture)


@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90)])
def test_bars_fill_the_shorter_side(height: int, width: int) -> None:
    cut = crop(
        np.full((height, width, 3), 255, np.uint8),
        whole_picture(height, width),
        224,
        repeat_border=False,
    )
    bar = 224 * 35 // 160
    lying = cut if width > height else cut.transpose(1, 0, 2)
    assert not lying[: bar - 1].any()
    assert not lying[-bar + 1 :].any()
    assert (lying[bar + 1 : -bar - 2, :-1] == 255).all()


def test_beyond_the_picture_its_border_is_repeated() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, -1] = 200
    cut = crop(picture, Square(80, 20, 20, 0.0), 32, repeat_border=True)
    assert (cut == 200).all()
    assert not crop(picture, Square(80, 20, 20, 0.0), 32, repeat_border=False).any()


def test_pixels_are_interpolated_between_their_four_neighbours() -> None:
    """Plain loops, to a level of rounding: OpenCV counts in 1/32 px."""
    picture = blurred_noise(60, 80)
    square = Square(41.3, 28.7, 30.0, 0.7)
    cut = crop(picture, square, 24, repeat_border=True)
    matrix = to_picture(square, 24)
    for row in range(0, 24, 5):
        for column in range(0, 24, 5):
            x, y = matrix @ (column, row, 1)
            left, top = math.floor(x), math.floor(y)
            right, low = x - left, y - top
            four = picture[top : top + 2, left : left + 2].astype(float)
            upper = four[0, 0] * (1 - right) + four[0, 1] * right
            lower = four[1, 0] * (1 - right) + four[1, 1] * right
            expected = upper * (1 - low) + lower * low
            np.testing.assert_allclose(cut[row, column], expected, atol=2)


def test_a_turned_picture_gives_the_same_crop() -> None:
    """A quarter turn to the left takes (x, y) to (y, width - 1 - x)."""
    picture = blurred_noise(100, 120)
    square = Square(50.25, 48.5, 60.0, 0.4)
    turned = Square(square.y, 119 - square.x, square.side, square.rotation - math.pi / 2)
    first = crop(picture, square, 48, repeat_border=True)
    second = crop(np.rot90(picture).copy(), turned, 48, repeat_border=True)
    assert np.abs(first.astype(int) - second).max() <= 2
