"""Parts that several networks share."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ttmodels import slabs
from ttmodels.config import INPUTS
from ttmodels.pooling import Kernel, pool_relu

FILTERS = (30, 60, 80)
FEATURES = 500


def conv_pool_relu(
    conv: nn.Conv3d,
    clip: Float[Tensor, "batch channel time height width"],
    kernel: Kernel = (2, 2, 2),
    recompute: bool = False,
) -> Float[Tensor, "batch channel2 time2 height2 width2"]:
    """Return `relu(max_pool3d(conv(clip), kernel))`.

    Args:
        conv: the convolution.
        clip: what it takes; see `fastest_layout` for the memory format.
        kernel: sides of the pooling's cells.
        recompute: keep nothing but the clip for the backward pass and compute the stage again
            there (activation checkpointing).
    """
    if recompute and torch.is_grad_enabled():
        again: Tensor = checkpoint(conv_pool_relu, conv, clip, kernel, use_reentrant=False)
        return again
    if slabs.worthwhile(conv, clip):
        return slabs.conv_pool_relu(conv, clip, kernel)
    return pool_relu(conv(clip), kernel)


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


class Branch(nn.Module):
    """One stream: a clip to 500 features.

        clip (B, C, T, H, W)
          | conv 3x3x3, 30 filters | max pooling 2x2x2 | ReLU -> (B, 30, T/2, H/2, W/2)
          | conv 3x3x3, 60 filters | max pooling 2x2x2 | ReLU -> (B, 60, T/4, H/4, W/4)
          | conv 3x3x3, 80 filters | max pooling 2x2x2 | ReLU -> (B, 80, T/8, H/8, W/8)  `maps`
          | flatten, channel first                             -> (B, 80 * T/8 * H/8 * W/8)
          | fully connected | ReLU                             -> (B, 500)            `summarise`

    Divisions round down at each pooling (100 -> 50 -> 25 -> 12). At 100 x 120 x 120 the fully
    connected layer takes 80 * 12 * 15 * 15 = 216 000 values and holds 108 M weights.

    Source: Martin et al. 2018, section IV-A, figure 2; specification 4. Differs: pools before the
    ReLU. Both are monotone, so the values are the same, and the ReLU has eight times less to do.

    Attributes:
        recompute: compute each stage again in the backward pass instead of keeping its results.
    """

    def __init__(self, in_channels: int, clip_shape: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = FILTERS
        time, height, width = (side // 8 for side in clip_shape)
        self.conv1 = nn.Conv3d(in_channels, first, kernel_size=3, padding=1)
        self.conv2 = nn.Conv3d(first, second, kernel_size=3, padding=1)
        self.conv3 = nn.Conv3d(second, third, kernel_size=3, padding=1)
        self.fc = nn.Linear(third * time * height * width, FEATURES)
        self.recompute = False

    def maps(
        self, clip: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch 80 time8 height8 width8"]:
        """Return the last convolution's maps, which the fully connected layer reads."""
        clip = fastest_layout(clip)
        for conv in self.convolutions():
            clip = conv_pool_relu(conv, clip, recompute=self.recompute)
        return clip

    def summarise(
        self, maps: Float[Tensor, "batch 80 time8 height8 width8"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of a clip with these maps."""
        return functional.relu(self.fc(maps.flatten(start_dim=1)))

    def forward(
        self, clip: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of a clip whose shape the branch was built for."""
        return self.summarise(self.maps(clip))

    def convolutions(self) -> tuple[nn.Conv3d, nn.Conv3d, nn.Conv3d]:
        """The convolutions, first to last."""
        return self.conv1, self.conv2, self.conv3


def check_clips(
    clip_shape: tuple[int, int, int],
    dtype: torch.dtype,
    clips: dict[str, Tensor],
    *,
    or_larger: bool = False,
) -> None:
    """Raise unless the clips are what a network takes.

    Args:
        clip_shape: (time, height, width) the network was built for.
        dtype: of the network's weights; under autocast any floating type may come in.
        clips: from input name ("rgb", "flow") to clip.
        or_larger: whether a clip may be longer, higher or wider.

    Raises:
        ValueError: for a clip of another shape or dtype, clips in the wrong order, or clips of
            different batch sizes; the message says what was expected and found.
    """
    for name, clip in clips.items():
        channels = INPUTS[name].channels
        if not _fits(clip, (channels, *clip_shape), or_larger):
            sides = ", ".join(f"{side}{' or more' if or_larger else ''}" for side in clip_shape)
            raise ValueError(
                f"{name} has shape {tuple(clip.shape)}, expected (batch, {channels}, {sides})"
                f"{_swapped(name, clip)}"
            )
        _check_dtype(name, clip, dtype)
    batches = {name: clip.shape[0] for name, clip in clips.items()}
    if any(batch != next(iter(batches.values())) for batch in batches.values()):
        raise ValueError(f"batch sizes are {batches}, expected the same for every input")


def _fits(clip: Tensor, expected: tuple[int, ...], or_larger: bool) -> bool:
    """Whether (channels, time, height, width) are as expected, the last three perhaps larger."""
    if clip.ndim != 5 or clip.shape[1] != expected[0]:
        return False
    pairs = list(zip(clip.shape[2:], expected[1:], strict=True))
    return all(side >= least if or_larger else side == least for side, least in pairs)


def _check_dtype(name: str, clip: Tensor, dtype: torch.dtype) -> None:
    wanted = INPUTS[name]
    if not clip.is_floating_point():
        raise ValueError(
            f"{name} has dtype {clip.dtype}, expected {dtype} "
            f"with values in [{wanted.low:g}, {wanted.high:g}]"
        )
    if clip.dtype != dtype and not torch.is_autocast_enabled(clip.device.type):
        raise ValueError(f"{name} has dtype {clip.dtype}, expected {dtype}, that of the weights")


def _swapped(name: str, clip: Tensor) -> str:
    """A hint when a clip has the channels of another input."""
    channels = clip.shape[1] if clip.ndim == 5 else None
    others = [other for other, it in INPUTS.items() if other != name and it.channels == channels]
    return f"; it looks like {others[0]}: are the inputs swapped?" if others else ""
