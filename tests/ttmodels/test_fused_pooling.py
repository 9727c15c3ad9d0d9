"""Bias, pooling and ReLU in one kernel against the plain layers, under Triton's interpreter."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")

# The interpreter is chosen when a kernel is decorated: a process of its own for all comparisons.
COMPARE = """
import os
os.environ["TRITON_INTERPRET"] = "1"
import itertools
import torch
from torch.nn import functional
from ttmodels import RGBNet, blocks
from ttmodels.gpu import fused_pooling

torch.manual_seed(0)
LAYOUTS = torch.contiguous_format, torch.channels_last_3d
SIZES = ((5, 6, 7), (2, 2, 2)), ((3, 5, 4), (1, 2, 2)), ((2, 3, 3), (2, 1, 1))

def plain(maps, bias, kernel):
    biased = maps + bias.to(maps)[:, None, None, None]
    return functional.relu(functional.max_pool3d(biased, kernel))

def check(maps, bias, kernel, layout):
    maps = maps.contiguous(memory_format=layout).requires_grad_()
    bias = bias.clone().requires_grad_()
    found = fused_pooling.pool_bias_relu(maps, bias, kernel)
    wanted = plain(maps, bias, kernel)
    assert torch.equal(found, wanted) and found.dtype == wanted.dtype
    gradient = torch.randn_like(wanted)
    ours, ours_bias = torch.autograd.grad(found, (maps, bias), gradient)
    theirs, theirs_bias = torch.autograd.grad(wanted, (maps, bias), gradient)
    assert torch.equal(ours, theirs) and ours.stride() == maps.stride()
    assert ours_bias.dtype == bias.dtype
    if maps.dtype == torch.float32:  # bfloat16: summed in bfloat16 by the plain layers
        torch.testing.assert_close(ours_bias, theirs_bias, rtol=1e-5, atol=1e-5)

for (sides, kernel), layout in itertools.product(SIZES, LAYOUTS):
    # Few distinct values and a bias of whole numbers: ties are common.
    check(torch.randint(-3, 4, (2, 3, *sides)).float(), torch.arange(3) - 1.0, kernel, layout)
print("ties, odd sizes, layouts")

# Whole numbers again: the interpreter cuts bits off where a GPU rounds.
maps = torch.randint(-9, 9, (1, 3, 5, 4, 6)).bfloat16()
check(maps, torch.arange(3) - 1.0, (2, 2, 2), LAYOUTS[1])
# 256.25 and 256.5 are both 256 there: the first of a cell wins, not the largest.
maps = torch.tensor([0.25, 0.5]).bfloat16().repeat(8).reshape(1, 1, 2, 2, 4)
check(maps, torch.tensor([256.0]), (2, 2, 2), LAYOUTS[0])
print("bfloat16")

check(torch.randn(1, 1, 9, 12, 14), torch.randn(1), (1, 1, 1), LAYOUTS[0])  # more than a tile
check(torch.randn(1, 40, 4, 8, 8), torch.randn(40), (2, 2, 2), LAYOUTS[1])
print("several tiles")

maps = torch.zeros(1, 1, 2, 2, 2)
maps[0, 0, 1, 0, 1] = torch.nan
values, codes = fused_pooling.pooled_and_codes(maps, torch.zeros(1), (2, 2, 2))
assert values.isnan().all() and codes.tolist() == [[[[[5]]]]]
_, codes = fused_pooling.pooled_and_codes(-torch.ones(1, 1, 2, 2, 2), torch.ones(1), (2, 2, 2))
assert codes.tolist() == [[[[[8]]]]]
open_cell = torch.tensor([[[[[5, 8]]]]], dtype=torch.uint8)
infinite = torch.full((1, 1, 1, 1, 2), torch.inf)
sides = torch.Size((2, 2, 4))
to_maps, to_bias = fused_pooling.spread(infinite, open_cell, sides, (2, 2, 2), LAYOUTS[0])
assert to_maps.nan_to_num().eq(0).sum() == 15 and to_maps[0, 0, 1, 0, 1] == torch.inf
assert to_bias.tolist() == [torch.inf]
print("not a number, infinity")

model, clip = RGBNet(3, (8, 8, 10)), torch.rand(2, 3, 8, 8, 10)
parameters = list(model.parameters())
def step():
    loss = functional.cross_entropy(model(clip), torch.tensor([0, 2]))
    return loss, torch.autograd.grad(loss, parameters)
expected = step()
model.fuse_poolings()
assert torch.equal(step()[0], expected[0])  # a CPU: as before
blocks.runs_kernels = lambda device: True
calls = []
kernels = fused_pooling.pool_bias_relu
fused_pooling.pool_bias_relu = lambda *given: calls.append(given) or kernels(*given)
for recompute in (False, True):
    model.recompute_activations(recompute)
    loss, gradients = step()
    torch.testing.assert_close(loss, expected[0], rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(gradients, expected[1]):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
assert len(calls) == 9
model.fuse_poolings(False)
assert torch.equal(step()[0], expected[0]) and len(calls) == 9
print("a network")
"""


@pytest.mark.slow
def test_fused_pooling_equals_the_plain_layers() -> None:
    command = [sys.executable, "-c", COMPARE]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "ties, odd sizes, layouts",
        "bfloat16",
        "several tiles",
        "not a number, infinity",
        "a network",
    ], done.stderr


@pytest.mark.slow
def test_kernels_compile_for_a_gpu(cubin: Callable[..., bytes]) -> None:
    """What the interpreter runs the compiler may refuse; no GPU is needed for that."""
    from ttmodels.gpu import fused_pooling

    maps = dict.fromkeys(("maps", "bias", "pooled"), "*bf16") | {"codes": "*u8"}
    spread = {"gradient": "*bf16", "codes": "*u8", "to_maps": "*bf16", "to_bias": "*fp32"}
    tile = {"KT": 2, "KY": 2, "KX": 2, "ROWS": 32, "COLUMNS": 32}
    for kernel, pointers in ((fused_pooling._pool, maps), (fused_pooling._spread, spread)):
        assert cubin(kernel, pointers, tile)
