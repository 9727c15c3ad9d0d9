"""Crops as one kernel against the plain ones, under Triton's interpreter."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")

# The interpreter is chosen when a kernel is decorated: a process of its own for all comparisons.
COMPARE = """
import os
os.environ["TRITON_INTERPRET"] = "1"
import torch
from tttrain.data.spatial_augment import IDENTITY, Draw, transform
from tttrain.training.step import crops

torch.manual_seed(0)
DRAWS = [
    IDENTITY,
    Draw(0.15, (0.8, -0.5), 1.1, True),
    Draw(-0.2, (-1.3, 0.4), 0.9),
    Draw(2.0, (9.0, -7.0), 0.6),  # looks out of the patch
]
stored = torch.randint(0, 256, (4, 5, 13, 13, 3), dtype=torch.uint8)
arrows = torch.randint(-300, 300, (4, 5, 2, 13, 13), dtype=torch.int16)
rgb, flow = [clip[1:4] for clip in stored], [clip[1:4] for clip in arrows]  # views, as windows are

expected = transform(rgb, flow, DRAWS, (7, 9))
found = crops.transform(rgb, flow, DRAWS, (7, 9))
for ours, theirs in zip(found, expected):
    assert ours.shape == theirs.shape and ours.stride() == theirs.stride()
    assert torch.equal(ours[0], theirs[0])
    assert theirs[1:].abs().amax(dim=(1, 2, 3, 4)).min() > 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)
assert expected[0][3].eq(0).any()
print("draws")

whole = [clip.transpose(1, 2).contiguous().transpose(1, 2) for clip in rgb[:2]]  # not contiguous
pixels = [clip.float() for clip in flow[:2]]
given = whole, pixels, DRAWS[:2], (13, 13), 1.0
for one, other in zip(crops.transform(*given), transform(*given)):
    torch.testing.assert_close(one, other, rtol=0, atol=5e-4)
print("other layouts")

try:
    crops.transform(rgb, flow, DRAWS, (8, 9))
except ValueError as error:
    print(error)
try:
    crops.transform([*rgb[:1], rgb[1][:2]], [*flow[:1], flow[1][:2]], DRAWS[:2], (7, 9))
except ValueError as error:
    print(str(error).partition(": ")[2])
"""


def test_one_kernel_cuts_as_the_plain_way() -> None:
    command = [sys.executable, "-c", COMPARE]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "draws",
        "other layouts",
        "crop 8 x 9 must fit into the patch 13 x 13 with an even margin",
        "expected one shape, uint8, flow int16 or float32",
    ], done.stderr


@pytest.mark.slow
def test_kernels_compile_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the interpreter runs the compiler may refuse; no GPU is needed for that."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton.language as tl
    from triton import compile as compiled
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from tttrain.training.step import crops

    signature = {"addresses": "*i64", "numbers": "*fp64", "pictures": "*fp32", "vectors": "*fp32"}
    signature |= dict.fromkeys(("frames", "side", "height", "width", "blocks"), "i32")
    constants = {"FLOW": tl.int16, "NUMBERS": 10, "BLOCK": 256}
    signature |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(crops._crop, signature=signature, constexprs=constants)
    assert compiled(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
