"""DetectionHead: which strokes a whole video holds, and when, from the features of its cells.

    features (B, cells, 1440), per 8 frames of the video
      | minus mean, over scale, per feature
      | convolution of 1, 128 filters                                -> (B, 128, cells)
      | five times: plus ReLU of a convolution of 3, 128 filters,
      |             dilated by 1, 2, 4, 8, 16                        -> (B, 128, cells)
      +-- convolution of 3 -> logits (B, cells, classes), one sigmoid per class
      +-- convolution of 3 -> softplus -> distances (B, cells, 2) from a cell's middle
                                          to the stroke's start, to its end

A cell sees 32 cells, so 256 frames, to either side. Strokes last 9 to 35 cells at 120 frames per
second, so one level is enough.

Source: this project; specification 4.6. Focal loss and its prior: Lin et al., "Focal Loss for Dense
Object Detection", ICCV 2017; distances per point: Tian et al., "FCOS", ICCV 2019; residual dilated
convolutions: Farha & Gall, "MS-TCN", CVPR 2019. Differs from the last: no convolution of 1 in a
residual block, and one stage.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.config import NetworkConfig, check_positive
from ttmodels.stored_network import StoredNetwork

PRIOR = 0.01
"""Score of every class at the start, so that the many empty cells do not swamp the loss."""
DISTANCE_CELLS = 10.0
"""Distance for an output of 1: half a stroke is some 7 cells, so outputs begin near it."""


@dataclass(frozen=True)
class DetectionHeadConfig(NetworkConfig):
    """Settings of DetectionHead.

    Args:
        num_classes: strokes it tells apart, without the rejection class.
        in_features: values per cell, `ttmodels.num_features` of the network they come from.
        hidden: filters of every layer but the last.
        dilations: of the residual convolutions, in order.
    """

    num_classes: int = 20
    in_features: int = 1440
    hidden: int = 128
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("in_features", self.in_features)
        check_positive("hidden", self.hidden)
        if not isinstance(self.dilations, Sequence) or isinstance(self.dilations, str):
            raise ValueError(f"dilations is {self.dilations!r}, expected a list of integers")
        for dilation in self.dilations:
            check_positive("a dilation", dilation)
        object.__setattr__(self, "dilations", tuple(self.dilations))  # JSON gives a list


class CellDetections(NamedTuple):
    """Strokes found in one video, best first; positions in cells, 8 frames each, from its start."""

    start_cells: Float[Tensor, " found"]
    end_cells: Float[Tensor, " found"]
    classes: Int[Tensor, " found"]
    scores: Float[Tensor, " found"]


class DetectionHead(StoredNetwork):
    """Finds strokes in the features of `VideoStream` or `dense_features`; 0.44 M parameters.

    >>> import torch, ttmodels
    >>> head = ttmodels.DetectionHead(num_classes=3, in_features=720)
    >>> logits, distances = head(torch.rand(1, 50, 720))
    >>> logits.shape, distances.shape
    (torch.Size([1, 50, 3]), torch.Size([1, 50, 2]))
    >>> len(head.decode(logits[0], distances[0], min_score=0.5).scores)
    0

    Args:
        num_classes: strokes it tells apart, without the rejection class.
        in_features: values per cell, `ttmodels.num_features` of the network they come from.
        hidden: filters of every layer but the last.
        dilations: of the residual convolutions, in order.

    Attributes:
        feature_mean: (in_features,), subtracted from the features; saved with the weights.
        feature_scale: (in_features,), divides them afterwards.
    """

    name: ClassVar[str] = "detection_head"
    inputs = ("features",)
    outputs: ClassVar[tuple[str, ...]] = ("logits", "distances")
    open_axes: ClassVar[tuple[int, ...]] = (0, 1)
    config: DetectionHeadConfig
    config_type: ClassVar[type[NetworkConfig]] = DetectionHeadConfig
    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(
        self,
        num_classes: int = 20,
        in_features: int = 1440,
        hidden: int = 128,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
    ) -> None:
        config = DetectionHeadConfig(num_classes, in_features, hidden, tuple(dilations))
        super().__init__(config)
        self.register_buffer("feature_mean", torch.zeros(in_features))
        self.register_buffer("feature_scale", torch.ones(in_features))
        self.reduce = nn.Conv1d(in_features, hidden, kernel_size=1)
        self.residual = nn.ModuleList(
            nn.Conv1d(hidden, hidden, kernel_size=3, padding=dilation, dilation=dilation)
            for dilation in config.dilations
        )
        self.classify = nn.Conv1d(hidden, num_classes, kernel_size=3, padding=1)
        self.regress = nn.Conv1d(hidden, 2, kernel_size=3, padding=1)
        self._start_at_the_prior()

    def _start_at_the_prior(self) -> None:
        for layer, bias in ((self.classify, math.log(PRIOR / (1 - PRIOR))), (self.regress, 0.0)):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def standardise(
        self, mean: Float[Tensor, " values"], deviation: Float[Tensor, " values"]
    ) -> None:
        """Set what makes features of the training videos centred, of deviation one.

        Args:
            mean: (in_features,) over the cells of the training videos.
            deviation: (in_features,); a feature that never changes (0) stays as it is.
        """
        self.feature_mean.copy_(mean)
        self.feature_scale.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(
        self, features: Float[Tensor, "batch cells values"]
    ) -> tuple[Float[Tensor, "batch cells classes"], Float[Tensor, "batch cells 2"]]:
        """Return per cell the logits of a sigmoid per class, and distances in cells.

        Args:
            features: of consecutive cells, in_features values each.

        Returns:
            logits; and the distances from the cell's middle to the start and to the end of the
            stroke that it lies in, not negative.

        Raises:
            ValueError: if the features have another shape.
        """
        if features.ndim != 3 or features.shape[2] != self.config.in_features:
            raise ValueError(
                f"features have shape {tuple(features.shape)}, expected "
                f"(batch, cells, {self.config.in_features})"
            )
        values = (features - self.feature_mean) / self.feature_scale
        hidden = self.reduce(values.transpose(1, 2))
        for conv in self.residual:
            hidden = hidden + functional.relu(conv(hidden))
        logits = self.classify(hidden).transpose(1, 2)
        distances = DISTANCE_CELLS * functional.softplus(self.regress(hidden)).transpose(1, 2)
        return logits, distances

    @staticmethod
    def decode(
        logits: Float[Tensor, "cells classes"],
        distances: Float[Tensor, "cells 2"],
        min_score: float = 0.05,
    ) -> CellDetections:
        """Return the stroke that each cell speaks of, per class; overlapping ones are all there.

        >>> import torch, ttmodels
        >>> logits = torch.tensor([[-9.0], [-9.0], [0.0], [-9.0]])
        >>> found = ttmodels.DetectionHead.decode(logits, torch.full((4, 2), 1.25))
        >>> [values.tolist() for values in found]
        [[1.25], [3.75], [0], [0.5]]

        Args:
            logits: of one video, as `forward` gives them.
            distances: the same.
            min_score: what scores less is left out.

        Returns:
            start and end in cells within [0, cells], classes and scores; frames are cells times
            `ttmodels.CELL_FRAMES`. Sorted by falling score, then by cell and class.
        """
        scores = logits.sigmoid()
        cells, classes = torch.nonzero(scores >= min_score, as_tuple=True)
        found = scores[cells, classes]
        order = found.argsort(descending=True, stable=True)
        cells, classes, found = cells[order], classes[order], found[order]
        middles = cells.to(distances.dtype) + 0.5
        most = float(len(logits))
        return CellDetections(
            (middles - distances[cells, 0]).clamp(0.0, most),
            (middles + distances[cells, 1]).clamp(0.0, most),
            classes,
            found,
        )

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return the features of two videos of 40 cells, zeros."""
        return (self.feature_mean.new_zeros(2, 40, self.config.in_features),)

    @classmethod
    def inputs_for(cls, config: NetworkConfig) -> Sequence[str]:
        """Return the names of the clips it takes: none."""
        return ()
