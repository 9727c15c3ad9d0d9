"""I3D, TwoStreamI3D, C3D and LTC against plain references, stored logits and their papers."""

import zlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ttmodels import C3D, I3D, LTC, ModelCard, StrokeModel, TwoStreamI3D, load

CHANNELS = {"rgb": 3, "flow": 2}
Weights = dict[str, Tensor]


def by_rule(name: str, shape: torch.Size) -> Tensor:
    """Weights that depend on nothing but their name and shape, well spread, float64."""
    count = torch.arange(shape.numel(), dtype=torch.float64)
    noise = torch.sin(count * 12.9898 + zlib.crc32(name.encode()) % 1000) * 43758.5453
    uniform = (noise - noise.floor()).reshape(shape)
    if name.endswith(("running_var", "bn.weight")):
        return uniform + 0.5
    if len(shape) > 1:
        return (2 * uniform - 1) * (6 / shape[1:].numel()) ** 0.5
    return uniform - 0.5


def filled(model: StrokeModel) -> StrokeModel:
    state = {
        name: tensor if name.endswith("num_batches_tracked") else by_rule(name, tensor.shape)
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model.eval()


def lively(model: StrokeModel) -> StrokeModel:
    """Weights under which clips matter; quicker than the rule for large layers."""
    if isinstance(model, I3D | TwoStreamI3D):
        return filled(model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6**0.5)
    return model.eval()


def clips_for(model: StrokeModel, *sides: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Two clips of noise in [0, 1)."""
    clips = []
    for name in model.inputs:
        shape = torch.Size([2, CHANNELS[name], *(sides or model.config.clip_shape)])
        noise = by_rule(f"clip {name}", torch.Size([shape.numel()])) + 0.5
        clips.append(noise.reshape(shape).to(dtype))
    return clips


# --- references: functional calls on a dictionary of weights, ReLU before pooling ---


def same_padding(maps: Tensor, kernel: list[int], stride: list[int]) -> Tensor:
    both: list[int] = []
    for axis in (2, 1, 0):
        side, size, step = maps.shape[2 + axis], kernel[axis], stride[axis]
        outputs = -(-side // step)
        lacking = max((outputs - 1) * step + size - side, 0)
        both += [lacking // 2, lacking - lacking // 2]
    return functional.pad(maps, both)


def unit(maps: Tensor, weights: Weights, name: str, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.conv3d.weight"]
    padded = same_padding(maps, list(kernel.shape[2:]), [stride] * 3)
    maps = functional.conv3d(padded, kernel, stride=stride)
    scale, shift = weights[f"{name}.bn.weight"], weights[f"{name}.bn.bias"]
    mean, variance = weights[f"{name}.bn.running_mean"], weights[f"{name}.bn.running_var"]
    factor = scale / (variance + 0.001).sqrt()
    return (
        maps * factor[:, None, None, None] + (shift - mean * factor)[:, None, None, None]
    ).relu()


def pool(maps: Tensor, kernel: list[int], stride: list[int]) -> Tensor:
    return functional.max_pool3d(same_padding(maps, kernel, stride), kernel, stride)


def mixed(maps: Tensor, weights: Weights, name: str) -> Tensor:
    return torch.cat(
        [
            unit(maps, weights, f"{name}.b0"),
            unit(unit(maps, weights, f"{name}.b1a"), weights, f"{name}.b1b"),
            unit(unit(maps, weights, f"{name}.b2a"), weights, f"{name}.b2b"),
            unit(pool(maps, [3, 3, 3], [1, 1, 1]), weights, f"{name}.b3b"),
        ],
        dim=1,
    )


def reference_i3d(clip: Tensor, weights: Weights, first_pool: bool) -> Tensor:
    """`clip` in [-1, 1]."""
    maps = unit(clip, weights, "Conv3d_1a_7x7", stride=2)
    if first_pool:
        maps = pool(maps, [1, 3, 3], [1, 2, 2])
    maps = unit(unit(maps, weights, "Conv3d_2b_1x1"), weights, "Conv3d_2c_3x3")
    maps = pool(maps, [1, 3, 3], [1, 2, 2])
    for name in ("3b", "3c"):
        maps = mixed(maps, weights, f"Mixed_{name}")
    maps = pool(maps, [3, 3, 3], [2, 2, 2])
    for name in ("4b", "4c", "4d", "4e", "4f"):
        maps = mixed(maps, weights, f"Mixed_{name}")
    maps = pool(maps, [2, 2, 2], [2, 2, 2])
    for name in ("5b", "5c"):
        maps = mixed(maps, weights, f"Mixed_{name}")
    window = [min(2, maps.shape[2]), *maps.shape[3:]]
    means = functional.avg_pool3d(maps, window, stride=1)
    logits = functional.conv3d(
        means, weights["logits.conv3d.weight"], weights["logits.conv3d.bias"]
    )
    return logits[:, :, :, 0, 0].mean(dim=2)


def stage(maps: Tensor, weights: Weights, name: str) -> Tensor:
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return functional.conv3d(maps, kernel, bias, padding=1).relu()


def dense(values: Tensor, weights: Weights, name: str) -> Tensor:
    return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def reference_hidden(maps: Tensor, weights: Weights) -> Tensor:
    hidden = dense(maps.reshape(len(maps), -1), weights, "fc6").relu()
    return dense(dense(hidden, weights, "fc7").relu(), weights, "fc8")


def reference_ltc(clip: Tensor, weights: Weights) -> Tensor:
    for index in range(1, 6):
        clip = stage(clip, weights, f"conv{index}")
        clip = functional.max_pool3d(clip, (1 if index == 1 else 2, 2, 2))
    return reference_hidden(clip, weights)


def reference_c3d(clip: Tensor, weights: Weights) -> Tensor:
    clip = functional.max_pool3d(stage(clip, weights, "conv1"), (1, 2, 2))
    clip = functional.max_pool3d(stage(clip, weights, "conv2"), 2)
    for block in ("conv3", "conv4"):
        clip = stage(stage(clip, weights, f"{block}a"), weights, f"{block}b")
        clip = functional.max_pool3d(clip, 2)
    clip = stage(stage(clip, weights, "conv5a"), weights, "conv5b")
    return reference_hidden(functional.max_pool3d(clip, 2, padding=(0, 1, 1)), weights)


def reference(model: StrokeModel, weights: Weights, clips: list[Tensor]) -> Tensor:
    if isinstance(model, LTC):
        return reference_ltc(clips[0], weights)
    if isinstance(model, C3D):
        return reference_c3d(clips[0], weights)
    if isinstance(model, TwoStreamI3D):
        parts = [
            {k.removeprefix(f"{net}."): v for k, v in weights.items() if k.startswith(net)}
            for net in ("rgb_net", "flow_net")
        ]
        pool_first = model.config.first_pool
        rgb = reference_i3d(2 * clips[0] - 1, parts[0], pool_first)
        return rgb + reference_i3d(clips[1], parts[1], pool_first)
    scaled = 2 * clips[0] - 1 if model.inputs == ("rgb",) else clips[0]
    return reference_i3d(scaled, weights, model.config.first_pool)


CASES: dict[str, Callable[[], StrokeModel]] = {
    "ltc-rgb": lambda: LTC(3, (16, 32, 32)),
    "ltc-flow": lambda: LTC(3, (17, 33, 35), in_channels=2),
    "c3d": lambda: C3D(3, (16, 16, 17)),
    "c3d-larger": lambda: C3D(3, (17, 16, 33)),
    "i3d-rgb": lambda: I3D(3, 3, clip_shape=(16, 32, 33)),
    "i3d-flow": lambda: I3D(3, 2, clip_shape=(8, 35, 32)),
    "i3d-rgb-no-first-pool": lambda: I3D(3, 3, first_pool=False, clip_shape=(17, 16, 24)),
    "two-stream": lambda: TwoStreamI3D(3, first_pool=False, clip_shape=(16, 16, 16)),
}
every_case = pytest.mark.parametrize("build", CASES.values(), ids=CASES)


@every_case
def test_logits_and_gradients_equal_the_reference(build: Callable[[], StrokeModel]) -> None:
    model = lively(build()).double()
    clips = [clip.requires_grad_() for clip in clips_for(model, dtype=torch.float64)]
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    leaves = [name for name, _ in model.named_parameters()]
    for name in leaves:
        weights[name].requires_grad_()
    logits, expected = model(*clips), reference(model, weights, clips)
    assert (logits - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (logits[0] - logits[1]).abs().max() > 1e-3  # the clip matters

    target = torch.tensor([1, 2])
    scale = expected.detach().abs().max()
    found, wanted = (
        torch.autograd.grad(functional.cross_entropy(out / scale, target), inputs)
        for out, inputs in (
            (logits, [*model.parameters(), *clips]),
            (expected, [*(weights[name] for name in leaves), *clips]),
        )
    )
    for ours, theirs in zip(found, wanted, strict=True):
        assert theirs.abs().max() > 0
        assert (ours - theirs).abs().max() < 1e-5 * max(1.0, theirs.abs().max().item())


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: I3D(400, 3), 12_697_264),
        (lambda: I3D(400, 2), 12_675_312),
        (lambda: I3D(21, 3), 12_308_789),
        (lambda: I3D(21, 2), 12_286_837),
        (TwoStreamI3D, 24_595_626),
        (C3D, 78_081_813),
        (LTC, 37_203_989),
        (lambda: LTC(in_channels=2), 37_202_261),
    ],
)
def test_parameter_counts(build: Callable[[], StrokeModel], count: int) -> None:
    with torch.device("meta"):
        model = build().eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    clips = [
        torch.empty(1, CHANNELS[name], *model.config.clip_shape, device="meta")
        for name in model.inputs
    ]
    assert model(*clips).shape == (1, model.config.num_classes)


# --- I3D ---

# of the reference above in float64; the first of two clips of 24 x 40 x 48
STORED = {
    (3, True): [33.738248, -28.502632, 4.825329, 7.002347],
    (3, False): [35.559597, -28.119946, 1.610172, 10.308978],
    (2, True): [23.45114, -20.387264, 3.43488, 4.363122],
    (2, False): [24.42179, -20.422094, 1.853878, 8.19987],
}


@pytest.mark.parametrize(("in_channels", "first_pool"), STORED)
def test_stored_logits(in_channels: int, first_pool: bool) -> None:
    model = filled(I3D(4, in_channels, first_pool))
    with torch.no_grad():
        logits = model(*clips_for(model, 24, 40, 48))[0]
    wanted = torch.tensor(STORED[in_channels, first_pool])
    assert (logits - wanted).abs().max() < 1e-4 * max(1.0, wanted.abs().max().item())


def test_names_of_the_public_port() -> None:
    names = list(I3D(400).state_dict())
    units = ["Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3"]
    blocks = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
    ways = ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")
    units += [f"Mixed_{block}.{way}" for block in blocks for way in ways]
    bn = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    wanted = {
        f"{name}.{part}" for name in units for part in ["conv3d.weight", *(f"bn.{p}" for p in bn)]
    }
    assert set(names) == wanted | {"logits.conv3d.weight", "logits.conv3d.bias"}


def test_published_weights_load_strictly() -> None:
    source = I3D(5, 2)
    state = {name: by_rule(name, t.shape) for name, t in source.state_dict().items()}
    # files of the public port are older than this counter
    old = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    model = I3D(5, 2)
    model.load_state_dict(old, strict=True)
    assert torch.equal(model.logits.conv3d.bias, old["logits.conv3d.bias"].float())


def test_input_range_is_recorded_and_rescaled() -> None:
    model = filled(I3D(3))
    assert model.config.input_range == (-1, 1)
    (clip,) = clips_for(model, 8, 32, 32)
    asis = filled(I3D(3, input_range=(0, 1)))
    torch.testing.assert_close(model(clip), asis(2 * clip - 1))
    flow = filled(I3D(3, 2))
    (clip,) = clips_for(flow, 8, 32, 32)
    assert flow._rescaled(clip) is clip  # already in [-1, 1]


@pytest.mark.parametrize("frames", [64, 100])
def test_small_pictures_without_the_first_pool(frames: int) -> None:
    with torch.device("meta"):
        model = I3D(21, 3, first_pool=False, clip_shape=(frames, 120, 120)).eval()
    clip = torch.empty(1, 3, frames, 120, 120, device="meta")
    steps = -(-frames // 8)
    assert model.forward_features(clip)[0].shape == (1, 1024, steps, 8, 8)
    assert model(clip).shape == (1, 21)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [64, 100])
def test_small_pictures_run(frames: int) -> None:
    model = filled(I3D(21, 2, first_pool=False))
    with torch.no_grad():
        logits = model(torch.rand(1, 2, frames, 120, 120) * 2 - 1)
    assert logits.shape == (1, 21)
    assert logits.isfinite().all()


def test_the_mean_over_the_picture_is_that_of_the_source_at_its_size() -> None:
    with torch.device("meta"):
        model = I3D(400).eval()
    (maps,) = model.forward_features(torch.empty(1, 3, 64, 224, 224, device="meta"))
    assert maps.shape[2:] == (8, 7, 7)


def test_training_differs_from_evaluation() -> None:
    model = filled(I3D(3, clip_shape=(8, 32, 32)))
    (clip,) = clips_for(model)
    assert torch.equal(model(clip), model(clip))
    model.train()
    assert not torch.equal(model(clip), model(clip))  # dropout
    assert model.Conv3d_1a_7x7.bn.num_batches_tracked == 2


def test_two_streams_add_logits() -> None:
    rgb_net = filled(I3D(3, 3, clip_shape=(8, 32, 32)))
    flow_net = filled(I3D(3, 2, clip_shape=(8, 32, 32)))
    rgb_net.card = ModelCard(("a", "b", "c"), None, {"run": 1})
    flow_net.card = ModelCard((), (3.0, 4.0), {"run": 2})
    model = TwoStreamI3D.from_streams(rgb_net, flow_net).eval()
    rgb, flow = clips_for(model)
    assert torch.equal(model(rgb, flow), rgb_net(rgb) + flow_net(flow))
    assert model.features(rgb, flow).shape == (2, 2048)
    assert model.card == ModelCard(
        ("a", "b", "c"), (3.0, 4.0), {"rgb": {"run": 1}, "flow": {"run": 2}}
    )


def test_streams_that_do_not_fit_are_refused() -> None:
    with torch.device("meta"):
        rgb, flow, other = I3D(3), I3D(3, 2), I3D(3, 2, first_pool=False)
    with pytest.raises(ValueError, match="expected an I3D for rgb and one for flow"):
        TwoStreamI3D.from_streams(flow, rgb)
    with pytest.raises(ValueError, match=r"first_pool=True.*first_pool=False.*the same"):
        TwoStreamI3D.from_streams(rgb, other)


# --- all ---


@every_case
def test_features_feed_the_last_layer(build: Callable[[], StrokeModel]) -> None:
    model = lively(build())
    clips = clips_for(model)
    with torch.no_grad():
        features, logits = model.features(*clips), model(*clips)
        scores = model.predict_proba(*clips)
    torch.testing.assert_close(scores, logits.softmax(1))
    if isinstance(model, I3D):
        last = model.logits.conv3d
        found = features @ last.weight[:, :, 0, 0, 0].T + last.bias
    elif isinstance(model, TwoStreamI3D):
        return
    else:
        found = model.fc8(features)
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-4)


@every_case
def test_a_folder_brings_it_back(build: Callable[[], StrokeModel], tmp_path) -> None:
    model = build().eval()
    model.save_pretrained(tmp_path)
    again = load(tmp_path).eval()
    assert again.config == model.config
    assert again.inputs == model.inputs
    clips = clips_for(model)
    with torch.no_grad():
        assert torch.equal(again(*clips), model(*clips))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LTC(3, (16, 32, 31)), r"\(16, 32, 31\), expected each axis >= \(16, 32, 32\)"),
        (lambda: C3D(3, (15, 16, 16)), r"\(15, 16, 16\), expected each axis >= 16"),
        (lambda: I3D(3, 4), r"in_channels is 4, expected 3 \(RGB\) or 2 \(flow\)"),
        (lambda: LTC(3, in_channels=5), "in_channels is 5, expected"),
        (lambda: C3D(3, dropout=1), r"dropout is 1, expected a number in \[0, 1\)"),
        (lambda: I3D(3, first_pool=1), "first_pool is 1, expected true or false"),
        (lambda: I3D(3, input_range=(1, 0)), "expected low < high"),
        (lambda: I3D(3, input_range=3), "input_range is 3, expected two numbers"),
    ],
)
def test_settings_out_of_range(build: Callable[[], StrokeModel], message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        build()


def test_wrong_clips() -> None:
    with torch.device("meta"):
        i3d, ltc, two = I3D(3), LTC(3, (16, 32, 32)), TwoStreamI3D(3)
    rgb, flow = (torch.zeros(1, channels, 16, 32, 32, device="meta") for channels in (3, 2))
    with pytest.raises(ValueError, match=r"expected \(batch, 3, 8 or more, 8 or more, 8 or more\)"):
        i3d(rgb[:, :, :7])
    with pytest.raises(ValueError, match="looks like flow: are the inputs swapped"):
        i3d(flow)
    with pytest.raises(ValueError, match=r"rgb has dtype torch.uint8, expected torch.float32"):
        i3d(rgb.to(torch.uint8))
    with pytest.raises(ValueError, match=r"expected \(batch, 3, 16, 32, 32\)"):
        ltc(rgb[:, :, :15])
    with pytest.raises(ValueError, match=r"rgb has shape .* looks like flow"):
        two(flow, rgb)
    with pytest.raises(ValueError, match=r"flow has shape \(1, 2, 15, 32, 32\), expected"):
        two(rgb, flow[:, :, :15])
    with pytest.raises(ValueError, match=r"batch sizes are"):
        two(rgb, flow[:0])
