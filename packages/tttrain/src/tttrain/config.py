"""Every number that shapes a training run, in one frozen configuration (specification 5).

The sections say what is trained (`network`), how (`optimizer`, `schedule`, `augment`), and on what
it is computed (`execution`, which does not decide the result).
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ttdata.settings import FrozenModel
from tttrain.flat_keys import FLAT_KEYS, flat_keys_in, short_hash, without_additions


class NetworkConfig(FrozenModel):
    """Which network is trained, on clips of which shape."""

    model: Literal["siamese", "rgb", "flow", "early", "i3d_rgb", "i3d_flow"] = Field(
        default="siamese", description="This network is trained."
    )
    fusion: Literal["concat", "bilinear"] = Field(
        default="concat", description="The siamese network joins its two branches in this way."
    )
    first_pool: bool = Field(
        default=False,
        description="I3D has its first max pooling, which is meant for pictures of 224 x 224.",
    )
    dropout: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="I3D drops this share of its features; the other networks have no dropout.",
    )
    clip_shape: tuple[int, int, int] | None = Field(
        default=None,
        description="The network sees this many frames T of H x W pixels; null takes the window "
        "and the crop that the shards were extracted for.",
    )

    @field_validator("clip_shape")
    @classmethod
    def _large_enough(cls, value: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
        if value is not None and min(value) < 8:
            raise ValueError(f"clip_shape needs at least 8 on each axis, found {value}")
        return value


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


class AugmentConfig(FrozenModel):
    """How training clips are varied (specification 3.2, 3.4, 3.6); one draw per clip and epoch."""

    spatial: bool = Field(
        default=True, description="The crop of a training clip is rotated, shifted and scaled."
    )
    temporal: bool = Field(
        default=True, description="The window's start is drawn inside the stroke."
    )
    window_draw: Literal["normal", "uniform"] = Field(
        default="normal",
        description="The start follows a normal distribution round the central window, as in the "
        "paper, or is uniform over all windows inside the stroke; only for temporal=true.",
    )
    straddling_share: float = Field(
        default=0.0, ge=0, le=10, description="Negatives at strokes' bounds per training clip."
    )
    rest_share: float = Field(
        default=0.0, ge=0, le=10, description="Negatives between strokes per training clip."
    )
    rotation_degrees: float = Field(
        default=10.0, ge=0, le=180, description="The largest rotation, either way."
    )
    translation: float = Field(
        default=0.1, ge=0, le=1, description="The largest shift, as a share of the crop's side."
    )
    scale: float = Field(
        default=0.1, ge=0, lt=1, description="The largest departure of the scale from 1."
    )
    mirror: bool = Field(default=False, description="Half of the clips are flipped left to right.")


class ExecutionConfig(FrozenModel):
    """How a run is computed; another value gives the same result, to rounding."""

    num_workers: int = Field(
        default=1, ge=1, description="This many Ray Train workers share every batch."
    )
    min_workers: int | None = Field(
        default=None,
        ge=1,
        description="Training starts and goes on with as many workers as there is room for, at "
        "least this many; null waits for all of num_workers.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Workers compute on this device; auto takes a GPU each where there are enough.",
    )
    torch_threads: int | None = Field(
        default=None,
        ge=1,
        description="The threads of a worker; null divides the cores of its machine (at most "
        "OMP_NUM_THREADS of the command) by the workers there.",
    )
    data_path: Literal["auto", "stream", "resident"] = Field(
        default="auto",
        description="stream decodes the clips in every epoch; resident keeps them decoded in "
        "memory; auto is resident where they fit into resident_max_gib.",
    )
    resident_max_gib: float | None = Field(
        default=None,
        ge=0,
        description="The most GiB of decoded clips that a worker keeps when data_path is auto; "
        "null takes half of the memory of its machine divided by the workers there.",
    )
    checkpoint_minutes: float = Field(
        default=10.0,
        ge=0,
        description="A checkpoint is written this often; 0 writes one after every epoch.",
    )

    @model_validator(mode="after")
    def _no_more_than_all(self) -> "ExecutionConfig":
        if self.min_workers is not None and self.min_workers > self.num_workers:
            raise ValueError(
                f"min_workers must be at most num_workers ({self.num_workers}), "
                f"found {self.min_workers}"
            )
        return self


class TrainConfig(FrozenModel):
    """A complete training run; a recipe is a function that returns one."""

    moved_keys: ClassVar[dict[str, str]] = FLAT_KEYS

    recipe: str = Field(default="custom", description="The name under which the run is listed.")
    batch_size: int = Field(
        default=10, ge=1, description="A step sees this many clips, over all workers together."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Networks compute in this precision (bfloat16: mixed, by autocast); auto takes "
        "bfloat16 on GPUs, float32 elsewhere.",
    )
    seed: int = Field(
        default=0, ge=0, description="The first weights and every random draw follow from it."
    )
    network: NetworkConfig = Field(
        default=NetworkConfig(), description="Which network is trained, on clips of which shape."
    )
    optimizer: OptimizerConfig = Field(
        default=OptimizerConfig(), description="How a step follows from a gradient."
    )
    schedule: ScheduleConfig = Field(
        default=ScheduleConfig(), description="How long training lasts, and its learning rates."
    )
    augment: AugmentConfig = Field(
        default=AugmentConfig(), description="How training clips are varied."
    )
    execution: ExecutionConfig = Field(
        default=ExecutionConfig(),
        description="How the run is computed; may change when a run is continued.",
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_flat_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and (found := flat_keys_in(values)):
            raise ValueError("; ".join(f"{key} is now {FLAT_KEYS[key]}" for key in found))
        return values

    @property
    def base_learning_rate(self) -> float:
        """The learning rate before any decay, for this batch size."""
        reference = self.optimizer.reference_batch_size
        factor = 1.0 if reference is None else self.batch_size / reference
        return self.optimizer.learning_rate * factor

    def with_changes(self, **changes: Any) -> "TrainConfig":
        """A copy with these values; a dict changes the named values of its section.

        >>> TrainConfig().with_changes(seed=1, schedule={"epochs": 3}).schedule.epochs
        3
        """
        values = self.model_dump()
        for key, value in changes.items():
            values[key] = values.get(key, {}) | value if isinstance(value, dict) else value
        return TrainConfig.model_validate(values)

    def result_values(self) -> dict[str, Any]:
        """The values that decide the result, without those that only say how it is computed."""
        return self.model_dump(mode="json", exclude={"execution"})

    def result_hash(self) -> str:
        """Twelve hexadecimal digits that change when a value changes that decides the result."""
        return short_hash(without_additions(self.result_values()))
