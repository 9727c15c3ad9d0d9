"""What a joint head says of every cell of a video, in constant memory beside the features."""

import torch
from torch import Tensor

from ttdata.errors import InputError
from ttmodels import DetectionHead
from tttrain.indexing.joint_head.tracks import FeatureTrack
from tttrain.training.torch_state import exact

BLOCK_CELLS = 4096


def reach_of(head: DetectionHead) -> int:
    """How many cells to either side a cell sees."""
    return sum(head.config.dilations) + 1


@torch.no_grad()
def cell_outputs(head: DetectionHead, track: FeatureTrack) -> tuple[Tensor, Tensor]:
    """Logits (cells, classes) and distances (cells, 2) of a whole track, on the CPU.

    Computed in blocks that overlap by what a cell sees: the same as at once, to rounding.

    Raises:
        InputError: if the track has another number of values per cell than the head takes.
    """
    values, expected = track.features.shape[1], head.config.in_features
    if values != expected:
        raise InputError(
            f"{track.video_id}: has {values} values per cell, but the joint head takes {expected}; "
            "compute them with the network that it was trained on"
        )
    reach, cells, found = reach_of(head), len(track), []
    device = head.feature_mean.device
    with exact(device, 1):  # so that strokes do not depend on how many videos are indexed at once
        for start in range(0, cells, BLOCK_CELLS):
            end = min(start + BLOCK_CELLS, cells)
            first, last = max(start - reach, 0), min(end + reach, cells)
            features = torch.from_numpy(track.values(first, last)).to(device)
            outputs = head(features[None])
            found.append([part[0, start - first : end - first].cpu() for part in outputs])
    logits, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
    return logits, distances
