"""The pooled head of the SSTC family: spatial means of the last maps, at each time."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import ttmodels
from ttmodels import (
    SSTC,
    BranchConfig,
    BranchModel,
    EarlyFusion,
    FlowNet,
    LateFusion,
    RGBNet,
    SlidingWindows,
    VideoStream,
)
from ttmodels.blocks import Branch, spatial_means

CHANNELS = {"rgb": 3, "flow": 2}
FAMILY: dict[str, Callable[..., BranchModel]] = {
    "sstc": SSTC,
    "bilinear": lambda *args, **settings: SSTC(*args, fusion="bilinear", **settings),
    "rgb": RGBNet,
    "flow": FlowNet,
    "early": EarlyFusion,
    "late": LateFusion,
}
every_model = pytest.mark.parametrize("build", FAMILY.values(), ids=FAMILY)


def clips_for(model: BranchModel, frames: int | None = None, batch: int = 2) -> list[Tensor]:
    length, height, width = model.config.clip_shape
    shape = (frames or length, height, width)
    dtype = next(model.parameters()).dtype
    return [torch.randn(batch, CHANNELS[name], *shape, dtype=dtype) for name in model.inputs]


def amplified(model: BranchModel) -> BranchModel:
    """Logits of the order of one, in float64: a wrong cell cannot hide below the tolerance."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and "head" not in name:
                parameter.mul_(2)
    return model.double()


# --- by hand ---

RGB_CONVS = (3 * 27 * 30 + 30) + (30 * 27 * 60 + 60) + (60 * 27 * 80 + 80)
FLOW_CONVS = RGB_CONVS - 27 * 30
NINE_FIELDS, ONE_FIELD = (80 * 12 * places * 500 + 500 for places in (9, 1))
LAST = 500 * 21 + 21


@pytest.mark.parametrize(
    ("name", "pool_fields", "count"),
    [
        ("rgb", 3, RGB_CONVS + NINE_FIELDS + LAST),
        ("rgb", 1, RGB_CONVS + ONE_FIELD + LAST),
        ("flow", 3, FLOW_CONVS + NINE_FIELDS + LAST),
        ("early", 1, RGB_CONVS + 2 * 27 * 30 + ONE_FIELD + LAST),
        ("late", 3, RGB_CONVS + FLOW_CONVS + 2 * (NINE_FIELDS + LAST)),
        ("sstc", 3, RGB_CONVS + FLOW_CONVS + 2 * NINE_FIELDS + 1000 * 21 + 21),
        ("bilinear", 1, RGB_CONVS + FLOW_CONVS + 2 * ONE_FIELD + 500 * 500 * 21 + 21),
    ],
)
def test_parameter_counts(name: str, pool_fields: int, count: int) -> None:
    with torch.device("meta"):
        model = FAMILY[name](head="pooled", pool_fields=pool_fields)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert (NINE_FIELDS, ONE_FIELD) == (4_320_500, 480_500)


@pytest.mark.parametrize("fields", [3, 1])
@torch.no_grad()
def test_features_of_constant_maps(fields: int) -> None:
    """Feature 0 reads one channel, time and field: where maps are constant, their value there."""
    branch = Branch(2, (16, 40, 56), fields)  # maps of 2 x 5 x 7
    maps = torch.arange(80 * 2).reshape(1, 80, 2, 1, 1).float().expand(1, 80, 2, 5, 7)
    branch.fc.bias.zero_()
    for channel, time, place in [(0, 0, 0), (7, 1, fields**2 - 1), (79, 0, fields**2 // 2)]:
        branch.fc.weight.zero_()
        branch.fc.weight[0, (channel * 2 + time) * fields**2 + place] = 0.5
        features = branch.forward_fc(maps)
        assert features[0, 0] == 0.5 * (channel * 2 + time)
        assert not features[0, 1:].any()


def test_means_of_one_lit_place() -> None:
    maps = torch.zeros(1, 1, 2, 15, 4)
    maps[0, 0, 1, 14, 1] = 20
    # rows of 5 places: the last one; of 4 columns [0, 2), [1, 3), [2, 4): the first two
    expected = [0, 0, 0, 0, 0, 0, 2, 2, 0]
    assert spatial_means(maps, 3).tolist() == [[[[0] * 9, expected]]]
    assert spatial_means(maps, 1).flatten().tolist() == pytest.approx([0, 20 / 60])
    assert spatial_means(torch.full((1, 1, 1, 1, 1), 7.0), 3).flatten().tolist() == [7.0] * 9


@pytest.mark.parametrize("height", range(1, 9))
def test_means_are_those_of_adaptive_pooling(height: int) -> None:
    maps = torch.randn(2, 3, 4, height, 15)
    for fields in (1, 3):
        wanted = functional.adaptive_avg_pool3d(maps, (4, fields, fields)).flatten(3)
        torch.testing.assert_close(spatial_means(maps, fields), wanted)


def plain_logits(model: RGBNet, fields: int, clip: Tensor) -> Tensor:
    for conv in model.branch.convolutions():
        clip = functional.max_pool3d(functional.relu(conv(clip)), 2)
    means = functional.adaptive_avg_pool3d(clip, (clip.shape[2], fields, fields))
    logits: Tensor = model.head(functional.relu(model.branch.fc(means.flatten(1))))
    return logits


@pytest.mark.parametrize("pool_fields", [3, 1])
def test_logits_and_gradients_equal_plain_layers(pool_fields: int) -> None:
    model = RGBNet(4, (17, 41, 35), head="pooled", pool_fields=pool_fields).double()
    clip = clips_for(model)[0].requires_grad_()
    found, wanted = model(clip), plain_logits(model, pool_fields, clip)
    torch.testing.assert_close(found, wanted)
    target = torch.tensor([1, 3])
    leaves = [*model.parameters(), clip]
    for ours, theirs in zip(
        torch.autograd.grad(functional.cross_entropy(found, target), leaves),
        torch.autograd.grad(functional.cross_entropy(wanted, target), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
        assert theirs.abs().max() > 0  # every weight and the clip are reached


# --- what the flat head can, it can ---


@pytest.mark.parametrize(
    ("name", "pool_fields"), [*((name, 3) for name in FAMILY), ("sstc", 1), ("late", 1)]
)
@torch.no_grad()
def test_windows_equal_one_by_one(name: str, pool_fields: int) -> None:
    model = amplified(FAMILY[name](4, (26, 16, 24), head="pooled", pool_fields=pool_fields))
    clips = clips_for(model, frames=45, batch=1)
    expected = torch.cat(
        [model(*[clip[:, :, start : start + 26] for clip in clips]) for start in range(0, 20, 3)]
    )
    assert expected.std(dim=0).max() > 1e-3  # windows differ, else this shows nothing
    windows = SlidingWindows(model, 3, group=3)
    shared, apart = windows.convolution_work(45)
    assert shared < apart
    assert (windows(*clips)[0] - expected).abs().max() < 1e-11

    stream = VideoStream(model, 3, group=3)
    found = [stream.push(*[clip[:, :, i : i + 20] for clip in clips]) for i in range(0, 45, 20)]
    assert (torch.cat([part.logits for part in found]) - expected).abs().max() < 1e-11
    features = torch.cat([part.features for part in [*found, stream.finish()]])
    whole = ttmodels.dense_features(model, *clips)[0]
    assert features.shape == whole.shape == (5, ttmodels.num_features(model))
    assert (features - whole).abs().max() < 1e-11


@torch.no_grad()
def test_features_of_whole_videos_do_not_depend_on_the_head() -> None:
    flat, pooled = (FlowNet(2, (16, 24, 24), head=head) for head in ("flat", "pooled"))
    for ours, theirs in zip(pooled.branch.convolutions(), flat.branch.convolutions(), strict=True):
        ours.load_state_dict(theirs.state_dict())
    (flow,) = clips_for(flat, frames=40)
    expected = ttmodels.dense_features(flat, flow)
    assert torch.equal(ttmodels.dense_features(pooled, flow), expected)
    assert ttmodels.num_features(pooled) == ttmodels.num_features(flat) == 720


@every_model
def test_a_folder_brings_it_back(build: Callable[..., BranchModel], tmp_path: Path) -> None:
    model = build(3, (8, 9, 10), head="pooled", pool_fields=1)
    model.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["config"]
    assert (stored["head"], stored["pool_fields"]) == ("pooled", 1)
    clips = clips_for(model)
    for again in (ttmodels.load(tmp_path), type(model).from_pretrained(tmp_path)):
        assert again.config == model.config
        assert torch.equal(again(*clips), model(*clips))


def test_a_flat_head_leaves_no_trace_in_the_folder() -> None:
    assert BranchConfig(3, (8, 8, 8)).stored() == {"num_classes": 3, "clip_shape": (8, 8, 8)}
    assert BranchConfig(**{"head": "flat", "pool_fields": 3}) == BranchConfig()


@every_model
def test_grad_cam_is_the_formula(build: Callable[..., BranchModel]) -> None:
    model = build(3, (16, 24, 40), head="pooled")
    clips = clips_for(model)
    maps = [stream.detach().requires_grad_() for stream in model.forward_features(*clips)]
    logits = model.forward_head(*maps)
    torch.testing.assert_close(logits, model(*clips))
    found = ttmodels.grad_cam(model, *clips, target=2, full_size=False)
    for stream, leaf in zip(model.streams, maps, strict=True):
        (gradient,) = torch.autograd.grad(logits[:, 2].sum(), leaf, retain_graph=True)
        weights = gradient.mean(dim=(2, 3, 4))
        wanted = torch.einsum("bc,bcthw->bthw", weights, leaf).clamp(min=0)
        wanted = wanted / wanted.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-30)
        torch.testing.assert_close(found[stream], wanted.detach(), rtol=1e-4, atol=1e-5)


@every_model
def test_exported_program(build: Callable[..., BranchModel]) -> None:
    model = build(3, (8, 33, 40), head="pooled")
    module = ttmodels.export_program(model).module()
    for batch in (1, 3):
        clips = clips_for(model, batch=batch)
        torch.testing.assert_close(module(*clips), model(*clips))


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx(tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    import onnxruntime

    model = FlowNet(3, (8, 33, 40), head="pooled")
    path = ttmodels.export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        (flow,) = clips_for(model, batch=batch)
        (logits,) = session.run(None, {"flow": flow.numpy()})
        assert (torch.from_numpy(logits) - model(flow)).abs().max() < 1e-5


def test_late_fusion_of_trained_streams() -> None:
    rgb_net, flow_net = (kind(3, (8, 9, 10), head="pooled") for kind in (RGBNet, FlowNet))
    model = LateFusion.from_streams(rgb_net, flow_net)
    assert model.config == BranchConfig(3, (8, 9, 10), head="pooled")
    rgb, flow = clips_for(model)
    mean = (rgb_net.predict_proba(rgb) + flow_net.predict_proba(flow)) / 2
    torch.testing.assert_close(model.predict_proba(rgb, flow), mean)
    with pytest.raises(ValueError, match=r"'flat'.*'pooled'.*expected the same"):
        LateFusion.from_streams(RGBNet(3, (8, 9, 10)), flow_net)


def test_shape_annotations_hold(checked: Any) -> None:
    model = checked.SSTC(3, (9, 11, 17), head="pooled")
    model(torch.rand(2, 3, 9, 11, 17), torch.rand(2, 2, 9, 11, 17)).sum().backward()


def test_the_layer_of_500_features_stays_a_linear_one() -> None:
    model = SSTC(3, (8, 9, 10), head="pooled")
    assert type(model.rgb_branch.fc) is type(model.flow_branch.fc) is nn.Linear


@every_model
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "mean"}, "head is 'mean', expected 'flat' or 'pooled'"),
        ({"head": "pooled", "pool_fields": 2}, "pool_fields is 2, expected 1 or 3"),
        ({"head": "pooled", "pool_fields": True}, "pool_fields is True, expected 1 or 3"),
        ({"pool_fields": 1}, "pool_fields is 1 and head 'flat', which pools nothing; expected"),
    ],
)
def test_wrong_settings(
    build: Callable[..., BranchModel], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(3, (8, 9, 10), **settings)
