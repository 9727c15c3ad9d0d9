"""Which strokes may be compared with references, and why not (specification 7.7)."""

from collections.abc import Sequence

import numpy as np

from tttrain.quality.landmarks import (
    FREE_HIP,
    FREE_SHOULDER,
    HIP,
    LONGEST_GAP_SECONDS,
    SHOULDER,
    Floats,
    StrokeSignal,
)

MOST_DEGREES = 15.0
"""Between the cameras' directions, as seen from the player in the ready pose."""
_READY_SECONDS = 0.1


def facing(signal: StrokeSignal, ready: float) -> Floats:
    """(2,) metres: where the line from the free side to the bat's points, seen from above.

    Hips and shoulders together, mean over the first 0.1 s from readiness; x to the right of the
    picture and away from the camera. Zeros without landmarks in metres.
    """
    times = ready + np.linspace(0, _READY_SECONDS, 7)
    across = signal.world[:, [HIP, SHOULDER]] - signal.world[:, [FREE_HIP, FREE_SHOULDER]]
    return np.asarray(signal.at(across[..., [0, 2]].sum(axis=1), times).mean(axis=0))


def direction(lines: Sequence[Floats]) -> float | None:
    """Degrees of the mean of `facing` over the strokes of a camera; None where it is unknown."""
    total = np.sum([line / max(float(np.linalg.norm(line)), 1e-9) for line in lines], axis=0)
    if not len(lines) or np.linalg.norm(total) < 0.5 * len(lines):
        return None
    return float(np.rad2deg(np.arctan2(total[1], total[0])))


def apart(first: float, second: float) -> float:
    """Degrees between two directions, 0 to 180.

    >>> apart(170.0, -170.0)
    20.0
    """
    return abs((first - second + 180) % 360 - 180)


def camera_problem(own: float | None, references: Sequence[float | None]) -> str | None:
    """Why a video's strokes are not compared with references of other videos; None: they are.

    Args:
        own: direction of the video.
        references: of each video with references; it is enough that one is near.
    """
    known = [item for item in references if item is not None]
    if own is None or not known:
        return None
    nearest = min(apart(own, item) for item in known)
    if nearest <= MOST_DEGREES:
        return None
    return (
        f"another camera angle: {nearest:.0f} degrees from the nearest references, at most "
        f"{MOST_DEGREES:.0f} can be compared; film from the same place, or mark references there"
    )


def track_problem(signal: StrokeSignal | None) -> str | None:
    """Why a clip cannot be measured; None: it can."""
    if signal is None:
        return "no player was tracked in this clip; look at it with `ttflow view`"
    if signal.longest_gap > LONGEST_GAP_SECONDS:
        return (
            f"no player was tracked for {signal.longest_gap:.2f} s of the stroke, at most "
            f"{LONGEST_GAP_SECONDS} s are bridged"
        )
    return None
