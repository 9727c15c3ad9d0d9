"""Both modes in batched PyTorch: any device, any batch; what the numba path is tested against."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ttflow.flow.variational.device_tables import on
from ttflow.flow.variational.equations import (
    GRAY,
    REFERENCE,
    Energy,
    System,
    assemble,
    features,
    smooth,
)
from ttflow.flow.variational.gain import DARK, block_pixels, block_weights
from ttflow.flow.variational.pyramid import Flow, Image, pyramid, resize, resize_flow, warp
from ttflow.flow.variational.settings import RobustSettings
from ttflow.flow.variational.solvers import lexicographic, red_black


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
        one_smooth = smooth(one, REFERENCE)
        for _ in range(7 + level):
            system = assemble(one_smooth, warp(one, two, flow), flow, REFERENCE)
            flow = flow + lexicographic(system, 30 + 3 * level)
    assert flow is not None
    return flow


def linearise(
    first: Image, first_smooth: Image, second: Image, flow: Flow, energy: Energy
) -> System:
    """The system of one update, from features: warp, smoothing, assembly."""
    return assemble(first_smooth, warp(first, second, flow), flow, energy)


def median(flow: Flow, side: int) -> Flow:
    """Median of each component over a square of an odd side, borders replicated."""
    height, width = flow.shape[-2:]
    padded = F.pad(flow, (side // 2,) * 4, mode="replicate")
    shifted = [padded[..., i : i + height, j : j + width] for i in range(side) for j in range(side)]
    return torch.stack(shifted, dim=-1).median(dim=-1).values


def added(
    solve: Callable[[System, int, float], Flow],
) -> Callable[[System, Flow, int, float], Flow]:
    """What adds a solver's update to a flow."""
    return lambda system, flow, sweeps, omega: flow + solve(system, sweeps, omega)


relax = added(red_black)


@dataclass(frozen=True)
class Parts:
    """What the robust mode spends its time in; on a GPU there are kernels for each."""

    relax: Callable[[System, Flow, int, float], Flow] = relax
    """Adds the solution of a system to a flow; or `fused_relax.relax`."""
    linearise: Callable[[Image, Image, Image, Flow, Energy], System] = linearise
    """Makes the system; or `fused_system.linearise`."""
    median: Callable[[Flow, int], Flow] = median
    """Of a flow; or `fused_median.median`."""
    pyramid: Callable[[Image], list[Image]] = pyramid
    """Of an image; or `fused_pyramid.pyramid`, as are the next two."""
    features: Callable[[Image], Image] = features
    resize_flow: Callable[[Flow, tuple[int, int]], Flow] = resize_flow
    smooth: Callable[[Image, Energy], Image] = smooth
    """Of features; or `fused_system.smooth`."""


PLAIN = Parts()


def robust(
    first: Image,
    second: Image,
    settings: RobustSettings,
    initial_flow: Flow | None = None,
    parts: Parts = PLAIN,
) -> Flow:
    """The default mode; see `BeyondPixels` for what it does differently.

    Args:
        first: (B, 3, H, W) in [0, 1].
        second: (B, 3, H, W) in [0, 1].
        settings: iterations and gain compensation.
        initial_flow: (B, 2, H, W) px, a nearby flow to start from, for instance of the last pair.
        parts: the solver and what surrounds it.
    """
    one, two = parts.pyramid(first), parts.pyramid(second)
    gain = measure_gain(one, two, settings, initial_flow, parts)
    two = [level * field(gain, level, first) for level in two]
    if initial_flow is None:
        return _solve(one, two, None, len(one) - 1, 0, settings.outer_iterations, settings, parts)
    top = min(settings.warm_level, len(one) - 1)
    start = _shrink(initial_flow, one[top])
    return _solve(one, two, start, top, 0, settings.warm_outer_iterations, settings, parts)


def measure_gain(
    first: list[Image],
    second: list[Image],
    settings: RobustSettings,
    flow: Flow | None,
    parts: Parts = PLAIN,
) -> Tensor:
    """(B, rows, columns): what the second image has to be multiplied by, at the knots of `field`.

    One gain for the whole image does without a flow. With it the pair is aligned at a coarse level
    and measured block by block, and again with these gains at a finer level; a nearby flow saves
    the aligning.
    """
    aligning = settings.while_aligning()
    top, levels = len(first) - 1, [min(level, len(first) - 1) for level in settings.gain_levels]
    still = torch.zeros_like(first[levels[0]][:, :2])
    whole = _ratios(first[levels[0]], second[levels[0]], still, first[0], (1, 1))
    whole = gain = whole.expand(-1, *settings.gain_blocks)
    for level in levels if flow is None else levels[-1:]:
        corrected = [image * field(gain, image, first[0]) for image in second[level:]]
        if flow is None:
            aligned = _solve(
                first,
                [*second[:level], *corrected],
                None,
                top,
                level,
                aligning.outer_iterations,
                aligning,
                parts,
            )
        else:
            aligned = _shrink(flow, first[level])
        for _ in range(settings.gain_measurements):
            corrected_level = second[level] * field(gain, second[level], first[0])
            gain = gain * _ratios(
                first[level], corrected_level, aligned, first[0], settings.gain_blocks
            )
            gain = gain.clamp(1 / settings.gain_limit, settings.gain_limit)
    deviation = (gain - whole).abs().flatten(1).median(dim=1).values
    return torch.where((deviation < settings.gain_threshold)[:, None, None], whole, gain)


def field(gain: Tensor, level: Image, image: Image) -> Tensor:
    """(B, 1, H, W): gains (B, rows, columns) at the pixels of a level of an image's pyramid."""
    rows, columns = (
        on(image.device, block_weights, image.shape[axis], level.shape[axis], gain.shape[axis])
        for axis in (-2, -1)
    )
    return (rows @ gain @ columns.T)[:, None]


def _ratios(
    first: Image, second: Image, flow: Flow, image: Image, blocks: tuple[int, int]
) -> Tensor:
    """(B, rows, columns): the g of each block for which |first - g second| has the least sum.

    That is the median of first / second along the flow, weighted by second; 1 for a block whose
    pixels are all black or move out of the image.
    """
    one, two = (_gray(level) for level in (first, second))
    seen = warp(torch.zeros_like(one), two, flow).flatten(1)
    pixels = on(
        image.device, block_pixels, tuple(image.shape[-2:]), tuple(first.shape[-2:]), blocks
    )
    weight = seen[:, pixels] * (pixels >= 0)
    ratio = one.flatten(1)[:, pixels] / seen[:, pixels].clamp(min=DARK)
    ratio, order = ratio.sort(dim=-1)
    below = weight.gather(-1, order).double().cumsum(-1)
    middle = (below < below[..., -1:] / 2).sum(-1, keepdim=True)
    median = ratio.gather(-1, middle)[..., 0]
    return torch.where(below[..., -1] > 0, median, 1.0).view(-1, *blocks)


def _gray(image: Image) -> Image:
    red, green, blue = image.unbind(1)
    return (GRAY[0] * red + GRAY[1] * green + GRAY[2] * blue)[:, None]


def _solve(
    first: list[Image],
    second: list[Image],
    flow: Flow | None,
    top: int,
    bottom: int,
    outer: int,
    settings: RobustSettings,
    parts: Parts,
) -> Flow:
    for level in range(top, bottom - 1, -1):
        one, two = parts.features(first[level]), parts.features(second[level])
        flow = _start(flow, one, parts.resize_flow)
        one_smooth = parts.smooth(one, settings.energy)
        for iteration in range(outer):
            system = parts.linearise(one, one_smooth, two, flow, settings.energy)
            flow = parts.relax(system, flow, settings.sweeps_at(level), settings.omega)
            flow = parts.median(flow, settings.median_after(iteration, outer))
    assert flow is not None
    return flow


def _start(
    flow: Flow | None,
    level: Image,
    larger: Callable[[Flow, tuple[int, int]], Flow] = resize_flow,
) -> Flow:
    """The flow at the size of a level: zero, as it is, or brought up from the coarser one."""
    size_hw = (level.shape[-2], level.shape[-1])
    if flow is None:
        return level.new_zeros(len(level), 2, *size_hw)
    return flow if flow.shape[-2:] == size_hw else larger(flow, size_hw)


def _shrink(flow: Flow, level: Image) -> Flow:
    """A full-size flow at the size of a level, in pixels of that level."""
    height, width = level.shape[-2:]
    ratio_yx = (height / flow.shape[-2], width / flow.shape[-1])
    shrunk = resize(flow, (height, width), ratio_yx)
    return torch.stack((shrunk[:, 0] * ratio_yx[1], shrunk[:, 1] * ratio_yx[0]), dim=1)
