"""Settings that networks are built from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, TypeGuard

from ttmodels.inputs import INPUTS
from ttmodels.plain_values import plain

MIN_SIDE = 8
"""Three poolings halve every axis three times, so shorter axes would vanish."""


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of everything that is stored as a model folder.

    Numbers may be NumPy's; they are kept as Python's.

    Args:
        num_classes: number of logits.

    Raises:
        ValueError: if a value is out of range.
    """

    num_classes: int = 21

    def __post_init__(self) -> None:
        for setting in fields(self):
            object.__setattr__(self, setting.name, plain(getattr(self, setting.name)))
        check_positive("num_classes", self.num_classes)


@dataclass(frozen=True)
class ModelConfig(NetworkConfig):
    """Settings every network has.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.

    Raises:
        ValueError: if a value is out of range.

    Attributes:
        smallest_clip: (time, height, width) below which the network's poolings leave nothing.
    """

    smallest_clip: ClassVar[tuple[int, int, int]] = (MIN_SIDE, MIN_SIDE, MIN_SIDE)

    clip_shape: tuple[int, int, int] = (100, 120, 120)

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = self.clip_shape
        if not isinstance(shape, Sequence) or len(shape) != 3 or not all(map(_is_int, shape)):
            raise ValueError(
                f"clip_shape is {shape!r}, expected three integers (time, height, width)"
            )
        if any(side < least for side, least in zip(shape, self.smallest_clip, strict=True)):
            raise ValueError(f"clip_shape is {tuple(shape)}, expected each axis >= {self._least()}")
        object.__setattr__(self, "clip_shape", tuple(shape))  # JSON gives a list

    def _least(self) -> str:
        sides = self.smallest_clip
        return str(sides[0] if len(set(sides)) == 1 else sides)


@dataclass(frozen=True)
class OneStreamConfig(ModelConfig):
    """Settings of a network that takes either RGB or flow.

    Args:
        in_channels: 3 for RGB, 2 for flow.
    """

    in_channels: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_int(self.in_channels) or self.in_channels not in _INPUT_OF_CHANNELS:
            raise ValueError(f"in_channels is {self.in_channels!r}, expected 3 (RGB) or 2 (flow)")

    @property
    def input(self) -> str:
        """Name of the clip it takes, "rgb" or "flow"."""
        return _INPUT_OF_CHANNELS[self.in_channels]


_INPUT_OF_CHANNELS = {clip.channels: name for name, clip in INPUTS.items()}


def check_positive(name: str, value: object) -> None:
    """Raise unless the value of this setting is an integer from 1 on.

    Raises:
        ValueError: otherwise.
    """
    if not _is_int(value) or value < 1:
        raise ValueError(f"{name} is {value!r}, expected an integer >= 1")


def check_dropout(dropout: object) -> None:
    """Raise unless the value is a probability below 1.

    Raises:
        ValueError: otherwise.
    """
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout!r}, expected a number in [0, 1)")


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
