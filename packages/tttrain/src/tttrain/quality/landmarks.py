"""The landmarks of a clip as the signal of a stroke (specification 7.1).

Hip-centred, in torso lengths and seconds, a left-hander mirrored, at one rate.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttflow import ClipPose
from tttrain.quality.steady import steadied

Floats = NDArray[np.float64]
Hand = Literal["left", "right"]

RATE_HZ = 60.0
SMOOTH_SECONDS = 0.02
"""Standard deviation of the Gaussian over time: half of the power of 6.6 Hz passes."""
MARGIN_SECONDS = 0.15
"""Before and after a stroke, as far as poses go: its bounds are never exact."""
LONGEST_GAP_SECONDS = 0.25
"""Without a tracked player; a longer gap is not bridged."""
SURE_VISIBILITY, SURE_POWER = 0.9, 8
"""A wrist at least so visible is believed; below, by this power of its share. Where a network takes
one arm for the other, the visibility of the wrist drops."""
TRUST_POWER = 4
"""The same where the path is looked for that most samples agree on."""
USUAL, LEAST_VISIBILITY = 0.9, 1e-3
"""Quantile of the visibility of a shoulder, with which others are compared: one that is never seen
well would be drawn to its mean, and with it every turn."""
SEEN_VISIBILITY = 0.5
"""A wrist that is less visible is hidden."""
SEEN_STEPS = 61
LEAST_SEEN = 2 / 3
"""Share of a phase in which the hand must be visible, for something to be measured of it."""
DEPTH_WEIGHT = 0.5
"""Of the arm's depth beside its place in the picture: one camera only estimates it."""
_EDGE = 4
"""Standard deviations at which the Gaussian is cut."""

SHOULDER, ELBOW, WRIST, FREE_SHOULDER, FREE_ELBOW, FREE_WRIST, HIP, FREE_HIP = range(8)
"""Joints of a signal: of the bat's side, and of the free one."""
_RIGHT_HANDED = (12, 14, 16, 11, 13, 15, 24, 23)
_LEFT_HANDED = (11, 13, 15, 12, 14, 16, 23, 24)


@dataclass(frozen=True, eq=False)
class StrokeSignal:
    """A stroke as every measure sees it, T samples at 60 Hz, with what lies around it."""

    clip_id: str
    fps: float
    """Of the video."""
    times: Floats
    """(T,) seconds of the video."""
    xy: Floats
    """(T, 8, 2): x to the right, y down, in torso lengths from the middle of the hips."""
    world: Floats
    """(T, 8, 3) metres, axes as `xy` and away from the camera."""
    torso_px: float
    mirrored: bool
    """Whether x was turned round, because the player is left-handed."""
    longest_gap: float
    """Seconds without a tracked player inside the stroke."""
    sure: Floats
    """(T,) 0 to 1: how far the arm with the bat is to be believed."""
    visible: Floats
    """(T,) 0 to 1: how visible the bat's wrist is."""
    steady_arm: Floats
    """(T, 3, 2): wrist, elbow and shoulder of the bat's side as `xy`, less what jumps."""
    steady_shoulders: Floats
    """(T, 2, 3): of the bat's side and the free one as `world`, less what jumps."""
    inner: slice
    """The samples of the stroke itself; others are at most `MARGIN_SECONDS` before and after it."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Seconds of the first and the last sample of the stroke itself."""
        times = self.times[self.inner]
        return float(times[0]), float(times[-1])

    def frame(self, seconds: float) -> float:
        """The frame number of a time, not rounded."""
        return seconds * self.fps

    def at(self, values: Floats, seconds: ArrayLike) -> Floats:
        """`values` (T, ...) at any times (K,): linear between samples, constant outside."""
        return sampled(self.times, values, np.atleast_1d(np.asarray(seconds, np.float64)))

    @cached_property
    def arm(self) -> Floats:
        """(T, 3): the bat's wrist seen from its shoulder, in torso lengths.

        In the picture, and half of how far away from the camera; 0 without landmarks in metres.
        """
        seen = self.xy[:, WRIST] - self.xy[:, SHOULDER]
        away = self.world[:, WRIST, 2] - self.world[:, SHOULDER, 2]
        depth = DEPTH_WEIGHT * away / self._torso_m if self.has_depth else np.zeros(len(away))
        return np.column_stack([seen, depth])

    def seen(self, begin: float, end: float) -> float:
        """The share of a span of seconds in which the bat's wrist is visible."""
        times = np.linspace(begin, end, SEEN_STEPS)
        return float((self.at(self.visible, times) >= SEEN_VISIBILITY).mean())

    @property
    def has_depth(self) -> bool:
        """Whether there are landmarks in metres: a torso of at least a centimetre."""
        return self._torso_m >= 0.01

    @cached_property
    def _torso_m(self) -> float:
        return torso_length(self.world[self.inner])


def stroke_signal(
    pose: ClipPose, start_frame: int, end_frame: int, hand: Hand = "right"
) -> StrokeSignal | None:
    """The signal of a stroke.

    Args:
        pose: landmarks of its clip, at any rate.
        start_frame: its first frame.
        end_frame: the frame past its last.
        hand: that holds the bat.

    Returns:
        None where no frame of the stroke shows a player.
    """
    seconds = pose.frames / pose.fps
    first, last = start_frame / pose.fps, (end_frame - 1) / pose.fps
    seen = pose.found
    inside = seen & (pose.frames >= start_frame) & (pose.frames < end_frame)
    if not inside.any():
        return None
    order = list(_RIGHT_HANDED if hand == "right" else _LEFT_HANDED)
    torso = torso_length(pose.points[inside][:, order].astype(np.float64))
    if not torso > 0:
        return None
    when = seconds[seen]
    places = _places(pose, order, torso, hand)[seen]
    visibility = pose.visibility[seen][:, order].astype(np.float64)
    before, after = (
        min(max(int((time + 1e-9) * RATE_HZ), 0), round(MARGIN_SECONDS * RATE_HZ))
        for time in (first - seconds[0], seconds[-1] - last)
    )
    count = round((last - first) * RATE_HZ) + 1
    times = np.arange(-before, count + after) / RATE_HZ + first
    smooth = smoothed(when, places, times)
    arm, shoulders = [WRIST, ELBOW, SHOULDER], [SHOULDER, FREE_SHOULDER]
    share = np.minimum(visibility / SURE_VISIBILITY, 1.0)
    usual = np.maximum(np.quantile(visibility, USUAL, axis=0), LEAST_VISIBILITY)
    alike = np.minimum(visibility / usual, 1.0) ** TRUST_POWER
    return StrokeSignal(
        clip_id=pose.clip_id,
        fps=pose.fps,
        times=times,
        xy=smooth[..., :2],
        world=smooth[..., 2:],
        torso_px=torso,
        mirrored=hand == "left",
        longest_gap=longest_gap(when, first, last),
        sure=sampled(when, share[:, WRIST] ** SURE_POWER, times),
        visible=sampled(when, visibility[:, WRIST], times),
        steady_arm=steadied(when, places[:, arm, :2], share[:, arm] ** TRUST_POWER, times),
        steady_shoulders=steadied(when, places[:, shoulders, 2:], alike[:, shoulders], times),
        inner=slice(before, before + count),
    )


def _places(pose: ClipPose, order: list[int], torso: float, hand: Hand) -> Floats:
    """(n, 8, 5): `xy` and `world` of a signal at every frame, a left-hander mirrored."""
    points = pose.points[:, order].astype(np.float64)
    xy = (points - points[:, [HIP, FREE_HIP]].mean(axis=1, keepdims=True)) / torso
    places = np.concatenate([xy, pose.world[:, order]], axis=2)
    if hand == "left":
        places[..., [0, 2]] *= -1
    return places


def torso_length(points: Floats) -> float:
    """The median distance from the middle of the shoulders to that of the hips.

    Args:
        points: (T, 8, 2 or 3) in the order of a signal's joints.
    """
    shoulders = points[:, [SHOULDER, FREE_SHOULDER]].mean(axis=1)
    hips = points[:, [HIP, FREE_HIP]].mean(axis=1)
    return float(np.median(np.linalg.norm(shoulders - hips, axis=1)))


def longest_gap(seconds: Floats, first: float, last: float) -> float:
    """The longest time in [first, last] without one of `seconds` (ascending)."""
    inside = seconds[(seconds > first) & (seconds < last)]
    edges = np.concatenate([[first], inside, [last]])
    before, after = (seconds <= first).any(), (seconds >= last).any()
    gaps = np.diff(edges)
    # Beyond an end of the track nobody is seen; inside two neighbours are one frame apart.
    if not before:
        gaps[0] += 1e-9
    if not after:
        gaps[-1] += 1e-9
    return float(gaps.max(initial=0.0))


def smoothed(seconds: Floats, values: Floats, times: Floats) -> Floats:
    """Values at even times, smoothed over time, also across what was not seen.

    Linear between the samples, then a Gaussian; beyond its ends a signal is continued by its point
    reflection, so that a straight line stays one.

    Args:
        seconds: (n,) ascending times of the samples.
        values: (n, ...) samples.
        times: (T,) even times.

    Returns:
        (T, ...) float64.
    """
    width = SMOOTH_SECONDS * RATE_HZ
    reach = int(np.ceil(_EDGE * width))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / width) ** 2)
    weights /= weights.sum()
    flat = sampled(seconds, values, _extended(times, reach)).reshape(len(times) + 2 * reach, -1)
    flat = _reflected(flat, _extended(times, reach), seconds)
    windows = np.lib.stride_tricks.sliding_window_view(flat, 2 * reach + 1, axis=0)
    return np.asarray((windows @ weights).reshape(len(times), *values.shape[1:]))


def _extended(times: Floats, reach: int) -> Floats:
    ahead = np.arange(1, reach + 1) / RATE_HZ
    return np.concatenate([times[0] - ahead[::-1], times, times[-1] + ahead])


def _reflected(flat: Floats, times: Floats, seconds: Floats) -> Floats:
    """Point reflection of what lies before the first and after the last sample."""
    result = flat.copy()
    for edge, outside in ((seconds[0], times < seconds[0]), (seconds[-1], times > seconds[-1])):
        if outside.any():
            value = sampled(times, flat, np.array([edge]))
            result[outside] = 2 * value - sampled(times, flat, 2 * edge - times[outside])
    return result


def sampled(seconds: Floats, values: Floats, times: Floats) -> Floats:
    """`values` (n, ...) at `times` (T,): linear between samples, constant outside of them."""
    place = np.interp(times, seconds, np.arange(len(seconds), dtype=np.float64))
    below = np.minimum(place.astype(np.int64), max(len(seconds) - 2, 0))
    share = (place - below).reshape(-1, *[1] * (values.ndim - 1))
    above = np.minimum(below + 1, len(seconds) - 1)
    return np.asarray(values[below] * (1 - share) + values[above] * share)
