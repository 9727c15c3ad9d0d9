"""The robust mode for one pair on a CPU: filters from OpenCV, inner loops from numba.

The same steps as `torch_path.robust`, which says what they mean; images are float32 (C, H, W).
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ttflow.flow.variational import kernels
from ttflow.flow.variational.equations import GRAY
from ttflow.flow.variational.gain import DARK, block_pixels, block_weights
from ttflow.flow.variational.pyramid import RATIO, level_sizes
from ttflow.flow.variational.settings import RobustSettings

Planes = NDArray[np.float32]

_GRAY = np.array(GRAY, np.float32)


class Scratch:
    """Working arrays, kept from pair to pair: pages of fresh memory are a sixth of a pair's time.

    One for each thread, with the arrays of one size of images. What an array holds is undefined
    until it is written.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._image_shape: tuple[int, ...] = ()
        self._arrays: dict[tuple[str, tuple[int, ...]], Planes] = {}

    def start(self, image_shape: tuple[int, ...]) -> None:
        """Drop the arrays of images of another shape."""
        if image_shape != self._image_shape:
            self._image_shape, self._arrays = image_shape, {}

    def __call__(self, name: str, *shape: int) -> Planes:
        """The array of this name and shape, the same one each time."""
        if (name, shape) not in self._arrays:
            self._arrays[name, shape] = _aligned(shape)
        return self._arrays[name, shape]


def _aligned(shape: tuple[int, ...]) -> Planes:
    """An array that begins with a line of the cache."""
    size = math.prod(shape)
    raw = np.empty(size + kernels.LINE, np.float32)
    skip = -(raw.ctypes.data // raw.itemsize) % kernels.LINE
    return raw[skip : skip + size].reshape(shape)


def robust(
    first: Planes,
    second: Planes,
    settings: RobustSettings,
    initial_flow: Planes | None,
    scratch: Scratch,
) -> Planes:
    """Flow (2, H, W) px of one pair of images (3, H, W) in [0, 1]."""
    scratch.start(first.shape)
    one, two = _pyramid("one", first, scratch), _pyramid("two", second, scratch)
    features = [
        _features("first", level, np.ones(level.shape[1:], np.float32), scratch) for level in one
    ]
    gain = _measure_gain(one, two, features, settings, initial_flow, scratch)
    if initial_flow is None:
        top, outer, start = len(one) - 1, settings.outer_iterations, None
    else:
        top, outer = min(settings.warm_level, len(one) - 1), settings.warm_outer_iterations
        start = _shrink(initial_flow, one[top])
    corrected = [
        _features("second", level, _field(gain, level, first), scratch) for level in two[: top + 1]
    ]
    return _solve(features, corrected, start, top, 0, outer, settings, scratch)


def _resize(
    planes: Planes, size_hw: Sequence[int], ratio_yx: tuple[float, float], out: Planes | None = None
) -> Planes:
    out = np.empty((len(planes), *size_hw), np.float32) if out is None else out
    kernels.resize(planes, *ratio_yx, out)
    return out


def _pyramid(name: str, image: Planes, scratch: Scratch) -> list[Planes]:
    levels = [image]
    for source, sigma, ratio, size_hw in level_sizes(image.shape[1], image.shape[2]):
        radius = int(3 * sigma)
        taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
        taps = (taps / math.fsum(taps)).astype(np.float32)
        blurred = scratch("blurred", *levels[source].shape)
        for plane, out in zip(levels[source], blurred, strict=True):
            cv2.sepFilter2D(plane, cv2.CV_32F, taps, taps, out, borderType=cv2.BORDER_REPLICATE)
        level = scratch(name, len(image), *size_hw)
        levels.append(_resize(blurred, size_hw, (ratio, ratio), level))
    return levels


def _features(name: str, image: Planes, gain: Planes, scratch: Scratch) -> Planes:
    out = scratch(name, 5, *gain.shape)
    kernels.features(image, gain, out)
    return out


def _solve(
    first: list[Planes],
    second: list[Planes],
    flow: Planes | None,
    top: int,
    bottom: int,
    outer: int,
    settings: RobustSettings,
    scratch: Scratch,
) -> Planes:
    energy = settings.energy
    taps = np.array(energy.smoothing, np.float32)
    shares = np.array(energy.channel_weights(), np.float32)
    numbers = np.array((energy.alpha, energy.epsilon, settings.omega), np.float32)
    for level in range(top, bottom - 1, -1):
        one, two = first[level], _padded(second[level], scratch)
        flow = _start(flow, one.shape[1:])
        moved, work = scratch("moved", *flow.shape), kernels.workspace(one.shape, scratch)
        sweeps, flat = settings.sweeps_at(level), two.reshape(len(two), -1)
        smooth = scratch("smooth", one.shape[1], kernels.line_length(len(one), one.shape[2]))
        kernels.smooth(one, taps, work[0], smooth)
        for iteration in range(outer):
            kernels.linearise(one, smooth, flat, flow, taps, shares, numbers, sweeps, *work, moved)
            side = settings.median_after(iteration, outer)
            for plane, out in zip(moved, flow, strict=True):
                cv2.medianBlur(plane, side, out)
    assert flow is not None
    return flow


def _start(flow: Planes | None, size_hw: tuple[int, ...]) -> Planes:
    """Zero, or the flow of another level at this one's size."""
    if flow is None:
        return np.zeros((2, *size_hw), np.float32)
    if flow.shape[1:] == size_hw:
        return flow
    ratio_yx = (size_hw[0] / flow.shape[1], size_hw[1] / flow.shape[2])
    return _resize(flow, size_hw, ratio_yx) / np.float32(RATIO)


def _padded(planes: Planes, scratch: Scratch) -> Planes:
    """(C, H, W) -> (C, H + 1, W + 1), the last row and column repeated."""
    channels, height, width = planes.shape
    out = scratch("padded", channels, height + 1, width + 1)
    out[:, :height, :width] = planes
    out[:, height, :width] = planes[:, -1]
    out[:, :, width] = out[:, :, width - 1]
    return out


def _measure_gain(
    first: list[Planes],
    second: list[Planes],
    features: list[Planes],
    settings: RobustSettings,
    flow: Planes | None,
    scratch: Scratch,
) -> Planes:
    """(rows, columns); see `torch_path.measure_gain`."""
    aligning = settings.while_aligning()
    top, levels = len(first) - 1, [min(level, len(first) - 1) for level in settings.gain_levels]
    still = np.zeros((2, *first[levels[0]].shape[1:]), np.float32)
    image = first[0]
    whole = _ratios(first[levels[0]], second[levels[0]], still, image, (1, 1), scratch)
    whole = gain = np.broadcast_to(whole, settings.gain_blocks)
    for level in levels if flow is None else levels[-1:]:
        if flow is None:
            corrected = second[:level] + [
                _features("second", plane, _field(gain, plane, image), scratch)
                for plane in second[level:]
            ]
            outer = aligning.outer_iterations
            aligned = _solve(features, corrected, None, top, level, outer, aligning, scratch)
        else:
            aligned = _shrink(flow, first[level])
        for _ in range(settings.gain_measurements):
            dimmed = second[level] * _field(gain, second[level], image)
            ratios = _ratios(first[level], dimmed, aligned, image, settings.gain_blocks, scratch)
            gain = (gain * ratios).clip(1 / settings.gain_limit, settings.gain_limit)
    deviation = np.sort(np.abs(gain - whole), axis=None)[(gain.size - 1) // 2]
    return whole if deviation < settings.gain_threshold else gain


def _field(gain: Planes, level: Planes, image: Planes) -> Planes:
    """(H, W): gains (rows, columns) at the pixels of a level of an image's pyramid."""
    rows, columns = (
        block_weights(size, level_size, count)
        for size, level_size, count in zip(
            image.shape[1:], level.shape[1:], gain.shape, strict=True
        )
    )
    return np.asarray(rows @ gain @ columns.T, np.float32)


def _ratios(
    first: Planes,
    second: Planes,
    flow: Planes,
    image: Planes,
    blocks: tuple[int, int],
    scratch: Scratch,
) -> Planes:
    """(rows, columns): gain of each block; see `torch_path._ratios`."""
    one, two = (np.tensordot(_GRAY, level, 1)[None] for level in (first, second))
    seen = np.empty_like(one)
    kernels.warp(np.zeros_like(one), _padded(two, scratch), flow, seen)
    pixels = block_pixels(image.shape[1:], first.shape[1:], blocks)
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
