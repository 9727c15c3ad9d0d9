"""Scales flow to [-1, 1] by what the training clips show (specification 2.5)."""

from torch import Tensor


def normalise_flow(flow: Tensor, scale_xy: tuple[float, float]) -> Tensor:
    """Flow for the network, in [-1, 1].

    Args:
        flow: (B, 2, T, H, W) float32, pixels per frame; the layout stays.
        scale_xy: from `ttflow.shards.stats.flow_scale`.
    """
    scale = flow.new_tensor(scale_xy).view(1, 2, 1, 1, 1)
    return (flow / scale).clamp_(-1.0, 1.0)
