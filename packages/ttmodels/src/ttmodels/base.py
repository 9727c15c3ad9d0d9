"""Base classes of the networks: what all have in common."""

from abc import ABC, abstractmethod
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ttmodels import hub, pretrained
from ttmodels.blocks import Branch
from ttmodels.card import ModelCard
from ttmodels.config import ModelConfig, OneStreamConfig
from ttmodels.inputs import check_clips
from ttmodels.model_page import model_page

# typing.Self would be shorter, but run-time type checkers want it on whole classes only.
Network = TypeVar("Network", bound="StrokeModel")


class StrokeModel(nn.Module, ABC):
    """A network from clips to one logit per stroke class.

    `forward` returns logits (cross entropy wants those, never a softmax), `predict_proba` class
    scores, `features` what the last layer reads. A loop that serves every network calls
    `model(*[batch[name] for name in model.inputs])`.

    Weights start as PyTorch initialises its layers, drawn from the global generator: call
    `torch.manual_seed(seed)` before building to repeat them bit for bit. The networks of the paper
    have neither dropout nor batch normalisation, so `train()` and `eval()` compute the same; C3D,
    LTC and I3D differ there. Clips may come in any memory format.

    Every network has two steps: `forward_features` returns the maps of the last convolution of each
    stream, `forward_head` turns them into logits. `ttmodels.grad_cam` differentiates the second.

    A network of your own defines the abstract methods and the attribute `name`, and sets `inputs`
    and `streams`; without one of the former it cannot be built.

    Attributes:
        name: name of this network in a model folder.
        inputs: names of the clips that `forward` takes, in order: "rgb", "flow".
        streams: names of the results of `forward_features`, in order.
        config: what it was built from.
        card: labels, flow scale and provenance; saved with the weights.
    """

    name: ClassVar[str]
    inputs: tuple[str, ...]
    streams: tuple[str, ...]
    config_type: ClassVar[type[ModelConfig]] = ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        if not hasattr(type(self), "name"):
            raise TypeError(
                f"{type(self).__name__} has no class attribute `name`, expected the name of the "
                "network in a model folder"
            )
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

    @classmethod
    def inputs_for(cls, config: ModelConfig) -> tuple[str, ...]:
        """Return the names of the clips that a network with this configuration takes."""
        if isinstance(config, OneStreamConfig):
            return (config.input,)
        return cls.inputs

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the logits (batch, classes) of clips, one for each of `inputs`, in that order."""

    @abstractmethod
    def features(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return what the last layer reads, (batch, features), from what `forward` takes."""

    @abstractmethod
    def forward_features(
        self, *clips: Float[Tensor, "batch _ _ _ _"]
    ) -> tuple[Float[Tensor, "batch _ _ _ _"], ...]:
        """Return the maps of the last convolution of each stream, after the last pooling.

        Args:
            *clips: what `forward` takes.

        Raises:
            ValueError: if a clip has another shape or dtype than the network takes.
        """

    @abstractmethod
    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps, one per stream."""

    def recompute_activations(self, on: bool = True) -> None:
        """Trade time for memory in training: keep one tensor per stage, compute the rest again.

        This is activation checkpointing of every convolution stage; the results stay the same.
        Networks that have no such stages ignore it.
        """
        for module in self.modules():
            if hasattr(module, "recompute"):
                setattr(module, "recompute", on)  # noqa: B010 - not every module has it

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
        cls: type[Network],
        folder: str | PathLike[str],
        device: str | torch.device = "cpu",
        *,
        revision: str | None = None,
    ) -> Network:
        """Read a network that `save_pretrained` wrote. Nothing is unpickled.

        `ttmodels.load` does the same for any kind of network.

        Args:
            folder: with `config.json` and `model.safetensors`, or the name `owner/model` of one on
                the Hugging Face hub (needs the extra `ttmodels[hub]`; a folder of that name wins).
            device: where the weights go.
            revision: branch, tag or commit on the hub, its main branch by default.

        Raises:
            ModelFileError: if the folder is missing or incomplete, damaged, written by another
                program or another version, or holds another network than this class.
        """
        stored = pretrained.read_config(hub.local_folder(folder, revision))
        return cls.from_stored(stored, device)

    def push_to_hub(
        self,
        repo_id: str,
        card: ModelCard | None = None,
        *,
        private: bool = False,
        readme: str | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes, with a model card, to the Hugging Face hub.

        The card is `README.md`, the page that the hub shows. By default it is written from what the
        weights record, and says what is to be filled in; a page that the repository has already is
        somebody's work and stays.

        Args:
            repo_id: `owner/model`; made when missing.
            card: what to record with the weights, `self.card` by default.
            private: whether a new repository is hidden from others.
            readme: a page of your own, in Markdown; it replaces the one that is there.

        Returns:
            Address of the commit.

        Raises:
            ModelFileError: if `huggingface_hub` is not installed.
            ValueError: see `save_pretrained`.
        """
        shown = card or self.card
        page = model_page(repo_id, self.name, self.config, shown, self.inputs)
        return hub.push(
            repo_id,
            lambda folder: self.save_pretrained(folder, shown),
            private,
            page if readme is None else readme,
            replace_page=readme is not None,
        )

    @classmethod
    def from_stored(
        cls: type[Network], stored: pretrained.StoredModel, device: str | torch.device = "cpu"
    ) -> Network:
        """Build the network that a model folder's configuration describes and fill in its weights.

        Args:
            stored: from `ttmodels.pretrained.read_config`.
            device: where the weights go.

        Raises:
            ModelFileError: see `from_pretrained`.
        """
        config, card = stored.check(cls.name, cls.config_type, cls.inputs_for)
        try:
            with torch.device("meta"):  # no time and memory for weights that are replaced at once
                model = cls.from_config(config)
        except (RuntimeError, OverflowError, TypeError) as error:
            raise stored.error("config", config, "one that can be built") from error
        pretrained.load_weights(model, stored, device)
        model.card = card
        return model

    def _check(self, **clips: Tensor) -> None:
        check_clips(self.config.clip_shape, next(self.parameters()).dtype, clips)


class BranchModel(StrokeModel):
    """A network whose streams are branches of SSTC, as `ttmodels.SlidingWindows` needs them."""

    @abstractmethod
    def branches(self) -> tuple[Branch, ...]:
        """Return the branches, one per stream."""

    def branch_clips(
        self, *clips: Float[Tensor, "batch _ time height width"]
    ) -> tuple[Float[Tensor, "batch _ time height width"], ...]:
        """Return the clip of each branch, from the clips that `forward` takes."""
        return clips

    def forward_features(
        self, *clips: Float[Tensor, "batch _ _ _ _"]
    ) -> tuple[Float[Tensor, "batch _ _ _ _"], ...]:
        """Return the last maps of each branch; see `StrokeModel.forward_features`."""
        self._check(**dict(zip(self.inputs, clips, strict=True)))
        pairs = zip(self.branches(), self.branch_clips(*clips), strict=True)
        return tuple(branch.forward_convs(clip) for branch, clip in pairs)
