"""Image pyramids of the variational flow: blur, resize, warp. Legend: B batch, C channel, H, W.

Source: Liu 2009, *Beyond Pixels*, appendix A (coarse to fine, ratio 0.75).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

RATIO = 0.75
SMALLEST_WIDTH = 20
SMALLEST_SIDE = 4
"""Levels thinner than this are left out; the reference never meets them at 16:9."""

Image = Float[Tensor, "batch channel height width"]
Flow = Float[Tensor, "batch 2 height width"]


def level_count(width: int) -> int:
    """Number of pyramid levels of an image of this width.

    >>> level_count(320)
    9
    """
    return max(int(math.log(SMALLEST_WIDTH / width) / math.log(RATIO)), 1)


def correlate(image: Image, taps: Sequence[float], axis: int) -> Image:
    """Correlate along an axis (-1: x, -2: y) with an odd number of taps, borders replicated."""
    radius = len(taps) // 2
    pad = (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius)
    padded = F.pad(image, pad, mode="replicate")
    size = image.shape[axis]
    total = torch.zeros_like(image)
    for offset, tap in enumerate(taps):
        if tap:
            total.add_(padded.narrow(axis, offset, size), alpha=tap)
    return total


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur with radius int(3 sigma), taps normalised, borders replicated."""
    radius = int(3 * sigma)
    taps = [math.exp(-(k**2) / (2 * sigma**2)) for k in range(-radius, radius + 1)]
    taps = [tap / math.fsum(taps) for tap in taps]
    return correlate(correlate(image, taps, -1), taps, -2)


def resize(image: Image, size_hw: tuple[int, int], ratio_yx: tuple[float, float]) -> Image:
    """Bilinear samples at (j + 1) / ratio - 1 in both axes, clamped into the image."""
    for axis, size, ratio in ((-2, size_hw[0], ratio_yx[0]), (-1, size_hw[1], ratio_yx[1])):
        last = image.shape[axis] - 1
        steps = torch.arange(1, size + 1, dtype=torch.float64, device=image.device)
        position = (steps / ratio - 1).clamp_(0, last)
        low = position.floor()
        weight = (position - low).to(image)
        low = low.long()
        shape = (-1, 1) if axis == -2 else (-1,)
        first = image.index_select(axis, low)
        second = image.index_select(axis, (low + 1).clamp_(max=last))
        image = torch.lerp(first, second, weight.view(shape))
    return image


def resize_flow(flow: Flow, size_hw: tuple[int, int]) -> Flow:
    """Bring a flow to the next finer level: per-axis size ratios, values times 1 / RATIO."""
    height, width = flow.shape[-2:]
    ratio_yx = (size_hw[0] / height, size_hw[1] / width)
    return resize(flow, size_hw, ratio_yx) / RATIO


def level_sizes(height: int, width: int) -> list[tuple[int, float, float, tuple[int, int]]]:
    """How levels 1, 2, ... are made: (source level, sigma of its blur, ratio, size (h, w)).

    Level i up to n = 4 is blurred from the base with sigma i (1 / RATIO - 1), a coarser one from
    level i - n. Sizes are truncated.
    """
    step = int(math.log(0.25) / math.log(RATIO))
    sizes, plan = [(height, width)], []
    for index in range(1, level_count(width)):
        source = max(index - step, 0)
        ratio = RATIO**index * width / sizes[source][1]
        size_hw = (int(sizes[source][0] * ratio), int(sizes[source][1] * ratio))
        if min(size_hw) < SMALLEST_SIDE:
            break
        sizes.append(size_hw)
        plan.append((source, min(index, step) * (1 / RATIO - 1), ratio, size_hw))
    return plan


def pyramid(image: Image) -> list[Image]:
    """The levels of an image, finest first; 320 x 180 has 9, down to 32 x 18."""
    levels = [image]
    for source, sigma, ratio, size_hw in level_sizes(image.shape[-2], image.shape[-1]):
        levels.append(resize(blur(levels[source], sigma), size_hw, (ratio, ratio)))
    return levels


def warp(first: Image, second: Image, flow: Flow) -> Image:
    """The second image seen from the first; where the target lies outside, the first image."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    grid = torch.stack((x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1), dim=-1)
    warped = F.grid_sample(second, grid, "bilinear", "border", align_corners=True)
    return torch.where(inside[:, None], warped, first)
