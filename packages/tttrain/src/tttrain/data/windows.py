"""Temporal augmentation and the windows of a clip: integer rules (specification 3.1, 3.2, 3.5)."""

import math
from statistics import NormalDist
from typing import Literal

import numpy as np

from ttflow.shards.intervals import central_window
from tttrain.data.rng import generator

STEP_FRAMES = 10
"""Distance of the windows that TestVote and TestAvg look at (specification 3.5)."""


def temporal_sigma(fps: float) -> float:
    """Standard deviation, in frames, of the window's start around the central one.

    >>> temporal_sigma(120.0)
    6.375

    Source: specification 3.2 (paper IV-C): 0.3 ((wt - 1) 0.5 - 1) + 0.8 with wt = (2 fps + 1) / 6.
    Differs: below about 5 frames per second the formula turns negative; it stops at 0 there.
    """
    window = (2 * fps + 1) / 6
    return max(0.0, 0.3 * ((window - 1) * 0.5 - 1) + 0.8)


def central_start(start_frame: int, end_frame: int, num_frames: int, total_frames: int) -> int:
    """First frame of the central window of a stroke (specification 3.1).

    Args:
        start_frame: of the stroke.
        end_frame: of the stroke, exclusive.
        num_frames: T, of the window.
        total_frames: of the video.
    """
    return central_window(start_frame, end_frame, num_frames, total_frames)[0]


def draw_start(
    start_frame: int,
    end_frame: int,
    num_frames: int,
    total_frames: int,
    fps: float,
    rng: np.random.Generator,
    draw: Literal["normal", "uniform"] = "normal",
) -> int:
    """First frame of a window drawn for training: normal around the central one, in the stroke.

    A stroke not longer than the window takes the central one. One uniform number goes through the
    inverse of the truncated distribution, so nothing is ever redrawn.

    Args:
        start_frame: of the stroke.
        end_frame: of the stroke, exclusive.
        num_frames: T, of the window.
        total_frames: of the video.
        fps: of the video; the normal distribution depends on it.
        rng: gives one number.
        draw: `uniform` makes every window inside the stroke equally likely.

    Source: specification 3.2 (paper IV-C); `uniform` is this project's.
    """
    last = end_frame - num_frames
    if last <= start_frame:
        return central_start(start_frame, end_frame, num_frames, total_frames)
    if draw == "uniform":
        return start_frame + math.floor((last - start_frame + 1) * rng.random())
    sigma = temporal_sigma(fps)
    if sigma == 0:
        return central_start(start_frame, end_frame, num_frames, total_frames)
    normal = NormalDist((start_frame + last) / 2, sigma)
    low, high = normal.cdf(start_frame - 0.5), normal.cdf(last + 0.5)
    # inv_cdf refuses 0 and 1, which a stroke far longer than sigma can reach by rounding.
    share = min(max(low + (high - low) * rng.random(), 1e-12), 1 - 1e-12)
    drawn = math.floor(normal.inv_cdf(share) + 0.5)
    return min(max(drawn, start_frame), last)


def training_start(
    *,
    clip_id: str,
    start_frame: int,
    end_frame: int,
    num_frames: int,
    total_frames: int,
    fps: float,
    seed: int,
    epoch: int,
    draw: Literal["normal", "uniform"] = "normal",
) -> int:
    """`draw_start` with the generator that belongs to this clip in this epoch."""
    rng = generator(seed, epoch, "window", clip_id)
    return draw_start(start_frame, end_frame, num_frames, total_frames, fps, rng, draw)


def sliding_starts(
    start_frame: int,
    end_frame: int,
    num_frames: int,
    total_frames: int,
    step_frames: int = STEP_FRAMES,
) -> list[int]:
    """First frames of all windows inside a stroke; a shorter stroke has the central one.

    >>> sliding_starts(50, 175, 100, 1000)
    [50, 60, 70]
    >>> sliding_starts(50, 140, 100, 1000)
    [45]
    """
    if end_frame - start_frame < num_frames:
        return [central_start(start_frame, end_frame, num_frames, total_frames)]
    return list(range(start_frame, end_frame - num_frames + 1, step_frames))
