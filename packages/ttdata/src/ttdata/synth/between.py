"""What players do between strokes, as key poses of a right-hander: see strokes.py for the axes.

In a match a fake swing is made of the poses of a stroke that it breaks off or plays small: nothing
but the motion, and the ball that it does not hit, tells the two apart.
"""

from dataclasses import replace

import numpy as np

from ttdata.synth.strokes import READY, Key, Pose, stroke_keys, to_vector

_STAND = Pose(
    hand=(0.14, 0.27, 0.86),
    wrist=(0.55, 0.15, -0.8),
    face=(0.1, -0.95, 0.1),
    free=(0.08, -0.26, 0.84),
    lean=-0.24,
    crouch=-0.06,
)
_REST_POSES = (
    _STAND,
    replace(_STAND, free=(0.20, -0.02, 1.60), lean=-0.12),  # wipes the forehead
    replace(_STAND, hand=(0.36, 0.06, 1.22), wrist=(0.6, -0.5, 0.7), lean=-0.10),  # eyes the bat
    replace(_STAND, hand=(0.24, 0.18, 0.72), free=(0.24, -0.16, 0.72), lean=0.30, crouch=0.08),
)
"""The last one: leans on the knees."""
_REST_SHARES = (0.6, 0.14, 0.14, 0.12)
_REACH_M = (0.22, 0.16)
"""How far a player strays in a rest: forward or back, and to the side."""


def pickup_keys(draw: np.random.Generator) -> tuple[Key, ...]:
    """The player bends down to a ball on the floor with his free hand."""
    side = float(draw.uniform(-0.35, 0.2))
    low = Pose(
        hand=(0.30, 0.30, 0.85),
        wrist=(0.7, 0.2, -0.3),
        face=READY.face,
        free=(0.55, side, 0.25),
        lean=float(draw.uniform(0.55, 0.75)),
        crouch=float(draw.uniform(0.22, 0.32)),
    )
    half = float(draw.uniform(0.4, 0.55))
    return (Key(half - 0.06, low), Key(half + 0.06, low))


def fake_keys(draw: np.random.Generator) -> tuple[Key, ...]:
    """A swing in the air: two or three random turning points around the ready pose."""
    count = int(draw.integers(2, 4))
    keys = []
    for k in range(count):
        offset = draw.normal(0.0, (0.20, 0.22, 0.20))
        hand = to_vector(np.array(READY.hand) + offset)
        wrist = to_vector(np.array(READY.wrist) + draw.normal(0, 0.3, 3))
        pose = replace(READY, hand=hand, wrist=wrist, yaw=float(draw.normal(0, 0.2)), lean=0.03)
        keys.append(Key((k + 1) / (count + 1) + float(draw.uniform(-0.06, 0.06)), pose))
    return tuple(keys)


def rest_keys(draw: np.random.Generator, seconds: float) -> tuple[Key, ...]:
    """The player stands upright, strolls, wipes his forehead, looks at his bat.

    Args:
        draw: random numbers.
        seconds: how long; a short rest has a pose or none.
    """
    count = round(seconds / 0.9) - 1
    step = np.zeros(2)
    keys = []
    pose = _STAND
    for k in range(count):
        if k % 2 == 0:  # each pose is held
            pose = _REST_POSES[int(draw.choice(len(_REST_POSES), p=_REST_SHARES))]
        step = np.clip(step + draw.normal(0, 0.09, 2), np.negative(_REACH_M), _REACH_M)
        shifted = replace(pose, step=to_vector(np.array([step[0] - 0.08, step[1], 0.0])))
        keys.append(Key((k + 1 + float(draw.uniform(-0.15, 0.15))) / (count + 1), shifted))
    return tuple(keys)


GRIP_SHARE = (0.40, 0.54)
"""When the hand of `fetch_keys` is at the floor, as shares of the pick-up."""


def fetch_keys(draw: np.random.Generator) -> tuple[Key, ...]:
    """The player goes to a ball on the floor, picks it up and brings it back."""
    forward, side = float(draw.uniform(-0.1, 0.28)), float(draw.uniform(-0.25, 0.25))
    there = (forward, side, 0.0)
    walk = replace(_STAND, lean=0.0, crouch=0.02, step=(0.7 * forward, 0.7 * side, 0.0))
    low = Pose(
        hand=(0.16, 0.34, 0.72),
        wrist=(0.6, 0.3, -0.6),
        face=_STAND.face,
        free=(0.46, float(draw.uniform(-0.22, 0.02)), 0.10),
        lean=float(draw.uniform(0.60, 0.75)),
        crouch=float(draw.uniform(0.34, 0.42)),
        step=there,
    )
    up = replace(_STAND, free=(0.34, -0.12, 1.06), lean=-0.1, step=there)
    back = replace(up, step=(0.3 * forward, 0.3 * side, 0.0))
    places = (0.18, *GRIP_SHARE, 0.74, 0.90)
    return tuple(Key(at, pose) for at, pose in zip(places, (walk, low, low, up, back), strict=True))


def swing_keys(draw: np.random.Generator, label: str) -> tuple[Key, ...]:
    """A fake swing: the backswing of a stroke that is broken off, or the whole of it, small.

    Args:
        draw: random numbers.
        label: the stroke.
    """
    back, contact, follow = stroke_keys(label)[-3:]  # those before, of a serve, toss the ball
    if draw.random() < 0.5:
        far = float(draw.uniform(0.75, 1.0))
        stop = _between(back.pose, contact.pose, float(draw.uniform(0.25, 0.5)))
        slow = float(draw.uniform(0.04, 0.14))
        return (
            Key(back.at, _between(READY, back.pose, far)),
            Key(contact.at + slow, _between(READY, stop, far)),
            Key(min(follow.at + slow, 0.9), _between(READY, stop, 0.8 * far)),
        )
    size = float(draw.uniform(0.35, 0.6))
    return tuple(Key(key.at, _between(READY, key.pose, size)) for key in (back, contact, follow))


def _between(first: Pose, second: Pose, share: float) -> Pose:
    """The pose on the way from one to another."""
    values = (1 - share) * first.array() + share * second.array()
    hand, wrist, face, free, step = (to_vector(values[k : k + 3]) for k in (0, 3, 6, 9, 15))
    yaw, lean, crouch = (float(value) for value in values[12:15])
    return Pose(hand, wrist, face, free, yaw, lean, crouch, step)
