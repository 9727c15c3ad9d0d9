"""LTC: long-term temporal convolutions on RGB or on flow.

    clip (B, 3 or 2, T, H, W)
      | conv 3x3x3,  64 | pool 1x2x2 | ReLU -> (B,  64, T,    H/2,  W/2)
      | conv 3x3x3, 128 | pool 2x2x2 | ReLU -> (B, 128, T/2,  H/4,  W/4)
      | conv 3x3x3, 256 | pool 2x2x2 | ReLU -> (B, 256, T/4,  H/8,  W/8)
      | conv 3x3x3, 256 | pool 2x2x2 | ReLU -> (B, 256, T/8,  H/16, W/16)
      | conv 3x3x3, 256 | pool 2x2x2 | ReLU -> (B, 256, T/16, H/32, W/32)    maps
      | flatten, channel first              -> (B, 256 T/16 H/32 W/32)
      | fully connected | ReLU | dropout    -> (B, 2048)
      | fully connected | ReLU              -> (B, 2048)                     features
      | dropout | fully connected           -> logits (B, classes)

Source: Varol, Laptev, Schmid, "Long-term Temporal Convolutions for Action Recognition", PAMI
2018, section 3.1. Differs: the softmax is in `predict_proba`; pools before the ReLU (the values
are the same); RGB comes in [0, 1], not as bytes minus a mean; the share of dropout is a setting.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.base import StrokeModel
from ttmodels.blocks import conv_pool_relu, fastest_layout
from ttmodels.config import ModelConfig, OneStreamConfig, check_dropout

FILTERS = (64, 128, 256, 256, 256)
HIDDEN = 2048


@dataclass(frozen=True)
class LTCConfig(OneStreamConfig):
    """Settings of LTC.

    Args:
        dropout: share of the hidden values that training sets to zero, in [0, 1).
    """

    smallest_clip: ClassVar[tuple[int, int, int]] = (16, 32, 32)

    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dropout(self.dropout)


class LTC(StrokeModel):
    """Five convolutions over long clips, then two hidden layers.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, at least (16, 32, 32).
        in_channels: 3 for RGB, 2 for flow.
        dropout: share of the hidden values that training sets to zero.
    """

    name: ClassVar[str] = "ltc"
    config_type: ClassVar[type[ModelConfig]] = LTCConfig

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (100, 120, 120),
        in_channels: int = 3,
        dropout: float = 0.5,
    ) -> None:
        config = LTCConfig(num_classes, clip_shape, in_channels, dropout)
        super().__init__(config)
        self.inputs = self.streams = self.inputs_for(config)
        channels = (config.in_channels, *FILTERS)
        self.conv1, self.conv2, self.conv3, self.conv4, self.conv5 = (
            nn.Conv3d(into, out, kernel_size=3, padding=1)
            for into, out in zip(channels, FILTERS, strict=False)
        )
        time, height, width = config.clip_shape
        cells = (time // 16) * (height // 32) * (width // 32)
        self.fc6 = nn.Linear(FILTERS[-1] * cells, HIDDEN)
        self.fc7 = nn.Linear(HIDDEN, HIDDEN)
        self.fc8 = nn.Linear(HIDDEN, config.num_classes)
        self.dropout = nn.Dropout(config.dropout)
        self.recompute = self.fused = False

    def forward_features(
        self, *clips: Float[Tensor, "batch _ _ _ _"]
    ) -> tuple[Float[Tensor, "batch _ _ _ _"]]:
        """Return the maps of the last convolution; see `StrokeModel.forward_features`."""
        self._check(**dict(zip(self.inputs, clips, strict=True)))
        stage = partial(conv_pool_relu, recompute=self.recompute, fused=self.fused)
        clip = stage(self.conv1, fastest_layout(clips[0]), (1, 2, 2))
        for conv in (self.conv2, self.conv3, self.conv4, self.conv5):
            clip = stage(conv, clip)
        return (clip,)

    def features(
        self, clip: Float[Tensor, "batch _ time height width"]
    ) -> Float[Tensor, "batch 2048"]:
        """Return the second hidden layer."""
        return self._hidden(*self.forward_features(clip))

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps."""
        logits: Tensor = self.fc8(self.dropout(self._hidden(*maps)))
        return logits

    def forward(
        self, clip: Float[Tensor, "batch _ time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            clip: RGB in [0, 1], or flow x (right) and y (down) normalised to [-1, 1].

        Raises:
            ValueError: if the clip has another shape or dtype than the network takes.
        """
        return self.forward_head(*self.forward_features(clip))

    def _hidden(self, maps: Tensor) -> Tensor:
        hidden = self.dropout(functional.relu(self.fc6(maps.flatten(start_dim=1))))
        return functional.relu(self.fc7(hidden))
