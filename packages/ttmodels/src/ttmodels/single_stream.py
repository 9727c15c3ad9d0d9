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
from ttmodels.config import ModelConfig


class RGBNet(BranchModel):
    """Network on RGB alone.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.
    """

    name: ClassVar[str] = "rgb"
    inputs = ("rgb",)
    streams = ("rgb",)

    def __init__(
        self, num_classes: int = 21, clip_shape: tuple[int, int, int] = (100, 120, 120)
    ) -> None:
        config = ModelConfig(num_classes, clip_shape)
        super().__init__(config)
        self.branch = Branch(3, config.clip_shape)
        self.head = nn.Linear(FEATURES, num_classes)

    def features(
        self, rgb: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of the branch."""
        self._check(rgb=rgb)
        features: Tensor = self.branch(rgb)
        return features

    def forward(
        self, rgb: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            rgb: values in [0, 1].

        Raises:
            ValueError: if the clip has another shape or dtype than the network takes.
        """
        return self.classify(*self.maps(rgb))

    def branches(self) -> tuple[Branch, ...]:
        """The only branch."""
        return (self.branch,)

    def classify(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps."""
        logits: Tensor = self.head(self.branch.summarise(maps[0]))
        return logits


class FlowNet(BranchModel):
    """Network on optical flow alone.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.
    """

    name: ClassVar[str] = "flow"
    inputs = ("flow",)
    streams = ("flow",)

    def __init__(
        self, num_classes: int = 21, clip_shape: tuple[int, int, int] = (100, 120, 120)
    ) -> None:
        config = ModelConfig(num_classes, clip_shape)
        super().__init__(config)
        self.branch = Branch(2, config.clip_shape)
        self.head = nn.Linear(FEATURES, num_classes)

    def features(
        self, flow: Float[Tensor, "batch 2 time height width"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of the branch."""
        self._check(flow=flow)
        features: Tensor = self.branch(flow)
        return features

    def forward(
        self, flow: Float[Tensor, "batch 2 time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            flow: x (right) and y (down), normalised to [-1, 1].

        Raises:
            ValueError: if the clip has another shape or dtype than the network takes.
        """
        return self.classify(*self.maps(flow))

    def branches(self) -> tuple[Branch, ...]:
        """The only branch."""
        return (self.branch,)

    def classify(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps."""
        logits: Tensor = self.head(self.branch.summarise(maps[0]))
        return logits
