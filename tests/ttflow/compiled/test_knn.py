"""The compiled background model against OpenCV's, mask by mask and bit by bit."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from ttflow.compiled.knn import KnnModel
from ttflow.compiled.knn_loops import sort_by_turn

HW = (23, 37)
"""851 pixels: the last block of lanes is not full."""


def film(count: int) -> Iterator[np.ndarray]:
    """Noise on texture with a black strip, a bright patch and its shadow that move, and a step."""
    rng = np.random.default_rng(4)
    hall = rng.integers(0, 250, (*HW, 3))
    hall[:3] = 0
    for number in range(count):
        image = hall + rng.integers(-12, 13, hall.shape) * (hall > 0)
        left = number * 3 % (HW[1] - 12)
        image[5:16, left : left + 10] = image[5:16, left : left + 10] * 0.7
        image[8:12, left + 2 : left + 6] = rng.integers(0, 255, 3)
        if number > count // 2:
            image[-4:] = 200
        yield np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("history", "threshold"), [(500, 400.0), (30, 123.7), (1, 50.0), (3000, 900.0)]
)
def test_every_mask_is_opencvs(history: int, threshold: float) -> None:
    theirs = cv2.createBackgroundSubtractorKNN(history, threshold, True)
    ours = KnnModel(history, threshold)
    kinds = np.zeros(3, int)
    for number, image in enumerate(film(80)):
        cv2.setRNGSeed(number)
        expected = theirs.apply(image)
        assert np.array_equal(ours.apply(image, number), expected == 255), f"frame {number}"
        kinds += [np.count_nonzero(expected == value) for value in (0, 127, 255)]
    assert kinds.min() > 500  # background, shadow and foreground were there


def test_the_masks_do_not_depend_on_what_was_drawn_before() -> None:
    first, second = KnnModel(5, 400.0), KnnModel(5, 400.0)
    for number, image in enumerate(film(40)):
        mask = first.apply(image, number)
        cv2.setRNGSeed(99)
        assert np.array_equal(mask, second.apply(image, number))


def test_a_frame_that_is_no_contiguous_array() -> None:
    first, second = KnnModel(5, 400.0), KnnModel(5, 400.0)
    for number, image in enumerate(film(20)):
        wide = np.zeros((HW[0], HW[1] + 3, 3), np.uint8)
        wide[:, 3:] = image
        assert np.array_equal(first.apply(wide[:, 3:], number), second.apply(image, number))


def test_frames_of_another_size_are_refused() -> None:
    model = KnnModel(5, 400.0)
    model.apply(np.zeros((4, 5, 3), np.uint8), 0)
    with pytest.raises(ValueError, match=r"\(5, 4, 3\).*\(4, 5, 3\)"):
        model.apply(np.zeros((5, 4, 3), np.uint8), 0)


def test_pixels_sorted_by_turn() -> None:
    order, first = sort_by_turn(np.array([2, 0, 255, 2, 0], np.uint8))
    assert order.tolist() == [1, 4, 0, 3, 2]
    assert first[:5].tolist() == [0, 2, 2, 4, 4]
    assert first[-2:].tolist() == [4, 5]
