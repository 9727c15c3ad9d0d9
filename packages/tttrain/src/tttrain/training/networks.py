"""The networks a configuration can name."""

import torch

from ttmodels import I3D, SSTC, EarlyFusion, FlowNet, RGBNet, StrokeModel
from tttrain.config import TrainConfig


def build(config: TrainConfig, num_classes: int) -> StrokeModel:
    """The configured network, initialised from the configuration's seed.

    Args:
        config: with its clip_shape filled in.
        num_classes: outputs, in the order of the taxonomy's classes.

    Raises:
        ValueError: if clip_shape is not filled in.
    """
    shape = config.network.clip_shape
    if shape is None:
        raise ValueError("clip_shape is null; expected the shape of the shards filled in")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.network.model == "siamese":
            return SSTC(num_classes=num_classes, clip_shape=shape, fusion=config.network.fusion)
        if config.network.model == "rgb":
            return RGBNet(num_classes=num_classes, clip_shape=shape)
        if config.network.model == "flow":
            return FlowNet(num_classes=num_classes, clip_shape=shape)
        if config.network.model == "early":
            return EarlyFusion(num_classes=num_classes, clip_shape=shape)
        return I3D(
            num_classes=num_classes,
            in_channels=3 if config.network.model == "i3d_rgb" else 2,
            first_pool=config.network.first_pool,
            clip_shape=shape,
            dropout=config.network.dropout,
        )
