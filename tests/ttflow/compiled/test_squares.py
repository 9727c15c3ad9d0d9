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
    flow[0, 4, :8] = [np.nan, np.inf, -np.inf, 2000, -2000, 3e36, -3e36, -0.0]
    return flow


@pytest.mark.parametrize("side", [1, 6, 9, 24])
def test_cut_then_quantised(side: int) -> None:
    flow, pad = flow_with_everything(), 64
    padded = np.pad(flow, ((0, 0), (pad, pad), (pad, pad)))
    for left in (-30, -6, -1, 0, 5, 12, 13, 40):
        for top in (-30, -3, 0, 4, 8, 9, 40):
            rows, columns = (slice(at + pad, at + pad + side) for at in (top, left))
            found = cut_flow(flow, left, top, side)
            assert found.dtype == np.int16
            assert np.array_equal(found, quantize_flow(padded[:, rows, columns])), (left, top)


def test_a_flow_whose_rows_are_apart() -> None:
    flow = flow_with_everything()
    assert np.array_equal(
        cut_flow(flow[:, ::2, ::3], -1, -1, 8), cut_flow(flow[:, ::2, ::3].copy(), -1, -1, 8)
    )
