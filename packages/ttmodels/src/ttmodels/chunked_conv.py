"""A convolution stage computed a few frames at a time, for CPUs.

A stage is convolution, max pooling, ReLU. The output of the convolution is eight times as large as
what pooling leaves of it. Computed a few frames at a time it stays in the cache and is never held
as a whole, neither in the forward pass nor, as a gradient, in the backward pass; what is kept in
between is the clip and one byte per pooled value (see `pooling.py`). Every convolution output is
computed once.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.pooling import Kernel, max_unpool, pool_relu_argmax

CHUNK_VALUES = 2**24
"""Convolution outputs held at a time: 64 MB of float32. Fewer would save more memory, but all
threads wait for each other after every chunk, which is slow on a machine busy with other work."""


MIN_CHUNKED_VALUES = 2**25
"""Convolution outputs from which on training is chunked: 128 MB of float32."""


def is_faster(conv: nn.Conv3d, clip: Tensor) -> bool:
    """Return whether to chunk: in training on a CPU, eagerly, in plain floats, for large outputs.

    Smaller ones gain nothing: there the whole convolution is as fast, and on a busy machine faster.
    """
    learns = torch.is_grad_enabled() and (clip.requires_grad or conv.weight.requires_grad)
    return (
        learns
        and clip.device.type == "cpu"
        and clip.dtype == conv.weight.dtype
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.compiler.is_exporting()
        and clip.numel() // clip.shape[1] * conv.out_channels >= MIN_CHUNKED_VALUES
    )


def conv_pool_relu(
    conv: nn.Conv3d,
    clip: Float[Tensor, "batch channel time height width"],
    kernel: Kernel,
) -> Float[Tensor, "batch channel2 time2 height2 width2"]:
    """Return `relu(max_pool3d(conv(clip), kernel))`.

    Args:
        conv: 3x3x3, stride 1, padding 1.
        clip: in channels-last order.
        kernel: sides of the pooling's cells, each 1 or 2.
    """
    pooled: Tensor = _ConvPoolReLU.apply(  # type: ignore[no-untyped-call]
        clip, conv.weight, conv.bias, kernel
    )
    return pooled


def convolve(frames: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the 3x3x3 convolution without padding in time: two outputs fewer than frames.

    PyTorch takes a slow path for short clips of few channels (those for which channels x time x
    height is at most 20 480); on CPUs this asks for oneDNN's convolution by name.
    """
    plain = frames.device.type == "cpu" and frames.dtype == weight.dtype == torch.float32
    plain = plain and not torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled()
    if plain and frames.numel() > 0 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        ones = (1, 1, 1)
        return torch.mkldnn_convolution(frames, weight, bias, (0, 1, 1), ones, ones, 1)
    return functional.conv3d(frames, weight, bias, padding=(0, 1, 1))


class _ConvPoolReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clip: Tensor, weight: Tensor, bias: Tensor, kernel: Kernel) -> Tensor:
        shape = (
            clip.shape[0],
            weight.shape[0],
            *(side // step for side, step in zip(clip.shape[2:], kernel, strict=True)),
        )
        layout = torch.channels_last_3d
        pooled = torch.empty(shape, dtype=clip.dtype, memory_format=layout)
        argmax = torch.empty(shape, dtype=torch.uint8, memory_format=layout)
        for begin, end in _chunks(shape, kernel):
            frames = _padded(clip, begin * kernel[0], end * kernel[0])
            outputs = convolve(frames, weight, bias)
            pooled[:, :, begin:end], argmax[:, :, begin:end] = pool_relu_argmax(outputs, kernel)
        ctx.save_for_backward(clip, weight, pooled, argmax)
        ctx.kernel = kernel
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        clip, weight, pooled, argmax = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        to_clip = torch.zeros_like(clip) if wanted[0] else None
        to_weight, to_bias = torch.zeros_like(weight), weight.new_zeros(weight.shape[0])
        for pieces in _in_pairs(_chunks(argmax.shape, ctx.kernel)):
            frames = torch.cat([_padded(clip, *_frames(piece, ctx.kernel)) for piece in pieces])
            positions, outward, values = (
                torch.cat([cells[:, :, begin:end] for begin, end in pieces])
                for cells in (argmax, gradients[0], pooled)
            )
            outward = torch.ops.aten.threshold_backward(outward, values, 0)
            sides = torch.Size([frames.shape[2] - 2, *clip.shape[3:]])
            unpooled = max_unpool(outward, positions, sides, ctx.kernel, torch.channels_last_3d)
            parts = torch.ops.aten.convolution_backward(
                *(unpooled, frames, weight, [len(weight)], [1, 1, 1], [0, 1, 1], [1, 1, 1]),
                *(False, [0, 0, 0], 1, wanted),
            )
            if to_clip is not None:
                for piece, part in zip(pieces, parts[0].chunk(len(pieces)), strict=True):
                    _add(to_clip, part, *_frames(piece, ctx.kernel))
            if wanted[1]:
                to_weight += parts[1]
            if wanted[2]:
                to_bias += parts[2]
        return to_clip, to_weight if wanted[1] else None, to_bias if wanted[2] else None, None


def _in_pairs(chunks: Iterator[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Yield each chunk as two halves to stack along the batch: the fast path needs two."""
    for begin, end in chunks:
        half = (end - begin) // 2
        if half:
            yield [(begin, begin + half), (begin + half, begin + 2 * half)]
        if (end - begin) % 2:
            yield [(end - 1, end)]


def _frames(cells: tuple[int, int], kernel: Kernel) -> tuple[int, int]:
    return cells[0] * kernel[0], cells[1] * kernel[0]


def _add(total: Tensor, part: Tensor, start: int, stop: int) -> None:
    """Add what belongs to frames [start - 1, stop + 1), as far as there are such."""
    low, high = max(start - 1, 0), min(stop + 1, total.shape[2])
    total[:, :, low:high] += part[:, :, low - start + 1 : high - start + 1]


def _chunks(shape: tuple[int, ...], kernel: Kernel) -> Iterator[tuple[int, int]]:
    """Yield intervals of pooled cells on the time axis."""
    batch, channels, count, height, width = shape
    outputs = batch * channels * height * width * kernel[0] * kernel[1] * kernel[2]
    length = max(1, CHUNK_VALUES // max(1, outputs))
    for begin in range(0, count, length):
        yield begin, min(begin + length, count)


def _padded(clip: Tensor, start: int, stop: int) -> Tensor:
    """Return frames [start - 1, stop + 1) of a clip, zeros where there are none."""
    low, high = max(start - 1, 0), min(stop + 1, clip.shape[2])
    frames = clip[:, :, low:high]
    missing = (low - (start - 1), stop + 1 - high)
    if any(missing):
        frames = functional.pad(frames, (0, 0, 0, 0, *missing))
    return frames.contiguous(memory_format=torch.channels_last_3d)
