"""The Triton solver against the PyTorch one, on the CPU under Triton's interpreter."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from ttflow.flow.variational import BeyondPixels

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")

# The interpreter is chosen when a kernel is decorated: a process of its own for all comparisons.
COMPARE = """
import os
os.environ["TRITON_INTERPRET"] = "1"
import torch
from ttflow.flow.variational import fused, solvers, torch_path
from ttflow.flow.variational.equations import System
from ttflow.flow.variational.settings import RobustSettings

make = torch.Generator().manual_seed(0)
for batch, height, width in ((1, 16, 20), (2, 17, 33), (3, 5, 2)):
    a11, a12, a22, b1, b2, right, down = torch.rand(7, batch, height, width, generator=make)
    right[..., -1] = 0
    down[..., -1, :] = 0
    system = System(a11 + 0.5, a12 - 0.5, a22 + 0.5, b1 - 0.5, b2 - 0.5, right, down)
    found = fused.red_black(system, 5, 1.7)
    expected = solvers.red_black(system, 5, 1.7)
    assert found.shape == expected.shape == (batch, 2, height, width)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
print("solver")

planes = torch.rand(2, 3, 4, 7, generator=make)
packed = fused._pack(planes)
assert torch.equal(fused._unpack(packed)[..., :7], planes)
assert packed[1, 1, 2, 0, 0] == planes[1, 2, 0, 1] and packed[1, 1, 2, 1, 0] == planes[1, 2, 1, 0]
print("packing")

first = torch.rand(2, 3, 24, 36, generator=make)
second = 0.9 * first.roll(1, -1)
settings = RobustSettings(outer_iterations=2, sweeps=3, sweeps_per_level=1, gain_levels=(1,))
expected = torch_path.robust(first, second, settings)
found = torch_path.robust(first, second, settings, relax=fused.red_black)
assert expected.abs().mean() > 0.3
assert (found - expected).abs().mean() < 1e-4
print("whole mode")

guards = []
class Guard:
    def __init__(self, tensor):
        guards.append(tensor.shape)
    def __enter__(self):
        guards.append("inside")
    def __exit__(self, *_):
        guards.append("outside")
torch.cuda.device_of = Guard
kernel, fused._half_sweep = fused._half_sweep, {(1,): lambda *_: guards.append("kernel")}
fused.red_black(system, 1, 1.7)
assert guards == [(3, 2, 9, 5, 1), "inside", "kernel", "kernel", "outside"], guards
print("device")
"""


def test_fused_solver_equals_the_plain_one() -> None:
    command = [sys.executable, "-c", COMPARE]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["solver", "packing", "whole mode", "device"], done.stderr


def test_triton_and_graphs_are_refused_where_they_cannot_run() -> None:
    with pytest.raises(ValueError, match="engine 'triton' runs mode 'robust' on 'cuda'"):
        BeyondPixels(engine="triton")
    with pytest.raises(ValueError, match="graphs need mode 'robust' on 'cuda'"):
        BeyondPixels(graphs=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    ("engine", "graphs"), [("torch", False), ("triton", False), ("triton", True)]
)
def test_gpu_equals_cpu(engine: str, graphs: bool) -> None:
    first = torch.randint(0, 256, (2, 3, 90, 160), dtype=torch.uint8)
    first = torch.nn.functional.avg_pool2d(first.float(), 5, 1, 2).round().to(torch.uint8)
    second = first.roll(1, -1)
    expected = BeyondPixels(engine="torch")(first, second)
    estimator = BeyondPixels(device="cuda", engine=engine, graphs=graphs)
    for _ in range(2):
        found = estimator(first.cuda(), second.cuda()).cpu()
        assert (found - expected).abs().mean() < 1e-3
