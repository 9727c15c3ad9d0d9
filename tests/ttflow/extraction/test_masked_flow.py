"""Flow where the foreground is empty: zero without the estimator, the same pixels as with it."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from ttflow.extraction.frames import WorkingFrame
from ttflow.extraction.masked_flow import flow_of_pairs, is_still, masked_flows
from ttflow.extraction.pipeline import flow_frames
from ttflow.flow.estimators import create
from ttflow.shards.patches import quantize_flow

HW = (6, 8)


class Shift:
    """Says that everything moves by (the difference of the first pixels, -1)."""

    batch_size = 3

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, first, second, initial_flow=None):
        self.calls.append(len(first))
        moved = (second[:, :1].float() - first[:, :1].float())[:, 0]
        return torch.stack([moved, -torch.ones_like(moved)], 1)


def frames(masks: list[str]) -> list[WorkingFrame]:
    """Frame t is of brightness t^2; its mask: empty, one pixel or none at all (warm-up)."""
    made = []
    for index, kind in enumerate(masks):
        mask = None if kind == "none" else np.zeros(HW, bool)
        if kind == "one":
            mask[2, 3] = True
        rgb = np.full((*HW, 3), index**2, np.uint8)
        made.append(WorkingFrame(index, index / 120, rgb, mask))
    return made


MASKS = ["none", "empty", "one", "empty", "empty", "empty", "empty", "one", "one", "empty"]


def test_only_an_empty_mask_is_still() -> None:
    found = [is_still(frame) for frame in frames(["none", "empty", "one"])]
    assert found == [False, True, False]


def test_the_estimator_sees_moving_pairs_only_and_no_pixel_changes() -> None:
    made, estimator = frames(MASKS), Shift()
    found = list(flow_frames(iter(made), [(0, 10)], estimator))
    # Batches (0 1 2) (3 4 5) (6 7 8): of the second nothing is asked.
    assert estimator.calls == [2, 2]
    assert [frame.index for frame in found] == list(range(10))
    for frame, before, after in zip(found, made, made[1:], strict=False):
        plain = flow_of_pairs([(before, after)], Shift())[0]
        expected = plain if before.mask is None else plain * before.mask
        assert np.array_equal(frame.flow, expected)
        assert np.array_equal(quantize_flow(frame.flow), quantize_flow(expected))
    assert found[2].flow[:, 2, 3].tolist() == [5, -1]
    assert np.count_nonzero(found[2].flow) == 2


@pytest.mark.parametrize("name", ["dis-fast", "farneback"])
def test_a_skipped_pair_changes_no_pixel_of_its_neighbours(name: str) -> None:
    """Real estimators on the CPU: the second pair of four is still."""
    noise = np.random.default_rng(5).integers(0, 255, (12, 20, 3), dtype=np.uint8)
    picture = noise.repeat(4, axis=0).repeat(4, axis=1)
    mask = np.zeros(picture.shape[:2], bool)
    mask[10:30, 20:60] = True
    made = [
        WorkingFrame(t, t / 120, np.roll(picture, 2 * t, axis=1), mask & (t != 1)) for t in range(5)
    ]
    pairs = list(pairwise(made))
    found = masked_flows(pairs, create(name))
    every = flow_of_pairs(pairs, create(name))
    expected = [flow * frame.mask for flow, frame in zip(every, made[:-1], strict=True)]
    assert np.array_equal(found, expected)
    assert [bool(np.abs(flow).max() > 1) for flow in found] == [True, False, True, True]


def test_nothing_to_do() -> None:
    estimator = Shift()
    made = frames(["empty", "empty"])
    (flow,) = masked_flows([(made[0], made[1])], estimator)
    assert flow.shape == (2, *HW)
    assert flow.dtype == np.float32
    assert not flow.any()
    assert masked_flows([], estimator) == []
    assert estimator.calls == []
