"""Which frames are seen: formulas by hand, draws that stay inside."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tttrain.data.rng import generator
from tttrain.data.windows import (
    central_start,
    draw_start,
    sliding_starts,
    temporal_sigma,
    training_start,
)


@pytest.mark.parametrize(
    ("fps", "sigma"),
    [
        (120.0, 6.375),  # wt = 241 / 6; 0.3 (39.1667 / 2 - 1) + 0.8
        (25.0, 1.625),  # wt = 8.5; 0.3 (3.75 - 1) + 0.8
        (1.0, 0.425),  # wt = 0.5; 0.3 (-0.25 - 1) + 0.8
    ],
)
def test_sigma(fps: float, sigma: float) -> None:
    assert temporal_sigma(fps) == pytest.approx(sigma, abs=1e-12)


@pytest.mark.parametrize(
    ("start", "end", "window", "total", "expected"),
    [
        (50, 150, 100, 1000, 50),
        (50, 151, 100, 1000, 50),  # floor((50 + 151 - 100) / 2) = floor(50.5)
        (50, 126, 100, 1000, 38),  # shorter than the window: it spills on both sides
        (0, 80, 100, 1000, 0),  # clamped into the video
        (920, 1000, 100, 1000, 900),
        (10, 60, 100, 80, 0),  # the video is shorter than the window
    ],
)
def test_central(start: int, end: int, window: int, total: int, expected: int) -> None:
    assert central_start(start, end, window, total) == expected


def test_short_stroke_takes_the_central_window() -> None:
    rng = np.random.default_rng(0)
    assert draw_start(50, 150, 100, 1000, 120.0, rng) == 50
    assert draw_start(50, 126, 100, 1000, 120.0, rng) == 38


@given(
    start=st.integers(0, 500),
    length=st.integers(1, 4000),
    window=st.integers(1, 200),
    fps=st.floats(0.5, 1000),
    seed=st.integers(0, 1000),
)
def test_draws_stay_inside_the_stroke(
    start: int, length: int, window: int, fps: float, seed: int
) -> None:
    end = start + length
    drawn = draw_start(start, end, window, 10_000, fps, np.random.default_rng(seed))
    if length > window:
        assert start <= drawn <= end - window
    else:
        assert drawn == central_start(start, end, window, 10_000)


def test_draws_follow_the_normal_distribution() -> None:
    rng = np.random.default_rng(1)
    drawn = np.array([draw_start(0, 300, 100, 1000, 120.0, rng) for _ in range(20_000)])
    assert drawn.mean() == pytest.approx(100, abs=0.2)
    # Rounding to whole frames adds 1/12 to the variance.
    assert drawn.std() == pytest.approx(np.sqrt(6.375**2 + 1 / 12), rel=0.02)


@pytest.mark.parametrize("end", [300, 112])
def test_draws_pass_a_kolmogorov_smirnov_test(end: int) -> None:
    """Against the truncated normal, at whole frames; in the second stroke it is truncated hard."""
    rng, count, sigma = np.random.default_rng(2), 20_000, temporal_sigma(120.0)
    drawn = np.array([draw_start(0, end, 100, 1000, 120.0, rng) for _ in range(count)])
    last = end - 100
    normal = NormalDist(last / 2, sigma)
    low, high = normal.cdf(-0.5), normal.cdf(last + 0.5)
    frames = np.arange(last + 1)
    expected = np.array([(normal.cdf(frame + 0.5) - low) / (high - low) for frame in frames])
    found = (drawn[:, None] <= frames).mean(axis=0)
    # 1.36 / sqrt(n): exceeded by chance in 5 % of draws, less often for whole numbers.
    assert np.abs(found - expected).max() < 1.36 / np.sqrt(count)
    # Half a frame off is found out.
    shifted = np.array([(normal.cdf(frame) - low) / (high - low) for frame in frames])
    assert np.abs(found - shifted).max() > 1.36 / np.sqrt(count)


def test_uniform_draws_reach_every_window_equally_often() -> None:
    rng, count = np.random.default_rng(3), 20_000
    drawn = [draw_start(10, 120, 100, 1000, 120.0, rng, "uniform") for _ in range(count)]
    found = np.bincount(np.array(drawn) - 10)
    assert len(found) == 11
    # Chi-squared with 10 degrees of freedom: 29.6 is exceeded by chance in one of 1000.
    expected = count / 11
    assert ((found - expected) ** 2 / expected).sum() < 29.6


@given(start=st.integers(0, 500), length=st.integers(1, 400), seed=st.integers(0, 1000))
def test_uniform_draws_stay_inside_the_stroke(start: int, length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = draw_start(start, start + length, 100, 10_000, 120.0, rng, "uniform")
    if length > 100:
        assert start <= drawn <= start + length - 100
    else:
        assert drawn == central_start(start, start + length, 100, 10_000)


def test_tight_stroke_uses_every_window() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_start(10, 113, 100, 1000, 120.0, rng) for _ in range(400)]
    assert set(drawn) == {10, 11, 12, 13}


def test_draw_depends_on_seed_epoch_and_clip_alone() -> None:
    def drawn(clip_id: str, seed: int, epoch: int) -> int:
        return training_start(
            clip_id=clip_id,
            start_frame=0,
            end_frame=400,
            num_frames=100,
            total_frames=1000,
            fps=120.0,
            seed=seed,
            epoch=epoch,
        )

    values = {(c, s, e): drawn(c, s, e) for c in "abc" for s in range(4) for e in range(4)}
    assert values == {key: drawn(*key) for key in reversed(values)}
    assert len(set(values.values())) > 10
    assert generator(0, 0, "window", "a").random() != generator(0, 0, "augment", "a").random()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (50, 150, [50]),
        (50, 159, [50]),
        (50, 160, [50, 60]),
        (50, 175, [50, 60, 70]),
        (50, 140, [45]),
    ],
)
def test_sliding(start: int, end: int, expected: list[int]) -> None:
    assert sliding_starts(start, end, 100, 1000) == expected
