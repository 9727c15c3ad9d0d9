"""What every network with a model folder has: its settings, saving, loading, examples of inputs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ttmodels import hub, pretrained
from ttmodels.card import ModelCard
from ttmodels.config import NetworkConfig
from ttmodels.model_page import model_page

# typing.Self would be shorter, but run-time type checkers want it on whole classes only.
Network = TypeVar("Network", bound="StoredNetwork")


class StoredNetwork(nn.Module, ABC):
    """A network that is saved as a model folder and exported to other runtimes.

    Attributes:
        name: name of this network in a model folder.
        inputs: names of what `forward` takes, in order.
        outputs: names of what `forward` returns, in order.
        open_axes: of every input, those whose length an exported network leaves open.
        config: what it was built from.
        card: labels, flow scale and provenance; saved with the weights.
    """

    name: ClassVar[str]
    inputs: tuple[str, ...]
    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    open_axes: ClassVar[tuple[int, ...]] = (0,)
    config: NetworkConfig
    config_type: ClassVar[type[NetworkConfig]]

    def __init__(self, config: NetworkConfig) -> None:
        if not hasattr(type(self), "name"):
            raise TypeError(
                f"{type(self).__name__} has no class attribute `name`, expected the name of the "
                "network in a model folder"
            )
        super().__init__()
        self.config = config
        self.card = ModelCard()

    @abstractmethod
    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return one value per input, with open axes longer than 1, which would be a constant."""

    @classmethod
    @abstractmethod
    def inputs_for(cls, config: NetworkConfig) -> Sequence[str]:
        """Return the names of the clips that a network with this configuration takes."""

    @classmethod
    def from_config(cls: type[Network], config: NetworkConfig) -> Network:
        """Build a network from its configuration."""
        if type(config) is not cls.config_type:
            raise ValueError(
                f"config is a {type(config).__name__}, expected {cls.config_type.__name__}"
            )
        return cls(**config.stored())

    def save_pretrained(self, folder: str | PathLike[str], card: ModelCard | None = None) -> None:
        """Write `model.safetensors` and `config.json` into a folder, each of them atomically.

        Args:
            folder: made when missing; an older model in it is replaced.
            card: what to record with the weights, `self.card` by default.

        Raises:
            ValueError: if the card's labels are not one per class, or the weights are not there
                (built on the meta device).
        """
        clips = self.inputs_for(self.config)
        pretrained.write(Path(folder), self, self.name, self.config, card or self.card, clips)

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
