"""HeadConfig: every number of the joint head's training and decoding."""

from typing import Any

from pydantic import Field, model_validator

from ttdata.settings import FrozenModel

DECODING = frozenset({"soft_nms_sigma", "max_iou", "min_score"})
"""What decides nothing in training."""


class HeadConfig(FrozenModel):
    """How a joint head is trained and decoded (specification 6.10)."""

    epochs: int = Field(default=35, ge=1, description="Training lasts this many epochs.")
    warmup_epochs: int = Field(
        default=5, ge=0, description="The learning rate rises linearly over this many epochs."
    )
    learning_rate: float = Field(
        default=0.001, gt=0, description="The learning rate after warm-up; it falls to 0 by cosine."
    )
    weight_decay: float = Field(
        default=0.05, ge=0, description="AdamW's decay of weights; biases have none."
    )
    gradient_clip: float = Field(
        default=1.0, gt=0, description="The gradient of a step is shortened to this norm."
    )
    batch: int = Field(default=2, ge=1, description="A step sees this many crops.")
    crop_cells: int = Field(
        default=512,
        ge=1,
        description="A crop has this many cells in the loss, and beside them what these see.",
    )
    feature_dropout: float = Field(
        default=0.2, ge=0, lt=1, description="This share of the features is dropped in a crop."
    )
    ema_decay: float = Field(
        default=0.99,
        ge=0,
        lt=1,
        description="The result is the moving average of the weights with this decay a step; a run "
        "has one to two thousand steps.",
    )
    hidden: int = Field(default=128, ge=1, description="The layers have this many filters.")
    focal_alpha: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="The focal loss weighs strokes by it, all else by 1 - it.",
    )
    focal_gamma: float = Field(
        default=2.0, ge=0, description="The focal loss's exponent; 0 is cross-entropy."
    )
    iou_weight: float = Field(
        default=1.0,
        ge=0,
        description="The loss of intervals counts this much beside the focal loss.",
    )
    centre_radius_cells: float = Field(
        default=1.5, gt=0, description="Cells this near to a stroke's centre stand for it."
    )
    ignore_low: float = Field(
        default=0.3, ge=0, le=1, description="Cells covered by a stroke from this share on ..."
    )
    ignore_high: float = Field(
        default=0.6, ge=0, le=1, description="... up to this one are neither strokes nor negatives."
    )
    soft_nms_sigma: float = Field(
        default=0.5, gt=0, description="Strokes of a class that overlap lose score; larger: less."
    )
    max_iou: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Of strokes of any class with a larger IoU the best stays; 1 keeps all.",
    )
    min_score: float = Field(
        default=0.05, gt=0, lt=1, description="The least score that is tried on validation."
    )
    seed: int = Field(default=0, ge=0, description="First weights and all draws follow from it.")

    @model_validator(mode="after")
    def _in_order(self) -> "HeadConfig":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be below epochs ({self.epochs}), found {self.warmup_epochs}"
            )
        if self.ignore_low > self.ignore_high:
            raise ValueError(
                f"ignore_low must be at most ignore_high ({self.ignore_high}), found "
                f"{self.ignore_low}"
            )
        return self

    def training_values(self) -> dict[str, Any]:
        """The values that decide the weights."""
        return self.model_dump(mode="json", exclude=set(DECODING))
