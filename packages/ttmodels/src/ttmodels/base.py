"""The face all networks share."""

from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ttmodels import pretrained
from ttmodels.blocks import check_clips
from ttmodels.card import ModelCard
from ttmodels.config import ModelConfig

# typing.Self would be shorter, but run-time type checkers want it on whole classes only.
Network = TypeVar("Network", bound="StrokeModel")


class StrokeModel(nn.Module):
    """A network from clips to one logit per stroke class.

    `forward` returns logits (cross entropy wants those, never a softmax), `predict_proba` class
    scores, `features` what the last layer reads. A loop that serves every network calls
    `model(*[batch[name] for name in model.inputs])`.

    Weights start as PyTorch initialises its layers, drawn from the global generator: call
    `torch.manual_seed(seed)` before building to repeat them bit for bit. There is neither dropout
    nor batch normalisation, so `train()` and `eval()` compute the same. Clips may come in
    `torch.channels_last_3d` as well, which is faster on CPUs.

    Attributes:
        name: what a model folder calls this network.
        inputs: names of the arguments of `forward`, in order: "rgb", "flow".
        config: what it was built from.
        card: labels, flow scale and provenance; saved with the weights.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    config_type: ClassVar[type[ModelConfig]] = ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.card = ModelCard()

    @classmethod
    def from_config(cls: type[Network], config: ModelConfig) -> Network:
        """Build a network from its configuration."""
        if type(config) is not cls.config_type:
            raise ValueError(
                f"config is a {type(config).__name__}, expected {cls.config_type.__name__}"
            )
        return cls(**asdict(config))

    def predict_proba(
        self, *clips: Float[Tensor, "batch _ time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the class scores: the softmax of the logits, each row adds up to 1.

        Args:
            *clips: what `forward` takes. Gradients are kept; use `torch.inference_mode()` where
                none are needed.
        """
        return torch.softmax(self(*clips), dim=1)

    def save_pretrained(self, folder: str | PathLike[str], card: ModelCard | None = None) -> None:
        """Write `model.safetensors` and `config.json` into a folder, each of them atomically.

        Args:
            folder: made when missing; an older model in it is replaced.
            card: what to record with the weights, `self.card` by default.

        Raises:
            ValueError: if the card's labels are not one per class, or the weights are not there
                (built on the meta device).
        """
        pretrained.write(Path(folder), self, self.name, self.config, card or self.card, self.inputs)

    @classmethod
    def from_pretrained(
        cls: type[Network], folder: str | PathLike[str], device: str | torch.device = "cpu"
    ) -> Network:
        """Read a network that `save_pretrained` wrote. Nothing is unpickled.

        `ttmodels.load` does the same for any kind of network.

        Args:
            folder: with `config.json` and `model.safetensors`.
            device: where the weights go.

        Raises:
            ModelFileError: if the folder is missing or incomplete, damaged, written by another
                program or another version, or holds another network than this class.
        """
        stored = pretrained.read_config(Path(folder))
        return cls.from_stored(stored, device)

    @classmethod
    def from_stored(
        cls: type[Network], stored: pretrained.Stored, device: str | torch.device = "cpu"
    ) -> Network:
        """Build the network that a model folder's configuration describes and fill in its weights.

        Args:
            stored: from `ttmodels.pretrained.read_config`.
            device: where the weights go.

        Raises:
            ModelFileError: see `from_pretrained`.
        """
        config, card = stored.check(cls.name, cls.config_type, cls.inputs)
        try:
            with torch.device("meta"):  # no time and memory for weights that are replaced at once
                model = cls.from_config(config)
        except (RuntimeError, OverflowError, TypeError) as error:
            raise stored.error("config", config, "one that can be built") from error
        pretrained.fill(model, stored, device)
        model.card = card
        return model

    def _check(self, **clips: Tensor) -> None:
        check_clips(self.config.clip_shape, next(self.parameters()).dtype, clips)
