"""Pooling before the ReLU with one byte of memory per output: same values, same gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from ttmodels import SSTC, RGBNet, blocks, chunked_conv, pooling
from ttmodels.pooling import pool_relu

LAYOUTS = [torch.contiguous_format, torch.channels_last_3d]


def integers(*shape: int, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
    """Few distinct values, so that ties are common."""
    values = torch.randint(-3, 4, shape).float()
    return values.contiguous(memory_format=layout)


def plain(maps: Tensor, kernel: tuple[int, int, int]) -> Tensor:
    return functional.max_pool3d(functional.relu(maps), kernel)


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(*[st.integers(2, 20)] * 3),
    first=st.sampled_from([1, 2]),
    layout=st.sampled_from(LAYOUTS),
)
def test_values_and_gradients_with_ties(
    sides: tuple[int, int, int], first: int, layout: torch.memory_format
) -> None:
    check(sides, (first, 2, 2), layout)


# sides whose flat offsets agree in their lowest byte, and the sides of the paper's stages
@pytest.mark.parametrize("sides", [(4, 64, 64), (2, 32, 128), (2, 256, 2), (2, 120, 120)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sides_that_are_powers_of_two(
    sides: tuple[int, int, int], layout: torch.memory_format
) -> None:
    check(sides, (2, 2, 2), layout)


def check(
    sides: tuple[int, int, int], kernel: tuple[int, int, int], layout: torch.memory_format
) -> None:
    maps = integers(2, 3, *sides, layout=layout).requires_grad_()
    found, wanted = pool_relu(maps, kernel), plain(maps, kernel)
    assert torch.equal(found, wanted)
    flow = torch.randn_like(wanted)
    (ours,), (theirs,) = (torch.autograd.grad(out, maps, flow) for out in (found, wanted))
    assert torch.equal(ours, theirs)
    assert ours.stride() == maps.stride()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kernel", [(2, 2, 2), (1, 2, 2)])
def test_both_ways_to_spread_a_gradient_agree(
    layout: torch.memory_format, kernel: tuple[int, int, int]
) -> None:
    maps = integers(2, 3, 5, 7, 9, layout=layout)
    values, index = functional.max_pool3d(maps, kernel, return_indices=True)
    _, code = pooling.pool_relu_argmax(maps, kernel)
    gradient = torch.randn_like(values)
    by_index, by_strides = (torch.zeros_like(maps) for _ in range(2))
    pooling._unpool_by_index(by_index, gradient, code, kernel, layout)
    expected = (
        torch.zeros_like(by_index).flatten(2).scatter(2, index.flatten(2), gradient.flatten(2))
    )
    assert torch.equal(by_index.flatten(2), expected)
    pooling._unpool_by_strides(by_strides, gradient, code, kernel)
    assert torch.equal(by_index, by_strides)
    assert by_index.count_nonzero() == gradient.numel()


@settings(max_examples=40, deadline=None)
@given(
    sides=st.tuples(*[st.integers(2, 9)] * 3),
    first=st.sampled_from([1, 2]),
    batch=st.sampled_from([1, 3]),
    values=st.sampled_from([1, 500, 2**22]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_chunks_of_time_change_nothing(
    sides: tuple[int, int, int], first: int, batch: int, values: int, dtype: torch.dtype
) -> None:
    conv = torch.nn.Conv3d(2, 5, 3, padding=1, dtype=dtype)
    clip = torch.randn(batch, 2, *sides, dtype=dtype, requires_grad=True)
    leaves = [clip, conv.weight, conv.bias]
    wanted = plain(conv(clip), (first, 2, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunked_conv, "CHUNK_VALUES", values)
        found = chunked_conv.conv_pool_relu(conv, blocks.fastest_layout(clip), (first, 2, 2))
        flow = torch.randn_like(wanted)
        ours = torch.autograd.grad(found, leaves, flow)
    theirs = torch.autograd.grad(wanted, leaves, flow)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("recompute", [False, True])
def test_networks_take_chunks_for_large_outputs(
    recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, clip = RGBNet(3, (12, 16, 17)), torch.rand(2, 3, 12, 16, 17)
    model.recompute_activations(recompute)
    parameters = list(model.parameters())
    expected = torch.autograd.grad(model(clip).square().sum(), parameters)
    taken: list[object] = []
    through_chunks = chunked_conv.conv_pool_relu

    def spy(*arguments: object) -> Tensor:
        taken.append(arguments)
        return through_chunks(*arguments)

    monkeypatch.setattr(chunked_conv, "conv_pool_relu", spy)
    monkeypatch.setattr(chunked_conv, "MIN_CHUNKED_VALUES", 1)
    monkeypatch.setattr(chunked_conv, "CHUNK_VALUES", 2000)
    found = torch.autograd.grad(model(clip).square().sum(), parameters)
    assert len(taken) == (6 if recompute else 3)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        model(clip)
    assert len(taken) == (6 if recompute else 3)  # inference goes the other way


def test_frozen_weights_and_clips_get_no_gradient() -> None:
    conv = torch.nn.Conv3d(2, 3, 3, padding=1)
    clip = torch.randn(1, 2, 4, 4, 4)
    conv.bias.requires_grad_(False)
    chunked_conv.conv_pool_relu(conv, clip, (2, 2, 2)).sum().backward()
    assert conv.weight.grad is not None
    assert conv.bias.grad is None
    assert clip.grad is None


def test_one_byte_per_output_is_kept() -> None:
    kept: list[Tensor] = []
    maps = torch.randn(2, 3, 8, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        pooled = pool_relu(maps)
    values, code = kept
    assert values.data_ptr() == pooled.data_ptr()  # the result itself, no copy
    assert (code.dtype, code.shape) == (torch.uint8, pooled.shape)


def test_nan_is_not_hidden() -> None:
    maps = torch.zeros(1, 1, 2, 2, 2)
    maps[0, 0, 1, 0, 1] = torch.nan
    assert pool_relu(maps).isnan().all()
    assert pool_relu(maps.requires_grad_()).isnan().all()


def test_other_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kernel is \(3, 2, 2\), expected sides of 1 or 2"):
        pool_relu(torch.zeros(1, 1, 4, 4, 4), (3, 2, 2))


def saved_bytes(model: torch.nn.Module, clip: Tensor) -> int:
    """Bytes the backward pass keeps, each storage once, weights and clip left out."""
    known = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)  # so that no address is used twice
        return tensor

    held: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(clip)
    return sum(kept.values())


def test_training_keeps_a_fraction_of_the_plain_version(monkeypatch: pytest.MonkeyPatch) -> None:
    model, clip = RGBNet(3, (24, 32, 32)), torch.rand(1, 3, 24, 32, 32)
    ours = saved_bytes(model, clip)
    monkeypatch.setattr(blocks, "conv_pool_relu", plain_stage)
    theirs = saved_bytes(model, clip)
    assert ours < 0.25 * theirs


def plain_stage(
    conv: torch.nn.Conv3d,
    clip: Tensor,
    kernel: tuple[int, int, int] = (2, 2, 2),
    recompute: bool = False,
    fused: bool = False,
    spare: bool = False,
) -> Tensor:
    return plain(conv(clip), kernel)


def test_recomputing_keeps_less_and_changes_nothing() -> None:
    model, clip = RGBNet(3, (16, 16, 16)), torch.rand(2, 3, 16, 16, 16)

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(model(clip).square().sum(), list(model.parameters())))

    expected, kept = gradients(), saved_bytes(model, clip)
    model.recompute_activations()
    assert model.branch.recompute
    assert all(torch.equal(a, b) for a, b in zip(gradients(), expected, strict=True))
    assert saved_bytes(model, clip) < kept
    model.recompute_activations(False)
    assert saved_bytes(model, clip) == kept


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's
def test_compiled_networks_give_the_same() -> None:
    model = SSTC(3, (8, 16, 16))
    clips = [torch.rand(2, 3, 8, 16, 16), torch.rand(2, 2, 8, 16, 16)]
    compiled = torch.compile(model, backend="aot_eager")

    def run(network: torch.nn.Module) -> tuple[Tensor, ...]:
        loss = functional.cross_entropy(network(*clips), torch.tensor([0, 2]))
        return loss, *torch.autograd.grad(loss, list(model.parameters()))

    for ours, theirs in zip(run(compiled), run(model), strict=True):
        torch.testing.assert_close(ours, theirs)
