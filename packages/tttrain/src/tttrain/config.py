"""Every number that shapes a training run, in one frozen configuration (specification 5)."""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AugmentConfig(_Frozen):
    """How training clips are varied (specification 3.2, 3.4); one draw per clip and epoch."""

    spatial: bool = Field(default=True, description="rotate, shift and scale the crop")
    temporal: bool = Field(default=True, description="draw the window's start inside the stroke")
    rotation_degrees: float = Field(default=10.0, ge=0, le=180, description="largest, either way")
    translation: float = Field(default=0.1, ge=0, le=1, description="largest, in sides of the crop")
    scale: float = Field(default=0.1, ge=0, lt=1, description="largest departure from 1")
    mirror: bool = Field(default=False, description="flip half of the clips left to right")


class Milestone(_Frozen):
    """From `epoch` (0-based) on, `value` holds."""

    epoch: int = Field(ge=0)
    value: float = Field(ge=0)


class TrainConfig(_Frozen):
    """A complete training run; a recipe is a function that returns one."""

    recipe: str = Field(default="custom", description="the name it is listed under")
    model: Literal["siamese", "rgb", "flow", "early", "i3d_rgb", "i3d_flow"] = "siamese"
    fusion: Literal["concat", "bilinear"] = Field(
        default="concat", description="how the siamese model joins its branches"
    )
    first_pool: bool = Field(
        default=False, description="of I3D: its first max pooling, for pictures of 224 x 224"
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="of I3D; the others have none")
    clip_shape: tuple[int, int, int] | None = Field(
        default=None, description="T frames, H, W pixels; null: window and crop of the shards"
    )
    batch_size: int = Field(default=10, ge=1, description="clips a step, over all workers together")
    epochs: int = Field(default=2000, ge=1, description="at most")
    optimizer: Literal["sgd", "adamw"] = Field(
        default="sgd", description="sgd: Nesterov momentum, as the paper; adamw: without momentum"
    )
    learning_rate: float = Field(default=0.001, gt=0, description="for `learning_rate_batch` clips")
    learning_rate_batch: int | None = Field(
        default=None,
        ge=1,
        description="the learning rate is multiplied by batch_size / this; null: never",
    )
    learning_rate_decay: Literal["constant", "cosine", "plateau"] = Field(
        default="constant",
        description="cosine falls to 0 after the last epoch; plateau drops by `plateau_factor` "
        "after `plateau_epochs` epochs without a lower validation loss",
    )
    plateau_epochs: int = Field(default=10, ge=1, description="epochs that count as a stall")
    plateau_factor: float = Field(default=0.1, gt=0, lt=1, description="of each drop")
    warmup_epochs: int = Field(default=0, ge=0, description="the learning rate rises linearly")
    momentum: float = Field(default=0.5, ge=0, lt=1, description="of sgd, from epoch 0")
    momentum_milestones: tuple[Milestone, ...] = Field(
        default=(Milestone(epoch=1000, value=0.1), Milestone(epoch=1500, value=0.05)),
        description="later momenta, by epoch",
    )
    schedule_epochs: int | None = Field(
        default=None,
        ge=1,
        description="the milestones and the stall are meant for a run of so many epochs and are "
        "scaled by epochs / this; null: taken as they stand",
    )
    patience_epochs: int | None = Field(
        default=None, ge=1, description="stop after so many epochs without new best weights"
    )
    weight_decay: float = Field(default=0.005, ge=0)
    gradient_clip: float | None = Field(
        default=None, gt=0, description="largest norm of the gradient of a step; null: any"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="bfloat16: mixed, by autocast; auto: on GPUs"
    )
    augment: AugmentConfig = AugmentConfig()
    seed: int = Field(default=0, ge=0)
    num_workers: int = Field(default=1, ge=1, description="Ray Train workers")
    min_workers: int | None = Field(
        default=None,
        ge=1,
        description="elastic: go on with as many workers as there is room for, at least so many; "
        "null: wait for all",
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    torch_threads: int | None = Field(
        default=None,
        ge=1,
        description="of a worker; null: cores (at most OMP_NUM_THREADS) divided by workers",
    )
    data_path: Literal["auto", "stream", "resident"] = Field(
        default="auto", description="decode clips every epoch, or keep them in memory"
    )
    resident_max_gib: float | None = Field(
        default=None,
        ge=0,
        description="auto keeps clips in memory up to this size a worker; null: half of the "
        "machine's memory divided by workers",
    )
    checkpoint_minutes: float = Field(default=10.0, ge=0, description="0: after every epoch")

    @model_validator(mode="after")
    def _consistent(self) -> "TrainConfig":
        if self.clip_shape is not None and min(self.clip_shape) < 8:
            raise ValueError(f"clip_shape needs at least 8 on each axis, found {self.clip_shape}")
        epochs = [item.epoch for item in self.momentum_milestones]
        if epochs != sorted(set(epochs)):
            raise ValueError(f"momentum_milestones must rise by epoch, found {epochs}")
        if any(item.value >= 1 for item in self.momentum_milestones):
            raise ValueError("momentum_milestones: a momentum must be below 1")
        if self.min_workers is not None and self.min_workers > self.num_workers:
            raise ValueError(
                f"min_workers must be at most num_workers ({self.num_workers}), "
                f"found {self.min_workers}"
            )
        return self

    def scaled_epoch(self, epoch: int) -> int:
        """The epoch at which something happens that a run of `schedule_epochs` does at `epoch`."""
        if self.schedule_epochs is None:
            return epoch
        return round(epoch * self.epochs / self.schedule_epochs)

    @property
    def base_learning_rate(self) -> float:
        """The learning rate before any decay, for this batch size."""
        batch = self.learning_rate_batch
        return self.learning_rate * (1.0 if batch is None else self.batch_size / batch)

    def result_values(self) -> dict[str, Any]:
        """The values that decide the result, without those that only say how it is computed."""
        return self.model_dump(mode="json", exclude=set(EXECUTION_FIELDS))

    def result_hash(self) -> str:
        """Twelve hexadecimal digits that change when a value changes that decides the result."""
        text = json.dumps(self.result_values(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


EXECUTION_FIELDS = (
    "num_workers",
    "min_workers",
    "device",
    "torch_threads",
    "data_path",
    "resident_max_gib",
    "checkpoint_minutes",
)
"""Fields that may differ when a run is continued: results agree to rounding."""
