"""What networks take, clips or landmarks: channels, range of the values, shape."""

from dataclasses import dataclass

import torch
from torch import Tensor


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

POSE = ClipInput(channels=3, low=-5.0, high=5.0)
"""x (right), y (down) in torso lengths from the middle of the hips; visibility in [0, 1]."""

POSE_POINTS = 33
"""Landmarks of a person, in the order of BlazePose: (batch, 3, time, 33)."""


def input_named(name: str) -> ClipInput:
    """Return the channels and the range of an input: "rgb", "flow" or "pose"."""
    return POSE if name == "pose" else INPUTS[name]


def input_shape(name: str, clip_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the shape of one input of a network for clips of this shape, without the batch."""
    if name == "pose":
        return POSE.channels, clip_shape[0], POSE_POINTS
    return INPUTS[name].channels, *clip_shape


def check_pose(num_frames: int, dtype: torch.dtype, pose: Tensor) -> None:
    """Raise unless the landmarks are what a network takes.

    Args:
        num_frames: the network was built for.
        dtype: of the network's weights; under autocast any floating type may come in.
        pose: landmarks, (batch, 3, time, 33).

    Raises:
        ValueError: for another shape or dtype; the message says what was expected and found.
    """
    if pose.ndim != 4 or pose.shape[1:] != (POSE.channels, num_frames, POSE_POINTS):
        raise ValueError(
            f"pose has shape {tuple(pose.shape)}, expected "
            f"(batch, {POSE.channels}, {num_frames}, {POSE_POINTS}) as normalise_pose gives it"
        )
    _check_dtype("pose", pose, dtype)


def check_clips(
    clip_shape: tuple[int, int, int],
    dtype: torch.dtype,
    clips: dict[str, Tensor],
    *,
    or_larger: bool = False,
) -> None:
    """Raise unless the clips are what a network takes.

    Args:
        clip_shape: (time, height, width) the network was built for.
        dtype: of the network's weights; under autocast any floating type may come in.
        clips: from input name ("rgb", "flow") to clip.
        or_larger: whether a clip may be longer, higher or wider.

    Raises:
        ValueError: for a clip of another shape or dtype, clips in the wrong order, or clips of
            different batch sizes; the message says what was expected and found.
    """
    for name, clip in clips.items():
        channels = INPUTS[name].channels
        if not _fits(clip, (channels, *clip_shape), or_larger):
            sides = ", ".join(f"{side}{' or more' if or_larger else ''}" for side in clip_shape)
            raise ValueError(
                f"{name} has shape {tuple(clip.shape)}, expected (batch, {channels}, {sides})"
                f"{_swapped(name, clip)}"
            )
        _check_dtype(name, clip, dtype)
    batches = {name: clip.shape[0] for name, clip in clips.items()}
    if any(batch != next(iter(batches.values())) for batch in batches.values()):
        raise ValueError(f"batch sizes are {batches}, expected the same for every input")


def _fits(clip: Tensor, expected: tuple[int, ...], or_larger: bool) -> bool:
    """Whether (channels, time, height, width) are as expected, the last three perhaps larger."""
    if clip.ndim != 5 or clip.shape[1] != expected[0]:
        return False
    pairs = list(zip(clip.shape[2:], expected[1:], strict=True))
    return all(side >= least if or_larger else side == least for side, least in pairs)


def _check_dtype(name: str, clip: Tensor, dtype: torch.dtype) -> None:
    wanted = input_named(name)
    if not clip.is_floating_point():
        raise ValueError(
            f"{name} has dtype {clip.dtype}, expected {dtype} "
            f"with values in [{wanted.low:g}, {wanted.high:g}]"
        )
    if clip.dtype != dtype and not torch.is_autocast_enabled(clip.device.type):
        raise ValueError(f"{name} has dtype {clip.dtype}, expected {dtype}, that of the weights")


def _swapped(name: str, clip: Tensor) -> str:
    """A hint when a clip has the channels of another input."""
    channels = clip.shape[1] if clip.ndim == 5 else None
    others = [other for other, it in INPUTS.items() if other != name and it.channels == channels]
    return f"; it looks like {others[0]}: are the inputs swapped?" if others else ""
