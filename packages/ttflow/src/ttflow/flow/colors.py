"""Flow as colours: hue is the direction, depth the length."""

import cv2
import numpy as np
from numpy.typing import NDArray

_STILL_PX = 0.25
_LEAST_PX = 0.5
"""Shorter flow stays pale: where next to nothing moves, noise should not glow."""


def flow_colors(flow: NDArray[np.float32], full_px: float) -> NDArray[np.uint8]:
    """Flow (2, H, W) as (H, W, 3) RGB: hue is the direction, colour depth the length.

    Nothing moves where it is white; `full_px` and more are fully coloured. Red points right,
    green down (hue turns clockwise as seen on the picture).
    """
    angle = np.arctan2(flow[1], flow[0])
    hsv = np.empty((*flow.shape[1:], 3), np.uint8)
    hsv[..., 0] = np.rint((angle % (2 * np.pi)) * 90 / np.pi).astype(np.int64) % 180
    depth = np.clip(np.hypot(flow[0], flow[1]) / max(full_px, 1e-6), 0, 1)
    hsv[..., 1] = np.rint(255 * depth).astype(np.uint8)
    hsv[..., 2] = 255
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def full_length(*flows: NDArray[np.float32]) -> float:
    """The length in pixels to colour fully: of what moves, nearly the longest."""
    lengths = np.concatenate([np.hypot(flow[0], flow[1]).ravel() for flow in flows])
    moving = lengths[lengths > _STILL_PX]
    return max(_LEAST_PX, float(np.percentile(moving, 95))) if moving.size else _LEAST_PX
