"""The face of a pose model: a picture in, numbers out.

A picture is (H, W, 3) uint8 RGB. Points are in its pixels, x right and y down; whole numbers are
the centres of pixels, as OpenCV counts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NUM_LANDMARKS = 33
"""BlazePose's landmarks: 0 nose, 11 and 12 shoulders, 15 and 16 wrists, 23 and 24 hips, ..."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Square:
    """A rotated square of a picture, which may reach beyond it."""

    x: float
    """Its centre, pixels."""
    y: float
    side: float
    """Pixels."""
    rotation: float
    """Radians, clockwise as seen: where the square's own x axis points to in the picture."""


@dataclass(frozen=True)
class Detection:
    """A person that the detector sees."""

    score: float
    """In [0, 1]."""
    square: Square
    """Where the person's landmarks are to be looked for; its centre is between the hips."""


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of the person in a square."""

    points: NDArray[np.float32]
    """(33, 2) pixels x, y of the whole picture."""
    world: NDArray[np.float32]
    """(33, 3) metres x, y, z, from the middle of the hips; x right and y down as in the picture."""
    visibility: NDArray[np.float32]
    """(33,) in [0, 1]: how likely each one is in the picture and nothing hides it."""
    presence: float
    """In [0, 1]: how likely a person is in the square."""
    following: Square | None
    """Where to look in the next frame; None where the landmarks span nothing."""


class PoseModel(Protocol):
    """What `track` needs of a model; it may keep buffers, so each thread opens its own."""

    def detect(self, picture: Picture, min_score: float = 0.3) -> Sequence[Detection]:
        """All persons seen in a picture with at least this score, each one once."""
        ...

    def landmarks(self, picture: Picture, square: Square) -> Landmarks:
        """The landmarks of the person in a square of a picture."""
        ...
