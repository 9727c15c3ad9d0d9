"""Frame pairs with known flow of a synthetic player.

The player is a set of textured limbs that turn and travel over a hall painted by `ttdata`; every
pixel's motion is known.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from public_pairs import HEIGHT, WIDTH, Pair

from ttdata.synth.config import SynthConfig
from ttdata.synth.plan import plan_video
from ttdata.synth.render import render


class Limb(NamedTuple):
    """An ellipse: offset and half axes px, angle, motion px per frame, turn rad per frame."""

    center_xy: NDArray[np.float64]
    axes: tuple[float, float]
    angle: float
    motion_xy: NDArray[np.float64]
    turn: float


def player_pairs(count: int, seed: int = 0) -> Iterator[Pair]:
    """Pairs of the synthetic player, each in a hall of its own."""
    config = SynthConfig(
        num_videos=count, num_players=count, width=WIDTH, height=HEIGHT, seconds=2, seed=seed
    )
    for index in range(count):
        hall = next(iter(render(plan_video(config, index)))).rgb.astype(np.float32)
        hall *= 0.85  # lamps below white, so that flicker does not saturate them
        rng = np.random.default_rng((seed, index))
        yield _player_pair(hall, rng)


def _player_pair(hall: NDArray[np.float32], rng: np.random.Generator) -> Pair:
    images = [hall.copy(), hall.copy(), hall.copy()]
    flow = np.zeros((2, HEIGHT, WIDTH), np.float32)
    for limb in _limbs(rng):
        texture = _texture(rng)
        for time, image in zip((0, 1, -1), images, strict=True):
            alpha, color = _draw(limb, texture, time)
            image += alpha[..., None] * (color - image)
            if time == 0:
                inside = alpha > 0.5
                flow[:, inside] = _motion(limb)[:, inside]
    noisy = [image + rng.normal(0, 1.5, image.shape) for image in images]
    first, second, before = (image.round().clip(0, 255).astype(np.uint8) for image in noisy)
    return Pair("player", first, second, flow, np.ones((HEIGHT, WIDTH), bool), before)


def _limbs(rng: np.random.Generator) -> list[Limb]:
    """A torso, a head, two legs, an arm of two parts and a bat, faster from part to part."""
    x, y = WIDTH * rng.uniform(0.35, 0.65), HEIGHT * rng.uniform(0.5, 0.6)
    parts = (
        ((-6, 30), (5, 20), 0.5),
        ((6, 30), (5, 20), 0.5),
        ((0, 0), (11, 20), 0.8),
        ((0, -27), (7, 8), 0.8),
        ((14, -6), (5, 12), 2.0),
        ((25, 2), (4, 12), 4.0),
        ((36, 6), (7, 8), 6.0),
    )
    heading = rng.uniform(0, 2 * np.pi)
    limbs = []
    for offset, axes, speed in parts:
        direction = heading + rng.normal(0, 0.4)
        travel = speed * rng.uniform(0.5, 1.2) * np.array((np.cos(direction), np.sin(direction)))
        center = np.array((x, y)) + offset
        limbs.append(Limb(center, axes, rng.uniform(-0.5, 0.5), travel, rng.normal(0, 0.03)))
    return limbs


def _texture(rng: np.random.Generator) -> NDArray[np.float32]:
    """A cloth: one colour, shading and a fine weave, (64, 64, 3)."""
    coarse = cv2.resize(rng.normal(0, 1, (7, 7)).astype(np.float32), (64, 64), interpolation=2)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (64, 64)).astype(np.float32), (0, 0), 1.2)
    shade = 1 + 0.2 * coarse + 0.25 * fine
    return (rng.uniform(40, 200, 3) * shade[..., None]).clip(0, 255).astype(np.float32)


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    return x, y


def _draw(
    limb: Limb, texture: NDArray[np.float32], time: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = _grid()
    angle = limb.angle + time * limb.turn
    dx, dy = x - limb.center_xy[0] - time * limb.motion_xy[0], y - limb.center_xy[1]
    dy = dy - time * limb.motion_xy[1]
    u, v = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    radius = np.hypot(u / limb.axes[0], v / limb.axes[1])
    alpha = np.clip((1 - radius) * min(limb.axes) + 0.5, 0, 1)
    at = (u + 32).astype(np.float32), (v + 32).astype(np.float32)
    return alpha.astype(np.float32), cv2.remap(texture, *at, cv2.INTER_CUBIC)


def _motion(limb: Limb) -> NDArray[np.float32]:
    x, y = _grid()
    dx, dy = x - limb.center_xy[0], y - limb.center_xy[1]
    cos, sin = np.cos(limb.turn), np.sin(limb.turn)
    moved = (cos * dx - sin * dy - dx, sin * dx + cos * dy - dy)
    return (np.stack(moved) + limb.motion_xy[:, None, None]).astype(np.float32)


def flicker(frame: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """A frame 10 % "brighter" or "darker", or up to 10 % both from place to place ("local")."""
    gain: float | NDArray[np.float64] = 0.9 if kind == "darker" else 1.1
    if kind == "local":
        x, y = _grid()
        gain = 1 + 0.1 * np.sin(2 * np.pi * x / WIDTH) * np.cos(np.pi * y / HEIGHT)
        gain = gain[..., None]
    return (frame * gain).round().clip(0, 255).astype(np.uint8)
