"""DetectionHead: size, start, gradients, what it decodes, its folder, other runtimes."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from ttmodels import (
    CELL_FRAMES,
    SSTC,
    DetectionHead,
    DetectionHeadConfig,
    ModelCard,
    ModelFileError,
    export_onnx,
    export_program,
    load,
    num_features,
)
from ttmodels.model_page import model_page


def small() -> DetectionHead:
    """Three classes, weights under which cells matter."""
    head = DetectionHead(3, 18, 8, (1, 2))
    with torch.no_grad():
        for layer in (head.classify, head.regress):
            layer.weight.mul_(30)
    head.standardise(torch.rand(18), torch.rand(18) + 0.5)
    return head


def test_size_at_the_paper() -> None:
    """1440 -> 128, five convolutions of 3, then 20 classes and two distances."""
    with torch.device("meta"):
        head = DetectionHead(in_features=num_features(SSTC()))
    layers = [1440 * 128 + 128, 5 * (3 * 128 * 128 + 128), 3 * 128 * 22 + 22]
    assert sum(p.numel() for p in head.parameters()) == sum(layers) == 439_318


def test_every_class_starts_at_its_prior() -> None:
    head = DetectionHead(5)
    logits, distances = head(torch.rand(2, 60, 1440))
    assert logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.2)
    assert distances.mean().item() == pytest.approx(10 * math.log(2), rel=0.1)
    assert (distances > 0).all()


def test_what_a_cell_sees() -> None:
    """32 cells to either side, so 256 frames, and no further."""
    head = DetectionHead(2, 4, 6)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.abs_().add_(0.05)
    features = torch.rand(1, 101, 4, requires_grad=True)
    logits, _ = head(features)
    (gradient,) = torch.autograd.grad(logits[0, 50].sum(), features)
    seen = gradient[0].abs().sum(1).nonzero()[:, 0]
    assert (seen.min().item(), seen.max().item()) == (50 - 32, 50 + 32)


def test_by_hand() -> None:
    """The same numbers from convolutions written as sums over shifted cells."""
    head, features = small().double(), torch.rand(1, 9, 18, dtype=torch.float64)

    def convolved(conv: torch.nn.Conv1d, cells: torch.Tensor) -> torch.Tensor:
        reach = conv.dilation[0]
        padded = functional.pad(cells, (0, 0, reach, reach))
        parts = [padded[i * reach : i * reach + 9] @ conv.weight[:, :, i].T for i in range(3)]
        return sum(parts) + conv.bias

    values = (features[0] - head.feature_mean) / head.feature_scale
    hidden = values @ head.reduce.weight[:, :, 0].T + head.reduce.bias
    for conv in head.residual:
        hidden = hidden + convolved(conv, hidden).clamp(min=0)
    logits, distances = head(features)
    torch.testing.assert_close(logits[0], convolved(head.classify, hidden))
    expected = 10 * torch.log1p(torch.exp(convolved(head.regress, hidden)))
    torch.testing.assert_close(distances[0], expected)


def test_gradients() -> None:
    head = DetectionHead(2, 3, 4, (1, 2)).double()
    features = torch.rand(2, 7, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, (features,))
    logits, distances = head(features)
    (logits.sigmoid().sum() + distances.sum()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
    assert not head.feature_mean.requires_grad


def test_features_that_never_change_stay() -> None:
    head = DetectionHead(2, 3)
    head.standardise(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.0, 2.0]))
    assert head.feature_mean.tolist() == [1, 2, 3]
    assert head.feature_scale.tolist() == [0.5, 1, 2]


def test_decode() -> None:
    """Best first, equal scores by cell; positions end with the video; 8 frames a cell."""
    assert CELL_FRAMES == 8
    logits = torch.full((6, 2), -9.0)
    logits[1, 1], logits[4, 0], logits[2, 0] = 2.0, 0.0, 0.0
    distances = torch.tensor([[1.0, 1.0], [4.0, 2.25], [0.5, 0.5], [0, 0], [2.0, 9.0], [0, 0]])
    found = DetectionHead.decode(logits, distances)
    assert found.start_cells.tolist() == [0.0, 2.0, 2.5]
    assert found.end_cells.tolist() == [3.75, 3.0, 6.0]
    assert found.classes.tolist() == [1, 0, 0]
    assert found.scores.tolist() == pytest.approx([1 / (1 + math.exp(-2)), 0.5, 0.5])
    assert len(DetectionHead.decode(logits, distances, min_score=0.6).scores) == 1
    everything = DetectionHead.decode(logits, distances, min_score=0.0)
    assert len(everything.scores) == 12
    assert len(DetectionHead.decode(logits[:0], distances[:0]).scores) == 0


def test_its_folder(tmp_path: Path) -> None:
    head, card = small(), ModelCard(("Push", "Block", "Loop"), provenance={"features": "abc"})
    head.save_pretrained(tmp_path / "detector", card)
    values = json.loads((tmp_path / "detector" / "config.json").read_text())
    assert values["model"] == "detection_head"
    assert values["config"] == {
        "num_classes": 3,
        "in_features": 18,
        "hidden": 8,
        "dilations": [1, 2],
    }
    again = DetectionHead.from_pretrained(tmp_path / "detector")
    assert again.config == head.config
    assert again.card == card
    features = torch.rand(1, 12, 18)
    for one, other in zip(again(features), head(features), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ModelFileError, match="model is 'detection_head', expected 'sstc'"):
        SSTC.from_pretrained(tmp_path / "detector")
    with pytest.raises(ModelFileError, match="model is 'detection_head', expected one of"):
        load(tmp_path / "detector")
    with pytest.raises(ValueError, match="2 labels, expected 3"):
        head.save_pretrained(tmp_path / "other", ModelCard(("Push", "Block")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dilations": [1, 0]}, "a dilation is 0, expected an integer >= 1"),
        ({"dilations": "12"}, "dilations is '12', expected a list"),
        ({"in_features": 0}, "in_features is 0, expected an integer >= 1"),
        ({"hidden": 1.5}, r"hidden is 1\.5, expected an integer >= 1"),
        ({"num_classes": True}, "num_classes is True, expected an integer >= 1"),
        ({"hidden": 9}, r"classify\.weight has shape \(3, 8, 3\), expected \(3, 9, 3\)"),
    ],
)
def test_a_wrong_folder(tmp_path: Path, change: dict[str, object], message: str) -> None:
    small().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["config"] |= change
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelFileError, match=message) as caught:
        DetectionHead.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_wrong_features() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 5, 4\), expected \(batch, cells, 3\)"):
        DetectionHead(2, 3)(torch.rand(1, 5, 4))
    assert DetectionHeadConfig() == DetectionHead().config


def test_exported_program() -> None:
    head = small().train()
    module = export_program(head).module()
    assert head.training
    for batch, cells in ((1, 3), (3, 57)):
        features = torch.rand(batch, cells, 18)
        for found, expected in zip(module(features), head(features), strict=True):
            assert (found - expected).abs().max() < 1e-5


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx(tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    import onnxruntime

    head = small()
    path = export_onnx(head, tmp_path / "head.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == ["logits", "distances"]
    for batch, cells in ((1, 3), (3, 57)):
        features = torch.rand(batch, cells, 18)
        results = session.run(None, {"features": features.numpy()})
        for found, expected in zip(results, head(features), strict=True):
            assert (torch.from_numpy(found) - expected).abs().max() < 1e-4


def test_its_page_says_how_to_load_and_call_it() -> None:
    head = DetectionHead(num_classes=2, in_features=8)
    page = model_page("a/b", head.name, head.config, head.card, head.inputs)
    assert 'head = DetectionHead.from_pretrained("a/b")' in page
    assert "Input `features`: (batch, cells, values)" in page
    assert "Clip:" not in page


def test_numbers_may_be_numpys() -> None:
    head = DetectionHead(np.int64(2), in_features=np.int32(8), dilations=np.array([1, 2]))
    assert head.config == DetectionHead(2, in_features=8, dilations=(1, 2)).config
