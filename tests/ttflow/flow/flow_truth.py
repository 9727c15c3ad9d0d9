"""Frame pairs with known flow: a small player made here, and the public sets where they are.

Images are (H, W, 3) uint8 RGB, flows (2, H, W) px.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ttdata.synth.config import SynthConfig
from ttdata.synth.plan import plan_video
from ttdata.synth.render import render

PARTS = (  # offset from the hip, half axes, speed: all in px
    ((-6, 30), (5, 20), 0.5),
    ((0, 0), (11, 20), 0.8),
    ((0, -27), (7, 8), 0.8),
    ((14, -6), (5, 12), 2.0),
    ((25, 2), (4, 12), 4.0),
    ((36, 6), (7, 8), 6.0),
)


class Pair(NamedTuple):
    first: np.ndarray
    second: np.ndarray
    flow: np.ndarray
    known: np.ndarray

    @property
    def moving(self) -> np.ndarray:
        return np.abs(self.flow).sum(0) > 0


def rendered_hall(seed: int) -> np.ndarray:
    """An empty hall of ttdata's synthetic videos; its lamps dark enough to become 10 % brighter."""
    config = SynthConfig(num_videos=1, num_players=1, width=320, height=180, seconds=2, seed=seed)
    return 0.85 * next(iter(render(plan_video(config, 0)))).rgb.astype(float)


def player(seed: int, hall: np.ndarray | None = None) -> Pair:
    """Limbs of cloth that turn and travel over a hall; the camera adds noise."""
    rng = np.random.default_rng(seed)
    size_hw = height, width = 180, 320
    hall = _cloth(rng, size_hw, 12) if hall is None else hall
    images, flow = [hall.copy(), hall.copy()], np.zeros((2, *size_hw))
    x, y = width * rng.uniform(0.35, 0.6), height * rng.uniform(0.5, 0.6)
    heading = rng.uniform(0, 2 * np.pi)
    for offset, axes, speed in PARTS:
        direction = heading + rng.normal(0, 0.4)
        travel = speed * rng.uniform(0.5, 1.2)
        motion = travel * np.array((np.cos(direction), np.sin(direction)))
        limb = (
            np.array((x, y)) + np.array(offset),
            np.array(axes),
            rng.uniform(-0.5, 0.5),
            motion,
            rng.normal(0, 0.03),
        )
        cloth = _cloth(rng, (64, 64), 7)
        for time, image in enumerate(images):
            alpha, color = _draw(limb, cloth, time, size_hw)
            image += alpha[..., None] * (color - image)
            if time == 0:
                flow = np.where(alpha > 0.5, _motion(limb, size_hw), flow)
    noisy = (image + rng.normal(0, 1.5, image.shape) for image in images)
    first, second = (image.round().clip(0, 255).astype(np.uint8) for image in noisy)
    return Pair(first, second, flow, np.ones(size_hw, bool))


def _cloth(rng: np.random.Generator, size_hw: tuple[int, int], grain: float) -> np.ndarray:
    """One colour, large shades and a fine weave, dark enough to become 10 % brighter."""
    shade = 1 + 0.4 * _waves(rng, size_hw, grain) + 0.25 * _waves(rng, size_hw, 1.2)
    return (rng.uniform(50, 150, 3) * shade[..., None]).clip(5, 225)


def _waves(rng: np.random.Generator, size_hw: tuple[int, int], sigma: float) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(0, 1, size_hw), (0, 0), sigma)
    return noise / noise.std() / 2


def _offsets(center, size_hw):
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(float)
    return x - center[0], y - center[1]


def _draw(limb, cloth, time, size_hw):
    center, axes, angle, motion, turn = limb
    dx, dy = _offsets(center + time * motion, size_hw)
    cos, sin = np.cos(angle + time * turn), np.sin(angle + time * turn)
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    alpha = np.clip((1 - np.hypot(u / axes[0], v / axes[1])) * min(axes) + 0.5, 0, 1)
    at = (u + 32).astype(np.float32), (v + 32).astype(np.float32)
    return alpha, cv2.remap(cloth, *at, cv2.INTER_CUBIC)


def _motion(limb, size_hw):
    center, _, _, motion, turn = limb
    dx, dy = _offsets(center, size_hw)
    cos, sin = np.cos(turn), np.sin(turn)
    moved = (cos * dx - sin * dy - dx, sin * dx + cos * dy - dy)
    return np.stack(moved) + motion[:, None, None]


def flicker(image: np.ndarray, kind: str) -> np.ndarray:
    """A frame 10 % brighter or darker, or both from place to place ("local")."""
    if kind == "local":
        height, width = image.shape[:2]
        y, x = np.mgrid[:height, :width]
        gain = 1 + 0.1 * np.sin(2 * np.pi * x / width) * np.cos(np.pi * y / height)
    else:
        gain = np.array({"brighter": 1.1, "darker": 0.9}[kind])
    return (image * gain[..., None]).round().clip(0, 255).astype(np.uint8)


def public_pairs(
    root: Path, set_name: str, size_wh: tuple[int, int] = (320, 180)
) -> Iterator[Pair]:
    """Middlebury `other` (Baker et al. 2011) or FlyingChairs examples (Dosovitskiy et al. 2015)."""
    if set_name == "middlebury":
        base = root / "flow/middlebury_other"
        for folder in sorted((base / "other-data").iterdir()):
            images = [folder / "frame10.png", folder / "frame11.png"]
            yield _public(images, base / "other-gt-flow" / folder.name / "flow10.flo", size_wh)
    else:
        for truth in sorted((root / "flow/flyingchairs_examples").glob("*-gt.flo")):
            stem = truth.name.removesuffix("-gt.flo")
            images = [truth.with_name(f"{stem}-img{index}.ppm") for index in (0, 1)]
            yield _public(images, truth, size_wh)


def _public(images: list[Path], truth: Path, size_wh: tuple[int, int]) -> Pair:
    data = truth.read_bytes()
    width, height = np.frombuffer(data, "<i4", 2, 4)
    flow = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
    known = (np.abs(flow) < 1e9).all(axis=-1)
    share = cv2.resize(known.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
    flow = cv2.resize(np.where(known[..., None], flow, 0), size_wh, interpolation=cv2.INTER_AREA)
    flow = flow / np.maximum(share, 1e-6)[..., None] * (size_wh[0] / width, size_wh[1] / height)
    frames = (
        cv2.resize(
            cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB),
            size_wh,
            interpolation=cv2.INTER_AREA,
        )
        for path in images
    )
    return Pair(*frames, flow.transpose(2, 0, 1), share > 0.99)
