"""PoseSVM: answers by hand, its folder, programs of other runtimes, what it refuses."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ttmodels
from ttmodels import PoseSVM
from ttmodels.model_page import model_page
from ttmodels.pose.support_vectors import dct_rows

T = 8


def machine(num_classes: int = 3) -> PoseSVM:
    """Two vectors: all zeros, and 2 in the mean of one landmark's x."""
    model = PoseSVM(num_classes, (T, 8, 8), num_vectors=2, coefficients=2)
    model.vectors[1, 16] = 2
    model.gamma.fill_(0.5)
    return model


def pose(mean: float, batch: int = 1) -> Tensor:
    """Landmark 16 stays where the first coefficient of its x is `mean`."""
    found = torch.zeros(batch, 3, T, 33)
    found[:, 0, :, 16] = mean / math.sqrt(T)
    return found


def test_sums_of_kernels_by_hand() -> None:
    model = machine()
    # Pairs 0-1, 0-2, 1-2: the first is decided by the vectors, the others by intercepts.
    model.weights[0] = torch.tensor([1.0, -1.0])
    model.intercepts[:] = torch.tensor([0.0, 3.0, 2.0])
    near = 1 - math.exp(-0.5 * 4)  # at the first vector, the second is 2 away
    (logits,) = model(pose(0.0))
    zero, one, two = near + 3, -near + 2, -5.0
    expected = [2 + zero / (3 * (zero + 1)), 1 + one / (3 * (one + 1)), two / (3 * 6)]
    assert logits.tolist() == pytest.approx(expected, abs=1e-7)
    assert logits.dtype == torch.float64
    # At the second vector 1 wins; halfway between both the first of a pair does.
    assert model(pose(2.0)).argmax().item() == 1
    assert model(pose(1.0)).argmax().item() == 0


def test_features_are_the_coefficients_of_paths() -> None:
    given = torch.randn(2, 3, T, 33, dtype=torch.float64)
    found = PoseSVM(3, (T, 8, 8), coefficients=T).features(given)
    paths = given.transpose(2, 3).flatten(1, 2)  # (B, 99, T): x of all landmarks, y, z
    assert found.view(2, T, 99)[1, 0].tolist() == pytest.approx(
        (paths[1].sum(dim=1) / math.sqrt(T)).tolist()
    )
    back = torch.einsum("kt,bkv->bvt", dct_rows(T, T), found.view(2, T, 99))
    torch.testing.assert_close(back, paths)  # the transform is orthonormal


def test_its_folder_and_its_page(tmp_path: Path) -> None:
    model = machine()
    with torch.no_grad():
        for values in model.parameters():
            values.copy_(torch.randn(values.shape, dtype=torch.float64) / 3)
    model.save_pretrained(tmp_path, ttmodels.ModelCard(("a", "b", "c")))
    stored = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert stored["config"] == {
        "num_classes": 3, "clip_shape": [T, 8, 8], "num_vectors": 2, "coefficients": 2
    }  # fmt: skip
    again = ttmodels.load(tmp_path)
    assert type(again) is PoseSVM
    assert not any(values.requires_grad for values in again.parameters())
    given = torch.randn(5, 3, T, 33)
    assert torch.equal(again(given), model(given))
    assert torch.equal(again.predict_proba(given), model(given).softmax(1))
    page = model_page("me/svm", model.name, model.config, model.card, model.inputs)
    assert "`ttmodels.normalise_world_pose`" in page


def test_exported_program() -> None:
    model = machine()
    model.weights[0] = torch.tensor([1.0, -1.0])
    module = ttmodels.export_program(model).module()
    for batch in (1, 3):
        given = torch.randn(batch, 3, T, 33)
        torch.testing.assert_close(module(given), model(given))


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx(tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    import onnxruntime

    model = machine()
    model.weights[0] = torch.tensor([1.0, -1.0])
    path = ttmodels.export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = torch.randn(3, 3, T, 33)
    (logits,) = session.run(None, {"pose": given.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), model(given))


def test_shape_annotations_hold(checked: Any) -> None:
    model = checked.PoseSVM(3, (T, 8, 8), num_vectors=2, coefficients=2)
    model.weights[0] = torch.tensor([1.0, -1.0])
    model.predict_proba(pose(1.0, 2))
    assert model.features(pose(1.0, 2)).shape == (2, 198)
    assert checked.grad_cam(model, pose(1.0, 2), target=1)["pose"].shape == (2, T, 1, 1)


def test_wrong_settings_and_poses() -> None:
    with pytest.raises(ValueError, match="coefficients is 9, expected at most the 8 moments of"):
        PoseSVM(3, (T, 8, 8), coefficients=9)
    with pytest.raises(ValueError, match="num_vectors is 0, expected an integer >= 1"):
        PoseSVM(3, (T, 8, 8), num_vectors=0)
    with pytest.raises(ValueError, match=r"pose has shape \(1, 3, 7, 33\), expected"):
        machine()(torch.zeros(1, 3, 7, 33))
    with pytest.raises(ValueError, match=r"pose has dtype torch.int64, expected torch.float32"):
        machine()(torch.zeros(1, 3, T, 33).long())
    with pytest.raises(ValueError, match="model is a PoseSVM, expected one of the SSTC family"):
        ttmodels.SlidingWindows(machine(), 4)  # type: ignore[arg-type]
