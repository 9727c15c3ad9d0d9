"""Rotated squares of a picture, cut out for a network: where they lie and the way back."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ttflow.pose.model import Picture, Square

SCALE = 1.25
"""How much larger a person's square is than twice the way between the alignment points."""


def person_square(center: NDArray[np.float64], end: NDArray[np.float64]) -> Square | None:
    """The square of a person, from BlazePose's two alignment points in the picture.

    Args:
        center: (2,) x, y between the hips.
        end: (2,) x, y on the circle round the person, in the direction of the head.

    Returns:
        None where the points coincide or are no numbers.

    Source: Bazarevsky et al. 2020; MediaPipe's graphs pose_detection_to_roi and
    pose_landmarks_to_roi (twice the distance, times 1.25; upright is no rotation).

    >>> person_square(np.array([50.0, 60.0]), np.array([50.0, 20.0]))
    Square(x=50.0, y=60.0, side=100.0, rotation=0.0)
    """
    along_x, along_y = (float(value) for value in end - center)
    side = 2.0 * SCALE * math.hypot(along_x, along_y)
    if not math.isfinite(side) or side <= 0:
        return None
    rotation = math.atan2(along_x, -along_y)
    return Square(float(center[0]), float(center[1]), side, rotation)


def to_picture(square: Square, pixels: int) -> NDArray[np.float64]:
    """The (2, 3) matrix from x, y, 1 in a crop of this many pixels a side to the picture.

    The crop's point `(pixels / 2, pixels / 2)` is the centre of the square.
    """
    step = square.side / pixels
    cosine, sine = math.cos(square.rotation) * step, math.sin(square.rotation) * step
    half = pixels / 2
    return np.array(
        [
            [cosine, -sine, square.x - half * (cosine - sine)],
            [sine, cosine, square.y - half * (sine + cosine)],
        ]
    )


def crop(picture: Picture, square: Square, pixels: int, *, repeat_border: bool) -> Picture:
    """The square of a picture as (pixels, pixels, 3), in one bilinear interpolation.

    Beyond the picture its border is repeated, or all is black.
    """
    border = cv2.BORDER_REPLICATE if repeat_border else cv2.BORDER_CONSTANT
    cut: Picture = cv2.warpAffine(
        picture,
        to_picture(square, pixels),
        (pixels, pixels),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
    return cut


def whole_picture(height: int, width: int) -> Square:
    """The upright square that holds a picture, with equal bars on two sides.

    >>> whole_picture(180, 320)
    Square(x=160.0, y=90.0, side=320.0, rotation=0.0)
    """
    return Square(width / 2, height / 2, float(max(height, width)), 0.0)
