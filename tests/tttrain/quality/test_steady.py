"""Paths without the frames in which a network takes one joint for another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tttrain.quality.steady import matern, steadied

SECONDS = np.arange(0, 1.5, 1 / 30)
SURE = np.ones((len(SECONDS), 1))


def swing(seconds: np.ndarray) -> np.ndarray:
    """(n, 1, 2) a circle of a torso length in 1.5 s."""
    turn = 2 * np.pi * seconds / 1.5
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)[:, None]


def test_two_samples_are_drawn_together_as_much_as_they_are_alike() -> None:
    """Of (a, -a) with covariance k between them and noise 0.04: a (1 - k) / (1 - k + 0.04)."""
    seconds, size = np.array([0.0, 0.1]), 1e-4
    values = np.array([[[size]], [[-size]]])
    alike = float(matern(np.array(0.1)))
    expected = size * (1 - alike) / (1 - alike + 0.04)
    found = steadied(seconds, values, np.ones((2, 1)), seconds)
    assert found[:, 0, 0] == pytest.approx([expected, -expected], rel=1e-4)


def test_one_sample_is_everywhere() -> None:
    found = steadied(np.array([0.5]), np.full((1, 1, 2), 3.0), np.ones((1, 1)), np.arange(3.0))
    assert found == pytest.approx(np.full((3, 1, 2), 3.0))


@settings(deadline=None, max_examples=25)
@given(shift=st.floats(-100, 100), rate=st.sampled_from([15.0, 29.97, 60.0]))
def test_where_the_player_stands_does_not_matter(shift: float, rate: float) -> None:
    seconds = np.arange(0, 1.5, 1 / rate)
    sure = np.ones((len(seconds), 1))
    one = steadied(seconds, swing(seconds), sure, SECONDS)
    other = steadied(seconds, swing(seconds) + shift, sure, SECONDS)
    assert other - shift == pytest.approx(one, abs=1e-9)


def test_a_swing_stays_on_its_way() -> None:
    times = np.linspace(0.1, 1.3, 50)
    found = steadied(SECONDS, swing(SECONDS), SURE, times)
    assert np.linalg.norm(found - swing(times), axis=2).max() < 0.03


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_joint_that_jumps_for_a_few_frames_does_not(frames: int) -> None:
    """The landmark lies on the other wrist, a torso length away, and the network is sure of it."""
    jumping = swing(SECONDS)
    jumping[20 : 20 + frames] += [1.0, 0.0]
    found = steadied(SECONDS, jumping, SURE, SECONDS)
    assert np.linalg.norm(found - swing(SECONDS), axis=2).max() < 0.09


def test_a_sample_that_is_hardly_trusted_counts_little() -> None:
    """Off by as much as is still believed, in every other frame."""
    off, seen = swing(SECONDS), np.ones((len(SECONDS), 1))
    off[::2] += [0.1, 0.0]
    seen[::2] = 0.01
    far = [
        np.linalg.norm(steadied(SECONDS, off, item, SECONDS) - swing(SECONDS), axis=2)[5:-5].mean()
        for item in (SURE, seen)
    ]
    assert far[0] > 0.03
    assert far[1] < 0.01


def test_joints_do_not_touch_each_other() -> None:
    values = np.concatenate([swing(SECONDS), swing(SECONDS)], axis=1)
    values[10:13, 1] += 1.0
    both = steadied(SECONDS, values, np.ones((len(SECONDS), 2)), SECONDS)
    assert both[:, :1] == pytest.approx(steadied(SECONDS, values[:, :1], SURE, SECONDS))
