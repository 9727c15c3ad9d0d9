"""Which layers begin with another network's weights, which do not, and what is said of them."""

from pathlib import Path

import pytest
import torch

from ttdata.errors import InputError
from ttmodels import SSTC, FlowNet, ModelCard, PoseNet, RGBNet, StrokeModel, ThreeStreams
from tttrain.training.weights import initial

CLASSES = ("a", "b", "c")
SHAPE = (8, 16, 16)
CONVS = ("branch.conv1", "branch.conv2", "branch.conv3")


def saved(model: StrokeModel, folder: Path, labels: tuple[str, ...] = CLASSES) -> Path:
    model.save_pretrained(folder, ModelCard(labels))
    return folder


def same(one: torch.nn.Module, other: torch.nn.Module, layer: str) -> bool:
    pairs = zip(
        one.get_submodule(layer).parameters(), other.get_submodule(layer).parameters(), strict=True
    )
    return all(torch.equal(a, b) for a, b in pairs)


def test_all_of_the_same_network(tmp_path: Path) -> None:
    source, model = FlowNet(3, SHAPE), FlowNet(3, SHAPE)
    info = initial.plan(saved(source, tmp_path), model, CLASSES)
    assert info.taken == (*CONVS, "branch.fc", "head")
    assert info.fresh == {}
    assert info.source == str(tmp_path)
    initial.begin(model, info)
    assert all(same(source, model, layer) for layer in info.taken)
    assert initial.told(info).endswith("branch.fc, head; at random: none")


def test_the_class_head_only_for_the_same_classes(tmp_path: Path) -> None:
    source, model = FlowNet(3, SHAPE), FlowNet(3, SHAPE)
    saved(source, tmp_path, ("a", "c", "b"))
    info = initial.plan(tmp_path, model, CLASSES)
    assert info.fresh == {"head": "other classes"}
    before = FlowNet(3, SHAPE)
    before.load_state_dict(model.state_dict())
    initial.begin(model, info)
    assert same(source, model, "branch.fc")
    assert same(before, model, "head")
    assert not same(source, model, "head")


def test_layers_of_another_shape_begin_at_random(tmp_path: Path) -> None:
    """The first convolution reads other channels, the fully connected layer a longer clip."""
    saved(RGBNet(4, (16, 16, 16)), tmp_path, ("a", "b", "c", "d"))
    with torch.device("meta"):
        info = initial.plan(tmp_path, FlowNet(3, SHAPE), CLASSES)
    assert info.taken == CONVS[1:]
    assert info.fresh == {
        "branch.conv1": "branch.conv1.weight has shape [30, 3, 3, 3, 3], expected [30, 2, 3, 3, 3]",
        "branch.fc": "branch.fc.weight has shape [500, 640], expected [500, 320]",
        "head": "head.weight has shape [4, 500], expected [3, 500]",
    }


def test_the_first_layer_on_other_landmarks_begins_at_random(tmp_path: Path) -> None:
    """Its shape is the same: the third channel is visibility there and depth here."""
    saved(PoseNet(3, SHAPE), tmp_path)
    model = PoseNet(3, SHAPE, landmarks="world")
    info = initial.plan(tmp_path, model, CLASSES)
    assert info.fresh == {"branch.conv1": "reads landmarks 'picture', expected 'world'"}
    assert info.taken == (*CONVS[1:], "branch.fc", "head")
    saved(model, tmp_path)
    assert initial.plan(tmp_path, model, CLASSES).fresh == {}


def test_a_branch_on_other_landmarks_begins_at_random(tmp_path: Path) -> None:
    saved(ThreeStreams(3, SHAPE), tmp_path)
    model = ThreeStreams(3, SHAPE, landmarks="world")
    info = initial.plan(tmp_path, model, CLASSES)
    assert info.fresh == {"pose_branch.conv1": "reads landmarks 'picture', expected 'world'"}


def test_nothing_fits(tmp_path: Path) -> None:
    saved(FlowNet(4, SHAPE), tmp_path, ("a", "b", "c", "d"))
    with pytest.raises(InputError) as found:
        initial.plan(tmp_path, SSTC(3, SHAPE), CLASSES)
    assert str(found.value) == (
        f"--init {tmp_path}: no layer of its network (flow) fits the one to be trained (sstc), "
        "expected some of the same name and shape; rgb_branch.conv1: no such layer"
    )


def test_no_network_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--init .*config\.json: .*; name a run that is finished"):
        initial.plan(tmp_path / "nowhere", FlowNet(3, SHAPE), CLASSES)
    saved(FlowNet(3, SHAPE), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"--init .*model\.safetensors: sha256 is"):
        initial.plan(tmp_path, FlowNet(3, SHAPE), CLASSES)


def test_weights_that_changed_after_the_run_began(tmp_path: Path) -> None:
    model = FlowNet(3, SHAPE)
    info = initial.plan(saved(FlowNet(3, SHAPE), tmp_path), model, CLASSES)
    assert initial.same(tmp_path, info)
    saved(FlowNet(3, SHAPE), tmp_path)
    assert not initial.same(tmp_path, info)
    with pytest.raises(InputError, match="with which the run began; take another --out"):
        initial.begin(model, info)
