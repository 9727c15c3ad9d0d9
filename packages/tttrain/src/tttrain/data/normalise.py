"""Scales flow to [-1, 1] by what the training clips show (specification 2.5)."""

import torch
from torch import Tensor


def normalise_flow(flow: Tensor, scale_xy: tuple[float, float] | Tensor) -> Tensor:
    """Flow for the network, in [-1, 1].

    Args:
        flow: (B, 2, T, H, W) float32, pixels per frame; the layout stays.
        scale_xy: from `ttflow.shards.stats.flow_scale`; where it lies on the flow's device already,
            nothing waits for a copy.
    """
    scale = torch.as_tensor(scale_xy, dtype=flow.dtype, device=flow.device).view(1, 2, 1, 1, 1)
    return (flow / scale).clamp_(-1.0, 1.0)
