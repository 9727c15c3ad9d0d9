"""Flow of pairs of working frames inside their foreground (specification 2.1, 2.2)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ttflow.compiled.motion import keep_inside
from ttflow.extraction.frames import WorkingFrame
from ttflow.flow.estimators import Estimator

Pair = tuple[WorkingFrame, WorkingFrame]


def is_still(frame: WorkingFrame) -> bool:
    """Whether the foreground of a frame is empty: whatever its flow is, the masked flow is zero."""
    return frame.mask is not None and not frame.mask.any()


def masked_flows(pairs: Sequence[Pair], estimator: Estimator) -> list[NDArray[np.float32]]:
    """(2, H, W) flow of each pair, zero outside the foreground of its first frame.

    Pairs whose first frame is still never reach the estimator: a flow times an empty mask is
    zero. The other pairs then come in other batches, of which estimators are independent bit for
    bit on the CPU, to 1e-4 px on a GPU: so far what is stored is the same.

    Args:
        pairs: a frame and its successor each.
        estimator: called once, with all pairs that are not still; not at all without any.
    """
    moving = [pair for pair in pairs if not is_still(pair[0])]
    flows = iter(flow_of_pairs(moving, estimator) if moving else ())
    return [_masked(frame, flows) for frame, _ in pairs]


def _masked(frame: WorkingFrame, flows: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    if is_still(frame):
        return np.zeros((2, *frame.rgb.shape[:2]), np.float32)
    flow = next(flows)
    if frame.mask is not None:
        keep_inside(flow, frame.mask)
    return flow


def flow_of_pairs(pairs: Sequence[Pair], estimator: Estimator) -> NDArray[np.float32]:
    """(B, 2, H, W): the flow from the first to the second frame of each pair, not masked."""
    first, second = (_batch([pair[side].rgb for pair in pairs]) for side in (0, 1))
    return np.asarray(estimator(first, second).cpu().numpy(), np.float32)


def _batch(images: list[NDArray[np.uint8]]) -> torch.Tensor:
    """(B, 3, H, W) of (H, W, 3) images."""
    stacked = images[0][None] if len(images) == 1 else np.stack(images)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)
