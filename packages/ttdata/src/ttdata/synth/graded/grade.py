"""How a graded stroke is to be played, and when its moments are."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

GradeKind = Literal[
    "reference",
    "unchanged",
    "amplitude",
    "backswing_time",
    "forward_time",
    "follow_time",
    "turn",
    "height",
    "mixed",
]
"""What is graded; the first two are at grade 1."""


@dataclass(frozen=True)
class Levels:
    """The factors of a stroke against the same at grade 1; `height` is added, in torso lengths."""

    amplitude: float = 1.0
    backswing_time: float = 1.0
    forward_time: float = 1.0
    follow_time: float = 1.0
    turn: float = 1.0
    height: float = 0.0


@dataclass(frozen=True)
class Grade:
    """What is asked of a stroke, and its moments as the timeline has them.

    `moments`: frames of ready, backswing, contact and end. `shares`: where the ungraded stroke has
    them, 0 to 1.
    """

    kind: GradeKind
    levels: Levels
    moments: tuple[int, int, int, int]
    shares: tuple[float, float, float, float]

    def frame_at(self, share: float) -> float:
        """The frame of a moment that the ungraded stroke has at this share of its duration."""
        return float(np.interp(share, self.shares, self.moments))
