"""The seconds that `benchmarks/bench_detection.py` tells: of all attempts, by command line."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_detection.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, whose clock moves in steps that take as many seconds as their command says."""
    spec = importlib.util.spec_from_file_location("bench_detection", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    clock = [0.0]

    def step(command: str) -> float:
        clock[0] += float(command.split()[1])
        if made.fails:
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr(made, "step", step)
    monkeypatch.setattr(made.time, "monotonic", lambda: clock[0])
    made.fails = False
    return made


def test_stopped_attempts_count_and_finished_ones_do_not_count_again(
    bench: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "attempts.json"
    bench.fails = True
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            bench.counted_step("fit 100", path)
    bench.fails = False
    assert bench.counted_step("fit 100", path) == 300
    assert bench.counted_step("fit 100", path) == 300
    assert bench.counted_step("fit 7 --set a=b", path) == 7  # another command line
    bench.fails = True
    with pytest.raises(KeyboardInterrupt):
        bench.counted_step("fit 100", path)
    bench.fails = False
    assert bench.counted_step("fit 100", path) == 300
