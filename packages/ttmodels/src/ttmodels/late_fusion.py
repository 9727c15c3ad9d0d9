"""LateFusion: RGBNet and FlowNet, trained apart, whose class scores are averaged.

    rgb (B, 3, T, H, W)         flow (B, 2, T, H, W)
            |                           |
       +---------+                 +---------+
       | RGBNet  |                 | FlowNet |
       +---------+                 +---------+
            | softmax (B, classes)      | softmax (B, classes)
            +-------------+-------------+
                          | mean: class scores
                          | log
                   logits (B, classes)

Source: Martin et al. 2018, table II, row "Late fusion"; specification 4.
Differs: the paper adds the scores; their mean ranks the same and adds up to 1. `forward` returns
its log, so that, as in every network here, the softmax of the logits gives the class scores.
"""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ttmodels.base import BranchModel
from ttmodels.blocks import Branch
from ttmodels.card import ModelCard
from ttmodels.config import BranchConfig, Head, ModelConfig
from ttmodels.single_stream import FlowNet, RGBNet


class LateFusion(BranchModel):
    """Mean of the class scores of an RGBNet and a FlowNet.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.
        head: "flat" (the paper's) or "pooled"; see `ttmodels.BranchConfig`.
        pool_fields: 3 or 1, of the pooled head.
    """

    name: ClassVar[str] = "late"
    inputs = ("rgb", "flow")
    streams = ("rgb", "flow")
    config_type: ClassVar[type[ModelConfig]] = BranchConfig

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (100, 120, 120),
        head: Head = "flat",
        pool_fields: int = 3,
    ) -> None:
        config = BranchConfig(num_classes, clip_shape, head=head, pool_fields=pool_fields)
        super().__init__(config)
        self.rgb_net = RGBNet(**config.stored())
        self.flow_net = FlowNet(**config.stored())

    @classmethod
    def from_streams(cls, rgb_net: RGBNet, flow_net: FlowNet) -> "LateFusion":
        """Join two trained networks. They are used, not copied.

        The labels come from whichever has them, the flow scale from the flow network; the
        provenance keeps both.

        Raises:
            ValueError: if they differ in clip shape, classes, or the order of the labels.
        """
        if not isinstance(rgb_net, RGBNet) or not isinstance(flow_net, FlowNet):
            raise ValueError(
                f"streams are {type(rgb_net).__name__} and {type(flow_net).__name__}, "
                "expected RGBNet and FlowNet"
            )
        if rgb_net.config != flow_net.config:
            raise ValueError(
                f"rgb_net has {rgb_net.config}, flow_net {flow_net.config}, expected the same"
            )
        card = ModelCard.joined(rgb_net.card, flow_net.card)
        with torch.device("meta"):
            model = cls.from_config(rgb_net.config)
        model.rgb_net, model.flow_net = rgb_net, flow_net
        model.card = card
        return model

    def features(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
    ) -> Float[Tensor, "batch 1000"]:
        """Return the features of both networks, RGB in the first 500 columns."""
        self._check(rgb=rgb, flow=flow)
        return torch.cat((self.rgb_net.features(rgb), self.flow_net.features(flow)), dim=1)

    def forward(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
    ) -> Float[Tensor, "batch classes"]:
        """Return the log of the mean class scores.

        Args:
            rgb: values in [0, 1].
            flow: x (right) and y (down), normalised to [-1, 1].

        Raises:
            ValueError: if a clip has another shape or dtype than the network takes.
        """
        return self.forward_head(*self.forward_features(rgb, flow))

    def branches(self) -> tuple[Branch, ...]:
        """Return the RGB branch, then the flow branch."""
        return self.rgb_net.branch, self.flow_net.branch

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the log of the mean class scores of clips with these maps (RGB, flow)."""
        rgb_maps, flow_maps = maps
        logits = torch.stack(
            (self.rgb_net.forward_head(rgb_maps), self.flow_net.forward_head(flow_maps))
        )
        # log of a mean of exponentials, without leaving the log: tiny scores do not become -inf
        return logits.log_softmax(dim=2).logsumexp(dim=0) - math.log(2)
