"""RGBNet and FlowNet: one branch of SSTC with a classifier of its own.

    rgb (B, 3, T, H, W)  or  flow (B, 2, T, H, W)
              |
         +---------+
         | branch  |   3 x [conv - pool - ReLU], fully connected, ReLU
         +---------+
              | features (B, 500)
         +---------+
         |  head   |   linear 500 -> classes
         +---------+
              |
       logits (B, classes)

Source: Martin et al. 2018, table II, rows "RGB" and "Optical flow"; specification 4.
Differs: the softmax is in `predict_proba`, not in the network.
"""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from ttmodels.base import BranchModel
from ttmodels.blocks import FEATURES, Branch
from ttmodels.config import BranchConfig, Head, ModelConfig


class SingleStream(BranchModel):
    """Network on one stream of `in_channels` channels; use it as RGBNet or FlowNet.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.
        head: "flat" (the paper's) or "pooled"; see `ttmodels.BranchConfig`.
        pool_fields: 3 or 1, of the pooled head.
    """

    config_type: ClassVar[type[ModelConfig]] = BranchConfig
    in_channels: ClassVar[int]

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (100, 120, 120),
        head: Head = "flat",
        pool_fields: int = 3,
    ) -> None:
        config = BranchConfig(num_classes, clip_shape, head=head, pool_fields=pool_fields)
        super().__init__(config)
        self.branch = Branch(self.in_channels, config.clip_shape, config.fields_per_side)
        self.head = nn.Linear(FEATURES, config.num_classes)

    def features(
        self, clip: Float[Tensor, "batch {self.in_channels} time height width"], /
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of the branch."""
        self._check(**{self.inputs[0]: clip})
        features: Tensor = self.branch(clip)
        return features

    def forward(
        self, clip: Float[Tensor, "batch {self.in_channels} time height width"], /
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            clip: RGB in [0, 1], or flow x (right) and y (down) normalised to [-1, 1].

        Raises:
            ValueError: if the clip has another shape or dtype than the network takes.
        """
        logits: Tensor = self.head(self.features(clip))
        return logits

    def branches(self) -> tuple[Branch, ...]:
        """Return the only branch."""
        return (self.branch,)

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps."""
        logits: Tensor = self.head(self.branch.forward_fc(maps[0]))
        return logits


class RGBNet(SingleStream):
    """Network on RGB alone; its arguments are those of `SingleStream`."""

    name: ClassVar[str] = "rgb"
    inputs = streams = ("rgb",)
    in_channels = 3

    def features(
        self, rgb: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of the branch from RGB in [0, 1]."""
        return super().features(rgb)

    def forward(
        self, rgb: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits from RGB in [0, 1]; see `SingleStream.forward`."""
        return super().forward(rgb)


class FlowNet(SingleStream):
    """Network on optical flow alone; its arguments are those of `SingleStream`."""

    name: ClassVar[str] = "flow"
    inputs = streams = ("flow",)
    in_channels = 2

    def features(
        self, flow: Float[Tensor, "batch 2 time height width"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of the branch from flow, normalised to [-1, 1]."""
        return super().features(flow)

    def forward(
        self, flow: Float[Tensor, "batch 2 time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits from flow, normalised to [-1, 1]; see `SingleStream.forward`."""
        return super().forward(flow)
