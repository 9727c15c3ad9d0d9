"""Settings that networks are built from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeGuard

from ttmodels.inputs import INPUTS
from ttmodels.plain_values import plain

MIN_SIDE = 8
"""Three poolings halve every axis three times, so shorter axes would vanish."""

Head = Literal["flat", "pooled"]


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

    def stored(self) -> dict[str, Any]:
        """Return what a model folder records and a network is built from again."""
        return asdict(self)


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
class BranchConfig(ModelConfig):
    """Settings of the SSTC family.

    Args:
        head: what the layers of 500 features read: "flat", the last maps place by place as in the
            paper, or "pooled", their spatial means at each time.
        pool_fields: of the pooled head, fields along height and along width: 3 (means over 3 x 3
            fields) or 1 (over the whole picture).
    """

    head: Head = field(default="flat", kw_only=True)
    pool_fields: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head not in ("flat", "pooled"):
            raise ValueError(f"head is {self.head!r}, expected 'flat' or 'pooled'")
        if not _is_int(self.pool_fields) or self.pool_fields not in (1, 3):
            raise ValueError(f"pool_fields is {self.pool_fields!r}, expected 1 or 3")
        if self.head == "flat" and self.pool_fields != 3:
            raise ValueError(
                f"pool_fields is {self.pool_fields} and head 'flat', which pools nothing; "
                "expected head 'pooled'"
            )

    @property
    def fields_per_side(self) -> int | None:
        """Fields along height and along width that branches average over; None: no averaging."""
        return self.pool_fields if self.head == "pooled" else None

    def stored(self) -> dict[str, Any]:
        """Return the settings, of the head only if it is not the paper's: folders stay as ever."""
        values = super().stored()
        if self.head == "flat":
            del values["head"], values["pool_fields"]
        return values


Landmarks = Literal["picture", "world"]


@dataclass(frozen=True)
class PoseNetConfig(ModelConfig):
    """Settings of the network on landmarks.

    Args:
        landmarks: what it reads: "picture", as `ttmodels.normalise_pose` gives them, or "world", as
            `ttmodels.normalise_world_pose` does.
    """

    landmarks: Landmarks = field(default="picture", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.landmarks not in ("picture", "world"):
            raise ValueError(f"landmarks is {self.landmarks!r}, expected 'picture' or 'world'")

    def stored(self) -> dict[str, Any]:
        """Return the settings, the landmarks only if they are of the world: folders stay."""
        values = super().stored()
        if self.landmarks == "picture":
            del values["landmarks"]
        return values


@dataclass(frozen=True)
class ThreeStreamsConfig(BranchConfig, PoseNetConfig):
    """Settings of the network on RGB, flow and landmarks: of its branches, of its landmarks."""


@dataclass(frozen=True)
class PoseSVMConfig(ModelConfig):
    """Settings of the support vector machine; the T of `clip_shape` counts moments of a stroke.

    Args:
        num_vectors: support vectors.
        coefficients: K, at most T.
    """

    num_vectors: int = field(default=1, kw_only=True)
    coefficients: int = field(default=8, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("num_vectors", self.num_vectors)
        check_positive("coefficients", self.coefficients)
        if self.coefficients > self.clip_shape[0]:
            raise ValueError(
                f"coefficients is {self.coefficients}, expected at most the {self.clip_shape[0]} "
                "moments of clip_shape"
            )


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
