"""The strip below a proxy's picture that holds the frame's number, as black and white blocks.

20 bits of the number, then 4 check bits, most significant first, a block of 16 px each, as many in
a row as fit. `static/strip.js` reads the same.
"""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

BLOCK_PX = 16
NUMBER_BITS, CHECK_BITS = 20, 4
_BITS = NUMBER_BITS + CHECK_BITS
_CHECK_START = 0b1010
"""So that neither an all black nor an all white strip is a number."""
_DARKEST_WHITE, _BRIGHTEST_BLACK = 160, 96


def strip_height(width_px: int) -> int:
    """Height of the strip, in pixels, below a picture of this width.

    >>> strip_height(1280), strip_height(384), strip_height(382), strip_height(16)
    (16, 16, 32, 384)
    """
    return -(-_BITS // _columns(width_px)) * BLOCK_PX


def draw_strip(number: int, width_px: int) -> Image:
    """The strip of a frame: (strip_height, width_px, 3) uint8.

    Raises:
        ValueError: if the number does not fit, or the width holds no block.
    """
    if not 0 <= number < 1 << NUMBER_BITS:
        raise ValueError(f"frame {number} does not fit into {NUMBER_BITS} bits")
    columns, height = _columns(width_px), strip_height(width_px)
    word = number << CHECK_BITS | _check(number)
    bits = np.zeros((height // BLOCK_PX, columns), np.uint8)
    bits.flat[:_BITS] = [word >> place & 1 for place in range(_BITS - 1, -1, -1)]
    strip = np.zeros((height, width_px, 3), np.uint8)
    blocks = np.kron(bits * 255, np.ones((BLOCK_PX, BLOCK_PX), np.uint8))
    strip[:, : columns * BLOCK_PX] = blocks[:, :, None]
    return strip


def read_strip(picture: Image) -> int | None:
    """The frame's number in a proxy's picture, strip included; None where it cannot be read.

    Args:
        picture: (H, W, 3) uint8.
    """
    height, width = picture.shape[:2]
    columns, top = _columns(width), height - strip_height(width)
    margin, word = BLOCK_PX // 4, 0
    for place in range(_BITS):
        row, column = divmod(place, columns)
        y, x = top + row * BLOCK_PX, column * BLOCK_PX
        inner = slice(y + margin, y + BLOCK_PX - margin), slice(x + margin, x + BLOCK_PX - margin)
        value = picture[inner].mean()
        if _BRIGHTEST_BLACK < value < _DARKEST_WHITE:
            return None
        word = word << 1 | int(value >= _DARKEST_WHITE)
    number, check = word >> CHECK_BITS, word & (1 << CHECK_BITS) - 1
    return number if check == _check(number) else None


def _columns(width_px: int) -> int:
    if width_px < BLOCK_PX:
        raise ValueError(f"a strip needs a width of {BLOCK_PX} px, found {width_px}")
    return min(_BITS, width_px // BLOCK_PX)


def _check(number: int) -> int:
    """The exclusive or of the number's groups of four bits."""
    check = _CHECK_START
    for place in range(0, NUMBER_BITS, CHECK_BITS):
        check ^= number >> place & (1 << CHECK_BITS) - 1
    return check
