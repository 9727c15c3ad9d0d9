"""The robust mode for one pair on a CPU: filters from OpenCV, inner loops from numba.

The same steps as `torch_path.robust`, which says what they mean; images are float32 (C, H, W).
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ttflow.variational import kernels
from ttflow.variational.equations import DERIVATIVE, GRAY, SMOOTHING
from ttflow.variational.pyramid import RATIO, level_sizes
from ttflow.variational.settings import GAIN_OFFSET, RobustSettings

Planes = NDArray[np.float32]

_IDENTITY = np.ones(1, np.float32)
_DERIVATIVE = np.array(DERIVATIVE, np.float32)
_SMOOTHING = np.array(SMOOTHING, np.float32)
_GRAY = np.array(GRAY, np.float32)


def robust(
    first: Planes, second: Planes, settings: RobustSettings, initial_flow: Planes | None = None
) -> Planes:
    """Flow (2, H, W) px of one pair of images (3, H, W) in [0, 1]."""
    one, two = _pyramid(first), _pyramid(second)
    features = [_features(level) for level in one]
    at = min(settings.gain_level, len(one) - 1)
    if initial_flow is None:
        top, outer = len(one) - 1, settings.outer_iterations
        coarse = [_features(level) if index >= at else level for index, level in enumerate(two)]
        flow = _solve(features, coarse, None, top, at, outer, settings)
    else:
        top, outer = min(settings.warm_level, len(one) - 1), settings.warm_outer_iterations
        flow = _shrink(initial_flow, one[at])
    gain = _measure_gain(one[at], two[at], flow, settings)
    gain = cv2.resize(gain, first.shape[:0:-1], interpolation=cv2.INTER_LINEAR)
    corrected = [_features(level) for level in _pyramid(second * gain)[: top + 1]]
    start = None if initial_flow is None else _shrink(initial_flow, one[top])
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
        smooth = np.stack([_filter(plane, _SMOOTHING, _SMOOTHING) for plane in first[level]])
        for _ in range(outer):
            flow = _update(first[level], smooth, second[level], flow, settings, level)
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
    """One linearisation: warp, assemble, relax, median."""
    height, width = flow.shape[1:]
    warped = np.empty_like(second)
    kernels.warp(first, second, flow, warped)
    system = np.zeros((5, height, width), np.float32)
    for plane, smooth in zip(warped, first_smooth, strict=True):
        plane_smooth = _filter(plane, _SMOOTHING, _SMOOTHING)
        mixed = cv2.addWeighted(smooth, 0.4, plane_smooth, 0.6, 0)
        dx, dy = _filter(mixed, _DERIVATIVE, _IDENTITY), _filter(mixed, _IDENTITY, _DERIVATIVE)
        kernels.data_term(dx, dy, plane_smooth - smooth, np.float32(0.5 / len(first)), system)
    right, down = np.empty((2, height, width), np.float32)
    kernels.edge_weights(flow, right, down)
    for component, side in zip(flow, system[3:], strict=True):
        kernels.add_divergence(component, right, down, side)
    half = (width + 1) // 2
    omega = np.float32(settings.omega)
    packed = np.zeros((2, height, 9, half), np.float32)
    kernels.pack(system, right, down, omega, packed)
    update = np.zeros((2, 2, height + 2, half + 2), np.float32)
    kernels.sweep(packed, update, settings.sweeps_at(level), omega)
    moved = flow.copy()
    kernels.add_update(update, moved)
    return np.stack([cv2.medianBlur(plane, 3) for plane in moved])


def _measure_gain(first: Planes, second: Planes, flow: Planes, settings: RobustSettings) -> Planes:
    one = np.tensordot(_GRAY, first, 1)[None] + np.float32(GAIN_OFFSET)
    two = np.tensordot(_GRAY, second, 1)[None] + np.float32(GAIN_OFFSET)
    aligned = np.empty_like(one)
    kernels.warp(np.full_like(one, np.nan), two, flow, aligned)
    ratio = (one / aligned)[0]
    rows, columns = settings.gain_blocks
    gain = np.ones((rows, columns), np.float32)
    for i, strip in enumerate(np.array_split(ratio, rows, axis=0)):
        for j, block in enumerate(np.array_split(strip, columns, axis=1)):
            known = block[~np.isnan(block)]
            if len(known):
                middle = (len(known) - 1) // 2
                gain[i, j] = np.partition(known, middle)[middle]
    return gain.clip(1 / settings.gain_limit, settings.gain_limit)


def _shrink(flow: Planes, level: Planes) -> Planes:
    height, width = level.shape[1:]
    ratio_yx = (height / flow.shape[1], width / flow.shape[2])
    scale = np.array((ratio_yx[1], ratio_yx[0]), np.float32)[:, None, None]
    return _resize(flow, (height, width), ratio_yx) * scale
