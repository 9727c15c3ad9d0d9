"""Layers that several networks share."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ttmodels import chunked_conv
from ttmodels.pooling import Kernel, pool_relu

FILTERS = (30, 60, 80)
FEATURES = 500
LEVELS = len(FILTERS)
CELL_FRAMES = 2**LEVELS
"""Frames of the clip to one cell of the last maps."""


def conv_pool_relu(
    conv: nn.Conv3d,
    clip: Float[Tensor, "batch channel time height width"],
    kernel: Kernel = (2, 2, 2),
    recompute: bool = False,
    fused: bool = False,
    spare: bool = False,
) -> Float[Tensor, "batch channel2 time2 height2 width2"]:
    """Return `relu(max_pool3d(conv(clip), kernel))`.

    Args:
        conv: the convolution.
        clip: what it takes; see `fastest_layout` for the memory format.
        kernel: sides of the pooling's cells.
        recompute: keep nothing but the clip for the backward pass and compute the stage again
            there (activation checkpointing).
        fused: on a GPU, take kernels of our own; see `ttmodels.gpu.stages`.
        spare: the result may have further channels of zeros, and so may the clip.
    """
    if recompute and torch.is_grad_enabled():
        again: Tensor = checkpoint(
            conv_pool_relu, conv, clip, kernel, fused=fused, spare=spare, use_reentrant=False
        )
        return again
    if fused and _fusible(conv, clip, kernel):
        from ttmodels.gpu import stages

        return stages.conv_pool_relu(conv, clip, kernel, spare)
    if fused:
        clip = clip[:, : conv.in_channels]
    if chunked_conv.is_faster(conv, clip):
        return chunked_conv.conv_pool_relu(conv, clip, kernel)
    return pool_relu(conv(clip), kernel)


def _fusible(conv: nn.Conv3d, clip: Tensor, kernel: Kernel) -> bool:
    """Return whether the fused kernels compute this stage: on a GPU, eagerly, some cell at all."""
    return (
        runs_kernels(clip.device)
        and not torch.compiler.is_compiling()
        and not torch.compiler.is_exporting()
        and conv.bias is not None
        and clip.dtype != torch.float64
        and all(side >= step for side, step in zip(clip.shape[2:], kernel, strict=True))
        and len(clip) > 0
    )


def runs_kernels(device: torch.device) -> bool:
    """Return whether Triton's kernels run on this device."""
    return device.type == "cuda"


def fastest_layout(
    clip: Float[Tensor, "batch channel time height width"],
) -> Float[Tensor, "batch channel time height width"]:
    """Return the clip in the memory format its device computes 3-D convolutions fastest in.

    On CPUs that is channels-last: convolution and pooling take about half the time there. On other
    devices the caller's format stays.
    """
    if clip.device.type != "cpu":
        return clip
    return clip.contiguous(memory_format=torch.channels_last_3d)


def spatial_means(
    maps: Float[Tensor, "batch channel time height width"], fields: int
) -> Float[Tensor, "batch channel time places"]:
    """Return the means of maps over fields x fields fields, row by row, at each time.

    Field i of a side of n places covers places [floor(i n / fields), ceil((i + 1) n / fields)): all
    are equal where `fields` divides n, else neighbours overlap, and a side of fewer places repeats
    some. These are the values of adaptive average pooling, whose gradient on GPUs is added in no
    fixed order; here training repeats bit for bit.
    """
    rows, columns = (
        [(i * side // fields, -(-(i + 1) * side // fields)) for i in range(fields)]
        for side in maps.shape[3:]
    )
    means = [
        maps[..., top:bottom, left:right].mean(dim=(3, 4))
        for top, bottom in rows
        for left, right in columns
    ]
    return torch.stack(means, dim=3)


class Branch(nn.Module):
    """One stream: a clip to 500 features.

        clip (B, C, T, H, W)
          | conv 3x3x3, 30 filters | max pooling 2x2x2 | ReLU -> (B, 30, T/2, H/2, W/2)
          | conv 3x3x3, 60 filters | max pooling 2x2x2 | ReLU -> (B, 60, T/4, H/4, W/4)
          | conv 3x3x3, 80 filters | max pooling 2x2x2 | ReLU -> (B, 80, T/8, H/8, W/8)  maps
          | flatten, channel first                             -> (B, 80 * T/8 * H/8 * W/8)
          | fully connected | ReLU                             -> (B, 500)                features

    Divisions round down at each pooling (100 -> 50 -> 25 -> 12). At 100 x 120 x 120 the fully
    connected layer takes 80 * 12 * 15 * 15 = 216 000 values and holds 108 M weights. With `fields`
    it takes the means of the maps over that many fields along height and width, at each time: of 3
    x 3 fields 80 * 12 * 3 * 3 = 8640 values and 4.3 M weights, of one 960 values and 0.5 M.

    Source: Martin et al. 2018, section IV-A, figure 2; specification 4. Differs: pools before the
    ReLU. Both are monotone, so the values are the same, and the ReLU has eight times less to do.
    The means over fields are this project's; specification 4.7.

    Args:
        in_channels: of the clip.
        clip_shape: (time, height, width) of the clip.
        fields: fields along height and along width whose means are taken; None: every place.

    Attributes:
        recompute: compute each stage again in the backward pass instead of keeping its results.
        fused: on a GPU, take kernels of our own; see `ttmodels.gpu.stages`.
    """

    def __init__(
        self, in_channels: int, clip_shape: tuple[int, int, int], fields: int | None = None
    ) -> None:
        super().__init__()
        first, second, third = FILTERS
        time, height, width = (side // 8 for side in clip_shape)
        self.conv1 = nn.Conv3d(in_channels, first, kernel_size=3, padding=1)
        self.conv2 = nn.Conv3d(first, second, kernel_size=3, padding=1)
        self.conv3 = nn.Conv3d(second, third, kernel_size=3, padding=1)
        places = height * width if fields is None else fields**2
        self.fc = nn.Linear(third * time * places, FEATURES)
        self.fields = fields
        self.recompute = self.fused = False

    def forward_convs(
        self, clip: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch 80 time8 height8 width8"]:
        """Return the maps of the last convolution, after its pooling."""
        if clip.shape[1] != self.conv1.in_channels:  # later stages may have more than theirs
            raise ValueError(f"clip has {clip.shape[1]} channels, not {self.conv1.in_channels}")
        clip = fastest_layout(clip)
        for conv in self.convolutions():
            last = conv is self.conv3
            clip = conv_pool_relu(
                conv, clip, recompute=self.recompute, fused=self.fused, spare=not last
            )
        return clip

    def forward_fc(
        self, maps: Float[Tensor, "batch 80 time8 height8 width8"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features that the fully connected layer makes of these maps."""
        if self.fields is not None:
            maps = spatial_means(maps, self.fields)
        return functional.relu(self.fc(maps.flatten(start_dim=1)))

    def forward(
        self, clip: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of a clip whose shape the branch was built for."""
        return self.forward_fc(self.forward_convs(clip))

    def convolutions(self) -> tuple[nn.Conv3d, nn.Conv3d, nn.Conv3d]:
        """Return the convolutions, first to last."""
        return self.conv1, self.conv2, self.conv3
