"""Spatio-temporal networks for fine-grained stroke recognition: SSTC and its rivals."""

from ttmodels.base import StrokeModel
from ttmodels.card import ModelCard
from ttmodels.catalogue import MODELS, load
from ttmodels.config import ClipInput, ModelConfig
from ttmodels.early_fusion import EarlyFusion
from ttmodels.errors import ModelFileError
from ttmodels.late_fusion import LateFusion
from ttmodels.single_stream import FlowNet, RGBNet
from ttmodels.sstc import SSTC, SSTCConfig

__all__ = [
    "MODELS",
    "SSTC",
    "ClipInput",
    "EarlyFusion",
    "FlowNet",
    "LateFusion",
    "ModelCard",
    "ModelConfig",
    "ModelFileError",
    "RGBNet",
    "SSTCConfig",
    "StrokeModel",
    "load",
]
