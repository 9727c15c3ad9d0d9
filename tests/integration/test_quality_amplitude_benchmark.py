"""Measures of the size of a path that the benchmark compares: known answers."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality_amplitude.py"

pytestmark = pytest.mark.skipif(
    not SCRIPT.is_file(), reason="benchmarks/ is not beside these tests"
)


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def path() -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return np.column_stack([2 * np.sin(turn), np.cos(turn)])


def test_a_larger_path_elsewhere(script: dict[str, Any], path: np.ndarray) -> None:
    sure = np.ones(60)
    larger, references = (1.3 * path + [0.4, -0.2], sure), [(path, sure)] * 3
    for name, (_, size, _) in script["MEASURES"].items():
        assert size(larger, references) == pytest.approx(1.3), name


def test_a_turned_path(script: dict[str, Any], path: np.ndarray) -> None:
    """By 60 degrees: a half to least squares; to a fit that may turn it is as large as before."""
    cos, sin = 0.5, 0.75**0.5
    turned, sure = path @ np.array([[cos, sin], [-sin, cos]]), np.ones(60)
    pair = (turned, sure), [(path, sure)]
    assert script["least_squares"](*pair) == pytest.approx(0.5)
    assert script["procrustes"](*pair) == pytest.approx(1)
    assert script["extent"](*pair) == pytest.approx(1)
    assert script["length"](*pair) == pytest.approx(1)
    # Along x: cos(60) 2 sin t - sin(60) cos t, of amplitude sqrt(1 + 3/4), beside 2.
    assert script["along"](*pair) == pytest.approx(1.75**0.5 / 2)
