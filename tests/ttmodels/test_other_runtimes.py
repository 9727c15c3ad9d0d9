"""`torch.export` programs and ONNX files give the logits of the network, for any batch size."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ttmodels import (
    C3D,
    I3D,
    LTC,
    SSTC,
    EarlyFusion,
    FlowNet,
    LateFusion,
    StrokeModel,
    TwoStreamI3D,
    export_onnx,
    export_program,
)

CHANNELS = {"rgb": 3, "flow": 2}
SMALL: dict[str, Callable[[], StrokeModel]] = {
    "sstc": lambda: SSTC(3, (8, 9, 10)),
    "bilinear": lambda: SSTC(3, (8, 9, 10), "bilinear"),
    "flow": lambda: FlowNet(3, (8, 9, 10)),
    "early": lambda: EarlyFusion(3, (8, 9, 10)),
    "late": lambda: LateFusion(3, (8, 9, 10)),
    "ltc": lambda: LTC(3, (16, 32, 32)),
    "c3d": lambda: C3D(3, (16, 16, 16)),
}
LARGE: dict[str, Callable[[], StrokeModel]] = {
    "i3d": lambda: I3D(3, 2, clip_shape=(8, 32, 32)),
    "two-stream": lambda: TwoStreamI3D(3, first_pool=False, clip_shape=(8, 16, 16)),
}
CASES = [pytest.param(build, id=name) for name, build in SMALL.items()]
WITHOUT_TWO_STREAM = [*CASES, pytest.param(LARGE["i3d"], id="i3d", marks=pytest.mark.slow)]
CASES += [pytest.param(build, id=name, marks=pytest.mark.slow) for name, build in LARGE.items()]


def amplified(model: StrokeModel) -> StrokeModel:
    """Logits of the order of one: what a difference is measured against."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
    return model.eval()


def clips_for(model: StrokeModel, batch: int) -> list[Tensor]:
    return [torch.rand(batch, CHANNELS[name], *model.config.clip_shape) for name in model.inputs]


@pytest.mark.parametrize("build", CASES)
def test_exported_program(build: Callable[[], StrokeModel]) -> None:
    model = amplified(build()).train()
    program = export_program(model)
    assert model.training  # left as it was
    model.eval()
    module = program.module()
    for batch in (1, 3):
        clips = clips_for(model, batch)
        with torch.no_grad():
            assert (module(*clips) - model(*clips)).abs().max() < 1e-4


@pytest.mark.parametrize("build", WITHOUT_TWO_STREAM)  # that is I3D twice, and slow to convert
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx(build: Callable[[], StrokeModel], tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    import onnxruntime

    model = amplified(build())
    path = export_onnx(model, tmp_path / "deep" / "model.onnx")
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == ["logits"]
    for batch in (1, 3):
        clips = clips_for(model, batch)
        feed = {name: clip.numpy() for name, clip in zip(model.inputs, clips, strict=True)}
        (logits,) = session.run(None, feed)
        with torch.no_grad():
            assert (torch.from_numpy(logits) - model(*clips)).abs().max() < 1e-4
