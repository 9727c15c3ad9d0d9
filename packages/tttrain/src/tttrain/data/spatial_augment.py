"""Spatial augmentation: the network's input is cut from stored patches (specification 3.4).

The temporal half, which frames a window holds, is in `tttrain.data.windows`.

Legend: B clips, T frames, S side of a stored patch, H and W of the crop, pixels.

A draw moves the picture about the ROI centre: a point p of the patch (x right, y down, from the
centre) goes to q = s (R M p + t), with the mirror M, the rotation R, the shift t and the scale s.
A flow vector v goes to s R M v. The crop looks up p = M R^-1 (q / s - t), which for the defaults
stays within 90.5 px of the centre on each axis, inside a stored patch of 184 px.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ttflow.schema import FLOW_UNIT
from tttrain.config import AugmentConfig
from tttrain.data.cache import without_waiting
from tttrain.data.rng import generator


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

_CPU_BYTES = 2**21
"""Planes varied at a time on a CPU, which stay in its cache; 3 frames of 184 x 184 pixels."""


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


Cut = Callable[
    [Sequence[Tensor], Sequence[Tensor], Sequence[Draw], tuple[int, int]], tuple[Tensor, Tensor]
]
"""What cuts crops: `transform`, or the same as a kernel."""


class Augment:
    """Crops a batch of stored patches; for training, each clip with a draw of its own.

    Args:
        config: bounds of the draws.
        crop_hw: height and width of the crops.
        seed: of the run.
        cut: `transform` if None.
    """

    def __init__(
        self,
        config: AugmentConfig,
        crop_hw: tuple[int, int],
        seed: int,
        cut: Cut | None = None,
    ) -> None:
        self.config, self.crop_hw, self.seed = config, crop_hw, seed
        self.cut = cut or transform

    def draws(self, clip_ids: Sequence[str], epoch: int | None) -> list[Draw]:
        """The draws of these clips in this epoch; identities for epoch None (evaluation)."""
        if epoch is None or not self.config.spatial:
            return [IDENTITY] * len(clip_ids)
        return [
            draw(self.config, self.crop_hw, generator(self.seed, epoch, "augment", clip_id))
            for clip_id in clip_ids
        ]

    def __call__(
        self,
        rgb: Sequence[Tensor],
        flow: Sequence[Tensor],
        clip_ids: Sequence[str],
        epoch: int | None,
    ) -> tuple[Tensor, Tensor]:
        """Crops for the network: see `transform`; `flow` comes in units of 1/32 px."""
        return self.cut(rgb, flow, self.draws(clip_ids, epoch), self.crop_hw)


def transform(
    rgb: Sequence[Tensor],
    flow: Sequence[Tensor],
    draws: Sequence[Draw],
    crop_hw: tuple[int, int],
    unit: float = FLOW_UNIT,
) -> tuple[Tensor, Tensor]:
    """Apply one draw per clip and cut the crop.

    Args:
        rgb: B stored patches, (T, S, S, 3) uint8 each; a tensor (B, ...) will do.
        flow: B stored patches, (T, 2, S, S), x then y, of any type.
        draws: B of them.
        crop_hw: height and width of the result, of the parity of S.
        unit: what `flow` has for one pixel per frame.

    Returns:
        rgb (B, 3, T, H, W) float32 in [0, 1] and flow (B, 2, T, H, W) float32 in pixels per frame,
        both laid out channels last. Where the transformed square leaves the patch: black, flow
        zero. An identity draw is exactly the plain centre crop, on a CPU: a GPU divides by 255
        as a product with 1 / 255, and half of the 256 values differ by one rounding (2e-7).

    Raises:
        ValueError: if the crop does not fit into the patch with an even margin.
    """
    frames, side = rgb[0].shape[:2]
    check_crop(side, crop_hw)
    shape, device = (len(draws), frames, *crop_hw), rgb[0].device
    pictures = torch.empty((*shape, 3), device=device).permute(0, 4, 1, 2, 3)
    vectors = torch.empty((*shape, 2), device=device).permute(0, 4, 1, 2, 3)
    for index, item in enumerate(draws):
        if item == IDENTITY:
            square = _centre(side, crop_hw)
            torch.div(rgb[index][:, *square].permute(3, 0, 1, 2), 255, out=pictures[index])
            torch.div(flow[index][:, :, *square].transpose(0, 1), unit, out=vectors[index])
        else:
            _move(rgb[index], flow[index], item, pictures[index], vectors[index], unit)
    return pictures, vectors


def _move(
    rgb: Tensor, flow: Tensor, item: Draw, pictures: Tensor, vectors: Tensor, unit: float
) -> None:
    """Look up one clip's crop, (3, T, H, W) and (2, T, H, W), from its patches."""
    frames, side = rgb.shape[:2]
    source = _source(item, side, (pictures.shape[2], pictures.shape[3]))
    rows, columns = _reach(source[..., 1], side), _reach(source[..., 0], side)
    area = (rows.stop - rows.start, columns.stop - columns.start)
    at_once = frames if rgb.is_cuda else max(1, _CPU_BYTES // (5 * 4 * area[0] * area[1]))
    step = min(frames, at_once)
    planes = torch.empty((step, 5, *area), device=rgb.device)
    # Frame by frame, as the planes of one frame stay in the cache: ten times as fast as to take
    # all frames for channels of one picture.
    grid = without_waiting(_grid(source, rows, columns), rgb.device).expand(step, -1, -1, -1)
    (xx, xy), (yx, yy) = (item.matrix() / unit).tolist()
    for start in range(0, frames, step):
        span = slice(start, min(start + step, frames))
        part = planes[: span.stop - start]
        part[:, :3] = rgb[span, rows, columns].permute(0, 3, 1, 2)
        part[:, 3:] = flow[span, :, rows, columns]
        looked = grid_sample(part, grid[: len(part)], "bilinear", "zeros", align_corners=True)
        x, y = looked[:, 3], looked[:, 4]
        torch.div(looked[:, :3].transpose(0, 1), 255, out=pictures[:, span])
        torch.add(x * xx, y, alpha=xy, out=vectors[0, span])
        torch.add(x * yx, y, alpha=yy, out=vectors[1, span])


def check_crop(side_px: int, crop_hw: tuple[int, int]) -> None:
    """Refuse a crop that exceeds the patch or differs from it by an odd number.

    Raises:
        ValueError: then.
    """
    if any(side_px < side or (side_px - side) % 2 for side in crop_hw):
        raise ValueError(
            f"crop {crop_hw[0]} x {crop_hw[1]} must fit into the patch {side_px} x {side_px} "
            "with an even margin"
        )


def _centre(side_px: int, crop_hw: tuple[int, int]) -> tuple[slice, slice]:
    down, right = ((side_px - side) // 2 for side in crop_hw)
    return slice(down, down + crop_hw[0]), slice(right, right + crop_hw[1])


def _source(item: Draw, side_px: int, crop_hw: tuple[int, int]) -> np.ndarray:
    """(H, W, 2) float64: which point (x, y) of the patch each pixel of the crop looks at."""
    height, width = crop_hw
    y, x = np.mgrid[:height, :width].astype(np.float64)
    target = np.stack([x - (width - 1) / 2, y - (height - 1) / 2], axis=-1)
    back = np.linalg.inv(item.matrix() / item.scale)
    source: np.ndarray = (target / item.scale - np.array(item.shift_xy)) @ back.T
    return source + (side_px - 1) / 2


def _reach(points: np.ndarray, side_px: int) -> slice:
    """The rows or columns of the patch that a lookup at these points reads, at least two."""
    low = min(max(math.floor(points.min()), 0), side_px - 2)
    high = max(min(math.floor(points.max()) + 2, side_px), low + 2)
    return slice(low, high)


def _grid(source: np.ndarray, rows: slice, columns: slice) -> Tensor:
    """(1, H, W, 2) float32: the points in grid_sample's [-1, 1] of these rows and columns."""
    first = np.array([columns.start, rows.start])
    half = (np.array([columns.stop, rows.stop]) - 1 - first) / 2
    return torch.from_numpy(((source - first) / half - 1).astype(np.float32))[None]
