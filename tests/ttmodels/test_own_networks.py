"""Networks of one's own: what is missing shows when they are built, not in the middle of a run."""

import copy
import pickle
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import ttmodels
from ttmodels import BranchModel, ModelConfig, RGBNet, StrokeModel, export_program
from ttmodels.single_stream import SingleStream

METHODS = ("features", "forward", "forward_features", "forward_head")


class Mean(StrokeModel):
    """A linear layer on the mean colour; without config_type, settings are those all have."""

    name: ClassVar[str] = "mean"
    inputs = streams = ("rgb",)

    def __init__(self, num_classes: int = 21, clip_shape: tuple[int, int, int] = (8, 8, 8)) -> None:
        super().__init__(ModelConfig(num_classes, clip_shape))
        self.head = nn.Linear(3, num_classes)

    def forward_features(self, *clips: Tensor) -> tuple[Tensor]:
        return (clips[0],)

    def forward_head(self, *maps: Tensor) -> Tensor:
        logits: Tensor = self.head(maps[0].mean(dim=(2, 3, 4)))
        return logits

    def features(self, rgb: Tensor) -> Tensor:
        return rgb.mean(dim=(2, 3, 4))

    def forward(self, rgb: Tensor) -> Tensor:
        return self.forward_head(*self.forward_features(rgb))


@pytest.mark.parametrize("missing", METHODS)
def test_a_missing_method_is_named(missing: str) -> None:
    parts = {name: getattr(Mean, name) for name in METHODS if name != missing}
    incomplete: Any = type("Incomplete", (StrokeModel,), parts | {"name": "incomplete"})
    with pytest.raises(TypeError, match=rf"abstract class Incomplete .*'?{missing}'?$"):
        incomplete(ModelConfig())


def test_a_missing_name_is_named() -> None:
    nameless: Any = type("Nameless", (StrokeModel,), {name: vars(Mean)[name] for name in METHODS})
    with pytest.raises(
        TypeError, match="Nameless has no class attribute `name`, expected the name"
    ):
        nameless(ModelConfig())
    with pytest.raises(TypeError, match="SingleStream has no class attribute `name`"):
        SingleStream()


@pytest.mark.parametrize("base", [StrokeModel, BranchModel])
def test_the_base_classes_are_abstract(base: Any) -> None:
    with pytest.raises(TypeError, match=f"abstract class {base.__name__}"):
        base(ModelConfig())


def test_a_whole_one_works_like_ours(tmp_path: Path) -> None:
    model, rgb = Mean(3), torch.rand(2, 3, 8, 8, 8)
    torch.testing.assert_close(model.predict_proba(rgb).sum(dim=1), torch.ones(2))
    model.save_pretrained(tmp_path)
    assert torch.equal(Mean.from_pretrained(tmp_path)(rgb), model(rgb))
    assert ttmodels.grad_cam(model, rgb)["rgb"].shape == (2, 8, 8, 8)


@pytest.mark.parametrize("model", [Mean(3), RGBNet(3, (8, 8, 8))], ids=["own", "ours"])
def test_copies_pickles_and_programs(model: StrokeModel) -> None:
    rgb = torch.rand(2, 3, 8, 8, 8)
    expected = model(rgb)
    assert torch.equal(pickle.loads(pickle.dumps(model))(rgb), expected)
    assert torch.equal(copy.deepcopy(model)(rgb), expected)
    torch.testing.assert_close(export_program(model).module()(rgb), expected)
