"""From key poses to the pose of every frame: interpolation over a whole video."""

from dataclasses import dataclass

import numpy as np

from ttdata.synth.between import fake_keys, fetch_keys, pickup_keys, rest_keys, swing_keys
from ttdata.synth.body.skeleton import TORSO, Array, bat_shoulder
from ttdata.synth.graded.grade import Grade
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
    contact_share,
    stroke_keys,
)
from ttdata.synth.timeline import Event

_EVENT, _SWAY = 10, 11  # streams of random numbers
GRADED_SIZE = 0.75
"""Grade 1 of a graded stroke, of the key poses: so a larger one is within the arm's reach."""
TURN_LIMIT_RAD = 1.0
"""No graded stroke turns the trunk farther."""


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
    if event.grade is not None:
        return _graded_keys(plan, event, event.grade, player, draw)
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


def _graded_keys(
    plan: VideoPlan, event: Event, grade: Grade, player: Player, draw: np.random.Generator
) -> list[tuple[float, Array]]:
    """Key frames of a graded stroke: at its moments, which are whole frames."""
    spread = plan.config.grades.variation
    wander = spread * np.array([draw.normal(0, 0.03), draw.normal(0, 0.05), 0.0])
    amplitude = GRADED_SIZE * player.amplitude * float(np.exp(spread * draw.normal(0, 0.06)))
    ready = _ready(player, wander)
    keys = [(float(event.start_frame), ready)]
    for key in stroke_keys(str(event.label)):
        row = _varied(key, player, wander, amplitude, draw, spread)
        height = grade.levels.height * (key.at == contact_share(str(event.label)))
        keys.append((grade.frame_at(key.at), _graded_row(row, ready, grade, height)))
    keys.append((float(event.end_frame), _ready(player, np.array([0.0, wander[1], 0.0]))))
    return keys


def _graded_row(row: Array, ready: Array, grade: Grade, height: float) -> Array:
    """A key pose with its hand's way from ready, as seen from the shoulder, and its turn scaled.

    So a turned trunk takes the arm along, and the one grade leaves the other as it was.
    """
    before, start = bat_shoulder(row), bat_shoulder(ready)
    graded = row.copy()
    graded[YAW] = np.clip(row[YAW] * grade.levels.turn, -TURN_LIMIT_RAD, TURN_LIMIT_RAD)
    at_ready = ready[HAND] + ready[STEP] - start
    reach = at_ready + grade.levels.amplitude * (row[HAND] + row[STEP] - before - at_ready)
    graded[HAND] = bat_shoulder(graded) + reach - row[STEP]
    graded[HAND][2] += height * TORSO
    return graded


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
    key: Key,
    player: Player,
    wander: Array,
    amplitude: float,
    draw: np.random.Generator,
    spread: float = 1.0,
) -> Array:
    """A key pose as this player does it this time: larger or smaller, and not quite there."""
    ready = _ready(player, wander)
    row = key.pose.array()
    row[LEAN] += player.lean_rad
    row[CROUCH] += player.crouch_m
    row[STEP] += wander
    row[HAND] = ready[HAND] + (row[HAND] - ready[HAND]) * amplitude
    row[HAND] += spread * draw.normal(0, 0.03, 3)
    row[FREE] += spread * draw.normal(0, 0.03, 3)
    row[WRIST] += spread * draw.normal(0, 0.08, 3)
    row[FACE] += spread * draw.normal(0, 0.06, 3)
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
