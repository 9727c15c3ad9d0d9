"""Base classes of the networks: what all have in common."""

from abc import abstractmethod
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ttmodels.blocks import Branch
from ttmodels.config import ModelConfig, NetworkConfig, OneStreamConfig
from ttmodels.inputs import check_clips, input_shape
from ttmodels.stored_network import StoredNetwork


class StrokeModel(StoredNetwork):
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
        inputs: names of the clips that `forward` takes, in order: "rgb", "flow", "pose".
        streams: names of the results of `forward_features`, in order.
        config: what it was built from.
        card: labels, flow scale and provenance; saved with the weights.
    """

    streams: tuple[str, ...]
    config: ModelConfig
    config_type: ClassVar[type[ModelConfig]] = ModelConfig

    @classmethod
    def inputs_for(cls, config: NetworkConfig) -> tuple[str, ...]:
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

    def fuse_poolings(self, on: bool = True) -> None:
        """On a GPU, compute the stages with kernels of our own; see `ttmodels.gpu.stages`.

        In float32 the values stay the same, and the gradients of the biases are summed in float32;
        in half precision the sums of the convolutions have another order. On a CPU, and in networks
        that have no such stages, nothing changes.

        Raises:
            ValueError: if Triton is not installed.
        """
        if on and find_spec("triton") is None:
            raise ValueError("kernels for stages need triton: pip install 'ttmodels[gpu]'")
        for module in self.modules():
            if hasattr(module, "fused"):
                setattr(module, "fused", on)  # noqa: B010 - not every module has it

    def predict_proba(
        self, *clips: Float[Tensor, "batch _ time ..."]
    ) -> Float[Tensor, "batch classes"]:
        """Return the class scores: the softmax of the logits, each row adds up to 1.

        Args:
            *clips: what `forward` takes. Gradients are kept; use `torch.inference_mode()` where
                none are needed.
        """
        return torch.softmax(self(*clips), dim=1)

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return a batch of two clips, or poses, of zeros per input."""
        weight = next(self.parameters())
        shapes = [input_shape(name, self.config.clip_shape) for name in self.inputs]
        return tuple(weight.new_zeros(2, *shape) for shape in shapes)

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
