"""Random generators keyed by what they are for, so that no draw depends on the order of work."""

import hashlib
from typing import Literal

import numpy as np

Purpose = Literal["order", "window", "augment", "dropout", "stretches"]

_STREAMS: dict[Purpose, int] = {
    "order": 0,
    "window": 1,
    "augment": 2,
    "dropout": 3,
    "stretches": 4,
}


def generator(seed: int, epoch: int, purpose: Purpose, clip_id: str = "") -> np.random.Generator:
    """A generator that depends on its arguments alone.

    A run that is interrupted, or spread over another number of workers, thus draws the same.
    """
    digest = hashlib.sha256(clip_id.encode()).digest()
    return np.random.default_rng(
        [seed, epoch, _STREAMS[purpose], int.from_bytes(digest[:8], "little")]
    )
