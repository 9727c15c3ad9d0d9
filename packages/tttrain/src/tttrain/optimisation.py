"""How a network's weights are changed: the sections `optimizer` and `schedule` of `TrainConfig`."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ttdata.settings import FrozenModel


class Milestone(FrozenModel):
    """A value that holds from an epoch on."""

    epoch: int = Field(ge=0, description="The value holds from this epoch on, counted from 0.")
    value: float = Field(ge=0, description="This is the value.")


class OptimizerConfig(FrozenModel):
    """How a step follows from a gradient."""

    name: Literal["sgd", "adamw"] = Field(
        default="sgd",
        description="sgd has Nesterov momentum, as in the paper; adamw takes no momentum.",
    )
    learning_rate: float = Field(
        default=0.001, gt=0, description="The learning rate before warm-up and decay."
    )
    reference_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="The learning rate is meant for this batch size and is multiplied by "
        "batch_size / reference_batch_size; null takes it as it stands.",
    )
    momentum: float = Field(
        default=0.5, ge=0, lt=1, description="The momentum of sgd from epoch 0 on."
    )
    momentum_milestones: tuple[Milestone, ...] = Field(
        default=(Milestone(epoch=1000, value=0.1), Milestone(epoch=1500, value=0.05)),
        description="The later momenta of sgd, by the epoch from which they hold.",
    )
    weight_decay: float = Field(
        default=0.005, ge=0, description="The weight decay of each step; 0 means none."
    )
    gradient_clip: float | None = Field(
        default=None,
        gt=0,
        description="The gradient of a step is shortened to this norm; null leaves it as it is.",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="In training this share of each label is spread evenly over all classes.",
    )

    @field_validator("momentum_milestones")
    @classmethod
    def _rising(cls, value: tuple[Milestone, ...]) -> tuple[Milestone, ...]:
        epochs = [item.epoch for item in value]
        if epochs != sorted(set(epochs)):
            raise ValueError(f"momentum_milestones must rise by epoch, found {epochs}")
        if any(item.value >= 1 for item in value):
            raise ValueError("momentum_milestones: a momentum must be below 1")
        return value


class ScheduleConfig(FrozenModel):
    """How long training lasts and how the learning rate changes on the way."""

    epochs: int = Field(default=2000, ge=1, description="Training lasts this many epochs at most.")
    warmup_epochs: int = Field(
        default=0,
        ge=0,
        description="The learning rate rises linearly over this many epochs; 0 means no warm-up.",
    )
    decay: Literal["constant", "cosine", "plateau"] = Field(
        default="constant",
        description="constant keeps the learning rate; cosine lets it fall to 0 after the last "
        "epoch; plateau multiplies it by plateau_factor after plateau_epochs epochs without a "
        "lower validation loss.",
    )
    plateau_epochs: int = Field(
        default=10, ge=1, description="A plateau is this many epochs long; only for decay=plateau."
    )
    plateau_factor: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Each plateau multiplies the learning rate by this; only for decay=plateau.",
    )
    reference_epochs: int | None = Field(
        default=None,
        ge=1,
        description="Momentum milestones and plateau_epochs are meant for a run of this many "
        "epochs and are multiplied by epochs / reference_epochs; null takes them as they stand.",
    )
    patience_epochs: int | None = Field(
        default=None,
        ge=1,
        description="Training stops after this many epochs without new best weights; null goes on "
        "to the last epoch.",
    )

    @model_validator(mode="after")
    def _warm_up_ends(self, info: ValidationInfo) -> "ScheduleConfig":
        # Releases before this one trained such runs; their folders must stay readable.
        stored = bool(info.context and info.context.get("stored"))
        if self.warmup_epochs >= self.epochs and not stored:
            raise ValueError(
                f"warmup_epochs must be below epochs ({self.epochs}), found {self.warmup_epochs}"
            )
        return self

    def scaled_epoch(self, epoch: int) -> int:
        """The epoch here that stands for `epoch` of a run of `reference_epochs`."""
        if self.reference_epochs is None:
            return epoch
        return round(epoch * self.epochs / self.reference_epochs)
