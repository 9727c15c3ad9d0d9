"""EarlyFusion: RGB and flow stacked into five channels before a single branch.

    rgb (B, 3, T, H, W)   flow (B, 2, T, H, W)
              |                    |
              +---------+----------+
                        | (B, 5, T, H, W): red, green, blue, x, y
                   +---------+
                   | branch  |   3 x [conv - pool - ReLU], fully connected, ReLU
                   +---------+
                        | features (B, 500)
                   +---------+
                   |  head   |   linear 500 -> classes
                   +---------+
                        |
                 logits (B, classes)

Source: Martin et al. 2018, table II, row "Early fusion"; specification 4.
Differs: the softmax is in `predict_proba`, not in the network.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ttmodels.base import BranchModel
from ttmodels.blocks import FEATURES, Branch
from ttmodels.config import BranchConfig, Head, ModelConfig


class EarlyFusion(BranchModel):
    """Network on RGB and flow as one five-channel clip.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.
        head: "flat" (the paper's) or "pooled"; see `ttmodels.BranchConfig`.
        pool_fields: 3 or 1, of the pooled head.
    """

    name: ClassVar[str] = "early"
    inputs = ("rgb", "flow")
    streams = ("rgb_flow",)
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
        self.branch = Branch(5, config.clip_shape, config.fields_per_side)
        self.head = nn.Linear(FEATURES, config.num_classes)

    def features(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of the branch."""
        self._check(rgb=rgb, flow=flow)
        features: Tensor = self.branch(torch.cat((rgb, flow), dim=1))
        return features

    def forward(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            rgb: values in [0, 1].
            flow: x (right) and y (down), normalised to [-1, 1].

        Raises:
            ValueError: if a clip has another shape or dtype than the network takes.
        """
        logits: Tensor = self.head(self.features(rgb, flow))
        return logits

    def branches(self) -> tuple[Branch, ...]:
        """Return the only branch."""
        return (self.branch,)

    def branch_clips(
        self, *clips: Float[Tensor, "batch _ time height width"]
    ) -> tuple[Float[Tensor, "batch _ time height width"], ...]:
        """Return the clips as one of five channels: red, green, blue, x, y."""
        return (torch.cat(clips, dim=1),)

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps."""
        logits: Tensor = self.head(self.branch.forward_fc(maps[0]))
        return logits
