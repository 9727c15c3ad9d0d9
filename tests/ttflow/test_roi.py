"""ROI and smoothing against a loop-by-loop transcription of specification 2, and known answers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ttflow.roi import (
    Track,
    _counts,
    _counts_on_cpu,
    centers,
    fill,
    frame_centers,
    smooth,
)

torch.set_num_threads(1)

WAYS = (_counts_on_cpu, _counts)  # the second is for GPUs


# --- the transcription: plain loops, no torch, no vectors ----------------------------------------


def plain_center(flow, mask, crop_hw, alpha, threshold_px, region):  # noqa: C901
    """Centre of one frame, or None without motion."""
    _, height, width = flow.shape
    best, at, count, sum_x, sum_y = -1.0, None, 0, 0.0, 0.0
    for y in range(height):
        for x in range(width):
            u, v = flow[0, y, x], flow[1, y, x]
            if mask is not None and not mask[y, x]:
                continue
            if region is not None:
                inside_x = region[0] <= (x + 0.5) / width <= region[2]
                inside_y = region[1] <= (y + 0.5) / height <= region[3]
                if not (inside_x and inside_y):
                    continue
            if not (math.isfinite(u) and math.isfinite(v)):
                continue
            speed = np.float32(abs(u)) + np.float32(abs(v))
            if not speed > threshold_px:
                continue
            count += 1
            sum_x += x
            sum_y += y
            if speed > best:
                best, at = speed, (x, y)
    if at is None:
        return None

    def f(value, crop, frame):
        return max(min(value, frame - crop / 2), crop / 2)

    xs = alpha * f(at[0], crop_hw[1], width) + (1 - alpha) * f(sum_x / count, crop_hw[1], width)
    ys = alpha * f(at[1], crop_hw[0], height) + (1 - alpha) * f(sum_y / count, crop_hw[0], height)
    return xs, ys


def plain_fill(found, frame_hw):
    known = [i for i, point in enumerate(found) if point is not None]
    result = []
    for i, point in enumerate(found):
        if point is not None:
            result.append(point)
        elif not known:
            result.append((frame_hw[1] / 2, frame_hw[0] / 2))
        elif i < known[0]:
            result.append(found[known[0]])
        elif i > known[-1]:
            result.append(found[known[-1]])
        else:
            a = max(k for k in known if k < i)
            b = min(k for k in known if k > i)
            share = (i - a) / (b - a)
            result.append(tuple(found[a][c] + share * (found[b][c] - found[a][c]) for c in (0, 1)))
    return result


def plain_smooth(points, taps=41, sigma=40 / 9):
    half = taps // 2
    weights = [math.exp(-(k**2) / (2 * sigma**2)) for k in range(-half, half + 1)]
    total = sum(weights)
    result = []
    for i in range(len(points)):
        sums = [0.0, 0.0]
        for k in range(-half, half + 1):
            point = points[min(max(i + k, 0), len(points) - 1)]
            for c in (0, 1):
                sums[c] += weights[k + half] / total * point[c]
        result.append(tuple(sums))
    return result


def check(flow, mask, crop_hw, alpha=0.6, threshold_px=0.0, region=None, taps=41, sigma=40 / 9):
    """Compare centres and track of a sequence with the transcription; the stream must agree too."""
    masks = [None] * len(flow) if mask is None else mask
    found = [
        plain_center(f, m, crop_hw, alpha, threshold_px, region)
        for f, m in zip(flow, masks, strict=True)
    ]
    expected = plain_fill(found, flow.shape[2:])
    flow_tensor = torch.from_numpy(flow)
    mask_tensor = None if mask is None else torch.from_numpy(mask)
    got = centers(flow_tensor, mask_tensor, crop_hw, alpha, threshold_px, region)
    assert got.shape == (len(flow), 2)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-4, rtol=0)
    track = plain_smooth(expected, taps, sigma)
    np.testing.assert_allclose(smooth(got, taps, sigma).numpy(), track, atol=1e-4, rtol=0)
    streamed = Track(flow.shape[2:], taps, sigma)
    out = []
    single, moving = frame_centers(flow_tensor, mask_tensor, crop_hw, alpha, threshold_px, region)
    for point, moves in zip(single, moving, strict=True):
        out += streamed.push(point if bool(moves) else None)
    out += streamed.finish()
    np.testing.assert_allclose(torch.stack(out).numpy(), track, atol=1e-9, rtol=0)


def random_case(rng: np.random.Generator, frames: int):
    """A sequence of small frames with ties, holes, still frames and non-finite flow."""
    height, width = (int(n) for n in rng.integers(1, 33, 2))
    flow = rng.normal(0, 2, (frames, 2, height, width)).astype(np.float32)
    kind = rng.integers(0, 4)
    if kind == 0:  # whole numbers: many ties, many zeros
        flow = np.round(flow)
    elif kind == 1:
        flow[rng.random(flow.shape) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
    flow[rng.random(frames) < rng.choice([0.0, 0.3, 0.8, 1.0])] = 0
    mask = None
    if rng.random() < 0.7:
        mask = rng.random((frames, height, width)) < rng.choice([0.0, 0.02, 0.5, 1.0])
    crop_hw = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
    region = None
    if rng.random() < 0.3:
        low, high = np.sort(rng.random((2, 2)), axis=0)
        region = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return flow, mask, crop_hw, region


@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_small_frames(seed: int) -> None:
    rng = np.random.default_rng(seed)
    done = 0
    while done < 1000:
        frames = int(rng.integers(1, 60))
        flow, mask, crop_hw, region = random_case(rng, frames)
        threshold_px = float(rng.choice([0.0, 0.0, 1.5]))
        taps = int(rng.choice([41, 41, 1, 7]))
        check(flow, mask, crop_hw, float(rng.random()), threshold_px, region, taps)
        done += frames


@pytest.mark.parametrize("seed", range(40))
def test_both_ways_of_counting_agree_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flow, mask, _, _ = random_case(rng, int(rng.integers(1, 9)))
    flow[:, :, 0, 0] = np.finfo(np.float32).max  # the sum of both overflows
    allowed = None if mask is None else torch.from_numpy(mask)
    threshold_px = float(rng.choice([0.0, 1.5]))
    one, other = (way(torch.from_numpy(flow), allowed, threshold_px) for way in WAYS)
    for found, expected in zip(one, other, strict=True):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


def test_twenty_working_frames() -> None:
    rng = np.random.default_rng(7)
    flow = rng.normal(0, 1, (20, 2, 180, 320)).astype(np.float32)
    mask = np.zeros((20, 180, 320), bool)
    for frame in range(20):
        x, y = int(rng.integers(0, 280)), int(rng.integers(0, 130))
        mask[frame, y : y + 50, x : x + 40] = True
    mask[5:9] = False
    flow[3] = np.nan
    check(flow, mask, (120, 120))


# --- known answers -------------------------------------------------------------------------------


def one_pixel(x: int, y: int, frames: int = 1) -> torch.Tensor:
    flow = torch.zeros(frames, 2, 180, 320)
    flow[:, 0, y, x] = 3.0
    return flow


@pytest.mark.parametrize(
    ("x", "y", "center"),
    [
        (160, 90, (160, 90)),
        (0, 0, (60, 60)),
        (319, 179, (260, 120)),
        (59, 121, (60, 120)),
        (61, 119, (61, 119)),
    ],
)
def test_center_stays_where_the_crop_fits(x: int, y: int, center: tuple[int, int]) -> None:
    assert centers(one_pixel(x, y), None).tolist() == [list(center)]


def test_argmax_and_gravity_are_mixed_after_clamping() -> None:
    flow = one_pixel(200, 100)
    flow[0, 1, 80, 100] = 1.0
    # argmax (200, 100), gravity (150, 90)
    assert centers(flow, None)[0].tolist() == pytest.approx([180, 96])


def test_ties_take_the_first_in_row_major_order() -> None:
    flow = one_pixel(200, 70)
    flow[0, 1, 71, 100] = -3.0
    # argmax (200, 70), gravity (150, 70.5)
    assert centers(flow, None)[0].tolist() == pytest.approx([0.6 * 200 + 0.4 * 150, 70.2])


def test_non_finite_flow_is_null() -> None:
    flow = one_pixel(200, 100)
    flow[0, 0, 50, 50], flow[0, 1, 60, 60] = math.inf, math.nan
    assert centers(flow, None)[0].tolist() == [200, 100]


def test_region_hides_the_other_player() -> None:
    flow = one_pixel(250, 90)
    flow[0, 0, 90, 80] = 1.0
    assert centers(flow, None, region=(0.0, 0.0, 0.5, 1.0))[0].tolist() == [80, 90]


def test_frames_without_motion_lie_between_their_neighbours() -> None:
    flow = torch.cat([one_pixel(100, 90), torch.zeros(3, 2, 180, 320), one_pixel(200, 70)])
    got = centers(flow, None)
    assert got[:, 0].tolist() == [100, 125, 150, 175, 200]
    assert got[:, 1].tolist() == [90, 85, 80, 75, 70]


def test_a_video_without_motion_uses_the_frame_center() -> None:
    assert centers(torch.zeros(3, 2, 180, 320), None).tolist() == [[160, 90]] * 3


def test_inputs_are_not_written() -> None:
    flow, mask = one_pixel(10, 20), torch.ones(1, 180, 320, dtype=torch.bool)
    before = flow.clone(), mask.clone()
    smooth(centers(flow, mask))
    assert torch.equal(flow, before[0])
    assert torch.equal(mask, before[1])


def test_smoothing_has_no_shift() -> None:
    step = torch.zeros(101, 2, dtype=torch.float64)
    step[50] = 1.0
    track = smooth(step)[:, 0]
    assert int(track.argmax()) == 50
    torch.testing.assert_close(track, track.flip(0))
    assert float(track.sum()) == pytest.approx(1.0)


def test_smoothing_keeps_a_constant() -> None:
    values = torch.full((5, 2), 73.25, dtype=torch.float64)
    torch.testing.assert_close(smooth(values), values)


def test_errors() -> None:
    with pytest.raises(ValueError, match="no frame"):
        centers(torch.zeros(0, 2, 180, 320), None)
    with pytest.raises(ValueError, match="exceeds the frame"):
        centers(torch.zeros(1, 2, 100, 100), None)
    with pytest.raises(ValueError, match="odd"):
        smooth(torch.zeros(4, 2), taps=40)


@given(st.lists(st.one_of(st.none(), st.tuples(st.floats(0, 320), st.floats(0, 180))), max_size=80))
def test_stream_equals_batch(points: list[tuple[float, float] | None]) -> None:
    track = Track((180, 320), taps=9)
    out = [
        center
        for point in points
        for center in track.push(None if point is None else torch.tensor(point).double())
    ]
    out += track.finish()
    assert len(out) == len(points)
    if points:
        found = torch.tensor([point or (0.0, 0.0) for point in points]).double()
        moving = torch.tensor([point is not None for point in points])
        expected = smooth(fill(found, moving, (180, 320)), taps=9)
        torch.testing.assert_close(torch.stack(out), expected, atol=1e-9, rtol=0)
