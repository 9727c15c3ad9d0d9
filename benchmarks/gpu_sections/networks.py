"""The networks at a size that is quick to check."""

from collections.abc import Callable

import torch
from torch import Tensor

import ttmodels
from gpu_sections import pictures

SHAPE = (16, 32, 32)
CLASSES = 21
BATCH = 2
I3D = {"clip_shape": SHAPE, "first_pool": False, "dropout": 0.0}

NETWORKS: dict[str, Callable[[], ttmodels.StrokeModel]] = {
    "SSTC": lambda: ttmodels.SSTC(CLASSES, SHAPE),
    "SSTC bilinear": lambda: ttmodels.SSTC(CLASSES, SHAPE, fusion="bilinear"),
    "RGBNet": lambda: ttmodels.RGBNet(CLASSES, SHAPE),
    "FlowNet": lambda: ttmodels.FlowNet(CLASSES, SHAPE),
    "EarlyFusion": lambda: ttmodels.EarlyFusion(CLASSES, SHAPE),
    "LTC": lambda: ttmodels.LTC(CLASSES, SHAPE),
    "C3D": lambda: ttmodels.C3D(CLASSES, SHAPE),
    "TwoStreamI3D": lambda: ttmodels.TwoStreamI3D(CLASSES, **I3D),
}
"""LateFusion is RGBNet and FlowNet, I3D half of TwoStreamI3D."""


def clips(model: ttmodels.StrokeModel, frames: int = SHAPE[0], batch: int = BATCH) -> list[Tensor]:
    """What the model takes, on the CPU."""
    made = pictures.inputs(0, batch, (frames, *SHAPE[1:]))
    return [torch.from_numpy(made[name]) for name in model.inputs]
