"""bfloat16 on a CPU is refused where oneDNN leaves parts of a gradient unset."""

import pytest

from ttdata.errors import InputError
from tttrain.config import NetworkConfig, TrainConfig
from tttrain.training.networks import check_bfloat16_on_cpu


def config(model: str, shape: tuple[int, int, int], precision: str = "bfloat16") -> TrainConfig:
    network = NetworkConfig(model=model, clip_shape=shape)
    return TrainConfig(precision=precision, network=network)


@pytest.mark.parametrize(
    ("model", "shape", "layer"),
    [
        ("siamese", (8, 16, 16), "rgb_branch.conv3"),
        ("flow", (8, 16, 16), "branch.conv3"),
        ("i3d_rgb", (16, 32, 32), "Mixed_5b.b1b.conv3d"),
    ],
)
def test_a_convolution_of_two_frames(model: str, shape: tuple[int, int, int], layer: str) -> None:
    with pytest.raises(InputError, match=f"precision=bfloat16: .* {layer} .* 2 frames of a clip"):
        check_bfloat16_on_cpu(config(model, shape))
    for precision in ("float32", "auto"):
        check_bfloat16_on_cpu(config(model, shape, precision))


@pytest.mark.parametrize(
    ("model", "shape"),
    [("siamese", (100, 120, 120)), ("early", (16, 32, 32)), ("i3d_flow", (64, 120, 120))],
)
def test_others_are_welcome(model: str, shape: tuple[int, int, int]) -> None:
    check_bfloat16_on_cpu(config(model, shape))
