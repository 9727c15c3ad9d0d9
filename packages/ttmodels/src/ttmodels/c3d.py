"""C3D: eight convolutions over short RGB clips.

    rgb (B, 3, T, H, W), in the source 16 x 112 x 112
      | conv1                   64 | pool 1x2x2 -> (B,  64, T,    H/2,  W/2)
      | conv2                  128 | pool 2x2x2 -> (B, 128, T/2,  H/4,  W/4)
      | conv3a, conv3b         256 | pool 2x2x2 -> (B, 256, T/4,  H/8,  W/8)
      | conv4a, conv4b         512 | pool 2x2x2 -> (B, 512, T/8,  H/16, W/16)
      | conv5a, conv5b         512 | pool 2x2x2, one row and column of padding on either side
                                   -> (B, 512, T/16, H/32 + 1/2, W/32 + 1/2)     maps
      | flatten, channel first     -> (B, 8192) at 16 x 112 x 112
      | fc6 | ReLU | dropout       -> (B, 4096)
      | fc7 | ReLU                 -> (B, 4096)                                  features
      | dropout | fc8              -> logits (B, classes)

All convolutions are 3x3x3 with a ReLU.

Source: Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015,
section 3.2 and figure 3; the padding is that of the authors' release, whose 4 x 4 last maps give
fc6 its 8192 inputs. Differs: the softmax is in `predict_proba`; pools before the ReLU (the values
are the same); RGB comes in [0, 1], not as bytes minus a mean.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.base import StrokeModel
from ttmodels.blocks import conv_pool_relu, fastest_layout
from ttmodels.config import ModelConfig, check_dropout

HIDDEN = 4096


@dataclass(frozen=True)
class C3DConfig(ModelConfig):
    """Settings of C3D.

    Args:
        dropout: share of the hidden values that training sets to zero, in [0, 1).
    """

    smallest_clip: ClassVar[tuple[int, int, int]] = (16, 16, 16)

    clip_shape: tuple[int, int, int] = (16, 112, 112)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dropout(self.dropout)


class C3D(StrokeModel):
    """Eight convolutions over short RGB clips, then two hidden layers.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 16.
        dropout: share of the hidden values that training sets to zero.
    """

    name: ClassVar[str] = "c3d"
    inputs = ("rgb",)
    streams = ("rgb",)
    config_type: ClassVar[type[ModelConfig]] = C3DConfig

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (16, 112, 112),
        dropout: float = 0.5,
    ) -> None:
        config = C3DConfig(num_classes, clip_shape, dropout)
        super().__init__(config)
        self.conv1 = nn.Conv3d(3, 64, kernel_size=3, padding=1)
        self.conv2 = nn.Conv3d(64, 128, kernel_size=3, padding=1)
        self.conv3a = nn.Conv3d(128, 256, kernel_size=3, padding=1)
        self.conv3b = nn.Conv3d(256, 256, kernel_size=3, padding=1)
        self.conv4a = nn.Conv3d(256, 512, kernel_size=3, padding=1)
        self.conv4b = nn.Conv3d(512, 512, kernel_size=3, padding=1)
        self.conv5a = nn.Conv3d(512, 512, kernel_size=3, padding=1)
        self.conv5b = nn.Conv3d(512, 512, kernel_size=3, padding=1)
        time, height, width = (side // 16 for side in config.clip_shape)
        self.fc6 = nn.Linear(512 * time * (height // 2 + 1) * (width // 2 + 1), HIDDEN)
        self.fc7 = nn.Linear(HIDDEN, HIDDEN)
        self.fc8 = nn.Linear(HIDDEN, config.num_classes)
        self.dropout = nn.Dropout(config.dropout)
        self.recompute = self.fused = False

    def forward_features(
        self, *clips: Float[Tensor, "batch 3 time height width"]
    ) -> tuple[Float[Tensor, "batch 512 _ _ _"]]:
        """Return the maps of the last convolution; see `StrokeModel.forward_features`."""
        (rgb,) = clips
        self._check(rgb=rgb)
        stage = partial(conv_pool_relu, recompute=self.recompute, fused=self.fused)
        clip = stage(self.conv1, fastest_layout(rgb), (1, 2, 2))
        clip = stage(self.conv2, clip)
        clip = functional.relu(self.conv3a(clip))
        clip = stage(self.conv3b, clip)
        clip = functional.relu(self.conv4a(clip))
        clip = stage(self.conv4b, clip)
        clip = self.conv5b(functional.relu(self.conv5a(clip)))
        return (functional.relu(functional.max_pool3d(clip, 2, padding=(0, 1, 1))),)

    def features(
        self, rgb: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch 4096"]:
        """Return the second hidden layer."""
        return self._hidden(*self.forward_features(rgb))

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps."""
        logits: Tensor = self.fc8(self.dropout(self._hidden(*maps)))
        return logits

    def forward(
        self, rgb: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            rgb: values in [0, 1].

        Raises:
            ValueError: if the clip has another shape or dtype than the network takes.
        """
        return self.forward_head(*self.forward_features(rgb))

    def _hidden(self, maps: Tensor) -> Tensor:
        hidden = self.dropout(functional.relu(self.fc6(maps.flatten(start_dim=1))))
        return functional.relu(self.fc7(hidden))
