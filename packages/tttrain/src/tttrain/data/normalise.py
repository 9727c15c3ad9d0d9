"""Scales flow to [-1, 1] by what the training clips show (specification 2.5)."""

import numpy as np
from torch import Tensor

LARGE_PX = 5.0
"""Maxima above this many pixels per frame count, where there are any."""


def flow_scale(maxima_px: np.ndarray) -> tuple[float, float]:
    """The flow, per axis, that becomes 1: mean plus three standard deviations of the maxima.

    Args:
        maxima_px: (N, 2) float, per training frame max |Vx| and max |Vy|, pixels per frame.

    Returns:
        (x, y) in pixels per frame; 1 on an axis without any motion.

    Raises:
        ValueError: if the shape is not (N, 2) with N > 0, or a value is not finite.

    Source: specification 2.5, the authors' later rule (the paper is silent).
    """
    if maxima_px.ndim != 2 or maxima_px.shape[1] != 2 or len(maxima_px) == 0:
        raise ValueError(f"expected maxima of shape (N, 2) with N > 0, found {maxima_px.shape}")
    if not np.isfinite(maxima_px).all():
        raise ValueError("a maximum of the flow is not finite")
    return _axis_scale(maxima_px[:, 0]), _axis_scale(maxima_px[:, 1])


def _axis_scale(maxima_px: np.ndarray) -> float:
    values = maxima_px.astype(np.float64)
    large = values[values > LARGE_PX]
    used = large if large.size else values
    return float(used.mean() + 3 * used.std()) or 1.0


def normalise_flow(flow: Tensor, scale_xy: tuple[float, float]) -> Tensor:
    """Flow for the network, in [-1, 1].

    Args:
        flow: (B, 2, T, H, W) float32, pixels per frame; the layout stays.
        scale_xy: from `flow_scale`.
    """
    scale = flow.new_tensor(scale_xy).view(1, 2, 1, 1, 1)
    return (flow / scale).clamp_(-1.0, 1.0)
