"""Still windows: which they are, what they get, and that the others' scores stay as they were."""

import numpy as np
import pytest
import torch

from ttdata.errors import InputError
from ttmodels import SSTC, ModelCard, VideoStream
from ttmodels.base import BranchModel
from tttrain.data.sampling import Window
from tttrain.evaluation.scoring import network_inputs
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.moving_windows import MovingWindows
from tttrain.indexing.still import still_limit, still_scores, window_speeds

LABELS = ("Serve", "Push", "Negative")
LENGTH, STEP = 16, 4
STILL = still_scores(LABELS, "Negative")


@pytest.fixture(scope="module")
def model() -> BranchModel:
    torch.manual_seed(1)
    made = SSTC(3, (LENGTH, 24, 24)).eval()
    made.card = ModelCard(labels=LABELS, flow_scale_px=(3.0, 2.0))
    return made


Patches = tuple[np.ndarray, np.ndarray, np.ndarray]


def patches(moving: list[tuple[int, int]], frames: int, speed: float = 4.0) -> Patches:
    """RGB, flow and energy: noise, of that speed in the spans and still elsewhere."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (frames, 24, 24, 3), dtype=np.uint8)
    flow = rng.integers(-90, 90, (frames, 2, 24, 24), dtype=np.int16)
    energy = np.zeros(frames, np.float32)
    for begin, end in moving:
        energy[begin:end] = speed
    return rgb, flow, energy


def scored(windows: MovingWindows, whole: Patches, size: int) -> np.ndarray:
    """The rows of a video that comes in pieces of that size."""
    cuts = [slice(begin, begin + size) for begin in range(0, len(whole[2]), size)]
    return np.concatenate([windows.push(*(part[cut] for part in whole)) for cut in cuts])


def test_speeds_of_windows() -> None:
    assert window_speeds(np.array([0.0, 2.0, 4.0, 0.0, 1.0]), 2, 2).tolist() == [1.0, 2.0]
    assert window_speeds(np.zeros(3), 4, 1).tolist() == []


def test_the_limit_is_half_the_slowest_window_about_a_stroke() -> None:
    speeds = [np.array([0.1, 0.8, 0.6, 0.2]), np.array([0.0, 0.9])]
    strokes = [np.array([[1.0, 3.0]]), np.array([[1.5, 2.0]])]
    assert still_limit(speeds, strokes) == 0.3
    assert still_limit(speeds, strokes, safety=1.0) == 0.6
    # Cell 0 has its centre at .5: a stroke up to there does not hold it.
    assert still_limit(speeds[:1], [np.array([[0.0, 0.5]])]) == 0.0
    assert still_limit([], []) == 0.0


def test_left_out_windows_are_as_sure_as_can_be() -> None:
    row = still_scores(LABELS, "Negative")
    assert np.exp(row).sum() == pytest.approx(1.0, abs=1e-12)
    assert row[0] == row[1]
    curve = ScoreCurve("v", row[None], LABELS, 8, 8)
    assert curve.log_odds() == pytest.approx(-12.0, abs=1e-9)
    with pytest.raises(InputError, match=r"no class 'None' among Serve, Push"):
        still_scores(("Serve", "Push"), "None")


@pytest.mark.parametrize("size", [5, 7, 64, 200])
def test_moving_windows_score_as_without_the_rule(model: BranchModel, size: int) -> None:
    whole = patches([(33, 40), (90, 92), (96, 100), (150, 151)], 160)
    windows = MovingWindows(model, STEP, 0.1, STILL)
    rows = scored(windows, whole, size)
    stream = VideoStream(model, step=STEP, features=False)
    logits = stream.push(*network_inputs(model, Window("", *whole[:2]))).logits
    expected = torch.log_softmax(logits.double(), dim=1).numpy()
    # A window of 16 frames with a moving one has a mean speed of at least 4 / 16 px.
    moving = window_speeds(whole[2], LENGTH, STEP) > 0
    assert moving.nonzero()[0].tolist() == [5, 6, 7, 8, 9, 19, 20, 21, 22, 23, 24, 34, 35, 36]
    assert rows.shape == expected.shape
    np.testing.assert_allclose(rows[moving], expected[moving], rtol=0, atol=1e-6)
    assert (rows[~moving] == STILL).all()
    # Frames 20 to 52, 76 to 112 and 136 to 160, each once: what the moving windows read.
    assert windows.num_pushed == 32 + 36 + 24


def test_nothing_moves_and_the_network_sees_nothing(model: BranchModel) -> None:
    windows = MovingWindows(model, STEP, 1e-9, STILL)
    rows = scored(windows, patches([], 100), 32)
    assert rows.shape == (22, 3)
    assert (rows == STILL).all()
    assert windows.num_pushed == 0


def test_at_the_limit_a_window_counts_as_moving(model: BranchModel) -> None:
    whole = patches([(0, 16)], 32, speed=1.0)  # the first window alone is that fast
    for limit, pushed in ((1.0, 16), (1.0 + 1e-9, 0), (0.0, 32)):
        windows = MovingWindows(model, STEP, limit, STILL)
        assert len(scored(windows, whole, 32)) == 5
        assert windows.num_pushed == pushed


def test_shorter_than_a_window(model: BranchModel) -> None:
    windows = MovingWindows(model, STEP, 0.1, STILL)
    assert windows.push(*patches([(0, 15)], 15)).shape == (0, 3)
