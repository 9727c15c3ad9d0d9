"""All networks by the name a model folder calls them."""

from os import PathLike
from pathlib import Path

import torch

from ttmodels import pretrained
from ttmodels.base import StrokeModel
from ttmodels.early_fusion import EarlyFusion
from ttmodels.late_fusion import LateFusion
from ttmodels.single_stream import FlowNet, RGBNet
from ttmodels.sstc import SSTC

MODELS: dict[str, type[StrokeModel]] = {
    "sstc": SSTC,
    "rgb": RGBNet,
    "flow": FlowNet,
    "early": EarlyFusion,
    "late": LateFusion,
}


def load(folder: str | PathLike[str], device: str | torch.device = "cpu") -> StrokeModel:
    """Read whichever network a folder holds.

    Args:
        folder: written by `save_pretrained`.
        device: where the weights go.

    Returns:
        The network, with its `config` and `card`.

    Raises:
        ModelFileError: if the folder is missing or incomplete, damaged, or written by another
            program or another version.
    """
    stored = pretrained.read_config(Path(folder))
    if stored.model not in MODELS:
        raise stored.error("model", stored.model, f"one of {sorted(MODELS)}")
    return MODELS[stored.model].from_stored(stored, device)
