"""Which kernels compute a stage, convolution - max pooling - ReLU, on a GPU.

In half precision the first stage is one kernel (`first_stage`), and later ones get channels of
zeros up to a multiple of 16, which a GPU's matrix units take whole: 30 to 32, 60 to 64. In float32,
and where the first stage is of another kind, bias, pooling and ReLU alone are a kernel
(`fused_pooling`) after cuDNN's convolution.

Needs Triton and a GPU, or Triton's interpreter; import it only where it is used.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from ttmodels.gpu import first_stage, fused_pooling
from ttmodels.pooling import Kernel

MULTIPLE = 16
"""Channels of later stages in half precision come in multiples of this; 1: as they are."""
FIRST_STAGE = True
"""Whether the first stage is one kernel in half precision."""


def conv_pool_relu(
    conv: nn.Conv3d,
    clip: Float[Tensor, "batch channel time height width"],
    kernel: Kernel,
    spare: bool = False,
) -> Float[Tensor, "batch channel2 time2 height2 width2"]:
    """Return `relu(max_pool3d(conv(clip), kernel))`.

    Args:
        conv: with a bias.
        clip: in any memory format, of at most 32 bits a number; may have further channels of zeros.
        kernel: sides of the pooling's cells, each 1 or 2.
        spare: the result may have further channels of zeros too.
    """
    assert conv.bias is not None
    mixed = torch.is_autocast_enabled("cuda")
    dtype = torch.get_autocast_dtype("cuda") if mixed else clip.dtype
    half = dtype in (torch.bfloat16, torch.float16) and (mixed or dtype == conv.weight.dtype)
    if half and FIRST_STAGE and first_stage.takes(conv, clip, kernel):
        pooled = first_stage.conv_pool_relu(conv, clip, dtype)
    else:
        more = -conv.out_channels % MULTIPLE if half and spare else 0
        weight = _padded(conv.weight, clip.shape[1] - conv.in_channels, more)
        maps = conv._conv_forward(clip, weight, None)
        bias = pad(conv.bias, (0, more)) if more else conv.bias
        pooled = fused_pooling.pool_bias_relu(maps, bias, kernel)
    return pooled if spare else pooled[:, : conv.out_channels]


def _padded(weight: Tensor, channels: int, filters: int) -> Tensor:
    """The weights with so many channels and filters of zeros more."""
    if not channels and not filters:
        return weight
    return pad(weight, (0,) * 7 + (channels, 0, filters))
