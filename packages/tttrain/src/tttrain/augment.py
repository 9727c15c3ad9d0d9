"""Cuts the network's input from stored patches, varied for training (SPEC 3.4).

Legend: B clips, T frames, S side of a stored patch, H and W of the crop, pixels.

A draw moves the picture about the ROI centre: a point p of the patch (x right, y down, from the
centre) goes to q = s (R M p + t), with the mirror M, the rotation R, the shift t and the scale s.
A flow vector v goes to s R M v. The crop looks up p = M R^-1 (q / s - t), which for the defaults
stays within 90.5 px of the centre on each axis, inside a stored patch of 184 px.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from tttrain.config import AugmentConfig
from tttrain.keys import generator


@dataclass(frozen=True)
class Draw:
    """One spatial variation of a clip; the default changes nothing."""

    angle_radians: float = 0.0
    shift_xy: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    mirror: bool = False

    def matrix(self) -> np.ndarray:
        """(2, 2) float64, s R M: what the draw does to a flow vector (x, y)."""
        cos, sin = math.cos(self.angle_radians), math.sin(self.angle_radians)
        flip = -1.0 if self.mirror else 1.0
        return self.scale * np.array([[cos * flip, -sin], [sin * flip, cos]])


IDENTITY = Draw()


def draw(config: AugmentConfig, crop_hw: tuple[int, int], rng: np.random.Generator) -> Draw:
    """A draw within the configured bounds, uniform on each of them.

    Args:
        config: the bounds; where `spatial` is off, the result is the identity.
        crop_hw: height and width of the crop in pixels, which the translation is a share of.
        rng: consumed the same way whatever the bounds are.
    """
    angle, shift_x, shift_y, scale = rng.uniform(-1, 1, 4)
    mirror = bool(rng.random() < 0.5)
    if not config.spatial:
        return IDENTITY
    height, width = crop_hw
    return Draw(
        angle_radians=math.radians(config.rotation_degrees) * angle,
        shift_xy=(config.translation * width * shift_x, config.translation * height * shift_y),
        scale=1.0 + config.scale * scale,
        mirror=config.mirror and mirror,
    )


class Augment:
    """Crops a batch of stored patches; for training, each clip with a draw of its own."""

    def __init__(self, config: AugmentConfig, crop_hw: tuple[int, int], seed: int) -> None:
        self.config, self.crop_hw, self.seed = config, crop_hw, seed

    def draws(self, clip_ids: Sequence[str], epoch: int | None) -> list[Draw]:
        """The draws of these clips in this epoch; identities for epoch None (evaluation)."""
        if epoch is None or not self.config.spatial:
            return [IDENTITY] * len(clip_ids)
        return [
            draw(self.config, self.crop_hw, generator(self.seed, epoch, "augment", clip_id))
            for clip_id in clip_ids
        ]

    def __call__(
        self, rgb: Tensor, flow: Tensor, clip_ids: Sequence[str], epoch: int | None
    ) -> tuple[Tensor, Tensor]:
        """Crops for the network: see `transform`; `flow` comes in units of 1/32 px."""
        return transform(rgb, flow / 32.0, self.draws(clip_ids, epoch), self.crop_hw)


def transform(
    rgb: Tensor, flow: Tensor, draws: Sequence[Draw], crop_hw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Apply one draw per clip and cut the crop.

    Args:
        rgb: (B, T, S, S, 3) uint8, stored patches.
        flow: (B, T, 2, S, S) float32, pixels per frame, x right then y down.
        draws: B of them.
        crop_hw: height and width of the result, of the parity of S.

    Returns:
        rgb (B, 3, T, H, W) float32 in [0, 1] and flow (B, 2, T, H, W) float32 in pixels per frame.
        Where the transformed square leaves the patch: black, flow zero. An identity draw is
        exactly the plain centre crop.
    """
    picture = rgb.permute(0, 1, 4, 2, 3)
    planes = torch.cat([picture.to(torch.float32) / 255.0, flow], dim=2)
    frames, channels = planes.shape[1:3]
    cut = centre_crop(planes, crop_hw)
    moved = [index for index, item in enumerate(draws) if item != IDENTITY]
    if moved:
        chosen = [draws[index] for index in moved]
        # All frames of a clip share its grid, so they ride along as channels of one picture.
        stacked = planes[moved].flatten(1, 2)
        grid = _grid(chosen, planes.shape[-1], crop_hw).to(planes.device)
        sampled = grid_sample(stacked, grid, "bilinear", "zeros", align_corners=True)
        sampled = sampled.view(len(moved), frames, channels, *crop_hw)
        matrices = torch.from_numpy(np.stack([item.matrix() for item in chosen])).to(planes)
        sampled[:, :, 3:] = torch.einsum("bij,btjhw->btihw", matrices, sampled[:, :, 3:])
        cut = cut.clone()
        cut[moved] = sampled
    cut = cut.transpose(1, 2)
    return cut[:, :3], cut[:, 3:]


def centre_crop(planes: Tensor, crop_hw: tuple[int, int]) -> Tensor:
    """The centre of the last two axes.

    Raises:
        ValueError: if the crop exceeds the patch or differs from it by an odd number.
    """
    height, width = crop_hw
    full_height, full_width = planes.shape[-2:]
    down, right = full_height - height, full_width - width
    if down < 0 or right < 0 or down % 2 or right % 2:
        raise ValueError(
            f"crop {height} x {width} must fit into the patch {full_height} x {full_width} "
            "with an even margin"
        )
    return planes[..., down // 2 : down // 2 + height, right // 2 : right // 2 + width]


def _grid(draws: Sequence[Draw], side_px: int, crop_hw: tuple[int, int]) -> Tensor:
    """(B, H, W, 2) float32: where each pixel of the crop looks, in grid_sample's [-1, 1]."""
    height, width = crop_hw
    y, x = np.mgrid[:height, :width].astype(np.float64)
    target = np.stack([x - (width - 1) / 2, y - (height - 1) / 2], axis=-1)
    grids = []
    for item in draws:
        back = np.linalg.inv(item.matrix() / item.scale)
        source = (target / item.scale - np.array(item.shift_xy)) @ back.T
        grids.append(source / ((side_px - 1) / 2))
    return torch.from_numpy(np.stack(grids).astype(np.float32))
