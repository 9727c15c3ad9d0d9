"""Spatio-temporal networks for fine-grained stroke recognition: SSTC and its rivals."""

from ttmodels.base import BranchModel, StrokeModel
from ttmodels.c3d import C3D, C3DConfig
from ttmodels.card import ModelCard
from ttmodels.catalogue import MODELS, load
from ttmodels.config import ClipInput, ModelConfig
from ttmodels.early_fusion import EarlyFusion
from ttmodels.errors import ModelFileError
from ttmodels.export import export_onnx, export_program
from ttmodels.gradcam import grad_cam
from ttmodels.i3d import I3D, I3DConfig
from ttmodels.late_fusion import LateFusion
from ttmodels.ltc import LTC, LTCConfig
from ttmodels.single_stream import FlowNet, RGBNet
from ttmodels.sliding import SlidingWindows
from ttmodels.sstc import SSTC, SSTCConfig
from ttmodels.two_stream_i3d import TwoStreamI3D, TwoStreamI3DConfig

__all__ = [
    "C3D",
    "I3D",
    "LTC",
    "MODELS",
    "SSTC",
    "BranchModel",
    "C3DConfig",
    "ClipInput",
    "EarlyFusion",
    "FlowNet",
    "I3DConfig",
    "LTCConfig",
    "LateFusion",
    "ModelCard",
    "ModelConfig",
    "ModelFileError",
    "RGBNet",
    "SSTCConfig",
    "SlidingWindows",
    "StrokeModel",
    "TwoStreamI3D",
    "TwoStreamI3DConfig",
    "export_onnx",
    "export_program",
    "grad_cam",
    "load",
]
