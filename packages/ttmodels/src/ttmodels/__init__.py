"""Spatio-temporal networks for fine-grained stroke recognition: SSTC and its baselines.

Names load on first use, so `import ttmodels` costs next to nothing beside torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttmodels.base import BranchModel, StrokeModel
    from ttmodels.blocks import CELL_FRAMES
    from ttmodels.c3d import C3D, C3DConfig
    from ttmodels.card import ModelCard
    from ttmodels.config import BranchConfig, ModelConfig, NetworkConfig
    from ttmodels.detection_head import CellDetections, DetectionHead, DetectionHeadConfig
    from ttmodels.early_fusion import EarlyFusion
    from ttmodels.errors import ModelFileError
    from ttmodels.export import export_onnx, export_program
    from ttmodels.gradcam import grad_cam
    from ttmodels.i3d import I3D, I3DConfig
    from ttmodels.inputs import ClipInput
    from ttmodels.late_fusion import LateFusion
    from ttmodels.loading import MODELS, load
    from ttmodels.ltc import LTC, LTCConfig
    from ttmodels.pose.landmarks import normalise_pose, normalise_world_pose
    from ttmodels.pose.network import PoseNet
    from ttmodels.pose.support_vectors import PoseSVM
    from ttmodels.pose.three_streams import ThreeStreams
    from ttmodels.single_stream import FlowNet, RGBNet
    from ttmodels.sliding import SlidingWindows
    from ttmodels.sstc import SSTC, SSTCConfig
    from ttmodels.stored_network import StoredNetwork
    from ttmodels.two_stream_i3d import TwoStreamI3D, TwoStreamI3DConfig
    from ttmodels.video_stream import StreamOutput, VideoStream, dense_features, num_features

_HOME = {
    "BranchConfig": "config",
    "BranchModel": "base",
    "C3D": "c3d",
    "C3DConfig": "c3d",
    "CELL_FRAMES": "blocks",
    "CellDetections": "detection_head",
    "ClipInput": "inputs",
    "DetectionHead": "detection_head",
    "DetectionHeadConfig": "detection_head",
    "EarlyFusion": "early_fusion",
    "FlowNet": "single_stream",
    "I3D": "i3d",
    "I3DConfig": "i3d",
    "LTC": "ltc",
    "LTCConfig": "ltc",
    "LateFusion": "late_fusion",
    "MODELS": "loading",
    "ModelCard": "card",
    "ModelConfig": "config",
    "ModelFileError": "errors",
    "NetworkConfig": "config",
    "PoseNet": "pose.network",
    "PoseSVM": "pose.support_vectors",
    "RGBNet": "single_stream",
    "SSTC": "sstc",
    "SSTCConfig": "sstc",
    "SlidingWindows": "sliding",
    "StoredNetwork": "stored_network",
    "StreamOutput": "video_stream",
    "StrokeModel": "base",
    "ThreeStreams": "pose.three_streams",
    "TwoStreamI3D": "two_stream_i3d",
    "TwoStreamI3DConfig": "two_stream_i3d",
    "VideoStream": "video_stream",
    "dense_features": "video_stream",
    "export_onnx": "export",
    "export_program": "export",
    "grad_cam": "gradcam",
    "load": "loading",
    "normalise_pose": "pose.landmarks",
    "normalise_world_pose": "pose.landmarks",
    "num_features": "video_stream",
}

__all__ = [
    "C3D",
    "CELL_FRAMES",
    "I3D",
    "LTC",
    "MODELS",
    "SSTC",
    "BranchConfig",
    "BranchModel",
    "C3DConfig",
    "CellDetections",
    "ClipInput",
    "DetectionHead",
    "DetectionHeadConfig",
    "EarlyFusion",
    "FlowNet",
    "I3DConfig",
    "LTCConfig",
    "LateFusion",
    "ModelCard",
    "ModelConfig",
    "ModelFileError",
    "NetworkConfig",
    "PoseNet",
    "PoseSVM",
    "RGBNet",
    "SSTCConfig",
    "SlidingWindows",
    "StoredNetwork",
    "StreamOutput",
    "StrokeModel",
    "ThreeStreams",
    "TwoStreamI3D",
    "TwoStreamI3DConfig",
    "VideoStream",
    "dense_features",
    "export_onnx",
    "export_program",
    "grad_cam",
    "load",
    "normalise_pose",
    "normalise_world_pose",
    "num_features",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ttmodels' has no attribute {name!r}")
    value = getattr(import_module(f"ttmodels.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
