"""The networks a configuration can name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ttdata.errors import InputError
from ttmodels import (
    I3D,
    SSTC,
    EarlyFusion,
    FlowNet,
    PoseNet,
    PoseSVM,
    RGBNet,
    StrokeModel,
    ThreeStreams,
)
from ttmodels.inputs import input_shape
from tttrain.config import NetworkConfig, TrainConfig


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
        return _built(config.network, {"num_classes": num_classes, "clip_shape": shape})


def _built(network: NetworkConfig, common: dict[str, Any]) -> StrokeModel:
    if network.model == "pose_svm":
        return PoseSVM(**common)  # as large as one vector; `commands.fit_svm` makes the others
    if network.model == "pose":
        return PoseNet(landmarks=network.landmarks, **common)
    if network.model in ("i3d_rgb", "i3d_flow"):
        return I3D(
            in_channels=3 if network.model == "i3d_rgb" else 2,
            first_pool=network.first_pool,
            dropout=network.dropout,
            **common,
        )
    common |= {"head": network.head, "pool_fields": network.pool_fields}
    if network.model == "siamese":
        assert network.fusion != "late"  # which its configuration refuses
        return SSTC(fusion=network.fusion, **common)
    if network.model == "siamese_pose":
        return ThreeStreams(landmarks=network.landmarks, **common)
    return _BRANCHED[network.model](**common)


_BRANCHED: dict[str, Callable[..., StrokeModel]] = {
    "rgb": RGBNet,
    "flow": FlowNet,
    "early": EarlyFusion,
}


def check_bfloat16_on_cpu(config: TrainConfig) -> None:
    """Refuse bfloat16 where a CPU gives wrong gradients: in 3 x 3 x 3 convolutions of two frames.

    There oneDNN's `jit_bf16:avx512_core_bf16` leaves parts of the weight's gradient unset, so that
    it is whatever was in memory, now and then NaN (seen with torch 2.11; one frame, and three and
    more, are right). Computes shapes only.

    Args:
        config: with its clip_shape filled in; of training on a CPU.

    Raises:
        InputError: if `precision` is bfloat16 and the network has such a convolution.
    """
    if config.precision != "bfloat16":
        return
    wrong: list[str] = []
    with torch.device("meta"), torch.no_grad():
        model = build(config, 2).eval()
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Conv3d) and layer.kernel_size[0] == 3:
                layer.register_forward_pre_hook(_notes_two_frames(name, wrong))
        shape = config.network.clip_shape
        assert shape is not None
        model(*[torch.empty((1, *input_shape(name, shape))) for name in model.inputs])
    if wrong:
        raise InputError(
            f"precision=bfloat16: on a CPU the gradient of {wrong[0]} would be wrong, which sees 2 "
            f"frames of a clip_shape of {list(shape)}; --set precision=float32, or another number "
            "of frames"
        )


def _notes_two_frames(name: str, wrong: list[str]) -> Any:
    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].shape[2] == 2:
            wrong.append(name)

    return note
