"""Strokes made of formulas, whose measures are known by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from ttflow import ClipPose
from tttrain.quality.landmarks import StrokeSignal, stroke_signal

FPS = 60.0
TORSO_PX = 50.0


def swing(share: np.ndarray, size: float = 1.0) -> np.ndarray:
    """(T, 2) torso lengths: the wrist seen from the shoulder; back, through, and to the start.

    Furthest back at 0.3 of the stroke, furthest ahead at 0.7, at rest at both ends.
    """
    knots = np.interp(share, [0, 0.3, 0.7, 1], [0, 1, 2, 3])
    low = np.floor(np.minimum(knots, 2.999))
    ease = (1 - np.cos(np.pi * (knots - low))) / 2
    places = np.array([0.0, -1.0, 1.0, 0.0])
    x = places[low.astype(int)] * (1 - ease) + places[low.astype(int) + 1] * ease
    return np.stack([0.6 + size * x, 0.2 - size * 0.4 * x], axis=1)


def body(wrist: np.ndarray, left: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, 33, 2) and world (T, 33, 3) of a body that stands still, all but one wrist.

    The left-handed body is the mirror image of the other.
    """
    points = np.zeros((len(wrist), 33, 2))
    points[:, [11, 12]] = [[-0.3, -1.0], [0.3, -1.0]]
    points[:, [13, 14]] = [[-0.4, -0.6], [0.4, -0.6]]
    points[:, [15, 16]] = [[-0.4, -0.2], [0.4, -0.2]]
    points[:, [23, 24]] = [[-0.2, 0.0], [0.2, 0.0]]
    points[:, 16] = points[:, 12] + wrist
    points[:, 14] = points[:, 12] + wrist / 2
    world = np.concatenate([points * 0.5, np.zeros((len(wrist), 33, 1))], axis=2)
    if left:
        order = [*range(11), *(point + 1 if point % 2 else point - 1 for point in range(11, 33))]
        points, world = points[:, order], world[:, order]
        points[..., 0] *= -1
        world[..., 0] *= -1
    return points, world


def pose_of(
    share: np.ndarray, size: float = 1.0, *, scale: float = 1.0, shift: float = 300.0,
    left: bool = False, clip_id: str = "clip", noise: float = 0.0, seed: int = 0,
) -> ClipPose:  # fmt: skip
    """The pose of a stroke that is at `share` of its movement in each frame."""
    points, world = body(swing(share, size), left)
    jitter = np.random.default_rng(seed).normal(0, noise, points.shape) if noise else 0.0
    pixels = (points + jitter) * TORSO_PX * scale + shift
    seen = np.ones((len(share), 33), np.float32)
    return ClipPose(
        np.arange(len(share)), pixels.astype(np.float32), world.astype(np.float32), seen,
        seen[:, 0], clip_id, FPS,
    )  # fmt: skip


def signal_of(share: np.ndarray, size: float = 1.0, **how: object) -> StrokeSignal:
    """The signal of `pose_of`."""
    pose = pose_of(share, size, **how)  # type: ignore[arg-type]
    signal = stroke_signal(pose, 0, len(share), "left" if how.get("left") else "right")
    assert signal is not None
    return signal


EVEN = np.linspace(0, 1, 61)
"""One second, at an even pace."""


@pytest.fixture(scope="session")
def make_pose() -> Callable[..., ClipPose]:
    """A function: shares of the movement by frame, size, and how it is seen."""
    return pose_of


@pytest.fixture(scope="session")
def make_signal() -> Callable[..., StrokeSignal]:
    """The same as a signal."""
    return signal_of


@pytest.fixture(scope="session")
def even() -> np.ndarray:
    """(61,) shares of a movement of one second at an even pace."""
    return EVEN
