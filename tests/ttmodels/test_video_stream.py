"""A video in chunks against the whole video at once, window by window, and what both cost."""

import math
from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
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
    VideoStream,
    dense_features,
    num_features,
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


def amplified(model: BranchModel) -> BranchModel:
    """Logits of the order of one, in double precision, so that no wrong cell can hide."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and "head" not in name:
                parameter.mul_(2)
    return model.double()


def video(model: BranchModel, frames: int) -> list[Tensor]:
    _, height, width = model.config.clip_shape
    dtype = next(model.parameters()).dtype
    sides = frames, height, width
    return [torch.rand(1, CHANNELS[name], *sides, dtype=dtype) for name in model.inputs]


def run(stream: VideoStream, clips: list[Tensor], sizes: Iterable[int]) -> tuple[Tensor, ...]:
    """Features, logits and starts of a video that is pushed in chunks of these sizes, repeated."""
    features, logits, starts = [], [], []
    sizes, begin, cells = list(sizes), 0, 0
    while begin < clips[0].shape[2]:
        size = sizes[len(logits) % len(sizes)]
        found = stream.push(*[clip[:, :, begin : begin + size] for clip in clips])
        begin += size
        assert found.first_cell == cells
        assert len(found.starts) == len(found.logits)
        cells += len(found.features)
        features.append(found.features)
        logits.append(found.logits)
        starts += list(found.starts)
    last = stream.finish()
    assert len(last.starts) == len(last.logits) == 0
    return torch.cat([*features, last.features]), torch.cat(logits), torch.tensor(starts)


@torch.no_grad()
def check(
    model: BranchModel,
    frames: int,
    step: int,
    sizes: Iterable[int],
    tolerances: tuple[float, float] = (1e-11, 1e-11),
) -> None:
    """Compare the stream with the whole video at once: features, logits."""
    clips = video(model, frames)
    features, logits, starts = run(VideoStream(model, step, group=3), clips, sizes)
    length = model.config.clip_shape[0]
    assert starts.tolist() == list(range(0, frames - length + 1, step))
    (whole,) = dense_features(model, *clips)
    assert features.shape == whole.shape == (frames // 8, num_features(model))
    if len(whole) > 1:  # cells differ, else this shows nothing
        assert whole.std(dim=0).max() > 1e-3
    assert (features - whole).abs().max() < tolerances[0]
    for start, found in zip(starts.tolist(), logits, strict=True):
        (expected,) = model(*[clip[:, :, start : start + length] for clip in clips])
        assert (found - expected).abs().max() < tolerances[1]


@pytest.mark.parametrize("build", FAMILY.values(), ids=FAMILY)
@pytest.mark.parametrize(("length", "step"), [(100, 10), (64, 8), (16, 1)])
def test_every_network_of_the_family(
    build: Callable[..., BranchModel], length: int, step: int
) -> None:
    check(amplified(build(4, (length, 9, 8))), length + 3 * step + 5, step, (7, 32, 1))


def test_single_precision() -> None:
    check(SSTC(3, (32, 24, 24)), 75, 8, (16,), tolerances=(1e-6, 1e-5))


@settings(max_examples=15, deadline=None)
@given(
    length=st.integers(8, 56),
    step=st.integers(1, 70),
    more=st.integers(0, 40),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_any_length_step_and_chunks(length: int, step: int, more: int, sizes: list[int]) -> None:
    torch.manual_seed(length)
    check(amplified(FlowNet(2, (length, 8, 8))), length + more, step, sizes)


@pytest.mark.parametrize("frames", [0, 1, 7, 8, 9, 23, 24, 31])
def test_short_videos(frames: int) -> None:
    """No window fits; the features are those of the whole, down to none."""
    model = RGBNet(2, (32, 8, 8))
    (clip,) = video(model, frames)
    stream = VideoStream(model, 8)
    features, logits, _ = run(stream, [clip], (5,)) if frames else (*stream.finish()[1:2], (), ())
    assert features.shape == (frames // 8, 720)
    assert len(logits) == 0
    if frames >= 8:
        torch.testing.assert_close(features, dense_features(model, clip)[0], atol=1e-6, rtol=0)


def test_features_or_windows_alone() -> None:
    model = SSTC(3, (48, 16, 16))
    clips = video(model, 90)
    both = run(VideoStream(model, 8), clips, (16,))
    features, no_logits, _ = run(VideoStream(model), clips, (16,))
    no_features, logits, _ = run(VideoStream(model, 8, features=False), clips, (16,))
    assert no_logits.shape == (0, 3)
    assert no_features.shape == (0, 1440)
    torch.testing.assert_close(features, both[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(logits, both[1], atol=1e-6, rtol=0)
    windows = SlidingWindows(model, 8)(*clips)[0]
    torch.testing.assert_close(logits, windows, atol=1e-6, rtol=0)


def test_features_by_hand() -> None:
    """Means over fields of 5 x 5 cells, in the order stream, channel, row, column."""
    model = SSTC(2, (8, 120, 120))
    clips = video(model, 9)
    maps = [model.rgb_branch.forward_convs(clips[0]), model.flow_branch.forward_convs(clips[1])]
    assert maps[0].shape == (1, 80, 1, 15, 15)
    found = dense_features(model, *clips)
    assert found.shape == (1, 1, 1440)
    fields = found.reshape(2, 80, 3, 3)
    for stream, channel, row, column in [(0, 3, 0, 2), (1, 79, 2, 0), (1, 0, 1, 1)]:
        part = maps[stream][0, channel, 0, 5 * row : 5 * row + 5, 5 * column : 5 * column + 5]
        torch.testing.assert_close(fields[stream, channel, row, column], part.mean())


def test_features_have_gradients() -> None:
    model = SSTC(2, (16, 16, 16))
    dense_features(model, *video(model, 24)).square().sum().backward()
    for branch in model.branches():
        assert all(conv.weight.grad.abs().sum() > 0 for conv in branch.convolutions())
        assert branch.fc.weight.grad is None


# --- cost ---


def multiply_adds(work: Callable[[], object]) -> int:
    """Multiply-adds of the convolutions that torch executes."""
    convolutions = (torch.ops.aten.convolution, torch.ops.aten.mkldnn_convolution)

    def of_one(_: object, weight: list[int], *args: object, out_shape: list[int]) -> int:
        return out_shape[0] * math.prod(out_shape[2:]) * math.prod(weight)

    mapping = dict.fromkeys(convolutions, of_one)
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        work()
    counts = counter.get_flop_counts()["Global"]
    return sum(counts.get(convolution, 0) for convolution in convolutions)


def test_convolutions_are_computed_once() -> None:
    """The features alone cost one convolution of the video, with windows of step 8 below .30."""
    model = FlowNet(3, (96, 8, 8))
    clips = video(model, 200)
    once = multiply_adds(lambda: dense_features(model, *clips))
    assert multiply_adds(lambda: run(VideoStream(model), clips, (24, 7))) == once
    shared, apart = SlidingWindows(model, 8).convolution_work(200)
    windows = multiply_adds(lambda: run(VideoStream(model, 8, features=False), clips, (24, 7)))
    assert windows == shared
    # Both at once: what touches the ends of the video is all that is added.
    both = multiply_adds(lambda: run(VideoStream(model, 8), clips, (24, 7)))
    assert both - shared == sum(
        more * conv.weight.numel() * (8 >> level) ** 2
        for level, (more, conv) in enumerate(
            zip((3, 4, 4), model.branch.convolutions(), strict=True)
        )
    )
    assert both < 0.3 * apart


@pytest.mark.parametrize(
    ("clip_shape", "windows", "features"),
    [((100, 120, 120), 0.17, 0.08), ((32, 40, 40), 0.53, 0.25)],
)
def test_shares_of_the_work_that_the_readme_states(
    clip_shape: tuple[int, int, int], windows: float, features: float
) -> None:
    with torch.device("meta"):
        model = SSTC(clip_shape=clip_shape)
    sliding = SlidingWindows(model, 8)
    shared, apart = sliding.convolution_work(100_000)
    assert shared / apart == pytest.approx(windows, abs=0.005)
    # The features cost one convolution of every frame: a window's, for each length of a window.
    _, one_window = sliding.convolution_work(clip_shape[0])
    once = one_window * 100_000 / clip_shape[0]
    assert once / apart == pytest.approx(features, abs=0.005)


@pytest.mark.parametrize("step", [None, 8, 10, 50])
@torch.no_grad()
def test_memory_does_not_depend_on_the_length(step: int | None) -> None:
    """Cells held after each chunk, in the first part of a video as in the last."""
    model = SSTC(2, (32, 8, 8))
    stream = VideoStream(model, step)
    held = []
    for _ in range(60):
        stream.push(*video(model, 10))
        held.append(cells_held(stream))
        assert all(cells < 32 + 50 + 10 for cells in held[-1])
    assert max(held[-20:]) == max(held[10:30])


def cells_held(stream: VideoStream) -> list[int]:
    return [
        maps.held.shape[2]
        for shared in stream._shared
        for level in shared._levels
        for maps in level.values()
        if maps._cells is not None
    ]


def test_autocast_and_double() -> None:
    model = FlowNet(2, (16, 8, 8))
    clips = video(model, 40)
    (expected,) = SlidingWindows(model, 4)(*clips)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, logits, _ = run(VideoStream(model, 4), clips, (12,))
    assert (logits.float() - expected).abs().max() < 0.05
    _, logits, _ = run(VideoStream(model.double(), 4), [c.double() for c in clips], (12,))
    assert (logits - expected).abs().max() < 1e-5


def test_wrong_use() -> None:
    model = SSTC(2, (16, 8, 8))
    with pytest.raises(ValueError, match="model is a LTC, expected one of the SSTC family"):
        VideoStream(LTC(2, (16, 32, 32)), 5)
    with pytest.raises(ValueError, match="model is a Linear, expected one of the SSTC family"):
        dense_features(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="step is 0 and group 16, expected positive"):
        VideoStream(model, 0)
    with pytest.raises(ValueError, match="step is None and features False"):
        VideoStream(model, features=False)
    stream = VideoStream(model, 5)
    rgb, flow = video(model, 20)
    with pytest.raises(ValueError, match="looks like flow: are the inputs swapped"):
        stream.push(flow, rgb)
    with pytest.raises(ValueError, match=r"flow has shape \(1, 2, 19, 8, 8\), expected"):
        stream.push(rgb, flow[:, :, :19])
    with pytest.raises(ValueError, match="expected a batch of one"):
        stream.push(torch.cat((rgb, rgb)), torch.cat((flow, flow)))
    with pytest.raises(ValueError, match=r"rgb has shape \(1, 3, 7, 8, 8\), expected .* 8, 8, 8"):
        dense_features(model, rgb[:, :, :7], flow[:, :, :7])
    stream.finish()
    with pytest.raises(ValueError, match="the stream is finished"):
        stream.push(rgb, flow)
