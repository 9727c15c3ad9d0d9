"""The Triton solver against the PyTorch one, on the CPU under Triton's interpreter."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from ttflow.flow.variational import BeyondPixels

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")

# The interpreter is chosen when a kernel is decorated: a process of its own for all comparisons.
COMPARE = """
import os
os.environ["TRITON_INTERPRET"] = "1"
import torch
from ttflow.flow.variational import BeyondPixels, pyramid, solvers, torch_path
from ttflow.flow.variational.gpu import (
    fused, fused_median, fused_pyramid, fused_relax, fused_system,
)
from ttflow.flow.variational.equations import REFERENCE, System, features, smooth
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
parts = torch_path.Parts(relax=torch_path.added(fused.red_black))
found = torch_path.robust(first, second, settings, parts=parts)
assert expected.abs().mean() > 0.3
assert (found - expected).abs().mean() < 1e-4
print("whole mode")

torch.use_deterministic_algorithms(True)  # new memory is not a number
cases = ((1, 16, 20, 512), (2, 17, 33, 512), (1, 40, 51, 256), (2, 31, 40, 256), (3, 5, 2, 512))
for batch, height, width, capacity in cases:
    a11, a12, a22, b1, b2, right, down = torch.rand(7, batch, height, width, generator=make)
    right[..., -1] = 0
    down[..., -1, :] = 0
    tiled = System(a11 + 0.5, a12 - 0.5, a22 + 0.5, b1 - 0.5, b2 - 0.5, right, down)
    flow = torch.rand(batch, 2, height, width, generator=make)
    found = fused_relax.relax(tiled, flow, 5, 1.7, capacity)
    torch.testing.assert_close(
        found, flow + solvers.red_black(tiled, 5, 1.7), rtol=1e-5, atol=1e-5
    )
torch.use_deterministic_algorithms(False)
assert fused_relax.relax(tiled, flow, 0, 1.7) is flow
print("tiles")

image = torch.rand(2, 3, 30, 41, generator=make)
whole, ours = pyramid.pyramid(image), fused_pyramid.pyramid(image)
assert [level.shape for level in ours] == [level.shape for level in whole]
for level, expected in zip(ours, whole, strict=True):
    torch.testing.assert_close(level, expected, rtol=0, atol=1e-6)
torch.testing.assert_close(fused_pyramid.features(image), features(image), rtol=0, atol=1e-6)
near = torch.randn(1, 2, 9, 14, generator=make)
torch.testing.assert_close(
    fused_pyramid.resize_flow(near, (12, 19)), pyramid.resize_flow(near, (12, 19))
)
for energy in (settings.energy, REFERENCE):
    torch.testing.assert_close(
        fused_system.smooth(image, energy), smooth(image, energy), rtol=0, atol=1e-6
    )
print("pyramid")

for side, shape in ((3, (1, 2, 5, 7)), (5, (2, 2, 6, 4))):
    noise = torch.randn(shape, generator=make)
    assert torch.equal(fused_median.median(noise, side), torch_path.median(noise, side))
print("median")

cases = (settings.energy, (2, 9, 13)), (settings.gain_energy, (1, 6, 40))
for energy, (batch, height, width) in cases:
    one, two = torch.rand(2, batch, 5, height, width, generator=make)
    flow = 3 * torch.randn(batch, 2, height, width, generator=make)  # many point out of the image
    given = one, smooth(one, energy), two, flow, energy
    found, expected = fused_system.linearise(*given), torch_path.linearise(*given)
    for name, ours, theirs in zip(System._fields, found, expected):
        scale = theirs.abs().mean()
        assert scale > 0, name
        assert (ours - theirs).abs().max() < 1e-4 * scale + 1e-4 * theirs.abs().max(), name
print("system")

BeyondPixels.__init__.__globals__["_check_engine"] = lambda *_: None
quick = RobustSettings(outer_iterations=1, sweeps=2, sweeps_per_level=1, gain_levels=(1,))
pair = torch.randint(0, 256, (2, 2, 3, 12, 22), dtype=torch.uint8, generator=make)
expected = BeyondPixels(engine="torch", settings=quick)(*pair)
kernels = BeyondPixels(engine="kernels", settings=quick)
assert (kernels(*pair) - expected).abs().mean() < 1e-3
near = BeyondPixels(engine="torch", settings=quick)(*pair, expected)
assert (kernels(*pair, expected) - near).abs().mean() < 1e-3
print("engine")

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


@pytest.mark.slow
def test_fused_solver_equals_the_plain_one() -> None:
    command = [sys.executable, "-c", COMPARE]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    parts = ["solver", "packing", "whole mode", "tiles", "pyramid"]
    parts += ["median", "system", "engine", "device"]
    assert done.stdout.splitlines() == parts, done.stderr


def test_triton_and_graphs_are_refused_where_they_cannot_run() -> None:
    for engine in ("triton", "kernels"):
        with pytest.raises(ValueError, match=f"engine '{engine}' runs mode 'robust' on 'cuda'"):
            BeyondPixels(engine=engine)
    with pytest.raises(ValueError, match="graphs need mode 'robust' on 'cuda'"):
        BeyondPixels(graphs=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    ("engine", "graphs"),
    [("torch", False), ("triton", False), ("triton", True), ("kernels", False), ("kernels", True)],
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


@pytest.mark.slow
def test_kernels_compile_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the interpreter runs the compiler may refuse; no GPU is needed for that."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from triton import compile as compiled
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from ttflow.flow.variational.gpu import (
        fused,
        fused_median,
        fused_pyramid,
        fused_relax,
        fused_system,
    )

    tile = {"ROWS": fused_system.ROWS, "COLUMNS": fused_system.COLUMNS}
    block = fused_relax.CAPACITY
    warps = {fused_relax._relax: block // fused_relax.PER_WARP}
    kernels = {
        fused._half_sweep: {"PLANES": 9, "BLOCK": fused._BLOCK},
        fused_median._median: {"SIDE": 5, **tile},
        fused_pyramid._features: tile,
        fused_pyramid._sample: {"TAPS": 4, **tile},
        fused_relax._relax: {"BLOCK": block, "RING": 2 * block, "STRIDE": 64},
        fused_system._warp: {"CHANNELS": 5, **tile},
        fused_system._smooth: {"EACH": 4, **tile},
        fused_system._assemble: {"CHANNELS": 5, **tile},
    }
    planes = ["planes", "update", "result", "first", "second", "flow", "warped", "image", "system"]
    planes += ["s11", "s12", "s22", "s1", "s2", "rights", "downs", "packed", "start", "scratch"]
    planes += ["rows_table", "columns_table"]
    whole = ["height", "width", "columns", "colour", "total", "out_height", "out_width"]
    whole += [*fused_relax._SIZES, "next_plane"]
    for kernel, constants in kernels.items():
        kinds = dict.fromkeys(planes, "*fp32") | dict.fromkeys(whole, "i32")
        signature = {name: kinds.get(name, "fp32") for name in kernel.arg_names}
        signature |= dict.fromkeys(constants, "constexpr")
        source = ASTSource(kernel, signature=signature, constexprs=constants)
        options = {"num_warps": warps.get(kernel, fused_system.WARPS)}
        assert compiled(source, target=GPUTarget("cuda", 90, 32), options=options).asm["cubin"]
