"""The networks that configurations name, and where bfloat16 on a CPU is refused."""

from typing import get_args

import pytest
import torch

from ttdata.errors import InputError
from ttdata.settings import override
from tttrain import recipes
from tttrain.config import BRANCHED, NetworkConfig, TrainConfig
from tttrain.training.networks import build, check_bfloat16_on_cpu

MODELS = get_args(NetworkConfig.model_fields["model"].annotation)
SHAPE = (16, 32, 32)
HASHES = {
    "siamese": "c963afabd0ef",
    "siamese_no_augmentation": "77e170659128",
    "rgb": "ee7fe1fa077f",
    "flow": "74c815c03a04",
    "early": "d27310c2309d",
    "i3d_rgb": "3ca552299349",
    "i3d_flow": "44337b0e93ac",
    "demo": "326a9c7210bf",
}
"""Of the recipes before networks could read landmarks or pool."""


def test_what_a_configuration_says_its_network_reads() -> None:
    assert len(MODELS) == 9
    for model in MODELS:
        with torch.device("meta"):
            network = build(config(model, SHAPE), 3)
        said = NetworkConfig(model=model)
        assert said.reads_pose == ("pose" in network.inputs), model
        assert said.reads_pixels == bool({"rgb", "flow"} & set(network.inputs)), model


@pytest.mark.parametrize("name", HASHES)
def test_recipes_of_before_are_the_same(name: str) -> None:
    assert recipes.get(name).result_hash() == HASHES[name]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("pose", 933_901),
        ("small", 933_901),
        ("small_turned", 933_901),
        ("siamese_pooled", 9_022_811),
        ("siamese_pose", 9_956_691),
        ("siamese_pose_turned", 9_956_691),
    ],
)
def test_recipes_for_few_clips(name: str, parameters: int) -> None:
    """The numbers of specification 4."""
    recipe = recipes.get(name)
    assert recipe.recipe == name
    with torch.device("meta"):
        model = build(recipe.with_changes(network={"clip_shape": (100, 120, 120)}), 21)
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize("model", BRANCHED)
def test_pooled_heads(model: str) -> None:
    sizes = []
    for head in ({}, {"head": "pooled"}, {"head": "pooled", "pool_fields": 1}):
        asked = config(model, (16, 64, 64)).with_changes(network=head)
        with torch.device("meta"):
            sizes.append(sum(weight.numel() for weight in build(asked, 3).parameters()))
    assert sizes[0] > sizes[1] > sizes[2]
    assert asked.result_hash() != config(model, (16, 64, 64)).result_hash()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["network.model=pose"],
            "head is pooled, and model pose has no such head; expected one of",
        ),
        (["network.model=i3d_rgb"], "model i3d_rgb has no such head"),
        (["network.head=flat", "network.pool_fields=1"], "head flat pools nothing; expected"),
        (["network.pool_fields=2"], r"network\.pool_fields = 2: input should be 3 or 1"),
    ],
)
def test_heads_that_are_refused(settings: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        override(recipes.siamese_pooled(), settings)


@pytest.mark.parametrize("model", MODELS)
def test_only_networks_on_landmarks_read_those_in_space(model: str) -> None:
    asked = [f"network.model={model}"]
    if NetworkConfig(model=model).reads_pose:
        with torch.device("meta"):
            built = build(
                override(recipes.small_turned(), [*asked, "network.clip_shape=[16,32,32]"]), 3
            )
        assert built.landmarks == "world"
        return
    with pytest.raises(InputError, match=f"landmarks is world, which model {model} does not read"):
        override(recipes.small_turned(), asked)


@pytest.mark.parametrize("model", [name for name in MODELS if name != "siamese_pose"])
def test_only_three_branches_are_fused_late(model: str) -> None:
    with pytest.raises(InputError, match=f"fusion is late, and model {model} has no branches to w"):
        override(TrainConfig(), [f"network.model={model}", "network.fusion=late"])


def config(model: str, shape: tuple[int, int, int], precision: str = "bfloat16") -> TrainConfig:
    network = NetworkConfig(model=model, clip_shape=shape)
    return TrainConfig(precision=precision, network=network)


@pytest.mark.parametrize(
    ("model", "shape", "layer"),
    [
        ("siamese", (8, 16, 16), "rgb_branch.conv3"),
        ("flow", (8, 16, 16), "branch.conv3"),
        ("siamese_pose", (8, 16, 16), "rgb_branch.conv3"),
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
    [
        ("siamese", (100, 120, 120)),
        ("early", (16, 32, 32)),
        ("i3d_flow", (64, 120, 120)),
        ("pose", (8, 16, 16)),
        ("siamese_pose", (16, 32, 32)),
    ],
)
def test_others_are_welcome(model: str, shape: tuple[int, int, int]) -> None:
    check_bfloat16_on_cpu(config(model, shape))
