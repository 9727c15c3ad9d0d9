"""How large the flow of a shards folder is, for its normalisation (specification 2.5)."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ttdata.errors import InputError
from ttflow.shards.reader import Shards, open_shards

LARGE_PX = 5.0
"""Maxima above this many pixels per frame count, where there are any."""


@dataclass(frozen=True)
class FlowStats:
    """Per axis (x, y), over the frames of some clips: their largest flow inside the crop."""

    clips: int
    frames: int
    frames_used: tuple[int, int]
    mean_px: tuple[float, float]
    sigma_px: tuple[float, float]
    scale_px: tuple[float, float]
    """Flow that becomes 1: mean + 3 sigma."""

    @property
    def text(self) -> str:
        """The statistics for a person."""
        lines = [f"{self.clips} clips, {self.frames} frames"]
        for axis, name in enumerate("xy"):
            lines.append(
                f"{name}: largest flow of a frame {self.mean_px[axis]:.2f} px on average, "
                f"sigma {self.sigma_px[axis]:.2f} px, over {self.frames_used[axis]} frames; "
                f"{self.scale_px[axis]:.2f} px become 1"
            )
        return "\n".join(lines)

    def to_json(self) -> str:
        """The statistics for a program."""
        return json.dumps(asdict(self), indent=2)


def flow_stats(path: Path, split: str | None = "train") -> FlowStats:
    """Mean and sigma of the flow's maxima, in one pass that reads no picture and no flow.

    Args:
        path: the shards folder.
        split: of the clips to look at; None: all clips.

    Raises:
        ShardError: if the folder cannot be opened.
        InputError: if it holds no clip of this split.

    Source: specification 2.5: maxima above 5 px only, all of them where none is.
    """
    shards = open_shards(path)
    clips = shards.clips if split is None else shards.clips.filter(pl.col("split") == split)
    if clips.is_empty():
        raise InputError(f"{shards.path}: no clip of split {split!r}")
    every, large = _Moments(), _Moments()
    for maxima_px in _maxima(shards, clips["clip_id"].to_list()):
        every.add(maxima_px, np.ones_like(maxima_px, bool))
        large.add(maxima_px, maxima_px > LARGE_PX)
    used = np.where(large.count > 0, large.count, every.count)
    mean = np.where(large.count > 0, large.mean, every.mean)
    sigma = np.where(large.count > 0, large.sigma, every.sigma)
    scale = np.where(mean + 3 * sigma > 0, mean + 3 * sigma, 1.0)
    return FlowStats(
        clips=clips.height,
        frames=int(every.count[0]),
        frames_used=(int(used[0]), int(used[1])),
        mean_px=(float(mean[0]), float(mean[1])),
        sigma_px=(float(sigma[0]), float(sigma[1])),
        scale_px=(float(scale[0]), float(scale[1])),
    )


def _maxima(shards: Shards, clip_ids: list[str]) -> Iterator[NDArray[np.float64]]:
    """Per clip (T, 2): the largest |Vx| and |Vy| of each stored frame."""
    for clip_id in clip_ids:
        values = shards.read(clip_id, ["flow_max_px"])["flow_max_px"]
        yield np.array(values, np.float64).reshape(-1, 2)


class _Moments:
    """Count, mean and sigma per axis of values that come in pieces.

    Source: Chan, Golub, LeVeque, 1983: sums of squares about the mean, so nothing cancels.
    """

    def __init__(self) -> None:
        self.count = np.zeros(2)
        self.mean = np.zeros(2)
        self._squares = np.zeros(2)

    def add(self, values: NDArray[np.float64], which: NDArray[np.bool_]) -> None:
        count = which.sum(0)
        total = self.count + count
        mean = np.where(which, values, 0).sum(0) / np.maximum(count, 1)
        distance = np.where(count > 0, mean - self.mean, 0)
        self._squares += (np.where(which, values - mean, 0) ** 2).sum(0)
        self._squares += distance**2 * self.count * count / np.maximum(total, 1)
        self.mean = self.mean + distance * count / np.maximum(total, 1)
        self.count = total

    @property
    def sigma(self) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(self._squares / np.maximum(self.count, 1)))
