"""The position of the ball: tossed, struck, coming over the net; in a match also picked up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttdata.synth.between import GRIP_SHARE
from ttdata.synth.body.figure import Figure, project, to_world
from ttdata.synth.body.skeleton import skeleton
from ttdata.synth.motion import Track, channels
from ttdata.synth.plan import VideoPlan
from ttdata.synth.strokes import TOSS_SHARE, contact_share
from ttdata.synth.timeline import Event

_FLIGHT_SECONDS = 0.4
_VISIBLE = 0.15
_GRAVITY = 9.81
_ROLL_SECONDS, _ROLL_M, _LEAD_SECONDS = 0.7, 1.1, 0.2
"""How long and how far a ball rolls away before it lies still, and how long before its pick-up it
begins to: the rally is over by then."""


@dataclass(frozen=True)
class PickUp:
    """A ball that a player takes from the floor at a frame; `rest_xy`: where it lies, pixels."""

    event: Event
    grip_frame: int
    rest_xy: NDArray[np.float64]


def find_pickups(plan: VideoPlan, tracks: Sequence[Track]) -> tuple[PickUp, ...]:
    """The pick-ups of a match: each ball lies where the hand of its player reaches the lowest.

    Args:
        plan: the video.
        tracks: the key frames of each player.
    """
    if not plan.config.matches:
        return ()
    found = []
    for event in plan.events:
        if event.kind != "pickup":
            continue
        length = event.end_frame - event.start_frame
        first, last = (event.start_frame + round(share * length) for share in GRIP_SHARE)
        pose = channels(plan, event.seat, tracks[event.seat], first, last)
        seat = plan.seats[event.seat]
        hand = project(plan.view, to_world(seat, skeleton(pose, seat.player)["wrist_free"]))[0]
        lowest = int(hand[:, 1].argmax())
        below = np.array([0.0, 0.06 * plan.view.px_per_m])
        found.append(PickUp(event, first + lowest, hand[lowest] + below))
    return tuple(found)


def ball_track(
    plan: VideoPlan,
    figures: list[Figure],
    start: int,
    stop: int,
    pickups: Iterable[PickUp] = (),
) -> NDArray[np.float64]:
    """The ball in frames [start, stop): (T, 2) pixels, x and y; NaN where there is none.

    Args:
        plan: the video.
        figures: the players in these frames.
        start: first frame of the chunk.
        stop: end of the chunk, exclusive.
        pickups: as `find_pickups` returns them.
    """
    path = np.full((stop - start, 2), np.nan)
    frames = np.arange(start, stop)
    flight = round(_FLIGHT_SECONDS * plan.config.fps)
    for event in plan.strokes:
        if event.end_frame + flight < start or event.start_frame - flight >= stop:
            continue
        contact = _contact_frame(event)
        after = (frames >= contact) & (frames < contact + _VISIBLE * flight)
        path[after] = _flight(plan, event, (frames[after] - contact) / flight)
        if str(event.label).startswith("Serve"):
            _toss(plan, event, figures[event.seat], frames, path)
        else:
            before = (frames >= contact - _VISIBLE * flight) & (frames < contact)
            path[before] = _flight(plan, event, (contact - frames[before]) / flight)
    for pickup in pickups:
        _picked_up(plan, pickup, figures[pickup.event.seat], frames, path)
    return path


def _picked_up(
    plan: VideoPlan,
    pickup: PickUp,
    player: Figure,
    frames: NDArray[np.int64],
    path: NDArray[np.float64],
) -> None:
    """Rolls away from the table, lies still, then is in the free hand to the end of the event."""
    roll = round(_ROLL_SECONDS * plan.config.fps)
    begin = pickup.event.start_frame - round(_LEAD_SECONDS * plan.config.fps)
    free = (frames >= begin) & (frames < pickup.grip_frame)
    left = np.clip(1 - (frames[free] - begin) / roll, 0, 1) ** 2
    facing = -plan.seats[pickup.event.seat].end
    ends = project(plan.view, np.array([(0.0, 0.0, 0.0), (facing * _ROLL_M, 0.0, 0.0)]))[0]
    path[free] = pickup.rest_xy + left[:, None] * (ends[1] - ends[0])
    held = (frames >= pickup.grip_frame) & (frames < pickup.event.end_frame)
    path[held] = player.free_xy[held] + np.array([0.0, 0.06 * plan.view.px_per_m])


def _contact_frame(event: Event) -> int:
    return _frame_at(event, contact_share(str(event.label)))


def _frame_at(event: Event, share: float) -> int:
    """The frame at a share of a stroke; a graded one has phases of its own durations."""
    if event.grade is not None:
        return round(event.grade.frame_at(share))
    return event.start_frame + round(share * (event.end_frame - event.start_frame))


def _flight(plan: VideoPlan, event: Event, way: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the bat (0) to the far end of the table (1), with a bounce on the far half."""
    seat = plan.seats[event.seat]
    facing = -seat.end
    near_x = seat.root_m[0] + facing * 0.75
    x = near_x + facing * 3.4 * way
    y = seat.root_m[1] + 0.25 * facing * seat.player.handedness * (1 - way)
    z = np.where(way < 0.65, 1.1 - 0.3 * (way / 0.65) ** 2, 0.8 + 0.9 * (way - 0.65))
    return project(plan.view, np.stack([x, y, z], axis=-1))[0]


def _toss(
    plan: VideoPlan,
    event: Event,
    player: Figure,
    frames: NDArray[np.int64],
    path: NDArray[np.float64],
) -> None:
    """In the free hand, then up and down to the bat."""
    release = _frame_at(event, TOSS_SHARE)
    contact = _contact_frame(event)
    lift = np.array([0.0, -0.05 * plan.view.px_per_m])
    held = (frames >= event.start_frame) & (frames < release)
    path[held] = player.free_xy[held] + lift
    flying = (frames >= release) & (frames < contact)
    if not flying.any():
        return
    seconds = (contact - release) / plan.config.fps
    way = (frames[flying] - release) / (contact - release)
    start, goal = _toss_ends(plan, event)
    rise = 0.5 * _GRAVITY * seconds**2 * way * (1 - way) * plan.view.px_per_m
    path[flying] = start + way[:, None] * (goal - start) - rise[:, None] * np.array([0.0, 1.0])


def _toss_ends(plan: VideoPlan, event: Event) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Above the free hand, and at the bat: fixed by the plan, whatever chunk is drawn."""
    seat = plan.seats[event.seat]
    facing = -seat.end
    hand = facing * seat.player.handedness
    ends = []
    for forward, right, up in ((0.5, -0.06, 1.42), (0.75, 0.25, 1.1)):
        point = (seat.root_m[0] + facing * forward, seat.root_m[1] + hand * right, up)
        ends.append(project(plan.view, np.array(point))[0])
    return ends[0], ends[1]
