"""Sums over levels: what they begin with, what classes share, and that they merge exactly."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ttdata.taxonomy import TTSTROKE21, Stroke, Taxonomy
from ttmodels import SSTC, PoseNet, StrokeModel, load
from tttrain.config import NetworkConfig, TrainConfig
from tttrain.training.networks import build
from tttrain.training.weights.level_head import (
    class_layer,
    membership,
    merge,
    share_levels,
    shared_levels,
)

FOUR = Taxonomy(
    name="four",
    strokes=tuple(
        Stroke(label=f"{hand} {kind}", hand=hand, type=kind)
        for hand in ("Fore", "Back")
        for kind in ("Hit", "Push")
    ),
    negative="Rest",
)
LEVELS = shared_levels(FOUR)


def test_levels_that_classes_share() -> None:
    assert LEVELS == {
        "type": ("Hit", "Push", "Hit", "Push", None),
        "hand": ("Fore", "Fore", "Back", "Back", None),
    }
    paper = shared_levels(TTSTROKE21)
    assert list(paper) == ["type", "hand", "technique"]
    assert {len(values) for values in paper.values()} == {21}
    assert shared_levels(Taxonomy.infer(["a", "b"])) == {}
    # One hand for all, a type each, and a technique that one stroke lacks: nothing to share.
    odd = [Stroke(label="a", hand="f", type="x", technique="t"), Stroke(label="b", hand="f")]
    odd = [*odd, Stroke(label="c", hand="f", technique="t")]
    assert shared_levels(Taxonomy(name="odd", strokes=tuple(odd))) == {}


def test_membership() -> None:
    part = 3**-0.5
    # Columns: Hit, Push, rest; Fore, Back, rest; the five classes.
    expected = [[0, 3, 6], [1, 3, 7], [0, 4, 8], [1, 4, 9], [2, 5, 10]]
    matrix = membership(LEVELS)
    assert matrix.shape == (5, 11)
    assert [row.nonzero()[:, 0].tolist() for row in matrix] == expected
    assert matrix[matrix > 0].tolist() == pytest.approx([part] * 15)


def small(name: str, classes: int, **network: object) -> StrokeModel:
    shape = (16, 32, 32) if name.startswith("i3d") else (8, 16, 16)
    return build(
        TrainConfig(network=NetworkConfig(model=name, clip_shape=shape, **network)), classes
    )


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        *((name, "head") for name in ("siamese", "rgb", "flow", "early")),
        *((f"i3d_{stream}", "logits.conv3d") for stream in ("rgb", "flow")),
    ],
)
def test_the_class_layer_has_a_row_per_class(name: str, layer: str) -> None:
    model = small(name, 7)
    assert class_layer(model) == layer
    assert {len(value) for value in model.get_submodule(layer).parameters()} == {7}


def test_the_class_layer_of_landmarks() -> None:
    assert class_layer(PoseNet(7)) == "head"


@pytest.mark.parametrize(
    ("name", "network"), [("siamese", {}), ("siamese", {"fusion": "bilinear"}), ("i3d_flow", {})]
)
def test_begins_as_the_ordinary_network_and_merges_exactly(
    name: str, network: dict[str, object], tmp_path: Path
) -> None:
    plain, model = small(name, 5, **network).eval(), small(name, 5, **network).eval()
    share_levels(model, LEVELS)
    clips = [torch.rand_like(clip) for clip in plain.example_inputs()]
    assert torch.allclose(model(*clips), plain(*clips), atol=1e-6)
    assert sum("original" in key for key in model.state_dict()) == 2
    assert not any("matrix" in key for key in model.state_dict())
    assert len(list(model.parameters())) == len(list(plain.parameters()))
    with torch.no_grad():  # as if trained
        for value in model.get_submodule(class_layer(plain)).parameters():  # the terms
            value.add_(torch.rand_like(value))
    expected = model(*clips)
    merge(model)
    assert torch.equal(model(*clips), expected)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert not any(parametrize.is_parametrized(layer) for layer in model.modules())
    model.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path).eval()(*clips), expected)


def test_a_step_teaches_classes_of_the_same_level() -> None:
    """A gradient of the first class moves it by itself, its kin by a third, others not at all."""
    model = nn.Sequential(nn.Linear(2, 5))
    share_levels(model, LEVELS)
    before = model[0].weight.detach().clone()
    model[0].weight[0].sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.3).step()
    moved = before - model[0].weight.detach()
    assert moved[:, 0].tolist() == pytest.approx([0.3, 0.1, 0.1, 0.0, 0.0], abs=1e-6)


def test_autocast_does_not_round_the_sums() -> None:
    model = SSTC(num_classes=5, clip_shape=(8, 16, 16), fusion="bilinear")
    share_levels(model, LEVELS)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.head.weight.dtype == torch.float32
        model(*model.example_inputs())
