"""RAFT as an estimator: torchvision's network with weights that the user brings.

Source: Teed and Deng 2020; the network is torchvision's, `raft_large` or `raft_small`.
"""

import hashlib
import io
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ttdata.errors import InputError

WEIGHTS_VARIABLE = "TTFLOW_RAFT_WEIGHTS"
_MULTIPLE = 8
_SMALLEST_SIDE = 128
"""Below this the network's correlation pyramid runs out of pixels."""


class Raft:
    """A RAFT network as an estimator. It takes no guess: `initial_flow` is not looked at."""

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        """Take a network that maps two images in [-1, 1] to a list of ever better flows."""
        self.device = torch.device(device)
        self.batch_size = 1 if self.device.type == "cpu" else 16
        self._network = network.eval().to(self.device)

    @torch.no_grad()
    def __call__(
        self,
        first: UInt8[Tensor, "batch 3 height width"],
        second: UInt8[Tensor, "batch 3 height width"],
        initial_flow: Float[Tensor, "batch 2 height width"] | None = None,
    ) -> Float[Tensor, "batch 2 height width"]:
        """The network's last flow, px per frame, on the network's device."""
        images = (image.to(self.device).float() / 127.5 - 1 for image in (first, second))
        flows = self._network(*(pad(image) for image in images))
        return unpad(flows[-1], first.shape[-2], first.shape[-1])


def pad(image: Float[Tensor, "batch channel height width"]) -> Tensor:
    """Repeat the border on all sides, up to multiples of 8 of at least 128 px; see `unpad`."""
    top, bottom = _margins(image.shape[-2])
    left, right = _margins(image.shape[-1])
    return F.pad(image, (left, right, top, bottom), mode="replicate")


def unpad(padded: Tensor, height: int, width: int) -> Tensor:
    """Cut out what `pad` had padded to this: its inverse."""
    top, left = _margins(height)[0], _margins(width)[0]
    return padded[..., top : top + height, left : left + width]


def _margins(size: int) -> tuple[int, int]:
    """Pixels to add before and after.

    >>> _margins(180), _margins(320), _margins(100)
    ((2, 2), (0, 0), (14, 14))
    """
    missing = max(-(-size // _MULTIPLE) * _MULTIPLE, _SMALLEST_SIDE) - size
    return missing // 2, missing - missing // 2


@dataclass(frozen=True)
class Weights:
    """A file of weights in memory, known by the hash of its bytes: shards are keyed by it."""

    path: Path = field(compare=False)
    """Where it was read, for messages; another machine need not have it."""
    content: bytes = field(compare=False, repr=False)
    sha256: str


def read_weights(weights: str | Path | None = None, sha256: str | None = None) -> Weights:
    """The file of weights, or the one that TTFLOW_RAFT_WEIGHTS names.

    Args:
        weights: the file.
        sha256: what its hash must be; None: any.

    Raises:
        InputError: if no file is named, or it is missing or another one.
    """
    named = weights or os.environ.get(WEIGHTS_VARIABLE)
    if not named:
        raise InputError(
            "estimator 'raft' needs weights: create('raft', weights=FILE), or "
            f"{WEIGHTS_VARIABLE}=FILE, with a .pth or .safetensors of torchvision's RAFT"
        )
    path = Path(named)
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected weights of RAFT")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, found):
        raise InputError(
            f"{path}: weights of RAFT with SHA-256 {found[:16]}..., expected "
            f"{str(sha256)[:16]}...; name the file that the shards were made with in "
            f"{WEIGHTS_VARIABLE}, or extract into another folder"
        )
    return Weights(path, content, found)


def load(weights: str | Path | Weights | None = None) -> nn.Module:
    """The network of torchvision with these weights, or those that TTFLOW_RAFT_WEIGHTS names.

    Nothing is unpickled but tensors. The weights say whether the network is small or large.

    Raises:
        InputError: if torchvision or the file is missing, or the file holds something else.
    """
    if find_spec("torchvision") is None:
        raise InputError("estimator 'raft' needs torchvision: pip install 'ttflow[raft]'")
    file = weights if isinstance(weights, Weights) else read_weights(weights)
    return network(tensors(file), file.path)


def network(state: dict[str, Tensor], path: Path) -> nn.Module:
    """A RAFT of torchvision with these tensors, which were read from a file of this path."""
    from torchvision.models.optical_flow import raft_large, raft_small

    large = any(name.startswith("mask_predictor.") for name in state)
    made: nn.Module = (raft_large if large else raft_small)(weights=None)
    try:
        made.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path}: no weights of torchvision's RAFT: {_line(error)}") from error
    return made


def tensors(weights: Weights) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file, or from any other that torch.save wrote.

    Raises:
        InputError: if the file holds anything but tensors.
    """
    path = weights.path
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load as read_safetensors

            return dict(read_safetensors(weights.content))
        state = torch.load(io.BytesIO(weights.content), map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and safetensors each raise their own
        raise InputError(f"{path}: cannot be read as weights: {_line(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise InputError(f"{path}: holds {type(state).__name__}, expected a dict of tensors")
    return state


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
