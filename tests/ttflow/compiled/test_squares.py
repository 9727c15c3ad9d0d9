"""The stored square of a flow against its plain definition: padded, cut, quantised."""

import numpy as np
import pytest

from ttflow.shards.patches import cut_flow, quantize_flow

HW = (9, 13)


def flow_with_everything() -> np.ndarray:
    """Ordinary values, halves of a unit, beyond what int16 holds, and no numbers."""
    rng = np.random.default_rng(2)
    flow = rng.normal(0, 3, (2, *HW)).astype(np.float32)
    flow[:, 2] = np.arange(HW[1], dtype=np.float32) / 64
    flow[0, 4, :8] = [np.nan, np.inf, -np.inf, 2000, -2000, 3e38, -3e38, -0.0]
    return flow


@pytest.mark.parametrize("side", [1, 6, 9, 24])
@pytest.mark.parametrize("left", [-30, -6, -1, 0, 5, 12, 13, 40])
@pytest.mark.parametrize("top", [-30, -3, 0, 4, 8, 9, 40])
def test_cut_then_quantised(side: int, left: int, top: int) -> None:
    flow, pad = flow_with_everything(), 64
    padded = np.pad(flow, ((0, 0), (pad, pad), (pad, pad)))
    expected = quantize_flow(
        padded[:, top + pad : top + pad + side, left + pad : left + pad + side]
    )
    found = cut_flow(flow, left, top, side)
    assert found.dtype == np.int16
    assert found.shape == (2, side, side)
    assert np.array_equal(found, expected)


def test_a_flow_whose_rows_are_apart() -> None:
    flow = flow_with_everything()
    assert np.array_equal(
        cut_flow(flow[:, ::2, ::3], -1, -1, 8), cut_flow(flow[:, ::2, ::3].copy(), -1, -1, 8)
    )
