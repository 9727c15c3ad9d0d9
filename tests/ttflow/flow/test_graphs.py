"""What a CUDA graph reads by its address stays alive, and its device is the current one: on a CPU.

`torch.cuda` is replaced by a stand-in that writes down what is asked of it.
"""

import gc
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ttflow.flow.variational import device_tables, graphs, torch_path
from ttflow.flow.variational.settings import RobustSettings

CPU = torch.device("cpu")
QUICK = RobustSettings(outer_iterations=1, sweeps=1, sweeps_per_level=0, gain_levels=(1,))


def table(length: int) -> np.ndarray:
    return np.arange(length)


@pytest.fixture(autouse=True)
def _nothing_kept():
    device_tables.forget()
    yield
    device_tables.forget()


def test_a_held_table_outlives_the_cache() -> None:
    with device_tables.held() as tables:
        found = weakref.ref(device_tables.on(CPU, table, 3))
    for length in range(4, 4 + 600):  # more than are kept
        device_tables.on(CPU, table, length)
    gc.collect()
    assert [kept.tolist() for kept in tables] == [[0, 1, 2]]
    assert found() is tables[0]
    tables.clear()
    gc.collect()
    assert found() is None


def test_a_table_is_made_once_and_held_each_time() -> None:
    before = device_tables.on(CPU, table, 5)
    with device_tables.held() as tables:
        assert device_tables.on(CPU, table, 5) is before
    assert len(tables) == 1
    device_tables.on(CPU, table, 5)  # afterwards nobody collects
    assert len(tables) == 1


def test_the_whole_mode_asks_for_its_tables_by_the_holder() -> None:
    images = torch.rand(2, 1, 3, 24, 36, generator=torch.Generator().manual_seed(0))
    with device_tables.held() as tables:
        expected = torch_path.robust(*images, QUICK)
    assert len(tables) > 10
    device_tables.forget()
    assert torch.equal(torch_path.robust(*images, QUICK), expected)


class FakeCuda:
    """As much of `torch.cuda` as `Graph` uses; `log` is what happened, `current` the device."""

    def __init__(self) -> None:
        self.current, self.log = "cuda:0", []

    @contextmanager
    def device(self, device):
        before, self.current = self.current, str(device)
        yield
        self.current = before

    @contextmanager
    def noted(self, *_):
        yield

    stream = graph = noted

    def note(self, what: str):
        return lambda *_: self.log.append((what, self.current))

    def Stream(self):
        self.log.append(("stream", self.current))
        return SimpleNamespace(wait_stream=self.note("wait"))

    def current_stream(self):
        return SimpleNamespace(wait_stream=self.note("wait"))

    def CUDAGraph(self):
        self.log.append(("graph", self.current))
        return SimpleNamespace(replay=self.note("replay"))


@pytest.fixture
def cuda(monkeypatch):
    fake = FakeCuda()
    monkeypatch.setattr(graphs.torch, "cuda", fake)
    return fake


def test_a_graph_holds_the_tables_its_recording_reads(cuda) -> None:
    graph = graphs.Graph(lambda x: x * device_tables.on(CPU, table, 3), torch.ones(3))
    held = weakref.ref(device_tables.on(CPU, table, 3))
    device_tables.forget()
    gc.collect()
    assert held() is not None
    del graph
    gc.collect()
    assert held() is None


def test_a_graph_is_recorded_and_replayed_on_the_device_of_its_inputs(cuda) -> None:
    def function(x):
        cuda.log.append(("function", cuda.current))
        return x + 1

    graph = graphs.Graph(function, torch.zeros(2))  # "cpu" stands for cuda:1
    assert cuda.current == "cuda:0"
    assert graph(torch.tensor([5.0, 6.0])).tolist() == [1.0, 1.0]  # the fake recomputes nothing
    assert cuda.current == "cuda:0"
    assert {device for _, device in cuda.log} == {"cpu"}
    assert [what for what, _ in cuda.log].count("function") == 3
    assert cuda.log[-1] == ("replay", "cpu")
