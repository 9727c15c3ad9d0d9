"""Weights that a run begins with, taken from another network layer by layer (specification 5.1)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ttdata.errors import InputError
from ttmodels import ModelFileError, PoseNet, StrokeModel, ThreeStreams, load
from ttmodels.pretrained import read_config
from tttrain.run import InitInfo, Run
from tttrain.training.weights.level_head import class_layer

_OPTION = "--init"


def model_folder(source: Path) -> Path:
    """The model folder that a path means: a run's, or the path itself."""
    run = Run(source.absolute())
    return run.model_folder if run.exists() else run.folder


def plan(source: Path, model: StrokeModel, classes: Sequence[str]) -> InitInfo:
    """Which layers of a network begin with the weights of another.

    Those whose tensors have the same names and shapes there; the class head (the last layer) only
    where the classes are the same, in the same order; of networks on landmarks the first layer only
    where both read those in the picture or both those in space.

    Args:
        source: a finished run, or a model folder.
        model: to be trained; may be on the meta device.
        classes: of its logits.

    Raises:
        InputError: if the source holds no readable network, or no layer fits.
    """
    folder = model_folder(source)
    stored, sha256 = _load(folder)
    reasons = _reasons(_layers(model), _layers(stored))
    reasons |= _other_landmarks(model, stored)
    head = class_layer(model)
    if reasons[head] is None and stored.card.labels != tuple(classes):
        reasons[head] = "other classes"
    taken = tuple(name for name, reason in reasons.items() if reason is None)
    if not taken:
        first, reason = next(iter(reasons.items()))
        raise InputError(
            f"{_OPTION} {folder}: no layer of its network ({stored.name}) fits the one to be "
            f"trained ({model.name}), expected some of the same name and shape; {first}: {reason}"
        )
    fresh = {name: reason for name, reason in reasons.items() if reason is not None}
    return InitInfo(source=str(folder), weights_sha256=sha256, taken=taken, fresh=fresh)


def same(source: Path, init: InitInfo) -> bool:
    """Whether a source names the weights that a run began with.

    Where it is gone by now, its path decides: a run that has a checkpoint needs it no more.
    """
    run = Run(source.absolute())
    # A run that is gone cannot tell that it was one: its model folder stands in `run.json`.
    named = run.folder, run.model_folder
    if not Path(init.source).is_dir() and init.source in map(str, named):
        return True
    return _sha256(model_folder(source)) == init.weights_sha256


def begin(model: StrokeModel, init: InitInfo) -> None:
    """Fill the layers that `plan` took with their weights.

    Raises:
        InputError: if the source is gone, or holds other weights than when the run began.
    """
    stored, sha256 = _load(Path(init.source))
    if sha256 != init.weights_sha256:
        raise InputError(
            f"{_OPTION} {init.source}: the weights' sha256 is {sha256}, expected "
            f"{init.weights_sha256}, with which the run began; take another --out"
        )
    found = _layers(stored)
    chosen = {key: value for name in init.taken for key, value in found[name].items()}
    model.load_state_dict(chosen, strict=False)


def told(init: InitInfo) -> str:
    """What begins with whose weights, in a line."""
    fresh = ", ".join(f"{name} ({reason})" for name, reason in init.fresh.items()) or "none"
    return f"weights of {init.source} for {', '.join(init.taken)}; at random: {fresh}"


def _load(folder: Path) -> tuple[StrokeModel, str]:
    sha256 = _sha256(folder)
    try:
        return load(folder), sha256
    except ModelFileError as error:
        raise InputError(f"{_OPTION} {error}") from error


def _sha256(folder: Path) -> str:
    """What `config.json` says of the weights."""
    try:
        return str(read_config(folder).values.get("weights_sha256"))
    except ModelFileError as error:
        raise InputError(
            f"{_OPTION} {error}; name a run that is finished, or a model folder"
        ) from error


def _layers(model: torch.nn.Module) -> dict[str, dict[str, Tensor]]:
    """Parameters and statistics, by the name of their layer."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in model.state_dict().items():
        found.setdefault(key.rpartition(".")[0], {})[key] = value
    return found


def _other_landmarks(model: StrokeModel, stored: StrokeModel) -> dict[str, str | None]:
    """The first layer of a pose branch, whose shape does not say which landmarks it reads."""
    kinds = PoseNet | ThreeStreams
    if not (isinstance(model, kinds) and isinstance(stored, kinds) and model.name == stored.name):
        return {}
    if model.landmarks == stored.landmarks:
        return {}
    layer = "branch.conv1" if isinstance(model, PoseNet) else "pose_branch.conv1"
    return {layer: f"reads landmarks {stored.landmarks!r}, expected {model.landmarks!r}"}


def _reasons(
    wanted: Mapping[str, Mapping[str, Tensor]], found: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, str | None]:
    """By layer, why it cannot be taken; None where it can."""
    reasons: dict[str, str | None] = {}
    for name, tensors in wanted.items():
        others = found.get(name, {})
        reasons[name] = None if tensors.keys() == others.keys() else "no such layer"
        for key, value in tensors.items():
            if key in others and others[key].shape != value.shape:
                shapes = [list(tensor.shape) for tensor in (others[key], value)]
                reasons[name] = f"{key} has shape {shapes[0]}, expected {shapes[1]}"
                break
    return reasons
