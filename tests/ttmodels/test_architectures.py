"""What the networks compute, against an independent reference and by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ttmodels import (
    MODELS,
    SSTC,
    EarlyFusion,
    FlowNet,
    LateFusion,
    ModelConfig,
    RGBNet,
    SSTCConfig,
    StrokeModel,
)

SHAPE = (9, 11, 17)  # odd on every axis: poolings round down
CHANNELS = {"rgb": 3, "flow": 2}

BUILDERS: dict[str, Callable[..., StrokeModel]] = {
    "sstc-concat": SSTC,
    "sstc-bilinear": lambda *args: SSTC(*args, fusion="bilinear"),
    "rgb": RGBNet,
    "flow": FlowNet,
    "early": EarlyFusion,
    "late": LateFusion,
}

every_model = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def clips_for(
    model: StrokeModel, batch: int = 2, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    shape = model.config.clip_shape
    return [torch.rand(batch, CHANNELS[name], *shape, dtype=dtype) for name in model.inputs]


# --- an independent reference: shifted sums instead of convolutions, ReLU before pooling ---


def reference_stage(clip: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    batch, _, *sides = clip.shape
    padded = clip.new_zeros(batch, clip.shape[1], *(side + 2 for side in sides))
    padded[:, :, 1:-1, 1:-1, 1:-1] = clip
    total = bias.view(1, -1, 1, 1, 1).expand(batch, -1, *sides)
    for dt in range(3):
        for dy in range(3):
            for dx in range(3):
                t, h, w = sides
                shifted = padded[:, :, dt : dt + t, dy : dy + h, dx : dx + w]
                total = total + torch.einsum("oc,bcthw->bothw", weight[:, :, dt, dy, dx], shifted)
    t, h, w = (side // 2 for side in sides)
    cells = total.clamp(min=0)[:, :, : 2 * t, : 2 * h, : 2 * w]
    return cells.reshape(batch, -1, t, 2, h, 2, w, 2).amax(dim=(3, 5, 7))


def reference_branch(clip: Tensor, weights: dict[str, Tensor], prefix: str) -> Tensor:
    for conv in ("conv1", "conv2", "conv3"):
        layer = f"{prefix}.{conv}"
        clip = reference_stage(clip, weights[f"{layer}.weight"], weights[f"{layer}.bias"])
    flat = clip.reshape(len(clip), -1)
    return (flat @ weights[f"{prefix}.fc.weight"].T + weights[f"{prefix}.fc.bias"]).clamp(min=0)


def reference_linear(features: Tensor, weights: dict[str, Tensor], prefix: str) -> Tensor:
    return features @ weights[f"{prefix}.weight"].T + weights[f"{prefix}.bias"]


def reference_logits(model: StrokeModel, weights: dict[str, Tensor], clips: list[Tensor]) -> Tensor:
    if isinstance(model, SSTC):
        rgb = reference_branch(clips[0], weights, "rgb_branch")
        flow = reference_branch(clips[1], weights, "flow_branch")
        if model.config == SSTCConfig(model.config.num_classes, model.config.clip_shape, "concat"):
            return reference_linear(torch.cat([rgb, flow], 1), weights, "head")
        joined = torch.einsum("bi,kij,bj->bk", rgb, weights["head.weight"], flow)
        return joined + weights["head.bias"]
    if isinstance(model, LateFusion):
        scores = [
            reference_linear(
                reference_branch(clip, weights, f"{net}.branch"), weights, f"{net}.head"
            ).softmax(1)
            for clip, net in zip(clips, ("rgb_net", "flow_net"), strict=True)
        ]
        return ((scores[0] + scores[1]) / 2).log()
    return reference_linear(
        reference_branch(torch.cat(clips, 1), weights, "branch"), weights, "head"
    )


@every_model
def test_logits_and_gradients_equal_the_reference(build: Callable[..., StrokeModel]) -> None:
    model = build(4, SHAPE).double()
    clips = [clip.requires_grad_() for clip in clips_for(model, dtype=torch.float64)]
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}

    logits = model(*clips)
    expected = reference_logits(model, weights, clips)
    assert (logits - expected).abs().max() < 1e-5
    assert logits.std() > 1e-4  # not all the same, else the comparison shows nothing

    target = torch.tensor([1, 3])
    found = torch.autograd.grad(
        nn.functional.cross_entropy(logits, target), [*model.parameters(), *clips]
    )
    wanted = torch.autograd.grad(
        nn.functional.cross_entropy(expected, target), [*weights.values(), *clips]
    )
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).abs().max() < 1e-5 * max(1.0, theirs.abs().max().item())
        assert theirs.abs().max() > 0  # every weight and every input is reached


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(BUILDERS)),
    shape=st.tuples(*[st.integers(8, 20)] * 3),
    num_classes=st.integers(1, 6),
    batch=st.integers(1, 2),
)
def test_any_clip_shape_and_number_of_classes(
    name: str, shape: tuple[int, int, int], num_classes: int, batch: int
) -> None:
    model = BUILDERS[name](num_classes, shape).double()
    clips = clips_for(model, batch, torch.float64)
    logits = model(*clips)
    assert logits.shape == (batch, num_classes)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    assert (logits - reference_logits(model, weights, clips)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("name", "num_parameters"),
    [
        ("sstc-concat", 216_382_811),
        ("sstc-bilinear", 221_611_811),
        ("rgb", 108_191_821),
        ("flow", 108_191_011),
        ("early", 108_193_441),
        ("late", 108_191_821 + 108_191_011),
    ],
)
def test_parameter_counts_of_the_specification(name: str, num_parameters: int) -> None:
    with torch.device("meta"):
        model = BUILDERS[name](21, (100, 120, 120))
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters
    logits = model(*[clip.to("meta") for clip in meta_clips(model)])
    assert logits.shape == (1, 21)


def meta_clips(model: StrokeModel) -> list[Tensor]:
    shape = model.config.clip_shape
    return [torch.empty(1, CHANNELS[name], *shape, device="meta") for name in model.inputs]


def test_defaults_are_the_paper() -> None:
    assert ModelConfig() == ModelConfig(21, (100, 120, 120))
    assert SSTCConfig() == SSTCConfig(21, (100, 120, 120), "concat")
    with torch.device("meta"):
        shapes = {name: model_type().config.clip_shape for name, model_type in MODELS.items()}
    assert shapes == {
        **dict.fromkeys(
            ("sstc", "rgb", "flow", "pose", "pose_svm", "sstc_pose", "early", "late", "ltc"),
            (100, 120, 120),
        ),
        "c3d": (16, 112, 112),
        "i3d": (64, 224, 224),
        "two_stream_i3d": (64, 224, 224),
    }
    for model_type in MODELS.values():
        with torch.device("meta"):
            assert model_type().config == model_type.config_type()


# --- known answers: weights set by hand ---


def let_through(branch: nn.Module, fc_index: int = 0) -> None:
    """Make feature 0 of a branch the positive part of channel 0, seen at one cell of the grid."""
    with torch.no_grad():
        for parameter in branch.parameters():
            parameter.zero_()
        for conv in (branch.conv1, branch.conv2, branch.conv3):
            conv.weight[0, 0, 1, 1, 1] = 1
        branch.fc.weight[0, fc_index] = 1


def constant(channels: int, value: float, shape: tuple[int, int, int] = (8, 8, 8)) -> Tensor:
    return torch.full((1, channels, *shape), value)


@torch.no_grad()
def test_concatenation_by_hand() -> None:
    model = SSTC(2, (8, 8, 8))
    let_through(model.rgb_branch)
    let_through(model.flow_branch)
    model.head.weight.zero_()
    model.head.weight[0, 0], model.head.weight[0, 500], model.head.weight[1, 500] = 2, 3, -1
    model.head.bias.copy_(torch.tensor([0.0, 0.5]))
    logits = model(constant(3, 0.5), constant(2, 0.25))
    assert logits.tolist() == [[2 * 0.5 + 3 * 0.25, -0.25 + 0.5]]
    # ReLU: negative flow gives no feature
    assert model(constant(3, 0.5), constant(2, -0.25)).tolist() == [[1.0, 0.5]]


@torch.no_grad()
def test_bilinear_by_hand() -> None:
    model = SSTC(2, (8, 8, 8), fusion="bilinear")
    let_through(model.rgb_branch)
    let_through(model.flow_branch)
    model.head.weight.zero_()
    model.head.weight[1, 0, 0] = 4
    model.head.bias.copy_(torch.tensor([0.5, 1.0]))
    logits = model(constant(3, 0.5), constant(2, 0.25))
    assert logits.tolist() == [[0.5, 4 * 0.5 * 0.25 + 1.0]]


@torch.no_grad()
def test_early_fusion_stacks_rgb_then_flow() -> None:
    model = EarlyFusion(1, (8, 8, 8))
    let_through(model.branch)
    model.branch.conv1.weight[0, :, 1, 1, 1] = torch.tensor([1.0, 2, 4, 8, 16])
    rgb = torch.stack([torch.full((8, 8, 8), v) for v in (0.5, 0.25, 0.125)])[None]
    flow = torch.stack([torch.full((8, 8, 8), v) for v in (1.0, -0.5)])[None]
    assert model.features(rgb, flow)[0, 0] == 0.5 + 0.5 + 0.5 + 8 - 8


@torch.no_grad()
def test_features_are_flattened_by_channel_time_height_width() -> None:
    # a grid of 2 x 3 x 4 cells; one lit voxel in the cell (1, 2, 3), the last of channel 0
    model = RGBNet(1, (16, 24, 32))
    clip = constant(3, 0.0, (16, 24, 32))
    clip[0, 0, 12, 20, 28] = 1
    for index in range(2 * 3 * 4):
        let_through(model.branch, index)
        assert model.features(clip)[0, 0] == (1.0 if index == 23 else 0.0)


@torch.no_grad()
def test_late_fusion_averages_the_scores() -> None:
    model = LateFusion(2, (8, 8, 8))
    for net, odds in ((model.rgb_net, 3.0), (model.flow_net, 1 / 9)):
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([math.log(odds), 0.0]))  # scores odds : 1
    clips = [constant(3, 0.5), constant(2, 0.5)]
    expected = torch.tensor([[(0.75 + 0.1) / 2, (0.25 + 0.9) / 2]])
    torch.testing.assert_close(model.predict_proba(*clips), expected)
    torch.testing.assert_close(model(*clips), expected.log())


@torch.no_grad()
def test_late_fusion_of_tiny_scores_stays_finite() -> None:
    model = LateFusion(2, (8, 8, 8))
    for net in (model.rgb_net, model.flow_net):
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([0.0, -500.0]))  # exp(-500) is 0 in float32
    logits = model(constant(3, 0.5), constant(2, 0.5))
    torch.testing.assert_close(logits, torch.tensor([[0.0, -500.0]]))


def test_late_fusion_of_trained_streams() -> None:
    rgb_net, flow_net = RGBNet(3, SHAPE), FlowNet(3, SHAPE)
    model = LateFusion.from_streams(rgb_net, flow_net)
    rgb, flow = clips_for(model)
    mean = (rgb_net.predict_proba(rgb) + flow_net.predict_proba(flow)) / 2
    torch.testing.assert_close(model.predict_proba(rgb, flow), mean)
    assert not any(parameter.is_meta for parameter in model.parameters())


def test_late_fusion_refuses_streams_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="FlowNet and RGBNet, expected RGBNet and FlowNet"):
        LateFusion.from_streams(FlowNet(3, SHAPE), RGBNet(3, SHAPE))
    with pytest.raises(ValueError, match=r"num_classes=3.*num_classes=4.*expected the same"):
        LateFusion.from_streams(RGBNet(3, SHAPE), FlowNet(4, SHAPE))


# --- properties every network has ---


@every_model
def test_predict_proba_is_the_softmax(build: Callable[..., StrokeModel]) -> None:
    model = build(4, SHAPE)
    clips = clips_for(model)
    scores = model.predict_proba(*clips)
    torch.testing.assert_close(scores, model(*clips).softmax(1))
    torch.testing.assert_close(scores.sum(1), torch.ones(2))


@every_model
def test_train_and_eval_give_the_same_logits(build: Callable[..., StrokeModel]) -> None:
    model = build(4, SHAPE)
    clips = clips_for(model)
    assert torch.equal(model.train()(*clips), model.eval()(*clips))


@every_model
def test_a_seed_repeats_and_two_seeds_differ(build: Callable[..., StrokeModel]) -> None:
    def weights(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return list(build(4, SHAPE).parameters())

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@every_model
@pytest.mark.parametrize("convert_weights", [False, True])
@pytest.mark.parametrize("convert_clips", [False, True])
def test_memory_format_changes_no_logit(
    build: Callable[..., StrokeModel], convert_weights: bool, convert_clips: bool
) -> None:
    model = build(4, (16, 24, 32))
    clips = clips_for(model)
    expected = model(*clips)
    if convert_weights:
        model = model.to(memory_format=torch.channels_last_3d)
    if convert_clips:
        clips = [clip.to(memory_format=torch.channels_last_3d) for clip in clips]
    assert (model(*clips) - expected).abs().max() < 1e-5


@every_model
def test_clips_are_read_only_and_samples_independent(build: Callable[..., StrokeModel]) -> None:
    model = build(4, SHAPE)
    clips = clips_for(model, batch=3)
    copies = [clip.clone() for clip in clips]
    logits = model(*clips)
    assert all(torch.equal(a, b) for a, b in zip(clips, copies, strict=True))
    alone = model(*[clip[1:2] for clip in clips])
    torch.testing.assert_close(logits[1:2], alone)
    assert model(*[clip[:0] for clip in clips]).shape == (0, 4)


@every_model
def test_autocast_takes_both_types(build: Callable[..., StrokeModel]) -> None:
    model = build(4, SHAPE)
    clips = clips_for(model)
    expected = model(*clips)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16):
            logits = model(*[clip.to(dtype) for clip in clips])
            assert (logits.float() - expected).abs().max() < 0.05


@pytest.mark.parametrize(
    ("model_type", "inputs", "width"),
    [
        (SSTC, ("rgb", "flow"), 1000),
        (RGBNet, ("rgb",), 500),
        (FlowNet, ("flow",), 500),
        (EarlyFusion, ("rgb", "flow"), 500),
        (LateFusion, ("rgb", "flow"), 1000),
    ],
)
def test_inputs_and_features(
    model_type: type[StrokeModel], inputs: tuple[str, ...], width: int
) -> None:
    model = model_type(4, SHAPE)
    assert model.inputs == inputs
    assert model.features(*clips_for(model)).shape == (2, width)
    assert model_type.from_config(model.config).config == model.config


def test_the_first_half_of_the_features_is_rgb() -> None:
    for model in (SSTC(4, SHAPE), SSTC(4, SHAPE, "bilinear"), LateFusion(4, SHAPE)):
        rgb, flow = clips_for(model)
        changed = model.features(rgb, flow.flip(2)) != model.features(rgb, flow)
        assert not changed[:, :500].any()
        assert changed[:, 500:].any()


# --- wrong use ---


def rgb_clip(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(*shape, dtype=dtype)


GOOD_RGB, GOOD_FLOW = rgb_clip(2, 3, 9, 11, 17), rgb_clip(2, 2, 9, 11, 17)


@pytest.mark.parametrize(
    ("rgb", "flow", "message"),
    [
        (
            GOOD_FLOW,
            GOOD_RGB,
            r"rgb has shape \(2, 2, 9, 11, 17\), expected \(batch, 3, 9, 11, 17\).*swapped",
        ),
        (GOOD_RGB, GOOD_RGB, r"flow has shape .* expected \(batch, 2, 9, 11, 17\); it looks like"),
        (rgb_clip(2, 3, 8, 11, 17), GOOD_FLOW, r"rgb has shape \(2, 3, 8, 11, 17\), expected"),
        (rgb_clip(2, 9, 11, 17, 3), GOOD_FLOW, r"expected \(batch, 3, 9, 11, 17\)$"),  # C last
        (rgb_clip(3, 9, 11, 17), GOOD_FLOW, r"rgb has shape \(3, 9, 11, 17\)"),  # no batch
        (GOOD_RGB, rgb_clip(2, 2, 9, 17, 11), r"flow has shape \(2, 2, 9, 17, 11\)"),
        (
            GOOD_RGB.to(torch.uint8),
            GOOD_FLOW,
            r"torch.uint8, expected torch.float32 with values in \[0, 1\]",
        ),
        (
            GOOD_RGB,
            GOOD_FLOW.to(torch.int16),
            r"torch.int16, expected torch.float32 with values in \[-1, 1\]",
        ),
        (GOOD_RGB.double(), GOOD_FLOW, "rgb has dtype torch.float64, expected torch.float32"),
        (GOOD_RGB, GOOD_FLOW[:1], r"batch sizes are {'rgb': 2, 'flow': 1}, expected the same"),
    ],
)
def test_wrong_clips_are_named(rgb: Tensor, flow: Tensor, message: str) -> None:
    for model in (SSTC(4, SHAPE), EarlyFusion(4, SHAPE), LateFusion(4, SHAPE)):
        for call in (model, model.features, model.predict_proba):
            with pytest.raises(ValueError, match=message):
                call(rgb, flow)


def test_single_streams_check_their_clip() -> None:
    with pytest.raises(ValueError, match=r"rgb has shape .* looks like flow"):
        RGBNet(4, SHAPE)(GOOD_FLOW)
    with pytest.raises(ValueError, match=r"flow has shape .* looks like rgb"):
        FlowNet(4, SHAPE)(GOOD_RGB)


@pytest.mark.parametrize("model_type", MODELS.values())
@pytest.mark.parametrize(
    ("num_classes", "clip_shape", "message"),
    [
        (4, (7, 8, 8), r"clip_shape is \(7, 8, 8\), expected each axis >="),
        (4, (100, 120, 0), r"clip_shape is \(100, 120, 0\), expected each axis >="),
        (4, (8, 8), r"clip_shape is \(8, 8\), expected three integers"),
        (4, (8, 8, 8.0), r"expected three integers"),
        (4, 8, r"clip_shape is 8, expected three integers"),
        (4, "888", r"clip_shape is '888', expected three integers"),
        (0, (8, 8, 8), r"num_classes is 0, expected an integer >= 1"),
        (2.0, (8, 8, 8), r"num_classes is 2.0, expected an integer"),
        (True, (8, 8, 8), r"num_classes is True, expected an integer"),
    ],
)
def test_wrong_settings_are_named(
    model_type: type[StrokeModel], num_classes: object, clip_shape: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model_type(num_classes=num_classes, clip_shape=clip_shape)


def test_unknown_fusion_and_foreign_configuration() -> None:
    with pytest.raises(ValueError, match="fusion is 'sum', expected 'concat' or 'bilinear'"):
        SSTC(4, SHAPE, fusion="sum")
    with pytest.raises(ValueError, match="config is a ModelConfig, expected SSTCConfig"):
        SSTC.from_config(ModelConfig())


@pytest.mark.parametrize("model_type", [SSTC, RGBNet, FlowNet, EarlyFusion, LateFusion])
def test_clips_may_be_given_by_name(model_type: type[StrokeModel]) -> None:
    model = model_type(3, SHAPE)
    inputs = clips_for(model)
    named = dict(zip(model.inputs, inputs, strict=True))
    assert torch.equal(model(**named), model(*inputs))
    assert torch.equal(model.features(**named), model.features(*inputs))
