"""Shared windows against one window after the other."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ttmodels import (
    LTC,
    SSTC,
    BranchModel,
    EarlyFusion,
    FlowNet,
    LateFusion,
    RGBNet,
    SlidingWindows,
)

CHANNELS = {"rgb": 3, "flow": 2}
FAMILY: dict[str, Callable[..., BranchModel]] = {
    "sstc-concat": SSTC,
    "sstc-bilinear": lambda *args: SSTC(*args, fusion="bilinear"),
    "rgb": RGBNet,
    "flow": FlowNet,
    "early": EarlyFusion,
    "late": LateFusion,
}


def long_clips(model: BranchModel, frames: int, batch: int = 1) -> list[Tensor]:
    _, height, width = model.config.clip_shape
    return [torch.randn(batch, CHANNELS[name], frames, height, width) for name in model.inputs]


@torch.no_grad()
def one_by_one(model: BranchModel, clips: list[Tensor], step: int) -> Tensor:
    length, frames = model.config.clip_shape[0], clips[0].shape[2]
    return torch.stack(
        [
            model(*[clip[:, :, start : start + length] for clip in clips])
            for start in range(0, frames - length + 1, step)
        ],
        dim=1,
    )


def amplified(model: BranchModel) -> BranchModel:
    """Make logits of the order of one, so that a wrong cell cannot hide below the tolerance."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and "head" not in name:
                parameter.mul_(2)
    return model


def check(model: BranchModel, frames: int, step: int, batch: int = 1, group: int = 16) -> None:
    clips = long_clips(model, frames, batch)
    expected = one_by_one(model, clips, step)
    found = SlidingWindows(model, step, group)(*clips)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-5 * max(1.0, expected.abs().max().item())
    if expected.shape[1] > 1:
        assert expected.std(dim=1).max() > 1e-3  # windows differ, else this shows nothing


@pytest.mark.parametrize("step", [1, 5, 8, 10])
@pytest.mark.parametrize("length", [100, 64, 16])
def test_lengths_and_steps(length: int, step: int) -> None:
    model = amplified(FlowNet(3, (length, 8, 9)))
    for frames in (100, 163, 400) if step > 1 else (100, 133):
        check(model, frames, step)


@pytest.mark.slow
@pytest.mark.parametrize("length", [100, 64, 16])
def test_every_start_of_a_long_clip(length: int) -> None:
    check(amplified(FlowNet(3, (length, 8, 8))), 400, 1)


@pytest.mark.parametrize("build", FAMILY.values(), ids=FAMILY)
@pytest.mark.parametrize(("length", "step"), [(100, 10), (64, 5), (16, 8), (16, 1)])
def test_every_network_of_the_family(
    build: Callable[..., BranchModel], length: int, step: int
) -> None:
    check(amplified(build(4, (length, 9, 8))), 3 * step + length + 3, step, batch=2, group=3)


@settings(max_examples=20, deadline=None)
@given(
    length=st.integers(8, 60),
    step=st.integers(1, 30),
    more=st.integers(0, 60),
    group=st.integers(1, 9),
)
def test_any_length_and_step(length: int, step: int, more: int, group: int) -> None:
    torch.manual_seed(length)
    model = FlowNet(2, (length, 8, 8))
    clips = long_clips(model, length + more)
    windows = SlidingWindows(model, step, group)
    assert (windows(*clips) - one_by_one(model, clips, step)).abs().max() < 1e-5
    shared, apart = windows.convolution_work(length + more)
    if shared < apart:
        assert counted(windows, clips) == shared
    else:  # the network skips a last frame that pooling drops
        assert counted(windows, clips) <= apart


def counted(windows: SlidingWindows, clips: list[Tensor]) -> int:
    """Multiply-adds of the convolutions that torch executes."""
    convolutions = (torch.ops.aten.convolution, torch.ops.aten.mkldnn_convolution)

    def multiply_adds(_: object, weight: list[int], *args: object, out_shape: list[int]) -> int:
        return out_shape[0] * math.prod(out_shape[2:]) * math.prod(weight)

    mapping = dict.fromkeys(convolutions, multiply_adds)
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        windows(*clips)
    counts = counter.get_flop_counts()["Global"]
    return sum(counts.get(convolution, 0) for convolution in convolutions)


def test_small_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FlowNet(3, (20, 8, 8))
    clips = long_clips(model, 90)
    for step in (1, 2, 4, 7):
        expected = one_by_one(model, clips, step)
        for values in (1, 30 * 64 * 4, 30 * 64 * 10):
            monkeypatch.setattr("ttmodels.shared_maps.CHUNK_VALUES", values)
            assert (SlidingWindows(model, step)(*clips) - expected).abs().max() < 1e-5


def test_work_at_the_size_of_the_paper() -> None:
    with torch.device("meta"):
        models = [build() for build in FAMILY.values()]
    for model in models:
        shared, apart = SlidingWindows(model, 10).convolution_work(400)
        assert apart == sum(
            31 * 27 * sum(counts)
            for counts in (
                (c * 30 * 100 * 120**2, 30 * 60 * 50 * 60**2, 60 * 80 * 25 * 30**2)
                for c in (branch.conv1.in_channels for branch in model.branches())
            )
        )
        assert shared < 0.3 * apart


def test_windows_that_share_nothing_are_scored_one_by_one() -> None:
    model = FlowNet(2, (8, 8, 8))
    windows = SlidingWindows(model, 8)
    clips = long_clips(model, 40)
    shared, apart = windows.convolution_work(40)
    assert shared >= apart == counted(windows, clips)
    torch.testing.assert_close(windows(*clips), one_by_one(model, clips, 8))


def test_starts() -> None:
    windows = SlidingWindows(FlowNet(2, (16, 8, 8)), 5)
    assert list(windows.starts(16)) == [0]
    assert list(windows.starts(27)) == [0, 5, 10]
    assert windows(*long_clips(windows.model, 16)).shape == (1, 1, 2)


def test_autocast_and_double() -> None:
    model = FlowNet(2, (16, 8, 8))
    clips = long_clips(model, 40)
    expected = one_by_one(model, clips, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (SlidingWindows(model, 4)(*clips).float() - expected).abs().max() < 0.05
    double = SlidingWindows(model.double(), 4)(*[clip.double() for clip in clips])
    assert (double - expected).abs().max() < 1e-5


def test_wrong_use() -> None:
    model = SSTC(2, (16, 8, 8))
    with pytest.raises(ValueError, match="model is a LTC, expected one of the SSTC family"):
        SlidingWindows(LTC(2, (16, 32, 32)), 5)
    with pytest.raises(ValueError, match="step is 0 and group 16, expected positive"):
        SlidingWindows(model, 0)
    windows = SlidingWindows(model, 5)
    rgb, flow = long_clips(model, 20)
    with pytest.raises(ValueError, match="clip has 12 frames, expected at least 16"):
        windows(rgb[:, :, :12], flow[:, :, :12])
    with pytest.raises(ValueError, match="looks like flow: are the inputs swapped"):
        windows(flow, rgb)
    with pytest.raises(ValueError, match=r"flow has shape \(1, 2, 19, 8, 8\), expected"):
        windows(rgb, flow[:, :, :19])
    with pytest.raises(ValueError, match=r"rgb has dtype torch.float64, expected torch.float32"):
        windows(rgb.double(), flow)
