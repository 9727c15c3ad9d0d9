"""Named training runs: each function returns a complete configuration that can be printed."""

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path

from ttdata.errors import InputError
from ttdata.settings import load_config, override
from tttrain.config import (
    AugmentConfig,
    ExecutionConfig,
    Milestone,
    NetworkConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)


def siamese() -> TrainConfig:
    """The paper's siamese network and training, exactly (specification 5)."""
    return TrainConfig(
        recipe="siamese",
        batch_size=10,
        network=NetworkConfig(model="siamese", clip_shape=(100, 120, 120)),
        optimizer=OptimizerConfig(
            name="sgd",
            learning_rate=0.001,
            momentum=0.5,
            momentum_milestones=(
                Milestone(epoch=1000, value=0.1),
                Milestone(epoch=1500, value=0.05),
            ),
            weight_decay=0.005,
        ),
        schedule=ScheduleConfig(epochs=2000, decay="constant"),
    )


def siamese_no_augmentation() -> TrainConfig:
    """The paper's siamese network trained on central windows only."""
    return siamese().with_changes(
        recipe="siamese_no_augmentation", augment={"spatial": False, "temporal": False}
    )


def rgb() -> TrainConfig:
    """One branch on the picture; the paper's learning rate for all but the siamese network."""
    return siamese().with_changes(
        recipe="rgb", network={"model": "rgb"}, optimizer={"learning_rate": 0.01}
    )


def flow() -> TrainConfig:
    """One branch on the optical flow."""
    return rgb().with_changes(recipe="flow", network={"model": "flow"})


def early() -> TrainConfig:
    """One branch on picture and flow stacked to five channels."""
    return rgb().with_changes(recipe="early", network={"model": "early"})


def i3d_rgb() -> TrainConfig:
    """I3D on the picture, as the paper trains it: 64 frames, learning rate reduced on plateaus."""
    return TrainConfig(
        recipe="i3d_rgb",
        batch_size=10,
        network=NetworkConfig(model="i3d_rgb", clip_shape=(64, 120, 120), dropout=0.5),
        optimizer=OptimizerConfig(
            learning_rate=0.1, momentum=0.9, momentum_milestones=(), weight_decay=1e-7
        ),
        schedule=ScheduleConfig(epochs=2000, decay="plateau"),
    )


def i3d_flow() -> TrainConfig:
    """I3D on the optical flow."""
    return i3d_rgb().with_changes(recipe="i3d_flow", network={"model": "i3d_flow"})


def demo() -> TrainConfig:
    """The siamese network on small clips in minutes; not the paper's training."""
    return TrainConfig(
        recipe="demo",
        batch_size=10,
        optimizer=OptimizerConfig(
            learning_rate=0.01,
            momentum=0.9,
            momentum_milestones=(),
            weight_decay=0.0005,
            gradient_clip=1.0,
        ),
        schedule=ScheduleConfig(epochs=14, warmup_epochs=2, decay="cosine"),
        execution=ExecutionConfig(checkpoint_minutes=0.5),
    )


def pose() -> TrainConfig:
    """The player's landmarks alone, for 100 to 1000 clips; minutes at most, without a GPU."""
    return TrainConfig(
        recipe="pose",
        batch_size=16,
        network=NetworkConfig(model="pose"),
        optimizer=OptimizerConfig(name="adamw", learning_rate=0.001, weight_decay=0.05),
        schedule=ScheduleConfig(epochs=60, warmup_epochs=3, decay="cosine"),
        augment=AugmentConfig(window_draw="uniform"),
    )


def siamese_pooled() -> TrainConfig:
    """The siamese network with a pooled head, for few clips: 9 M weights instead of 216 M."""
    return pose().with_changes(
        recipe="siamese_pooled",
        batch_size=10,
        network={"model": "siamese", "head": "pooled"},
        optimizer={"learning_rate": 0.0005, "gradient_clip": 1.0},
    )


def siamese_pose() -> TrainConfig:
    """Picture, flow and landmarks: the siamese network with a third branch and a pooled head."""
    return siamese_pooled().with_changes(recipe="siamese_pose", network={"model": "siamese_pose"})


def small() -> TrainConfig:
    """What to take with few clips: pose, classes of a kind sharing weights, smoothed labels."""
    return pose().with_changes(
        recipe="small",
        network={"head_labels": "auto"},
        optimizer={"label_smoothing": 0.1},
    )


def small_turned() -> TrainConfig:
    """As small, with landmarks in space turned to one side: for footage filmed from many places."""
    return small().with_changes(
        recipe="small_turned",
        network={"landmarks": "world"},
        augment={"rotation_degrees": 20.0, "scale": 0.2},
    )


def pose_svm() -> TrainConfig:
    """A support vector machine on landmarks in space, for up to 200 clips; fitted in seconds."""
    return TrainConfig(
        recipe="pose_svm", network=NetworkConfig(model="pose_svm", landmarks="world")
    )


def siamese_pose_turned() -> TrainConfig:
    """Picture, flow and landmarks in space, each learning alone and weighed by validation clips."""
    return small_turned().with_changes(
        recipe="siamese_pose_turned",
        network={"model": "siamese_pose", "head": "pooled", "fusion": "late"},
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "demo": demo,
    "early": early,
    "flow": flow,
    "i3d_flow": i3d_flow,
    "i3d_rgb": i3d_rgb,
    "pose": pose,
    "pose_svm": pose_svm,
    "rgb": rgb,
    "siamese": siamese,
    "siamese_no_augmentation": siamese_no_augmentation,
    "siamese_pooled": siamese_pooled,
    "siamese_pose": siamese_pose,
    "siamese_pose_turned": siamese_pose_turned,
    "small": small,
    "small_turned": small_turned,
}

JOINED = {"late": ("rgb", "flow"), "i3d_two_stream": ("i3d_rgb", "i3d_flow")}
"""Networks that are not trained but joined from two that are."""


def get(name: str) -> TrainConfig:
    """The configuration of a recipe.

    Raises:
        InputError: for a name that is no recipe, naming the nearest and those there are.
    """
    if name in JOINED:
        raise InputError(f"recipe {name!r} {_joined(name)}")
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"recipe {name!r} is unknown; expected one of {', '.join(RECIPES)}{hint}")
    return RECIPES[name]()


def _joined(name: str) -> str:
    first, second = JOINED[name]
    return (
        f"joins the networks of {first} and {second}, trained apart: "
        f"`tttrain compare --recipes {name}` trains both"
    )


def resolve(name: str | None, path: Path | None, overrides: Iterable[str]) -> TrainConfig:
    """The configuration that a command line asks for; the `siamese` recipe by default.

    Raises:
        InputError: if both a recipe and a file are named, or one of them is wrong.
    """
    if name is not None and path is not None:
        raise InputError(f"--recipe {name} and --config {path}: expected one of them")
    if path is not None:
        return load_config(TrainConfig, path, overrides)
    return override(get(name or "siamese"), overrides)


def describe(name: str | None) -> str:
    """One recipe as JSON, or a line for each."""
    if name is not None:
        return get(name).model_dump_json(indent=2)
    width = max(map(len, (*RECIPES, *JOINED)))
    lines = []
    for recipe, make in RECIPES.items():
        first = (make.__doc__ or "").splitlines()[0]
        lines.append(f"{recipe:<{width}}  {first}")
    lines += [f"{name:<{width}}  {_joined(name)}" for name in JOINED]
    return "\n".join(lines)
