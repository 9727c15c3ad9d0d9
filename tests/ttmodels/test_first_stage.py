"""The first stage as one kernel against the plain layers, under Triton's interpreter."""

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
import torch
from torch import nn
from torch.nn import functional
from ttmodels import RGBNet, blocks
from ttmodels.gpu import first_stage, fused_pooling

torch.manual_seed(0)
LAYOUTS = torch.contiguous_format, torch.channels_last_3d

def whole(*shape, least=-2, most=3):
    return torch.randint(least, most, shape).float()

def convolution(channels, filters):
    conv = nn.Conv3d(channels, filters, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(whole(*conv.weight.shape))
        conv.bias.copy_(whole(*conv.bias.shape))
    return conv

def check(channels, filters, sides, layout):
    conv, clip = convolution(channels, filters), whole(2, channels, *sides)
    clip = clip.contiguous(memory_format=layout)
    assert first_stage.takes(conv, clip, (2, 2, 2))
    found = first_stage.conv_pool_relu(conv, clip, torch.float32)
    wanted = functional.relu(functional.max_pool3d(conv(clip), 2))
    # Few distinct values: ties are common, and sums are exact in any order.
    assert torch.equal(found[:, :filters], wanted) and not found[:, filters:].any()
    gradient = whole(*wanted.shape, least=-3, most=4)
    theirs = torch.autograd.grad(wanted, (conv.weight, conv.bias), gradient)
    filled = functional.pad(gradient, (0,) * 7 + (32 - filters,))
    ours = torch.autograd.grad(found, (conv.weight, conv.bias), filled)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs))

for layout in LAYOUTS:
    check(3, 30, (5, 6, 9), layout)
    check(2, 30, (4, 7, 6), layout)
    check(4, 7, (2, 2, 3), layout)
print("layouts, odd sizes, ties")

first_stage._PROGRAMS = 2
check(2, 30, (8, 12, 14), LAYOUTS[1])
print("more tiles than programs")

clip = torch.zeros(1, 1, 2, 2, 8)
clip[0, 0, 1, 1, 3] = torch.nan
conv = convolution(1, 1)
found = first_stage.conv_pool_relu(conv, clip, torch.float32)
assert found[0, 0].isnan().tolist() == [[[False, True, True, False]]]
print("not a number")

assert not first_stage.takes(conv, clip.requires_grad_(), (2, 2, 2))
assert not first_stage.takes(conv, clip.detach(), (1, 2, 2))
assert not first_stage.takes(nn.Conv3d(1, 1, 3), clip.detach(), (2, 2, 2))
assert not first_stage.takes(nn.Conv3d(1, 40, 3, padding=1), clip.detach(), (2, 2, 2))
assert not first_stage.takes(nn.Conv3d(5, 8, 3, padding=1), torch.zeros(1, 5, 4, 4, 4), (2, 2, 2))
around = nn.Conv3d(1, 1, 3, padding=1, padding_mode="circular")
assert not first_stage.takes(around, clip.detach(), (2, 2, 2))
long = torch.zeros(1).expand(1, 1, 2000, 720, 720)
assert not first_stage.takes(conv, long, (2, 2, 2))
print("what it takes")

model, clip = RGBNet(3, (8, 8, 10)).half(), torch.rand(2, 3, 8, 8, 10).half()
parameters = list(model.parameters())
def step():
    loss = functional.cross_entropy(model(clip).float(), torch.tensor([0, 2]))
    return loss, torch.autograd.grad(loss, parameters)
expected = step()
model.fuse_poolings()
blocks.runs_kernels = lambda device: True
calls = []
kernels = first_stage.conv_pool_relu, fused_pooling.pool_bias_relu
first_stage.conv_pool_relu = lambda *given: calls.append("first") or kernels[0](*given)
fused_pooling.pool_bias_relu = lambda *given: calls.append(given[0].shape[1]) or kernels[1](*given)
loss, gradients = step()
assert calls == ["first", 64, 80], calls
torch.testing.assert_close(loss, expected[0], rtol=1e-3, atol=1e-3)
for ours, theirs in zip(gradients, expected[1]):
    assert (ours - theirs).norm() <= 0.03 * theirs.norm() and ours.shape == theirs.shape
try:
    model.branches()[0].forward_convs(clip[:, :2])
except ValueError as error:
    assert "clip has 2 channels, not 3" in str(error)
else:
    raise AssertionError("too few channels are taken")
print("a network in half precision")
"""


@pytest.mark.slow
def test_first_stage_equals_the_plain_layers() -> None:
    command = [sys.executable, "-c", COMPARE]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "layouts, odd sizes, ties",
        "more tiles than programs",
        "not a number",
        "what it takes",
        "a network in half precision",
    ], done.stderr


@pytest.mark.slow
def test_kernels_compile_for_a_gpu(cubin: Callable[..., bytes]) -> None:
    """What the interpreter runs the compiler may refuse; no GPU is needed for that."""
    from ttmodels.gpu import first_stage, first_stage_kernels

    halves = dict.fromkeys(("clip", "weights", "bias", "pooled", "gradient", "packed"), "*bf16")
    pointers = halves | {"codes": "*u8"} | dict.fromkeys(("to_weights", "to_bias"), "*fp32")
    constants = {"CHANNELS": first_stage._CHANNELS, "FILTERS": first_stage._FILTERS}
    kernels = {
        first_stage_kernels.pack: {"BLOCK": first_stage._BLOCK},
        first_stage_kernels.convolve: {"CELLS": first_stage._CELLS},
        first_stage_kernels.gradients: {"CELLS": first_stage._CELLS_BACK},
    }
    for kernel, sizes in kernels.items():
        chosen = sizes | {name: constants[name] for name in kernel.arg_names if name in constants}
        assert cubin(kernel, pointers, chosen)
