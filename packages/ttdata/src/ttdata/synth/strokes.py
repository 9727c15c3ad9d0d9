"""The 20 strokes as key poses of a right-hander.

A key pose is a point in a player's own axes, in metres of a person of 1.75 m: f forward (to the
net), r to the side of the bat hand, u up, from the floor point between the feet. Left-handers
mirror r. The movements are our own caricature of how the strokes are taught: type, hand and
technique each change the path of the bat, and techniques of one family share most of it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttdata.taxonomy import TTSTROKE21

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """A key pose as the 18 numbers (`NUM_CHANNELS`) that are interpolated."""

    hand: Vector
    wrist: Vector
    face: Vector
    free: Vector
    yaw: float = 0.0
    lean: float = 0.0
    crouch: float = 0.0
    step: Vector = (0.0, 0.0, 0.0)

    def array(self) -> NDArray[np.float64]:
        """The pose as (18,) float64, in the order of the fields."""
        angles = (self.yaw, self.lean, self.crouch)
        parts = (self.hand, self.wrist, self.face, self.free, angles, self.step)
        return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


NUM_CHANNELS = 18
HAND, WRIST, FACE, FREE = (slice(start, start + 3) for start in (0, 3, 6, 9))
YAW, LEAN, CROUCH = 12, 13, 14
STEP = slice(15, 18)

READY = Pose(
    hand=(0.42, 0.16, 1.0),
    wrist=(0.9, -0.1, 0.35),
    face=(0.2, -0.9, 0.1),
    free=(0.36, -0.2, 1.02),
)

# face of the bat: the way the rubber looks; open to the sky, closed to the table.
_FACES: dict[str, Vector] = {
    "Push": (0.55, 0.0, 0.85),
    "Block": (0.92, 0.0, -0.38),
    "Backspin": (0.45, 0.0, 0.9),
    "Hit": (1.0, 0.0, -0.05),
    "Loop": (0.7, 0.0, -0.7),
    "Flip": (0.9, 0.0, 0.25),
    "Topspin": (0.8, 0.0, -0.55),
    "Sidespin": (0.75, -0.5, 0.35),
}

# (type, technique) -> times of backswing, contact and follow-through as shares of the stroke, and
# the bat hand there for the forehand and for the backhand.
_SWINGS: dict[
    tuple[str, str], tuple[tuple[float, float, float], tuple[Vector, ...], tuple[Vector, ...]]
]
_SWINGS = {
    ("Offensive", "Hit"): (
        (0.30, 0.50, 0.68),
        ((-0.38, 0.52, 1.10), (0.42, 0.44, 1.16), (0.62, -0.18, 1.24)),
        ((0.20, -0.34, 1.06), (0.50, -0.06, 1.12), (0.66, 0.44, 1.18)),
    ),
    ("Offensive", "Loop"): (
        (0.32, 0.52, 0.70),
        ((-0.38, 0.50, 0.70), (0.36, 0.48, 1.10), (0.52, -0.06, 1.64)),
        ((0.18, -0.30, 0.68), (0.44, -0.08, 1.10), (0.50, 0.36, 1.62)),
    ),
    ("Offensive", "Flip"): (
        (0.34, 0.50, 0.62),
        ((0.36, 0.40, 0.98), (0.64, 0.30, 1.04), (0.70, -0.06, 1.30)),
        ((0.42, -0.24, 0.98), (0.66, -0.02, 1.04), (0.68, 0.34, 1.30)),
    ),
    ("Defensive", "Push"): (
        (0.30, 0.52, 0.76),
        ((0.26, 0.36, 1.18), (0.52, 0.30, 1.02), (0.80, 0.24, 0.92)),
        ((0.28, -0.18, 1.18), (0.54, -0.06, 1.02), (0.82, 0.04, 0.92)),
    ),
    ("Defensive", "Block"): (
        (0.32, 0.50, 0.66),
        ((0.40, 0.38, 1.10), (0.56, 0.34, 1.14), (0.62, 0.28, 1.18)),
        ((0.42, -0.16, 1.10), (0.58, -0.08, 1.14), (0.64, -0.02, 1.18)),
    ),
    ("Defensive", "Backspin"): (
        (0.30, 0.52, 0.72),
        ((0.04, 0.46, 1.56), (0.40, 0.42, 1.06), (0.62, 0.22, 0.66)),
        ((0.14, -0.28, 1.54), (0.44, -0.10, 1.06), (0.66, 0.18, 0.66)),
    ),
    ("Serve", "Backspin"): (
        (0.42, 0.58, 0.72),
        ((-0.16, 0.44, 1.44), (0.44, 0.30, 1.04), (0.70, 0.12, 0.84)),
        ((0.04, -0.34, 1.40), (0.46, -0.06, 1.04), (0.70, 0.16, 0.84)),
    ),
    ("Serve", "Topspin"): (
        (0.42, 0.58, 0.72),
        ((-0.32, 0.46, 0.92), (0.42, 0.30, 1.02), (0.62, 0.04, 1.46)),
        ((0.06, -0.36, 0.88), (0.46, -0.06, 1.02), (0.62, 0.26, 1.44)),
    ),
    ("Serve", "Sidespin"): (
        (0.42, 0.58, 0.72),
        ((-0.02, 0.68, 1.18), (0.46, 0.26, 1.04), (0.26, -0.40, 0.98)),
        ((0.16, -0.46, 1.10), (0.46, -0.04, 1.04), (0.26, 0.62, 1.10)),
    ),
    ("Serve", "Loop"): (
        (0.42, 0.58, 0.74),
        ((-0.20, 0.42, 0.62), (0.42, 0.32, 0.98), (0.84, 0.16, 1.12)),
        ((0.04, -0.32, 0.62), (0.46, -0.06, 0.98), (0.84, 0.10, 1.12)),
    ),
}

# How much a stroke of a type turns and bends the body: yaw (rad), lean (rad), crouch (m), step (m).
_BODY: dict[str, tuple[float, float, float, float]] = {
    "Offensive": (0.65, 0.05, 0.03, 0.10),
    "Defensive": (0.22, 0.12, 0.02, 0.08),
    "Serve": (0.50, 0.08, 0.05, 0.05),
}
_WRISTS: dict[str, tuple[Vector, Vector, Vector]] = {
    "Forehand": ((-0.6, 0.5, 0.1), (0.75, 0.45, 0.1), (0.5, -0.55, 0.5)),
    "Backhand": ((0.2, -0.75, 0.1), (0.8, -0.2, 0.15), (0.6, 0.6, 0.35)),
}
_TOSS: tuple[tuple[float, Vector], ...] = (
    (0.16, (0.52, -0.06, 1.06)),
    (0.30, (0.50, -0.06, 1.36)),
)


@dataclass(frozen=True)
class Key:
    """A pose at a time, as a share of its event."""

    at: float
    pose: Pose


def stroke_keys(label: str) -> tuple[Key, ...]:
    """The key poses of a stroke between the ready poses at its ends.

    Args:
        label: a stroke of TTSTROKE21.

    Returns:
        Backswing, contact and follow-through, for a serve with the toss before, by time.
    """
    stroke = TTSTROKE21.stroke(label)
    if stroke is None or stroke.type is None or stroke.hand is None or stroke.technique is None:
        raise ValueError(f"no movement for {label!r}; expected a stroke of {TTSTROKE21.name}")
    times, forehand, backhand = _SWINGS[stroke.type, stroke.technique]
    hands = forehand if stroke.hand == "Forehand" else backhand
    turn, lean, crouch, step = _BODY[stroke.type]
    turn = turn if stroke.hand == "Forehand" else -0.75 * turn
    keys = []
    for phase, (at, hand) in enumerate(zip(times, hands, strict=True)):
        pose = Pose(
            hand=hand,
            wrist=_WRISTS[stroke.hand][phase],
            face=_FACES[stroke.technique],
            free=_free_hand(stroke.type, phase),
            yaw=turn * (1.0, 0.15, -0.6)[phase],
            lean=lean * (0.0, 0.8, 1.0)[phase],
            crouch=crouch * (1.0, 0.4, 0.0)[phase],
            step=(step * (-0.4, 0.6, 1.0)[phase], 0.0, 0.0),
        )
        keys.append(Key(at, pose))
    if stroke.type == "Serve":
        keys += _toss_keys(keys[0].pose)
    return tuple(sorted(keys, key=lambda key: key.at))


def _free_hand(kind: str, phase: int) -> Vector:
    if kind == "Offensive":
        return ((0.46, -0.16, 1.12), (0.26, -0.34, 1.10), (0.10, -0.40, 1.06))[phase]
    return ((0.40, -0.22, 1.06), (0.34, -0.28, 1.04), (0.28, -0.30, 1.04))[phase]


def to_vector(values: NDArray[np.float64]) -> Vector:
    """Three numbers as a field of a Pose."""
    first, second, third = (float(value) for value in values)
    return first, second, third


def _toss_keys(backswing: Pose) -> list[Key]:
    """The free hand lifts the ball while the bat goes back."""
    keys = []
    for (at, free), share in zip(_TOSS, (0.25, 0.7), strict=True):
        hand = to_vector((1 - share) * np.array(READY.hand) + share * np.array(backswing.hand))
        keys.append(Key(at, replace(backswing, hand=hand, free=free, crouch=0.02)))
    return keys


def moment_shares(label: str) -> tuple[float, float, float, float]:
    """When ready, backswing, contact and end are, as shares of the stroke."""
    stroke = TTSTROKE21.stroke(label)
    if stroke is None or stroke.type is None or stroke.technique is None:
        raise ValueError(f"no movement for {label!r}; expected a stroke of {TTSTROKE21.name}")
    backswing, contact, _ = _SWINGS[stroke.type, stroke.technique][0]
    return 0.0, backswing, contact, 1.0


def contact_share(label: str) -> float:
    """When the ball is hit, as a share of the stroke."""
    return moment_shares(label)[2]


TOSS_SHARE = _TOSS[1][0]
"""When the ball leaves the free hand of a serve, as a share of the stroke."""
