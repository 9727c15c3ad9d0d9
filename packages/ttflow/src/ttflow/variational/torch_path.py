"""Both modes in batched PyTorch: any device, any batch; the tested meaning of the numba path."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ttflow.variational.equations import GRAY, assemble, features, smooth
from ttflow.variational.pyramid import Flow, Image, pyramid, resize, resize_flow, warp
from ttflow.variational.settings import GAIN_OFFSET, RobustSettings
from ttflow.variational.solvers import lexicographic, red_black


def reference(first: Image, second: Image) -> Flow:
    """The reference's schedule: 7 + k linearisations of 30 + 3 k sweeps at level k.

    Args:
        first: (B, 3, H, W) in [0, 1].
        second: (B, 3, H, W) in [0, 1].
    """
    first_levels, second_levels = pyramid(first), pyramid(second)
    flow: Flow | None = None
    for level in reversed(range(len(first_levels))):
        one, two = features(first_levels[level]), features(second_levels[level])
        flow = _start(flow, one)
        one_smooth = smooth(one)
        for _ in range(7 + level):
            system = assemble(one_smooth, warp(one, two, flow), flow)
            flow = flow + lexicographic(system, 30 + 3 * level)
    assert flow is not None
    return flow


def robust(
    first: Image, second: Image, settings: RobustSettings, initial_flow: Flow | None = None
) -> Flow:
    """The default mode; see `BeyondPixels` for what it does differently.

    Args:
        first: (B, 3, H, W) in [0, 1].
        second: (B, 3, H, W) in [0, 1].
        settings: iterations and gain compensation.
        initial_flow: (B, 2, H, W) px, a nearby flow to start from, for instance of the last pair.
    """
    one, two = pyramid(first), pyramid(second)
    at = min(settings.gain_level, len(one) - 1)
    if initial_flow is None:
        flow = _solve(one, two, None, len(one) - 1, at, settings.outer_iterations, settings)
        top, outer = len(one) - 1, settings.outer_iterations
    else:
        flow = _shrink(initial_flow, one[at])
        top, outer = min(settings.warm_level, len(one) - 1), settings.warm_outer_iterations
    gain = measure_gain(one[at], two[at], flow, settings)
    two = pyramid(second * F.interpolate(gain, first.shape[-2:], mode="bilinear"))
    start = None if initial_flow is None else _shrink(initial_flow, one[top])
    return _solve(one, two, start, top, 0, outer, settings)


def measure_gain(first: Image, second: Image, flow: Flow, settings: RobustSettings) -> Tensor:
    """(B, 1, rows, columns): median of first over aligned second per block."""
    weights = first.new_tensor(GRAY)[None, :, None, None]
    one, two = ((image * weights).sum(1, keepdim=True) + GAIN_OFFSET for image in (first, second))
    ratio = (one / warp(torch.full_like(one, torch.nan), two, flow))[:, 0]
    rows, columns = settings.gain_blocks
    medians = [
        block.flatten(1).nanmedian(dim=1).values
        for strip in ratio.tensor_split(rows, dim=1)
        for block in strip.tensor_split(columns, dim=2)
    ]
    gain = torch.stack(medians, dim=1).view(-1, 1, rows, columns).nan_to_num(1.0)
    return gain.clamp(1 / settings.gain_limit, settings.gain_limit)


def median3(flow: Flow) -> Flow:
    """3 x 3 median of each component, borders replicated."""
    height, width = flow.shape[-2:]
    padded = F.pad(flow, (1, 1, 1, 1), mode="replicate")
    shifted = [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return torch.stack(shifted).median(dim=0).values


def _solve(
    first: list[Image],
    second: list[Image],
    flow: Flow | None,
    top: int,
    bottom: int,
    outer: int,
    settings: RobustSettings,
) -> Flow:
    for level in range(top, bottom - 1, -1):
        one, two = features(first[level]), features(second[level])
        flow = _start(flow, one)
        one_smooth = smooth(one)
        for _ in range(outer):
            system = assemble(one_smooth, warp(one, two, flow), flow)
            flow = median3(flow + red_black(system, settings.sweeps_at(level), settings.omega))
    assert flow is not None
    return flow


def _start(flow: Flow | None, level: Image) -> Flow:
    """The flow at the size of a level: zero, as it is, or brought up from the coarser one."""
    size_hw = (level.shape[-2], level.shape[-1])
    if flow is None:
        return level.new_zeros(len(level), 2, *size_hw)
    return flow if flow.shape[-2:] == size_hw else resize_flow(flow, size_hw)


def _shrink(flow: Flow, level: Image) -> Flow:
    """A full-size flow at the size of a level, in pixels of that level."""
    height, width = level.shape[-2:]
    ratio_yx = (height / flow.shape[-2], width / flow.shape[-1])
    scale = flow.new_tensor((ratio_yx[1], ratio_yx[0])).view(1, 2, 1, 1)
    return resize(flow, (height, width), ratio_yx) * scale
