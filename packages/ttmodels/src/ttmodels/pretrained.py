"""Model folders: `config.json` beside `model.safetensors`. Nothing is ever unpickled.

`config.json` holds

    format          "ttmodels"
    schema_version  1; another one is refused
    model           name of the network: "sstc", "rgb", "i3d", ...
    config          what it is built from: num_classes, clip_shape (time, height, width), ...
    inputs          per input its channels and the range of its values
    labels          class names in the order of the logits; [] if unknown
    flow_scale_px   (x, y) pixels per frame that divide the flow; null if unknown
    provenance      anything the author of the weights recorded
    weights_sha256  of `model.safetensors`: a damaged file, or two files of different saves, show
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ttmodels.card import ModelCard
from ttmodels.config import NetworkConfig
from ttmodels.errors import ModelFileError
from ttmodels.inputs import input_named

FORMAT = "ttmodels"
SCHEMA_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
LEFTOVER_SECONDS = 24 * 3600

Config = TypeVar("Config", bound=NetworkConfig)


def write(
    folder: Path,
    network: nn.Module,
    name: str,
    config: NetworkConfig,
    card: ModelCard,
    inputs: Sequence[str],
) -> None:
    """Write a model folder; both files are complete on disk before either gets its name.

    Raises:
        ValueError: if the labels are not one per class, or the weights are on the meta device.
    """
    from safetensors.torch import save_file  # costs time to import

    _check_label_count(card, config)
    tensors = _tensors(network)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    with _renamed(folder / CONFIG_FILE) as config_path, _renamed(folder / WEIGHTS_FILE) as weights:
        save_file(tensors, weights)
        config_path.touch()
        weights.chmod(config_path.stat().st_mode)  # safetensors hides its files from the group
        values = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "model": name,
            "config": config.stored(),
            "inputs": _input_facts(inputs),
            **asdict(card),
            "weights_sha256": _sha256(weights),
        }
        text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
        config_path.write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class StoredModel:
    """A model folder whose `config.json` was read; its weights were not yet.

    Args:
        folder: the model folder.
        values: the content of `config.json`.
    """

    folder: Path
    values: dict[str, Any]

    @property
    def model(self) -> str:
        """Name of the network the folder holds."""
        return str(self.values.get("model"))

    def error(self, key: str, found: object, expected: str) -> ModelFileError:
        """Return an error about one entry of `config.json`."""
        path = self.folder / CONFIG_FILE
        return ModelFileError(f"{path}: {key} is {found!r}, expected {expected}")

    def check(
        self,
        name: str,
        config_type: type[Config],
        inputs_for: Callable[[Config], Sequence[str]],
    ) -> tuple[Config, ModelCard]:
        """Return configuration and card, if this folder holds the named network.

        Raises:
            ModelFileError: if it holds another, or an entry is missing or wrong.
        """
        if self.model != name:
            raise self.error("model", self.model, f"{name!r} (ttmodels.load reads any network)")
        try:
            config = config_type(**self._mapping("config"))
            card = ModelCard(
                self.values.get("labels", ()),
                self.values.get("flow_scale_px"),
                self._mapping("provenance"),
            )
            _check_label_count(card, config)
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{self.folder / CONFIG_FILE}: {error}") from error
        inputs = _input_facts(inputs_for(config))
        if self.values.get("inputs") != inputs:
            raise self.error("inputs", self.values.get("inputs"), str(inputs))
        return config, card

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise ValueError(f"{key} is {value!r}, expected a mapping")
        return value


def read_config(folder: Path) -> StoredModel:
    """Read `config.json` of a model folder.

    Raises:
        ModelFileError: if it is missing, no JSON, of another program or schema version.
    """
    path = folder / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}, expected a model folder") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: damaged, not JSON ({error})") from error
    stored = StoredModel(folder, values if isinstance(values, dict) else {})
    if stored.values.get("format") != FORMAT:
        raise stored.error("format", stored.values.get("format"), repr(FORMAT))
    version = stored.values.get("schema_version")
    if version != SCHEMA_VERSION:
        raise stored.error("schema_version", version, f"{SCHEMA_VERSION}, which this release reads")
    return stored


def load_weights(network: nn.Module, stored: StoredModel, device: str | torch.device) -> None:
    """Load the weights of a model folder into a network built from its configuration.

    Args:
        network: typically on the meta device; its tensors are replaced, not written into.
        stored: from `read_config`.
        device: where the weights go.

    Raises:
        ModelFileError: if the file is missing, damaged, of another save, or holds other tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = stored.folder / WEIGHTS_FILE
    try:
        found, expected = _sha256(path), stored.values.get("weights_sha256")
        if found != expected:
            raise ModelFileError(
                f"{path}: sha256 is {found}, expected {expected} as in {CONFIG_FILE}: "
                "the file is damaged, or a save was interrupted"
            )
        tensors = load_file(path, device=str(device))
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}, expected the weights") from error
    except SafetensorError as error:
        raise ModelFileError(f"{path}: damaged, not safetensors ({error})") from error
    _check_tensors(path, tensors, network.state_dict())
    network.load_state_dict(tensors, assign=True)


def _check_tensors(path: Path, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    if found.keys() != expected.keys():
        missing, surplus = sorted(expected.keys() - found), sorted(found.keys() - expected)
        raise ModelFileError(f"{path}: weights are missing {missing} and surplus {surplus}")
    for name, tensor in found.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape:
            raise ModelFileError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, expected {tuple(wanted.shape)}"
            )
        if tensor.is_floating_point() != wanted.is_floating_point():
            raise ModelFileError(f"{path}: {name} is {tensor.dtype}, expected {wanted.dtype}")


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the state on the CPU and in row-major order, as safetensors requires."""
    tensors = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    on_meta = [name for name, tensor in tensors.items() if tensor.is_meta]
    if on_meta:
        raise ValueError(f"{on_meta[0]} is on the meta device, expected weights with values")
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _check_label_count(card: ModelCard, config: NetworkConfig) -> None:
    if card.labels and len(card.labels) != config.num_classes:
        raise ValueError(
            f"there are {len(card.labels)} labels, expected {config.num_classes}, one per class"
        )


def _input_facts(inputs: Sequence[str]) -> dict[str, Any]:
    found = {name: input_named(name) for name in inputs}
    return {
        name: {"channels": item.channels, "range": [item.low, item.high]}
        for name, item in found.items()
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _remove_leftovers(folder: Path) -> None:
    """Delete temporary files of saves that were killed; younger ones may belong to a live save."""
    oldest = time.time() - LEFTOVER_SECONDS
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        for path in folder.glob(f".{name}.*.tmp"):
            # another save may be cleaning up too
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


@contextmanager
def _renamed(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside the target that gets the target's name if all goes well."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
