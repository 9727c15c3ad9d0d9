"""How exact the flow is: the reference against the oracle, the robust mode against the reference.

The oracle takes many times as long as the reference, which is shown to equal it; the reference as
long as all else here, so that most of its errors are recorded, and the first of each set computed.

The golden flows are those of the oracle, every 4th pixel in units of 1/4096 px. To make them again,
and to have the errors printed: TT_REAL_DATA=... python tests/ttflow/flow/test_quality.py
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ttflow.flow.variational import BeyondPixels

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from flow_oracle import oracle_flow
from flow_truth import Pair, flicker, player, public_pairs, rendered_hall

GOLDEN = Path(__file__).with_name("golden_reference_flows.npz")
GOLDEN_CASES = (("clean", 11), ("brighter", 12))
STEP, UNITS_PER_PX = 4, 4096
SEEDS = range(40, 44)
PLAYER_ERRORS_PX = {
    "known": (0.040424, 0.031279, 0.040456, 0.043126),
    "moving": (0.201484, 0.227547, 0.232186, 0.228788),
}
PUBLIC_ERRORS_PX = {
    "middlebury": (
        0.164838, 0.125160, 0.389185, 0.107066, 0.116885, 0.262986, 0.430025, 0.298444,
    ),
    "flyingchairs": (
        3.395582, 0.809645, 1.512254, 0.957152, 1.607494, 3.121615, 1.019927, 1.306418, 2.262292,
    ),
}  # fmt: skip
"""The reference's, of each pair: of players where the flow is known and where something moves."""


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def golden_pair(kind: str, seed: int) -> Pair:
    pair = player(seed)
    return pair if kind == "clean" else pair._replace(second=flicker(pair.second, kind))


def error(flow: torch.Tensor | np.ndarray, pair: Pair, where: np.ndarray | None = None) -> float:
    end_point = np.hypot(*(np.asarray(flow, float).reshape(pair.flow.shape) - pair.flow))
    return float(end_point[pair.known if where is None else where].mean())


def as_recorded(error_px: float) -> Any:
    return pytest.approx(error_px, rel=0.01)


def assert_equals_the_oracle(found: np.ndarray, expected: np.ndarray) -> None:
    difference = np.abs(found - expected)
    assert difference.mean() <= 1e-3
    assert np.percentile(difference, 99) <= 5e-3


@pytest.mark.slow
def test_reference_equals_the_golden_flows_at_full_size() -> None:
    golden = np.load(GOLDEN)
    pairs = [golden_pair(*case) for case in GOLDEN_CASES]
    first = torch.cat([tensor(pair.first) for pair in pairs])
    second = torch.cat([tensor(pair.second) for pair in pairs])
    flows = BeyondPixels("reference")(first, second).numpy()
    for (kind, _), flow in zip(GOLDEN_CASES, flows, strict=True):
        assert_equals_the_oracle(flow[:, ::STEP, ::STEP], golden[kind] / UNITS_PER_PX)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [player(seed, rendered_hall(seed)) for seed in SEEDS]


@pytest.fixture(scope="module")
def flows(pairs: list[Pair]) -> list[torch.Tensor]:
    """The default mode's."""
    return [BeyondPixels()(tensor(pair.first), tensor(pair.second)) for pair in pairs]


@pytest.mark.slow
def test_robust_beats_the_reference_on_players(
    pairs: list[Pair], flows: list[torch.Tensor]
) -> None:
    first = BeyondPixels("reference")(tensor(pairs[0].first), tensor(pairs[0].second))
    for where, recorded in PLAYER_ERRORS_PX.items():
        assert error(first, pairs[0], getattr(pairs[0], where)) == as_recorded(recorded[0])
        robust = sum(error(f, p, getattr(p, where)) for f, p in zip(flows, pairs, strict=True))
        assert len(recorded) == len(pairs)
        assert robust <= 0.92 * sum(recorded)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "bar"), [("brighter", 1.05), ("darker", 1.05), ("local", 1.15)])
def test_flicker_hardly_changes_the_error(
    kind: str, bar: float, pairs: list[Pair], flows: list[torch.Tensor]
) -> None:
    clean = sum(error(flow, pair) for flow, pair in zip(flows, pairs, strict=True))
    estimator = BeyondPixels()
    flickering = sum(
        error(estimator(tensor(pair.first), tensor(flicker(pair.second, kind))), pair)
        for pair in pairs
    )
    assert flickering <= bar * clean


@pytest.mark.slow
def test_a_start_from_the_last_pair_is_as_exact(
    pairs: list[Pair], flows: list[torch.Tensor]
) -> None:
    estimator = BeyondPixels()
    cold = warm = 0.0
    for pair, flow in zip(pairs, flows, strict=True):
        # The flow of the last pair was a little slower, and a pixel aside.
        last = 0.9 * flow.roll(1, -1)
        cold += error(flow, pair)
        warm += error(estimator(tensor(pair.first), tensor(pair.second), last), pair)
    assert warm <= 1.03 * cold


@pytest.fixture(scope="module")
def real_data() -> Path:
    if "TT_REAL_DATA" not in os.environ:
        pytest.skip("TT_REAL_DATA does not name the folder of real data")
    return Path(os.environ["TT_REAL_DATA"])


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(("set_name", "bar"), [("middlebury", 1.05), ("flyingchairs", 0.97)])
def test_robust_on_public_pairs(set_name: str, bar: float, real_data: Path) -> None:
    """The first recorded error of the reference is that of the test below."""
    estimator = BeyondPixels()
    pairs = list(public_pairs(real_data, set_name))
    robust = sum(error(estimator(tensor(pair.first), tensor(pair.second)), pair) for pair in pairs)
    assert len(PUBLIC_ERRORS_PX[set_name]) == len(pairs)
    assert robust <= bar * sum(PUBLIC_ERRORS_PX[set_name])


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("set_name", ["middlebury", "flyingchairs"])
def test_reference_equals_the_oracle_on_a_public_pair(set_name: str, real_data: Path) -> None:
    pair = next(public_pairs(real_data, set_name))
    expected = oracle_flow(pair.first, pair.second)
    found = BeyondPixels("reference")(tensor(pair.first), tensor(pair.second))
    assert_equals_the_oracle(found[0].numpy(), expected)
    assert error(found, pair) == pytest.approx(error(expected, pair), rel=0.02)
    assert error(found, pair) == as_recorded(PUBLIC_ERRORS_PX[set_name][0])


def write_golden() -> None:
    flows = {}
    for kind, seed in GOLDEN_CASES:
        pair = golden_pair(kind, seed)
        flow = oracle_flow(pair.first, pair.second)[:, ::STEP, ::STEP]
        flows[kind] = (flow * UNITS_PER_PX).round().clip(-32768, 32767).astype(np.int16)
    np.savez_compressed(GOLDEN, **flows)


def print_errors() -> None:
    estimator = BeyondPixels("reference")

    def flow(pair: Pair) -> torch.Tensor:
        return estimator(tensor(pair.first), tensor(pair.second))

    for pair in (player(seed, rendered_hall(seed)) for seed in SEEDS):
        found = flow(pair)
        print(f"{error(found, pair, pair.known):.6f} {error(found, pair, pair.moving):.6f}")
    for name in PUBLIC_ERRORS_PX:
        for pair in public_pairs(Path(os.environ["TT_REAL_DATA"]), name):
            print(f"{name} {error(flow(pair), pair):.6f}")


if __name__ == "__main__":
    write_golden()
    print_errors()
