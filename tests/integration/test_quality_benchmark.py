"""What the benchmark of strokes measures, on one small session of true joints."""

import argparse
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ttflow import ClipPose

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_quality.py"

pytestmark = pytest.mark.skipif(
    not SCRIPT.is_file(), reason="benchmarks/ is not beside these tests"
)


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_ranks(script: dict[str, Any]) -> None:
    correlation = script["rank_correlation"]
    assert correlation([1, 2, 30], [4, 5, 6]) == pytest.approx(1)
    assert correlation([1, 2, 3], [6, 5, 4]) == pytest.approx(-1)
    # Spearman's, by the squared differences of ranks: 1 - 6 * 2 / (4 * 15).
    assert correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)


def pose() -> ClipPose:
    frames = np.arange(7)
    points = np.arange(7 * 33 * 2, dtype=np.float32).reshape(7, 33, 2)
    world = np.ones((7, 33, 3), np.float32)
    seen = np.ones((7, 33), np.float32)
    return ClipPose(frames, points, world, seen, seen[:, 0], "c", 30.0)


def test_changes_of_the_picture(script: dict[str, Any]) -> None:
    before = pose()
    twice = before
    for _ in range(2):
        twice = script["CHANGES"]["mirrored"](twice)
    assert np.array_equal(twice.points, before.points)
    mirrored = script["CHANGES"]["mirrored"](before)
    assert mirrored.points[0, 15].tolist() == [
        640 - before.points[0, 16, 0],
        before.points[0, 16, 1],
    ]
    assert script["CHANGES"]["scale 0.7"](before).points == pytest.approx(before.points * 0.7)


def test_real_strokes_are_measured_on_either_half_of_their_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    real = runpy.run_path(str(SCRIPT.with_name("quality_real.py")))
    before = pose()
    even, odd = real["halves"](before)
    assert (even.frames.tolist(), odd.frames.tolist()) == ([0, 2, 4, 6], [1, 3, 5])
    assert np.array_equal(odd.points, before.points[1::2])
    repeated = [[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [7.0, 7.0]]
    assert real["agreement"](repeated) == (1, 1, 1)
    lines = real["table"]({("stroke", "gain"): repeated}, {}).splitlines()
    assert lines[2] == "| stroke gain | 1.000 (1.00 to 1.00) | 4 | nan (nan to nan) | 0 |"
    assert lines[3] == "| below 0.9 | 0 of 1 | | 1 of 1 | |"
    path = SCRIPT.with_name("real_marks.csv")
    clip = {"kind": "stroke", "start_frame": 0, "end_frame": 57}
    marks = real["read_marks"](path, dict.fromkeys(pl.read_csv(path)["clip_id"], clip))
    assert len(marks) == 42
    assert all(item.ready < item.contact < item.end < 57 for item in marks.values())


def test_detectable_changes_of_several_seeds(script: dict[str, Any]) -> None:
    """Quantiles of chi-square with 10 degrees of freedom: 3.247 and 20.483 (tables)."""
    cases = {
        seed: {"degrees of freedom of MDC": free, "a": change}
        for seed, free, change in ((0, 4.0, 0.1), (1, 6.0, 0.2))
    }
    change, low, high = script["pooled"](cases, "a")
    assert change == pytest.approx(0.028**0.5)
    assert low == pytest.approx(change * (10 / 20.483) ** 0.5, rel=2e-3)
    assert high == pytest.approx(change * (10 / 3.247) ** 0.5, rel=5e-3)


def test_figures_of_a_session_of_true_joints(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(script["CHANGES"]) - {"mirrored"}:  # one is enough here
        monkeypatch.delitem(script["CHANGES"], name)
    asked = argparse.Namespace(
        players=1, fps=60.0, classes="Offensive Forehand Hit", pose="joints", folder=None
    )
    found = script["case"](0, asked)
    assert found["strokes"] == 56
    assert found["contact error, median ms"] <= 25
    for name in ("amplitude", "backswing_time", "follow_time"):
        assert found[f"rank correlation, {name}"] >= 0.85
        assert found[f"levels monotone, {name}"] == 1
    assert found["change of gain, mirrored"] < 1e-4
    # Two sessions of four references and two unchanged strokes, one of two unchanged ones.
    assert found["degrees of freedom of MDC"] == 5 + 5 + 1
    assert 0.8 < found["slope of gain on the realised one"] < 1.2
    table = script["table"]({0: found})
    assert table.count("\n") == len(found) + 2
