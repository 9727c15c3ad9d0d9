"""From key poses to joints: interpolation over a whole video, then the skeleton in space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttdata.synth.between import fake_keys, fetch_keys, pickup_keys, rest_keys, swing_keys
from ttdata.synth.plan import VideoPlan
from ttdata.synth.players import Player
from ttdata.synth.strokes import (
    CROUCH,
    FACE,
    FREE,
    HAND,
    LEAN,
    NUM_CHANNELS,
    READY,
    STEP,
    WRIST,
    YAW,
    Key,
    stroke_keys,
)
from ttdata.synth.timeline import Event

Array = NDArray[np.float64]

_EVENT, _SWAY = 10, 11  # streams of random numbers
NOMINAL_M = 1.75

# Lengths of a person of 1.75 m, in metres.
_THIGH, _SHIN, _ANKLE = 0.45, 0.45, 0.07
_SPINE, _SHOULDER, _HIP = 0.50, 0.19, 0.11
_UPPER_ARM, _FOREARM = 0.31, 0.32
BAT_M = 0.27
"""From the wrist to the middle of the blade."""


@dataclass(frozen=True)
class Track:
    """The key frames of one player over a video: times in frames (K,), channels (K, 18)."""

    frames: Array
    channels: Array


def track(plan: VideoPlan, seat: int) -> Track:
    """All key poses of a player, in order; between his events he is ready."""
    player = plan.seats[seat].player
    frames: list[float] = []
    rows: list[Array] = []
    for number, event in enumerate(plan.events):
        if event.seat != seat:
            continue
        draw = np.random.default_rng([plan.config.seed, _EVENT, plan.index, number])
        for at, row in _event_keys(plan, event, player, draw):
            if not frames or at > frames[-1] + 1e-6:
                frames.append(at)
                rows.append(row)
    if not frames:
        frames, rows = [0.0], [_ready(player, np.zeros(3))]
    return Track(np.array(frames), np.stack(rows))


def _event_keys(
    plan: VideoPlan, event: Event, player: Player, draw: np.random.Generator
) -> list[tuple[float, Array]]:
    """Key frames of an event: ready at both ends, its own varied keys between."""
    length = event.end_frame - event.start_frame
    wander = np.array([draw.normal(0, 0.03), draw.normal(0, 0.05), 0.0])
    inner = _inner_keys(plan, event, draw)
    keys = [(float(event.start_frame), _ready(player, wander))]
    amplitude = player.amplitude * float(np.exp(draw.normal(0, 0.06)))
    shift = float(draw.normal(0, 0.025))
    for key in inner:
        row = _varied(key, player, wander, amplitude, draw)
        at = min(max(key.at + shift + float(draw.normal(0, 0.01)), 0.04), 0.96)
        keys.append((event.start_frame + at * length, row))
    keys.append((float(event.end_frame), _ready(player, np.array([0.0, wander[1], 0.0]))))
    return keys


def _inner_keys(plan: VideoPlan, event: Event, draw: np.random.Generator) -> tuple[Key, ...]:
    if event.kind == "stroke":
        return stroke_keys(str(event.label))
    match = plan.config.matches
    if event.kind == "pickup":
        return fetch_keys(draw) if match else pickup_keys(draw)
    if event.kind == "fake":
        return swing_keys(draw, str(event.label)) if match else fake_keys(draw)
    if event.kind == "rest" and match:
        return rest_keys(draw, (event.end_frame - event.start_frame) / plan.config.fps)
    return ()


def _varied(
    key: Key, player: Player, wander: Array, amplitude: float, draw: np.random.Generator
) -> Array:
    """A key pose as this player does it this time: larger or smaller, and not quite there."""
    ready = _ready(player, wander)
    row = key.pose.array()
    row[LEAN] += player.lean_rad
    row[CROUCH] += player.crouch_m
    row[STEP] += wander
    row[HAND] = ready[HAND] + (row[HAND] - ready[HAND]) * amplitude
    row[HAND] += draw.normal(0, 0.03, 3)
    row[FREE] += draw.normal(0, 0.03, 3)
    row[WRIST] += draw.normal(0, 0.08, 3)
    row[FACE] += draw.normal(0, 0.06, 3)
    row[YAW] *= amplitude
    return row


def _ready(player: Player, wander: Array) -> Array:
    row = READY.array()
    row[HAND] = player.ready_fru
    row[LEAN] = player.lean_rad
    row[CROUCH] = player.crouch_m
    row[STEP] = wander
    return row


def channels(plan: VideoPlan, seat: int, keys: Track, start: int, stop: int) -> Array:
    """The poses of frames [start, stop): (T, 18) float64.

    Cubic Hermite between the keys with slopes that never overshoot into the next swing, plus a
    small sway that is a sum of slow sines, so that any frame can be had without those before it.
    """
    frames = np.arange(start, stop, dtype=np.float64)
    pose = _hermite(keys, frames)
    draw = np.random.default_rng([plan.config.seed, _SWAY, plan.index, seat])
    rates = draw.uniform(0.2, 1.4, (3, NUM_CHANNELS))
    phases = draw.uniform(0, 2 * np.pi, (3, NUM_CHANNELS))
    seconds = frames[:, None, None] / plan.config.fps
    sway = np.sin(2 * np.pi * rates * seconds + phases).sum(axis=1)
    return np.asarray(pose + sway * _SWAY_SIZE)


_SWAY_SIZE = np.zeros(NUM_CHANNELS)
_SWAY_SIZE[HAND] = 0.008
_SWAY_SIZE[FREE] = 0.008
_SWAY_SIZE[YAW] = 0.015
_SWAY_SIZE[LEAN] = 0.010
_SWAY_SIZE[CROUCH] = 0.006
_SWAY_SIZE[STEP] = (0.012, 0.012, 0.0)


def _hermite(keys: Track, frames: Array) -> Array:
    if len(keys.frames) == 1:
        return np.repeat(keys.channels, len(frames), axis=0)
    gaps = np.diff(keys.frames)[:, None]
    secants = np.diff(keys.channels, axis=0) / gaps
    slopes = np.zeros_like(keys.channels)
    # Mean of both sides, weighted to the shorter gap, and zero at a turning point.
    before, after = secants[:-1], secants[1:]
    weighted = (gaps[1:] * before + gaps[:-1] * after) / (gaps[1:] + gaps[:-1])
    limit = 2.5 * np.minimum(np.abs(before), np.abs(after))
    slopes[1:-1] = np.where(before * after > 0, np.clip(weighted, -limit, limit), 0.0)
    place = np.clip(np.searchsorted(keys.frames, frames, side="right") - 1, 0, len(gaps) - 1)
    gap = gaps[place]
    u = np.clip((frames[:, None] - keys.frames[place][:, None]) / gap, 0.0, 1.0)
    first, second = keys.channels[place], keys.channels[place + 1]
    return np.asarray(
        first * (1 + 2 * u) * (1 - u) ** 2
        + second * u**2 * (3 - 2 * u)
        + gap * (slopes[place] * u * (1 - u) ** 2 - slopes[place + 1] * u**2 * (1 - u))
    )


def skeleton(pose: Array, player: Player) -> dict[str, Array]:
    """Joints in a player's own axes (f, r, u), metres: each (T, 3).

    Args:
        pose: (T, 18) channels.
        player: scales the lengths.

    Returns:
        hips, spine_top, shoulder_bat, shoulder_free, elbow_*, wrist_*, knee_*, ankle_*, toe_*,
        hip_*, neck, head, and of the bat: blade (its middle), axis and normal (unit vectors).
    """
    step = pose[:, STEP]
    joints: dict[str, Array] = {}
    crouch = pose[:, CROUCH : CROUCH + 1]
    up = np.array([0.0, 0.0, 1.0])
    hips = step + (_ANKLE + _THIGH + _SHIN - 0.02 - crouch) * up
    lean, yaw = pose[:, LEAN], pose[:, YAW]
    hips[:, 0] -= 0.25 * lean  # the seat goes back as the trunk bends
    spine = np.stack([np.sin(lean), np.zeros_like(lean), np.cos(lean)], axis=1)
    across = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=1)
    half = np.stack([-np.sin(yaw / 2), np.cos(yaw / 2), np.zeros_like(yaw)], axis=1)
    top = hips + _SPINE * spine
    joints |= {"hips": hips, "spine_top": top}
    joints["neck"] = top + 0.07 * spine
    joints["head"] = top + 0.11 * up + 0.15 * spine
    for side, sign in (("bat", 1.0), ("free", -1.0)):
        joints[f"shoulder_{side}"] = top + sign * _SHOULDER * across - 0.02 * up
        joints[f"hip_{side}"] = hips + sign * _HIP * half
    _arms(joints, pose, across, step)
    _legs(joints, step, half)
    return {name: value * (player.height_m / NOMINAL_M) for name, value in joints.items()} | _bat(
        joints, pose, player
    )


def _arms(joints: dict[str, Array], pose: Array, across: Array, step: Array) -> None:
    for side, sign, where in (("bat", 1.0, HAND), ("free", -1.0, FREE)):
        pole = sign * 0.5 * across + np.array([-0.35, 0.0, -0.8])
        target = pose[:, where] + step
        elbow, wrist = _two_bones(joints[f"shoulder_{side}"], target, _UPPER_ARM, _FOREARM, pole)
        joints[f"elbow_{side}"], joints[f"wrist_{side}"] = elbow, wrist


def _legs(joints: dict[str, Array], step: Array, half: Array) -> None:
    for side, sign, forward in (("bat", 1.0, -0.08), ("free", -1.0, 0.12)):
        foot = np.array([forward, sign * 0.24, _ANKLE]) + 0.8 * step
        knee, ankle = _two_bones(
            joints[f"hip_{side}"], foot, _THIGH, _SHIN, np.array([1.0, 0.25 * sign, 0.1])
        )
        joints[f"knee_{side}"], joints[f"ankle_{side}"] = knee, ankle
        joints[f"toe_{side}"] = ankle + np.array([0.17, 0.04 * sign, -0.03])


def _two_bones(
    root: Array, target: Array, upper: float, lower: float, pole: Array
) -> tuple[Array, Array]:
    """Middle and end joint of a limb that reaches for the target, bent towards the pole."""
    reach = target - root
    distance = np.linalg.norm(reach, axis=1, keepdims=True)
    direction = reach / np.maximum(distance, 1e-6)
    length = np.clip(distance, abs(upper - lower) + 0.12, 0.99 * (upper + lower))
    along = (upper**2 - lower**2 + length**2) / (2 * length)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    bend = _unit(pole - (pole * direction).sum(axis=1, keepdims=True) * direction)
    return root + along * direction + aside * bend, root + length * direction


def _bat(joints: dict[str, Array], pose: Array, player: Player) -> dict[str, Array]:
    forearm = _unit(joints["wrist_bat"] - joints["elbow_bat"])
    axis = _unit(0.6 * forearm + _unit(pose[:, WRIST]))
    face = pose[:, FACE]
    normal = _unit(face - (face * axis).sum(axis=1, keepdims=True) * axis)
    wrist = joints["wrist_bat"] * (player.height_m / NOMINAL_M)
    return {"blade": wrist + BAT_M * axis, "axis": axis, "normal": normal}


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-6))
