"""The gradient of overlapping cells in a fixed order: PyTorch's values and, on a CPU, its sums."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ttmodels import i3d, overlapping_pooling
from ttmodels.overlapping_pooling import max_pool

LAYOUTS = [torch.contiguous_format, torch.channels_last_3d]
POOLS = {  # kernel, stride of every pooling of I3D
    "2a, 3a": ((1, 3, 3), (1, 2, 2)),
    "4a": ((3, 3, 3), (2, 2, 2)),
    "5a": ((2, 2, 2), (2, 2, 2)),
    "b3a": ((3, 3, 3), (1, 1, 1)),
}


def integers(*shape: int, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
    """Few distinct values, so that ties are common and sums exact."""
    return torch.randint(-3, 4, shape).float().contiguous(memory_format=layout)


def fixed_order(maps, kernel, stride, padding=(0, 0, 0), ceil_mode=False):
    """What a GPU takes."""
    return overlapping_pooling._MaxPool.apply(maps, kernel, stride, padding, ceil_mode)


def gradient(function, maps: Tensor, outward: Tensor) -> Tensor:
    maps = maps.detach().requires_grad_()
    (found,) = torch.autograd.grad(function(maps), maps, outward)
    return found


@settings(max_examples=60, deadline=None)
@example(sides=(1, 1, 2), name="2a, 3a", layout=torch.contiguous_format)
@given(
    sides=st.tuples(*[st.integers(1, 9)] * 3),
    name=st.sampled_from(list(POOLS)),
    layout=st.sampled_from(LAYOUTS),
)
def test_values_and_gradients_of_every_pooling_of_i3d(
    sides: tuple[int, int, int], name: str, layout: torch.memory_format
) -> None:
    kernel, stride = POOLS[name]
    maps, pool = integers(2, 3, *sides, layout=layout).relu(), i3d.Pool(kernel, stride)
    expected = pool(maps)
    outward = integers(*expected.shape, layout=layout)
    usual = gradient(pool, maps, outward)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(i3d, "max_pool", fixed_order)
        assert torch.equal(pool(maps), expected)
        found = gradient(pool, maps, outward)
    assert torch.equal(found, usual)
    assert found.is_contiguous(memory_format=layout)


def test_a_tie_goes_to_the_first_input() -> None:
    maps = torch.tensor([0.0, 2.0, 2.0, 1.0]).view(1, 1, 1, 1, 4)
    found = gradient(
        lambda x: fixed_order(x, (1, 1, 3), (1, 1, 1)), maps, torch.tensor([[[[[5.0, 7.0]]]]])
    )
    assert found.flatten().tolist() == [0, 12, 0, 0]


def test_an_input_beside_a_border_is_not_taken_for_one_beyond_it() -> None:
    """With two columns and one of padding, column -1 of a row has the last one's flat position."""
    maps = torch.tensor([[0.0, 9.0], [0.0, 0.0]]).view(1, 1, 1, 2, 2)
    outward = torch.ones(1, 1, 1, 2, 2)
    kernel = (1, 3, 3), (1, 1, 1), (0, 1, 1)
    found = gradient(lambda x: fixed_order(x, *kernel), maps, outward)
    assert found.flatten().tolist() == [0, 4, 0, 0]


def test_an_infinite_gradient_stays_where_it_belongs() -> None:
    maps = torch.tensor([1.0, 0.0, 3.0]).view(1, 1, 1, 1, 3)
    outward = torch.tensor([float("inf"), 1.0]).view(1, 1, 1, 1, 2)
    found = gradient(lambda x: fixed_order(x, (1, 1, 2), (1, 1, 1)), maps, outward)
    assert found.flatten().tolist() == [float("inf"), 0, 1]


def test_bfloat16_gradients_are_added_in_float32() -> None:
    """27 cells share the input in the middle: 1 + 26 / 512, of which bfloat16's sums keep 1."""
    maps = torch.zeros(1, 1, 5, 5, 5, dtype=torch.bfloat16)
    maps[..., 2, 2, 2] = 1
    outward = torch.full((1, 1, 3, 3, 3), 1 / 512, dtype=torch.bfloat16)
    outward[..., 0, 0, 0] = 1
    found = gradient(lambda x: fixed_order(x, (3, 3, 3), (1, 1, 1)), maps, outward)
    assert found.dtype == torch.bfloat16
    assert found[..., 2, 2, 2].item() == torch.tensor(1 + 26 / 512).bfloat16().item() > 1
    assert found.count_nonzero() == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_two_gradients_on_a_gpu_are_bit_equal() -> None:
    maps = integers(2, 16, 8, 28, 28).cuda().bfloat16()
    outward = torch.randn(2, 16, 8, 28, 28, device="cuda", dtype=torch.bfloat16)

    def pool(x: Tensor) -> Tensor:
        return max_pool(x, (3, 3, 3), (1, 1, 1), (1, 1, 1))

    assert torch.equal(gradient(pool, maps, outward), gradient(pool, maps, outward))
