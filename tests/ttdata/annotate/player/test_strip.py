"""The strip that holds a frame's number."""

import numpy as np
import pytest

from ttdata.annotate.proxies.strip import draw_strip, read_strip, strip_height

NUMBERS = [0, 1, 2, 15, 16, 12345, 0x55555, 0xAAAAA, (1 << 20) - 1]


def below_a_picture(number: int, width: int) -> np.ndarray:
    picture = np.random.default_rng(number).integers(0, 256, (30, width, 3), np.uint8)
    return np.concatenate([picture, draw_strip(number, width)])


@pytest.mark.parametrize("width", [16, 18, 48, 192, 382, 384, 500, 1280])
@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_drawn_is_read(number: int, width: int) -> None:
    assert read_strip(below_a_picture(number, width)) == number


def test_rows_follow_from_the_width() -> None:
    assert {width: strip_height(width) // 16 for width in (1280, 384, 383, 192, 191, 16)} == {
        1280: 1,
        384: 1,
        383: 2,
        192: 2,
        191: 3,
        16: 24,
    }


@pytest.mark.parametrize("shade", [0, 16, 127, 235, 255])
def test_a_blank_strip_is_no_number(shade: int) -> None:
    assert read_strip(np.full((80, 400, 3), shade, np.uint8)) is None


@pytest.mark.parametrize("place", range(24))
def test_a_wrong_bit_is_noticed(place: int) -> None:
    picture = below_a_picture(1234, 400)
    block = picture[30:46, 16 * place : 16 * place + 16]
    block[:] = 255 - block
    assert read_strip(picture) is None


def test_a_grey_block_is_not_guessed() -> None:
    picture = below_a_picture(1234, 400)
    picture[30:46, 16:32] = 128
    assert read_strip(picture) is None


@pytest.mark.parametrize("number", [-1, 1 << 20])
def test_numbers_that_do_not_fit_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="does not fit into 20 bits"):
        draw_strip(number, 400)
