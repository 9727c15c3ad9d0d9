"""The robust mode for one pair on a CPU: filters from OpenCV, inner loops from numba.

The same steps as `torch_path.robust`, which says what they mean; images are float32 (C, H, W).
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ttflow.variational import kernels
from ttflow.variational.equations import DERIVATIVE, GRAY
from ttflow.variational.gain import DARK, members, spread
from ttflow.variational.pyramid import RATIO, level_sizes
from ttflow.variational.settings import RobustSettings

Planes = NDArray[np.float32]

_IDENTITY = np.ones(1, np.float32)
_DERIVATIVE = np.array(DERIVATIVE, np.float32)
_GRAY = np.array(GRAY, np.float32)


def robust(
    first: Planes, second: Planes, settings: RobustSettings, initial_flow: Planes | None = None
) -> Planes:
    """Flow (2, H, W) px of one pair of images (3, H, W) in [0, 1]."""
    one, two = _pyramid(first), _pyramid(second)
    features = [_features(level) for level in one]
    gain = _measure_gain(one, two, features, settings, initial_flow)
    if initial_flow is None:
        top, outer, start = len(one) - 1, settings.outer_iterations, None
    else:
        top, outer = min(settings.warm_level, len(one) - 1), settings.warm_outer_iterations
        start = _shrink(initial_flow, one[top])
    corrected = [_features(level * _field(gain, level, first)) for level in two[: top + 1]]
    return _solve(features, corrected, start, top, 0, outer, settings)


def _filter(plane: Planes, x: Planes, y: Planes) -> Planes:
    result: Planes = cv2.sepFilter2D(plane, cv2.CV_32F, x, y, borderType=cv2.BORDER_REPLICATE)
    return result


def _resize(planes: Planes, size_hw: Sequence[int], ratio_yx: tuple[float, float]) -> Planes:
    out = np.empty((len(planes), *size_hw), np.float32)
    kernels.resize(planes, *ratio_yx, out)
    return out


def _pyramid(image: Planes) -> list[Planes]:
    levels = [image]
    for source, sigma, ratio, size_hw in level_sizes(image.shape[1], image.shape[2]):
        radius = int(3 * sigma)
        taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
        taps = (taps / math.fsum(taps)).astype(np.float32)
        blurred = np.stack([_filter(plane, taps, taps) for plane in levels[source]])
        levels.append(_resize(blurred, size_hw, (ratio, ratio)))
    return levels


def _features(image: Planes) -> Planes:
    red, green, blue = image
    gray = _GRAY[0] * red + _GRAY[1] * green + _GRAY[2] * blue
    horizontal, vertical = (
        _filter(gray, _DERIVATIVE, _IDENTITY),
        _filter(gray, _IDENTITY, _DERIVATIVE),
    )
    return np.stack((gray, horizontal, vertical, green - red, green - blue))


def _solve(
    first: list[Planes],
    second: list[Planes],
    flow: Planes | None,
    top: int,
    bottom: int,
    outer: int,
    settings: RobustSettings,
) -> Planes:
    for level in range(top, bottom - 1, -1):
        size_hw = first[level].shape[1:]
        if flow is None:
            flow = np.zeros((2, *size_hw), np.float32)
        elif flow.shape[1:] != size_hw:
            ratio_yx = (size_hw[0] / flow.shape[1], size_hw[1] / flow.shape[2])
            flow = _resize(flow, size_hw, ratio_yx) / np.float32(RATIO)
        taps = np.array(settings.energy.smoothing, np.float32)
        smooth = np.stack([_filter(plane, taps, taps) for plane in first[level]])
        for iteration in range(outer):
            flow = _update(first[level], smooth, second[level], flow, settings, level)
            side = settings.median_after(iteration, outer)
            flow = np.stack([cv2.medianBlur(plane, side) for plane in flow])
    assert flow is not None
    return flow


def _update(
    first: Planes,
    first_smooth: Planes,
    second: Planes,
    flow: Planes,
    settings: RobustSettings,
    level: int,
) -> Planes:
    """One linearisation: warp, assemble, relax."""
    height, width = flow.shape[1:]
    energy = settings.energy
    taps = np.array(energy.smoothing, np.float32)
    alpha, omega = np.float32(energy.alpha), np.float32(settings.omega)
    warped = np.empty_like(second)
    kernels.warp(first, second, flow, warped)
    system = np.zeros((5, height, width), np.float32)
    mixed = np.empty((height + 4, width + 4), np.float32)
    for plane, smooth, share in zip(warped, first_smooth, energy.channel_weights(), strict=True):
        kernels.data_term(smooth, _filter(plane, taps, taps), np.float32(share), mixed, system)
    right, down = np.empty((2, height, width), np.float32)
    kernels.edge_weights(flow, alpha, np.float32(energy.epsilon), right, down)
    for component, side in zip(flow, system[3:], strict=True):
        kernels.add_divergence(component, right, down, side)
    half = (width + 1) // 2
    packed = np.zeros((2, height, 9, half), np.float32)
    kernels.pack(system, right, down, alpha, omega, packed)
    update = np.zeros((2, 2, height + 2, half + 2), np.float32)
    kernels.sweep(packed, update, settings.sweeps_at(level), omega)
    moved = flow.copy()
    kernels.add_update(update, moved)
    return moved


def _measure_gain(
    first: list[Planes],
    second: list[Planes],
    features: list[Planes],
    settings: RobustSettings,
    flow: Planes | None,
) -> Planes:
    """(rows, columns); see `torch_path.measure_gain`."""
    aligning = settings.while_aligning()
    top, levels = len(first) - 1, [min(level, len(first) - 1) for level in settings.gain_levels]
    still = np.zeros((2, *first[levels[0]].shape[1:]), np.float32)
    image = first[0]
    whole = _ratios(first[levels[0]], second[levels[0]], still, image, (1, 1))
    whole = gain = np.broadcast_to(whole, settings.gain_blocks)
    for level in levels if flow is None else levels[-1:]:
        if flow is None:
            corrected = [_features(plane * _field(gain, plane, image)) for plane in second[level:]]
            padded = second[:level] + corrected
            aligned = _solve(
                features, padded, None, top, level, aligning.outer_iterations, aligning
            )
        else:
            aligned = _shrink(flow, first[level])
        for _ in range(settings.gain_measurements):
            dimmed = second[level] * _field(gain, second[level], image)
            ratios = _ratios(first[level], dimmed, aligned, image, settings.gain_blocks)
            gain = (gain * ratios).clip(1 / settings.gain_limit, settings.gain_limit)
    deviation = np.sort(np.abs(gain - whole), axis=None)[(gain.size - 1) // 2]
    return whole if deviation < settings.gain_threshold else gain


def _field(gain: Planes, level: Planes, image: Planes) -> Planes:
    """(H, W): gains (rows, columns) at the pixels of a level of an image's pyramid."""
    rows, columns = (
        spread(size, level_size, count)
        for size, level_size, count in zip(
            image.shape[1:], level.shape[1:], gain.shape, strict=True
        )
    )
    return np.asarray(rows @ gain @ columns.T, np.float32)


def _ratios(
    first: Planes, second: Planes, flow: Planes, image: Planes, blocks: tuple[int, int]
) -> Planes:
    """(rows, columns): gain of each block; see `torch_path._ratios`."""
    one, two = (np.tensordot(_GRAY, level, 1)[None] for level in (first, second))
    seen = np.empty_like(one)
    kernels.warp(np.zeros_like(one), two, flow, seen)
    pixels = members(image.shape[1:], first.shape[1:], blocks)
    weight = seen.ravel()[pixels] * (pixels >= 0)
    ratio = one.ravel()[pixels] / np.maximum(seen.ravel()[pixels], np.float32(DARK))
    order = ratio.argsort(axis=1)
    below = np.take_along_axis(weight, order, 1).astype(float).cumsum(axis=1)
    middle = (below < below[:, -1:] / 2).sum(axis=1)
    median: Planes = ratio[np.arange(len(ratio)), order[np.arange(len(ratio)), middle]]
    median[below[:, -1] == 0] = 1
    return median.reshape(blocks)


def _shrink(flow: Planes, level: Planes) -> Planes:
    height, width = level.shape[1:]
    ratio_yx = (height / flow.shape[1], width / flow.shape[2])
    scale = np.array((ratio_yx[1], ratio_yx[0]), np.float32)[:, None, None]
    return _resize(flow, (height, width), ratio_yx) * scale
