"""A worker's share of its machine, whatever machine gave the command."""

import pytest
import torch

from tttrain.config import TrainConfig
from tttrain.data.cache import without_waiting
from tttrain.errors import TrainingError
from tttrain.run import available_threads, thread_limit
from tttrain.training import device
from tttrain.training.best_epoch import Best
from tttrain.training.torch_state import preserved

GIB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores and 16 GiB."""
    monkeypatch.setattr(device, "available_cores", lambda: 8)
    monkeypatch.setattr(device, "available_memory", lambda: 16 * GIB)


@pytest.mark.parametrize(
    ("workers_here", "limit", "threads"),
    [(1, None, 8), (2, None, 4), (3, None, 2), (9, None, 1), (2, 6, 3), (2, 64, 4), (4, 1, 1)],
)
def test_threads(workers_here: int, limit: int | None, threads: int) -> None:
    """Workers elsewhere do not count: num_workers decides nothing."""
    for num_workers in (workers_here, 20):
        config = TrainConfig().with_changes(execution={"num_workers": num_workers})
        found = device.sized(config, 0.1, workers_here, limit)
        assert found.execution.torch_threads == threads
    asked = TrainConfig().with_changes(execution={"torch_threads": 5})
    assert device.sized(asked, 0.1, workers_here, limit).execution.torch_threads == 5


@pytest.mark.parametrize(
    ("asked", "gib", "workers_here", "path"),
    [
        ({}, 8.0, 1, "resident"),
        ({}, 8.1, 1, "stream"),
        ({}, 4.1, 2, "stream"),
        ({"num_workers": 8}, 4.0, 2, "resident"),
        ({"resident_max_gib": 1.0}, 1.1, 1, "stream"),
        ({"resident_max_gib": 9.0}, 8.1, 2, "resident"),
        ({"data_path": "stream"}, 0.1, 1, "stream"),
        ({"data_path": "resident"}, 99.0, 1, "resident"),
    ],
)
def test_resident_memory(
    asked: dict[str, object], gib: float, workers_here: int, path: str
) -> None:
    config = TrainConfig().with_changes(execution=asked)
    found = device.sized(config, gib, workers_here, None)
    assert found.execution.data_path == path
    assert found.result_hash() == config.result_hash()


@pytest.mark.parametrize(
    ("value", "limit"), [("", None), ("0", None), ("many", None), ("1", 1), ("3", 3)]
)
def test_the_variable_of_the_command(
    value: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a submitted job a 1 is Ray's."""
    monkeypatch.setattr("tttrain.run.available_cores", lambda: 2)
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert thread_limit() == limit
    assert available_threads() == min(limit or 2, 2)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert thread_limit() == (None if limit == 1 else limit)


def test_new_memory_is_not_written_to() -> None:
    """Not-a-number in all of it, as PyTorch does with determinism, takes a sixth of a step."""
    with preserved():
        device.set_up(TrainConfig().with_changes(execution={"torch_threads": 1}))
        assert torch.get_deterministic_debug_mode() == 2
        assert not torch.utils.deterministic.fill_uninitialized_memory


def test_switches_for_gpus_change_nothing_on_a_cpu() -> None:
    on = TrainConfig().with_changes(execution={"gpu_kernels": True, "step_graph": True})
    assert on.result_hash() == TrainConfig().result_hash()
    assert not TrainConfig().execution.step_graph
    assert not device.takes_kernels(on, "cpu")
    values = torch.arange(3)
    assert without_waiting(values, "cpu") is values
    best = Best(1, 0.5, 1.0, {"w": torch.zeros(1)})
    assert best.on_cpu() is best


@pytest.mark.parametrize(
    ("asked", "installed", "capability", "runs"),
    [
        (None, True, (9, 0), True),
        (None, True, (7, 5), False),
        (None, False, (9, 0), False),
        (True, True, (7, 5), True),
        (False, True, (9, 0), False),
    ],
)
def test_kernels_run_where_triton_is_and_the_gpu_takes_bfloat16(
    asked: bool | None,
    installed: bool,
    capability: tuple[int, int],
    runs: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: name if installed else None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    config = TrainConfig().with_changes(execution={"gpu_kernels": asked})
    assert device.takes_kernels(config, "cuda:0") is runs


def test_kernels_without_triton_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    asked = TrainConfig().with_changes(execution={"gpu_kernels": True})
    with pytest.raises(TrainingError, match="gpu_kernels is true, but triton is not installed"):
        device.takes_kernels(asked, "cuda:0")
