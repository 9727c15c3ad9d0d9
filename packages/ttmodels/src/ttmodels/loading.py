"""Any network from its model folder, by the name of the network in it."""

from os import PathLike

import torch

from ttmodels import hub, pretrained
from ttmodels.base import StrokeModel
from ttmodels.c3d import C3D
from ttmodels.early_fusion import EarlyFusion
from ttmodels.i3d import I3D
from ttmodels.late_fusion import LateFusion
from ttmodels.ltc import LTC
from ttmodels.pose.network import PoseNet
from ttmodels.pose.support_vectors import PoseSVM
from ttmodels.pose.three_streams import ThreeStreams
from ttmodels.single_stream import FlowNet, RGBNet
from ttmodels.sstc import SSTC
from ttmodels.two_stream_i3d import TwoStreamI3D

MODELS: dict[str, type[StrokeModel]] = {
    "sstc": SSTC,
    "rgb": RGBNet,
    "flow": FlowNet,
    "pose": PoseNet,
    "pose_svm": PoseSVM,
    "sstc_pose": ThreeStreams,
    "early": EarlyFusion,
    "late": LateFusion,
    "c3d": C3D,
    "ltc": LTC,
    "i3d": I3D,
    "two_stream_i3d": TwoStreamI3D,
}


def load(
    folder: str | PathLike[str],
    device: str | torch.device = "cpu",
    *,
    revision: str | None = None,
) -> StrokeModel:
    """Read whichever network a folder holds.

    Args:
        folder: written by `save_pretrained`, or `owner/model` on the Hugging Face hub; see
            `StrokeModel.from_pretrained`.
        device: where the weights go.
        revision: branch, tag or commit on the hub.

    Returns:
        The network, with its `config` and `card`.

    Raises:
        ModelFileError: if the folder is missing or incomplete, damaged, or written by another
            program or another version.
    """
    stored = pretrained.read_config(hub.local_folder(folder, revision))
    if stored.model not in MODELS:
        raise stored.error("model", stored.model, f"one of {sorted(MODELS)}")
    return MODELS[stored.model].from_stored(stored, device)
