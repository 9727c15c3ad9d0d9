"""The package as others meet it: its names, its weight, its README, its shape annotations."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jaxtyping
import pytest
import torch

import ttmodels

CHANNELS = {"rgb": 3, "flow": 2}


def test_exported_names_are_the_public_ones() -> None:
    public = set(ttmodels.__all__)
    assert public <= set(dir(ttmodels))
    assert set(ttmodels._HOME) == public
    with pytest.raises(AttributeError, match="no attribute 'SSTD'"):
        _ = ttmodels.SSTD
    # constants, then classes, then functions, as ruff sorts them
    assert ttmodels.__all__ == sorted(
        public,
        key=lambda name: (not name.isupper(), name.islower(), name),
    )
    homes = {
        getattr(ttmodels, name).__module__.split(".")[0]
        for name in public - {"MODELS", "CELL_FRAMES"}
    }
    assert homes == {"ttmodels"}


def test_models_are_listed_by_the_names_of_the_classes() -> None:
    assert {name: model.name for name, model in ttmodels.MODELS.items()} == {
        name: name for name in ttmodels.MODELS
    }


def test_importing_loads_nothing_heavier_than_torch() -> None:
    heavy = ("ray", "cv2", "av", "polars", "pydantic", "pandas", "pyarrow", "matplotlib", "ttdata")
    heavy += ("ttflow", "tttrain", "onnx", "onnxscript", "huggingface_hub")
    code = f"import sys, ttmodels; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


# --- shape annotations, checked by beartype on a copy of the package ---


@pytest.mark.parametrize("name", sorted(ttmodels.MODELS))
def test_shape_annotations_hold(checked: ModuleType, name: str) -> None:
    if name in ("pose", "pose_svm", "sstc_pose"):
        return  # not clips alone: test_pose.py
    large = name in ("c3d", "ltc", "i3d", "two_stream_i3d")
    model = checked.MODELS[name](num_classes=3, clip_shape=(17, 33, 35) if large else (9, 11, 17))
    clips = [torch.rand(2, CHANNELS[clip], *model.config.clip_shape) for clip in model.inputs]
    model(*clips).sum().backward()
    model.features(*clips)
    model.predict_proba(*clips)
    checked.grad_cam(model, *clips, target=1)
    if isinstance(model, checked.BranchModel):
        windows = checked.SlidingWindows(model, 2)
        assert windows(*[torch.cat((clip, clip), 2) for clip in clips]).shape == (2, 5, 3)
        found = checked.VideoStream(model, 2).push(*[clip[:1] for clip in clips])
        assert found.logits.shape == (1, 3)
        features = checked.dense_features(model, *clips)
        head = checked.DetectionHead(3, features.shape[2], 8)
        logits, distances = head(features)
        head.decode(logits[0], distances[0])


def test_shape_annotations_are_checked(checked: ModuleType) -> None:
    assert checked.SSTC is not ttmodels.SSTC
    with pytest.raises(jaxtyping.TypeCheckError):
        checked.RGBNet(3, (8, 8, 8))(torch.rand(2, 2, 8, 8, 8))
    with pytest.raises(jaxtyping.TypeCheckError):  # the two clips disagree on the time axis
        checked.SSTC(3, (8, 8, 8))(torch.rand(2, 3, 8, 8, 8), torch.rand(2, 2, 9, 8, 8))


# --- README ---


@pytest.fixture(scope="session")
def readme() -> str:
    """From the checkout, or from the installed package where there is none."""
    path = Path(__file__).parents[2] / "packages" / "ttmodels" / "README.md"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    return importlib.metadata.metadata("ttmodels").get_payload()


def test_readme_example_runs(
    readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    first, video = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(first, "README.md", "exec"), {})
    assert "('Push', 'Block', 'Negative') tensor(" in capsys.readouterr().out
    assert (tmp_path / "my_model" / "model.safetensors").is_file()
    exec(compile(video, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[1:] == [
        "[8, 16, 24] torch.Size([3, 4]) 1 torch.Size([3, 1440])",
        "[32, 40] torch.Size([2, 4]) 4 torch.Size([2, 1440])",
    ]


def test_readme_table_has_the_true_numbers_of_parameters(readme: str) -> None:
    rows = re.findall(r"^\| `(\w+\(.*?\))` \| `(\w+)` \|.*\| ([\d ]+) \|$", readme, re.MULTILINE)
    assert {name for _, name, _ in rows} == set(ttmodels.MODELS)
    for call, name, count in rows:
        with torch.device("meta"):
            model = eval(call, {name: getattr(ttmodels, name) for name in ttmodels.__all__})
        assert model.name == name
        assert sum(p.numel() for p in model.parameters()) == int(count.replace(" ", "")), call


def test_readme_tree_lists_every_file(readme: str) -> None:
    found = set(re.findall(r"^  (\S+)  ", readme.split("## What is where")[1], re.MULTILINE))
    listed = {name for name in found if not name.endswith("/")}
    folder = Path(ttmodels.__file__).parent
    assert listed == {path.name for path in folder.iterdir() if path.is_file()}
