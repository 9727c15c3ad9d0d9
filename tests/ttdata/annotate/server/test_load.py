"""Thirty annotators at once: no error, nothing lost, and answers in time."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[4] / "benchmarks" / "bench_annotate_server.py"
SECONDS = int(os.environ.get("TT_LOAD_SECONDS", "2"))
"""`TT_LOAD_SECONDS=120` bounds the time, too: for a machine that does nothing else."""

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks are not here")


@pytest.mark.slow
@pytest.mark.timeout(120 + 2 * SECONDS)
def test_thirty_annotators(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("bench_annotate_server", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    load = bench.measure(tmp_path, 30, SECONDS, 240, (90, 160))
    assert load.errors == []
    assert len(load.events) == len(load.films) == 30 * SECONDS
    if SECONDS >= 60:
        assert np.quantile(load.events, 0.99) <= 0.150
