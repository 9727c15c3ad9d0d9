"""TwoStreamI3D: an I3D on RGB and one on flow, trained apart, whose logits are added.

    rgb (B, 3, T, H, W)         flow (B, 2, T, H, W)
            |                           |
       +---------+                 +---------+
       |   I3D   |                 |   I3D   |
       +---------+                 +---------+
            | (B, classes)              | (B, classes)
            +------------ + ------------+
                          |
                   logits (B, classes)

Source: Carreira & Zisserman, CVPR 2017, section 3; specification 4. The logits are added, as in its
release, not the class scores. Differs: see `i3d.py`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ttmodels.base import StrokeModel
from ttmodels.card import ModelCard
from ttmodels.config import ModelConfig
from ttmodels.i3d import I3D, I3DConfig
from ttmodels.inputs import check_clips


@dataclass(frozen=True)
class TwoStreamI3DConfig(ModelConfig):
    """Settings of TwoStreamI3D; those of `I3DConfig`, the same for both streams."""

    clip_shape: tuple[int, int, int] = (64, 224, 224)
    first_pool: bool = True
    dropout: float = 0.5
    input_range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        stream = I3DConfig(
            self.num_classes, self.clip_shape, 3, self.first_pool, self.dropout, self.input_range
        )
        object.__setattr__(self, "input_range", stream.input_range)


class TwoStreamI3D(StrokeModel):
    """Sum of the logits of two I3D.

    Args:
        num_classes: number of logits, the rejection class included.
        first_pool: False leaves out the first pooling, for pictures as small as 120 x 120.
        clip_shape: (time, height, width) of the clips it is meant for, recorded only.
        dropout: share of the pooled values that training sets to zero.
        input_range: range that the weights expect; clips are rescaled to it.
    """

    name: ClassVar[str] = "two_stream_i3d"
    inputs = ("rgb", "flow")
    streams = ("rgb", "flow")
    config_type: ClassVar[type[ModelConfig]] = TwoStreamI3DConfig

    def __init__(
        self,
        num_classes: int = 21,
        first_pool: bool = True,
        clip_shape: tuple[int, int, int] = (64, 224, 224),
        dropout: float = 0.5,
        input_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__(
            TwoStreamI3DConfig(num_classes, clip_shape, first_pool, dropout, input_range)
        )
        self.rgb_net = I3D(num_classes, 3, first_pool, clip_shape, dropout, input_range)
        self.flow_net = I3D(num_classes, 2, first_pool, clip_shape, dropout, input_range)

    @classmethod
    def from_streams(cls, rgb_net: I3D, flow_net: I3D) -> "TwoStreamI3D":
        """Join two trained networks. They are used, not copied.

        The labels come from whichever has them, the flow scale from the flow network; the
        provenance keeps both.

        Raises:
            ValueError: if they are not one I3D for RGB and one for flow, or differ in settings or
                in the order of the labels.
        """
        found = [getattr(net, "inputs", type(net).__name__) for net in (rgb_net, flow_net)]
        if not (isinstance(rgb_net, I3D) and isinstance(flow_net, I3D)) or found != [
            ("rgb",),
            ("flow",),
        ]:
            raise ValueError(f"streams take {found}, expected an I3D for rgb and one for flow")
        settings = [_settings(net.config) for net in (rgb_net, flow_net)]
        if settings[0] != settings[1]:
            raise ValueError(
                f"rgb_net has {settings[0]}, flow_net {settings[1]}, expected the same"
            )
        card = ModelCard.joined(rgb_net.card, flow_net.card)
        with torch.device("meta"):
            model = cls.from_config(settings[0])
        model.rgb_net, model.flow_net = rgb_net, flow_net
        model.card = card
        return model

    def forward_features(
        self, *clips: Float[Tensor, "batch _ time height width"]
    ) -> tuple[Float[Tensor, "batch 1024 _ _ _"], Float[Tensor, "batch 1024 _ _ _"]]:
        """Return the maps of both networks; see `StrokeModel.forward_features`."""
        rgb, flow = clips
        sides = tuple(rgb.shape[2:]) if rgb.ndim == 5 else (0, 0, 0)
        least = self.config.smallest_clip
        time, height, width = (max(pair) for pair in zip(sides, least, strict=True))
        check_clips(
            (time, height, width), next(self.parameters()).dtype, {"rgb": rgb, "flow": flow}
        )
        return *self.rgb_net.forward_features(rgb), *self.flow_net.forward_features(flow)

    def features(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
    ) -> Float[Tensor, "batch 2048"]:
        """Return the pooled maps of both networks, RGB in the first 1024 columns."""
        return torch.cat((self.rgb_net.features(rgb), self.flow_net.features(flow)), dim=1)

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps (RGB, flow)."""
        return self.rgb_net.forward_head(maps[0]) + self.flow_net.forward_head(maps[1])

    def forward(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
    ) -> Float[Tensor, "batch classes"]:
        """Return the sum of both networks' logits.

        Args:
            rgb: values in [0, 1].
            flow: x (right) and y (down), normalised to [-1, 1].

        Raises:
            ValueError: if a clip has another shape or dtype than the network takes.
        """
        return self.forward_head(*self.forward_features(rgb, flow))


def _settings(config: I3DConfig) -> TwoStreamI3DConfig:
    return TwoStreamI3DConfig(
        config.num_classes,
        config.clip_shape,
        config.first_pool,
        config.dropout,
        config.input_range,
    )
