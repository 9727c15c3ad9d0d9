"""Dense optical flow behind one small interface; each further method is one more file.

An estimator maps two batches of uint8 RGB frames (B, 3, H, W) to float32 (B, 2, H, W): the
displacement from the first to the second, in pixels; channel 0 is x (right), 1 is y (down).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ttdata.errors import InputError
from ttflow.estimator_names import canonical_name

if TYPE_CHECKING:
    from ttflow.flow.raft import Weights

Frames = UInt8[Tensor, "batch 3 height width"]
Flow = Float[Tensor, "batch 2 height width"]


@runtime_checkable
class Estimator(Protocol):
    """Computes flow for a batch of frame pairs."""

    batch_size: int
    """How many pairs a call should get for good speed."""

    def __call__(self, first: Frames, second: Frames, initial_flow: Flow | None = None) -> Flow:
        """Flow from `first` to `second`, optionally starting from a guess."""


_DIS_PRESETS = {
    "dis-ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "dis-fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "dis-medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


def create(
    name: str, device: str = "cpu", *, weights: "str | Path | Weights | None" = None
) -> Estimator:
    """The estimator of this name.

    Args:
        name: one of `estimator_names.NAMES`.
        device: where it computes, if it can choose; OpenCV's always use the CPU.
        weights: file of weights, for `raft` only; else the variable TTFLOW_RAFT_WEIGHTS names it.
            Also such a file in memory.

    Raises:
        InputError: if the name is unknown (lists the known ones), if weights are given to an
            estimator without any, or if what `raft` needs is missing.
    """
    name = canonical_name(name)
    if name == "raft":
        from ttflow.flow.raft import Raft, load

        return Raft(load(weights), device)
    if weights is not None:
        raise InputError(f"estimator {name!r} has no weights, but was given {weights}")
    if name in _DIS_PRESETS:
        return Dis(name)
    if name == "farneback":
        return Farneback()
    from ttflow.flow.variational import BeyondPixels

    return BeyondPixels(device=device)


class Dis:
    """OpenCV's dense inverse search.

    Source: Kroeger, Timofte, Dai, Van Gool, 2016; presets of OpenCV. Differs from the paper's
    method (Liu 2009): patch search with variational refinement on gray frames, far cheaper.
    """

    batch_size = 1

    def __init__(self, name: str = "dis-medium") -> None:
        self._dis = cv2.DISOpticalFlow.create(_DIS_PRESETS[name])

    def __call__(self, first: Frames, second: Frames, initial_flow: Flow | None = None) -> Flow:
        """Flow of each pair; the guess starts the coarsest level."""
        return _per_pair(self._pair, first, second, initial_flow)

    def _pair(
        self, first: np.ndarray, second: np.ndarray, initial: np.ndarray | None
    ) -> np.ndarray:
        return np.asarray(self._dis.calc(first, second, initial))


class Farneback:
    """OpenCV's polynomial expansion flow. Source: Farneback, 2003."""

    batch_size = 1

    def __call__(self, first: Frames, second: Frames, initial_flow: Flow | None = None) -> Flow:
        """Flow of each pair."""
        return _per_pair(self._pair, first, second, initial_flow)

    @staticmethod
    def _pair(first: np.ndarray, second: np.ndarray, initial: np.ndarray | None) -> np.ndarray:
        flags = 0 if initial is None else cv2.OPTFLOW_USE_INITIAL_FLOW
        return np.asarray(
            cv2.calcOpticalFlowFarneback(
                first,
                second,
                initial,
                pyr_scale=0.5,
                levels=3,
                winsize=15,
                iterations=3,
                poly_n=5,
                poly_sigma=1.2,
                flags=flags,
            )
        )


def _per_pair(pair: "_Pair", first: Tensor, second: Tensor, initial: Tensor | None) -> Tensor:
    if first.shape != second.shape:
        raise ValueError(f"frames of {tuple(first.shape)} and {tuple(second.shape)} do not match")
    flows = np.empty((first.shape[0], 2, *first.shape[2:]), np.float32)
    images = [frames.permute(0, 2, 3, 1).cpu().numpy() for frames in (first, second)]
    for item, planes in enumerate(flows):
        guess = None
        if initial is not None:
            # A copy: OpenCV writes its result over the guess.
            guess = np.array(initial[item].permute(1, 2, 0).cpu().numpy(), np.float32, order="C")
        found = pair(_gray(images[0][item]), _gray(images[1][item]), guess)
        for plane, channel in zip(planes, cv2.split(found), strict=True):
            plane[:] = channel
    return torch.from_numpy(flows).to(first.device)


def _gray(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY))


@runtime_checkable
class _Pair(Protocol):
    def __call__(
        self, first: np.ndarray, second: np.ndarray, initial: np.ndarray | None, /
    ) -> np.ndarray: ...
