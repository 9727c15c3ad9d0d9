"""Every number that shapes a training run, in one frozen configuration (specification 5).

The sections say what is trained (`network`), how (`optimizer`, `schedule`, `augment`), and on what
it is computed (`execution`, which does not decide the result).
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ttdata.settings import FrozenModel
from tttrain.flat_keys import FLAT_KEYS, flat_keys_in, short_hash, without_additions
from tttrain.optimisation import Milestone, OptimizerConfig, ScheduleConfig

__all__ = [
    "AugmentConfig",
    "ExecutionConfig",
    "Milestone",
    "NetworkConfig",
    "OptimizerConfig",
    "ScheduleConfig",
    "TrainConfig",
]


BRANCHED = ("siamese", "siamese_pose", "rgb", "flow", "early")
"""Networks of branches, which take either head."""


class NetworkConfig(FrozenModel):
    """Which network is trained, on clips of which shape."""

    model: Literal[
        "siamese", "rgb", "flow", "early", "i3d_rgb", "i3d_flow", "pose", "siamese_pose", "pose_svm"
    ] = Field(
        default="siamese",
        description="This network is trained; pose_svm, a support vector machine on landmarks in "
        "space, is fitted, by no other setting of this file.",
    )
    fusion: Literal["concat", "bilinear", "late"] = Field(
        default="concat",
        description="The siamese network joins its two branches in this way (concat, bilinear). "
        "With late, of siamese_pose only, each branch learns by a loss of its own; their logits "
        "are added, weighed by what each is worth on validation clips.",
    )
    head: Literal["flat", "pooled"] = Field(
        default="flat",
        description="The branches of siamese, siamese_pose, rgb, flow and early read their last "
        "maps place by place (flat, the paper's) or as spatial means (pooled, for few clips).",
    )
    pool_fields: Literal[3, 1] = Field(
        default=3,
        description="The means of a pooled head are over 3 x 3 fields of the picture, or over "
        "all of it (1).",
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
    head_labels: Literal["classes", "levels", "auto"] = Field(
        default="classes",
        description="levels trains the weights of a class as a sum over its levels (type, hand, "
        "technique) and itself, which classes of the same level share; the model is the same kind. "
        "auto does so where the taxonomy names levels.",
    )

    landmarks: Literal["picture", "world"] = Field(
        default="picture",
        description="pose and siamese_pose read the landmarks in the picture (x, y, visibility), "
        "or those in space (world: x, y, z), turned so that it does not matter from where a stroke "
        "was filmed.",
    )

    @field_validator("clip_shape")
    @classmethod
    def _large_enough(cls, value: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
        if value is not None and min(value) < 8:
            raise ValueError(f"clip_shape needs at least 8 on each axis, found {value}")
        return value

    @model_validator(mode="after")
    def _has_this_head(self) -> "NetworkConfig":
        if self.head == "pooled" and self.model not in BRANCHED:
            raise ValueError(
                f"head is pooled, and model {self.model} has no such head; expected one of "
                f"{', '.join(BRANCHED)}, or head=flat"
            )
        if self.head == "flat" and self.pool_fields != 3:
            raise ValueError(
                f"pool_fields is {self.pool_fields}, and head flat pools nothing; expected "
                "head=pooled, or pool_fields=3"
            )
        return self

    @model_validator(mode="after")
    def _reads_these_landmarks(self) -> "NetworkConfig":
        if self.landmarks == "world" and not self.reads_pose:
            raise ValueError(
                f"landmarks is world, which model {self.model} does not read; expected model=pose "
                "or siamese_pose, or landmarks=picture"
            )
        return self

    @model_validator(mode="after")
    def _has_branches_to_weigh(self) -> "NetworkConfig":
        if self.fusion == "late" and self.model != "siamese_pose":
            raise ValueError(
                f"fusion is late, and model {self.model} has no branches to weigh; expected "
                "model=siamese_pose, or fusion=concat"
            )
        return self

    @property
    def reads_pixels(self) -> bool:
        """Whether the network takes the picture or its flow."""
        return self.model not in ("pose", "pose_svm")

    @property
    def reads_pose(self) -> bool:
        """Whether the network takes the landmarks of the player."""
        return self.model in ("pose", "siamese_pose", "pose_svm")


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
    mirror: bool = Field(
        default=False,
        description="Half of the clips are flipped left to right, with the labels that name a side "
        "exchanged; only for spatial=true.",
    )


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
    gpu_kernels: bool | None = Field(
        default=None,
        description="On a GPU, crops are cut and the stages of a network computed by kernels of "
        "our own; null: where Triton is installed and the GPU computes in bfloat16.",
    )
    step_graph: bool = Field(
        default=False,
        description="On a GPU a step is launched as one CUDA graph; with one worker only.",
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
