"""What a network is built from, and what it takes in."""

from collections.abc import Sequence
from dataclasses import dataclass

MIN_SIDE = 8
"""Three poolings halve every axis three times, so shorter axes would vanish."""


@dataclass(frozen=True)
class ClipInput:
    """One input clip of a network, (batch, channels, time, height, width) floats in [low, high]."""

    channels: int
    low: float
    high: float


INPUTS: dict[str, ClipInput] = {
    "rgb": ClipInput(channels=3, low=0.0, high=1.0),
    "flow": ClipInput(channels=2, low=-1.0, high=1.0),
}
"""Red, green, blue = value / 255; flow x (right), y (down) = clip(px per frame / scale, -1, 1)."""


@dataclass(frozen=True)
class ModelConfig:
    """Settings every network has.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.

    Raises:
        ValueError: if a value is out of range.
    """

    num_classes: int = 21
    clip_shape: tuple[int, int, int] = (100, 120, 120)

    def __post_init__(self) -> None:
        if not _is_int(self.num_classes) or self.num_classes < 1:
            raise ValueError(f"num_classes is {self.num_classes!r}, expected an integer >= 1")
        shape = self.clip_shape
        if not isinstance(shape, Sequence) or len(shape) != 3 or not all(map(_is_int, shape)):
            raise ValueError(
                f"clip_shape is {shape!r}, expected three integers (time, height, width)"
            )
        if min(shape) < MIN_SIDE:
            raise ValueError(f"clip_shape is {tuple(shape)}, expected each axis >= {MIN_SIDE}")
        object.__setattr__(self, "clip_shape", tuple(shape))  # JSON gives a list


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
