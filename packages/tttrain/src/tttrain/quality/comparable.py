"""Which strokes and measures may be compared with references (specification 7.5 and 7.7)."""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from tttrain.quality.landmarks import (
    FREE_HIP,
    FREE_SHOULDER,
    HIP,
    LEAST_SEEN,
    LONGEST_GAP_SECONDS,
    SHOULDER,
    Floats,
    StrokeSignal,
)
from tttrain.quality.reference import Spread, two_sided
from tttrain.quality.timing.moments import PHASES, Moments
from tttrain.quality.words import HIDDEN, HIDDEN_THERE, WHERE

MOST_DEGREES = 15.0
"""Between the cameras' directions, as seen from the player in the ready pose."""
_READY_SECONDS = 0.1
REPEATED = frozenset(
    ("stroke", name) for name in ("duration_share", "wrist_x", "wrist_y", "trunk_turn")
)
"""Phases and measures that are 1, or those of the follow-through again: these are not judged."""
_ROUNDING = 1e-9
UNKNOWN_CAMERA = "cannot be told: another camera angle would not be noticed"


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


def turned(first: float, second: float) -> float:
    """Degrees from one direction to another, the short way round: in [-180, 180).

    >>> turned(170.0, -170.0), turned(-170.0, 170.0)
    (20.0, -20.0)
    """
    return (second - first + 180) % 360 - 180


def apart(first: float, second: float) -> float:
    """Degrees between two directions, 0 to 180.

    >>> apart(170.0, -170.0)
    20.0
    """
    return abs(turned(second, first))


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


def camera_notes(own: float | None, references: Sequence[float | None]) -> Iterator[str]:
    """What to know of the cameras where strokes are compared all the same."""
    known = [item for item in references if item is not None]
    most = max((apart(one, other) for one in known for other in known), default=0.0)
    if most > MOST_DEGREES:
        yield (
            f"the references are filmed from directions up to {most:.0f} degrees apart, at most "
            f"{MOST_DEGREES:.0f} can be compared: keep those of one place"
        )
    if own is None:
        yield f"the camera's direction {UNKNOWN_CAMERA}"
    elif len(known) < len(references):
        yield f"the camera's direction of some references {UNKNOWN_CAMERA}"


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


def hidden(signal: StrokeSignal, moments: Moments) -> Iterator[str]:
    """Where nothing is measured of the hand, because the camera does not see it."""
    places = [WHERE[name] for name in PHASES if signal.seen(*moments.phase(name)) < LEAST_SEEN]
    if places:
        yield f"{HIDDEN} the {' and the '.join(places)}: {HIDDEN_THERE}"


def least_deviation(name: str, fps: float, seconds: float) -> float:
    """What a measure cannot be told better than, whatever its references' spread.

    Args:
        name: of the measure.
        fps: of the references' videos.
        seconds: of a stroke.

    Returns:
        For times, as they lie between two moments that are whole frames, the standard deviation
        of a difference of two rounding errors, 1 / fps / sqrt(6); otherwise 0.
    """
    frame = 1 / fps / sqrt(6)
    return {"duration_s": frame, "duration_share": frame / seconds}.get(name, 0.0)


def usable_deviation(item: Spread, least: float) -> float | None:
    """Of what a new stroke may differ; None where the references differ by rounding alone."""
    deviation = max(item.deviation, least)
    return deviation if deviation > _ROUNDING * max(1.0, abs(item.mean)) else None


def chance_of(name: str, value: float, item: Spread, least: float) -> float | None:
    """Of an unchanged stroke of another session to lie as far off; None: it cannot be told.

    Two-sided, but for the residual: a path that is nearer to the references' is no news.
    """
    deviation = usable_deviation(item, least)
    if item.sessions < 2 or deviation is None:
        return None
    t = (value - item.mean) / deviation
    both = two_sided(t, item.degrees)
    if name != "residual":
        return both
    return both / 2 if t > 0 else 1 - both / 2
