"""The stages of a frame in one pass, after `ttdata.video.decode.DecodedFrame`.

    DecodedFrame -> WorkingFrame -> FlowFrame -> PatchFrame -> EncodedFrame

Each holds what the next step needs; what is no longer needed is free.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WorkingFrame:
    """A frame at working size with its foreground."""

    index: int
    time_seconds: float
    rgb: NDArray[np.uint8]
    """(H, W, 3)"""
    mask: NDArray[np.bool_] | None
    """(H, W); None where there is no foreground information."""


@dataclass(frozen=True)
class FlowFrame:
    """A working frame with its flow to the next one."""

    index: int
    time_seconds: float
    flags: int
    """The sum of FLAG_NO_FLOW and FLAG_UNMASKED that applies."""
    rgb: NDArray[np.uint8]
    """(H, W, 3)"""
    flow: NDArray[np.float32]
    """(2, H, W), masked where there is a mask; zero for the last frame of the video."""


@dataclass(frozen=True)
class PatchFrame:
    """The square round one region of interest of a frame, before it is encoded."""

    index: int
    time_seconds: float
    flags: int
    """The sum of FLAG_NO_FLOW, FLAG_UNMASKED and FLAG_NO_MOTION that applies."""
    roi_xy: tuple[float, float]
    left_top: tuple[int, int]
    rgb: NDArray[np.uint8]
    """(S, S, 3)"""
    flow: NDArray[np.int16]
    """(2, S, S), units of 1/32 px."""


@dataclass(frozen=True)
class EncodedFrame:
    """What a clip stores of one frame."""

    roi_xy: tuple[float, float]
    left_top: tuple[int, int]
    flags: int
    time_seconds: float
    flow_max_px: tuple[float, float]
    rgb: bytes
    flow: bytes
