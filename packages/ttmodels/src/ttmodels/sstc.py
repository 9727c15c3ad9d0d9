"""SSTC, the siamese spatio-temporal convolutional network: one branch for RGB, one for flow.

       rgb (B, 3, T, H, W)                      flow (B, 2, T, H, W)
                |                                        |
            rgb_branch                              flow_branch         own weights each
                |                                        |
     conv 3x3x3 - pool - ReLU                 conv 3x3x3 - pool - ReLU
                | (B, 30, T/2, H/2, W/2)                 | (B, 30, T/2, H/2, W/2)
     conv 3x3x3 - pool - ReLU                 conv 3x3x3 - pool - ReLU
                | (B, 60, T/4, H/4, W/4)                 | (B, 60, T/4, H/4, W/4)
     conv 3x3x3 - pool - ReLU                 conv 3x3x3 - pool - ReLU
                | maps (B, 80, T/8, H/8, W/8)            | maps (B, 80, T/8, H/8, W/8)
     fully connected - ReLU                   fully connected - ReLU
                | features (B, 500)                      | features (B, 500)
                +----------------+-----------------------+
                                 |
                      +---------------------+
                      |        head         |   concat:   linear, RGB first, 1000 -> classes
                      +---------------------+   bilinear: x_rgb A_k x_flow + b_k per class k
                                 |
                        logits (B, classes)

Source: Martin, Benois-Pineau, Péteri, Morlier, "Sport Action Recognition with Siamese
Spatio-Temporal CNNs: Application to Table Tennis", CBMI 2018, section IV-A and figure 2.
Differs: "siamese" there means two branches of one shape, not shared weights, and so here; the
paper's text concatenates the features, the authors' later code joins them bilinearly, and
`fusion` offers both; the softmax is in `predict_proba`, not in the network.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ttmodels.base import BranchModel
from ttmodels.blocks import FEATURES, Branch
from ttmodels.config import BranchConfig, Head, ModelConfig

Fusion = Literal["concat", "bilinear"]


@dataclass(frozen=True)
class SSTCConfig(BranchConfig):
    """Settings of SSTC.

    Args:
        fusion: how the two branches meet, "concat" (the paper's text) or "bilinear".
    """

    fusion: Fusion = "concat"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fusion not in ("concat", "bilinear"):
            raise ValueError(f"fusion is {self.fusion!r}, expected 'concat' or 'bilinear'")


class SSTC(BranchModel):
    """Siamese network on RGB and flow; 216 M parameters at the paper's size (0.9 GB).

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.
        fusion: "concat" or "bilinear".
        head: "flat" (the paper's) or "pooled"; see `ttmodels.BranchConfig`.
        pool_fields: 3 or 1, of the pooled head.
    """

    name: ClassVar[str] = "sstc"
    inputs = ("rgb", "flow")
    streams = ("rgb", "flow")
    config_type: ClassVar[type[ModelConfig]] = SSTCConfig

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (100, 120, 120),
        fusion: Fusion = "concat",
        head: Head = "flat",
        pool_fields: int = 3,
    ) -> None:
        config = SSTCConfig(num_classes, clip_shape, fusion, head=head, pool_fields=pool_fields)
        super().__init__(config)
        self.rgb_branch = Branch(3, config.clip_shape, config.fields_per_side)
        self.flow_branch = Branch(2, config.clip_shape, config.fields_per_side)
        self.head: nn.Linear | nn.Bilinear
        if fusion == "concat":
            self.head = nn.Linear(2 * FEATURES, config.num_classes)
        else:
            self.head = nn.Bilinear(FEATURES, FEATURES, config.num_classes)

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
        self._check(rgb=rgb, flow=flow)
        rgb_maps = self.rgb_branch.forward_convs(rgb)  # (B, 80, T/8, H/8, W/8)
        flow_maps = self.flow_branch.forward_convs(flow)  # (B, 80, T/8, H/8, W/8)
        return self.forward_head(rgb_maps, flow_maps)

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps (RGB, flow)."""
        rgb_maps, flow_maps = maps
        rgb_features = self.rgb_branch.forward_fc(rgb_maps)  # (B, 500)
        flow_features = self.flow_branch.forward_fc(flow_maps)  # (B, 500)
        if isinstance(self.head, nn.Bilinear):
            dtype = self.head.weight.dtype  # autocast leaves bilinear layers out
            logits: Tensor = self.head(rgb_features.to(dtype), flow_features.to(dtype))
        else:
            logits = self.head(torch.cat((rgb_features, flow_features), dim=1))
        return logits  # (B, classes)

    def features(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
    ) -> Float[Tensor, "batch 1000"]:
        """Return the features of both branches, RGB in the first 500 columns (any fusion)."""
        self._check(rgb=rgb, flow=flow)
        return torch.cat((self.rgb_branch(rgb), self.flow_branch(flow)), dim=1)

    def branches(self) -> tuple[Branch, ...]:
        """Return the RGB branch, then the flow branch."""
        return self.rgb_branch, self.flow_branch
