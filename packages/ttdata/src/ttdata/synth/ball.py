"""The position of the ball: tossed and struck in a serve, else coming over the net and returned."""

import numpy as np
from numpy.typing import NDArray

from ttdata.synth.figure import Figure, project
from ttdata.synth.plan import Event, VideoPlan
from ttdata.synth.strokes import TOSS_SHARE, contact_share

_FLIGHT_SECONDS = 0.4
_VISIBLE = 0.15
_GRAVITY = 9.81


def ball_track(
    plan: VideoPlan, figures: list[Figure], start: int, stop: int
) -> NDArray[np.float64]:
    """The ball in frames [start, stop): (T, 2) pixels, x and y; NaN where there is none.

    Args:
        plan: the video.
        figures: the players in these frames.
        start: first frame of the chunk.
        stop: end of the chunk, exclusive.
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
    return path


def _contact_frame(event: Event) -> int:
    share = contact_share(str(event.label))
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
    length = event.end_frame - event.start_frame
    release = event.start_frame + round(TOSS_SHARE * length)
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
