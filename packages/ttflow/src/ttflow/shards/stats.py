"""How large the flow of a shards folder is, for its normalisation (specification 2.5)."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
        split: of the clips to look at; None: all clips, but no stretches.

    Raises:
        ShardError: if the folder cannot be opened.
        InputError: if it holds no clip of this split.

    Source: specification 2.5: maxima above 5 px only, all of them where none is.
    """
    shards = open_shards(path)
    clips = shards.without_stretches
    clips = clips if split is None else clips.filter(pl.col("split") == split)
    if clips.is_empty():
        wanted = "no clip" if split is None else f"no clip of split {split!r}"
        raise InputError(f"{shards.path}: {wanted}")
    maxima_px = np.concatenate(list(_maxima(shards, clips["clip_id"].to_list())))
    used = [_counted(maxima_px[:, axis]) for axis in (0, 1)]
    return FlowStats(
        clips=clips.height,
        frames=len(maxima_px),
        frames_used=(len(used[0]), len(used[1])),
        mean_px=(float(used[0].mean()), float(used[1].mean())),
        sigma_px=(float(used[0].std()), float(used[1].std())),
        scale_px=flow_scale(maxima_px),
    )


def flow_scale(maxima_px: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The flow, per axis, that becomes 1: mean plus three standard deviations of the maxima.

    Args:
        maxima_px: (N, 2), per frame max |Vx| and max |Vy|, pixels per frame.

    Returns:
        (x, y) in pixels per frame; 1 on an axis without any motion.

    Raises:
        ValueError: if the shape is not (N, 2) with N > 0, or a value is not finite.

    Source: specification 2.5, the authors' later rule (the paper is silent).
    """
    if maxima_px.ndim != 2 or maxima_px.shape[1] != 2 or len(maxima_px) == 0:
        raise ValueError(f"expected maxima of shape (N, 2) with N > 0, found {maxima_px.shape}")
    if not np.isfinite(maxima_px).all():
        raise ValueError("a maximum of the flow is not finite")
    return _axis_scale(maxima_px[:, 0]), _axis_scale(maxima_px[:, 1])


def _axis_scale(maxima_px: NDArray[np.floating[Any]]) -> float:
    used = _counted(maxima_px)
    return float(used.mean() + 3 * used.std()) or 1.0


def _counted(maxima_px: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The maxima of one axis above `LARGE_PX`, all of them where none is."""
    values = maxima_px.astype(np.float64)
    large = values[values > LARGE_PX]
    return large if large.size else values


def _maxima(shards: Shards, clip_ids: list[str]) -> Iterator[NDArray[np.float64]]:
    """Per clip (T, 2): the largest |Vx| and |Vy| of each stored frame."""
    for clip_id in clip_ids:
        values = shards.read(clip_id, ["flow_max_px"])["flow_max_px"]
        yield np.array(values, np.float64).reshape(-1, 2)
