"""Renders the frames of a plan: the hall once, the players in every frame, then light and noise."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ttdata.synth.ball import ball_track, find_pickups
from ttdata.synth.body.figure import SHIFT, Figure, draw, figure
from ttdata.synth.hall import paint
from ttdata.synth.motion import channels, track
from ttdata.synth.plan import VideoPlan, project_root

Image = NDArray[np.uint8]

_SHAKE, _NOISE, _FLICKER, _OFFSETS = 30, 31, 32, 33  # streams of random numbers
_CHUNK = 240
_PHASES = 16


@dataclass(frozen=True)
class SynthFrame:
    """A frame and, when asked for, what is to be seen in it."""

    rgb: Image
    """(H, W, 3) uint8; the caller may keep it."""
    player_masks: list[NDArray[np.bool_]] = field(default_factory=list)
    """Per player (H, W) bool: body and bat; empty without truth."""
    bat_xy: list[tuple[float, float]] = field(default_factory=list)
    """Per player the middle of the bat, (x, y) in pixels."""
    body_x: list[float] = field(default_factory=list)
    """Per player the x of the hips, in pixels: the body's axis."""


def render(
    plan: VideoPlan, with_truth: bool = True, start_frame: int = 0, end_frame: int | None = None
) -> Iterator[SynthFrame]:
    """The frames of a video in order; memory does not grow with its length.

    Equal plans give equal pixels. Flicker, noise and shake each have random numbers of their own,
    so that switching one off leaves all else as it was.

    Args:
        plan: who plays, where, and what happens when.
        with_truth: also the players' masks (this costs time).
        start_frame: first frame; any frame has the pixels it has in the whole video.
        end_frame: end of the frames, exclusive; None: the video's end.

    Yields:
        One SynthFrame per frame.
    """
    stage = _Stage(plan)
    stop = plan.num_frames if end_frame is None else end_frame
    tracks = [track(plan, seat) for seat in range(len(plan.seats))]
    pickups = find_pickups(plan, tracks) if plan.config.ball else ()
    for first in range(start_frame, stop, _CHUNK):
        last = min(first + _CHUNK, stop)
        poses = [channels(plan, seat, keys, first, last) for seat, keys in enumerate(tracks)]
        figures = [
            figure(pose, seat, plan.view) for pose, seat in zip(poses, plan.seats, strict=True)
        ]
        balls = ball_track(plan, figures, first, last, pickups) if plan.config.ball else None
        for t in range(last - first):
            yield stage.frame(first, t, figures, balls, with_truth)


class _Stage:
    """The hall, lamps, noise and camera shake that all frames of a video share."""

    def __init__(self, plan: VideoPlan) -> None:
        self.plan = plan
        config = plan.config
        self.unit = config.height / 180
        # Shake in steps of about a tenth of a pixel of a 320 x 180 frame.
        self.subpixels = 8 if config.height < 270 else 4 if config.height < 720 else 2
        self.margin = int(np.ceil(config.shake * self.unit)) + 2
        self.hall = self._with_shadows(paint(plan, self.margin))
        self.shifted: dict[tuple[int, int], Image] = {}
        draw_shake = np.random.default_rng([config.seed, _SHAKE, plan.index])
        self.shake_hz = draw_shake.uniform(0.3, 6.0, (4, 2))
        self.shake_phase = draw_shake.uniform(0, 2 * np.pi, (4, 2))
        self.lamps = self._lamps() if config.flicker > 0 else []
        self.noise = self._noise() if config.noise > 0 else None

    def frame(
        self,
        first: int,
        t: int,
        figures: list[Figure],
        balls: NDArray[np.float64] | None,
        truth: bool,
    ) -> SynthFrame:
        config, number = self.plan.config, first + t
        shift = self._shift(number)
        rgb = self._background(shift)
        offset = (shift * (1 << SHIFT) // self.subpixels).astype(np.int32)
        for chunk in figures:
            draw(rgb, chunk, t, offset)
        if balls is not None and np.isfinite(balls[t, 0]):
            self._ball(rgb, balls[t], offset)
        if self.lamps:
            phase = number * config.flicker_hz / config.fps % 1.0
            lamp = self.lamps[int(phase * _PHASES) % _PHASES]
            rgb = np.asarray(cv2.multiply(rgb, lamp, dst=rgb, scale=1 / 128), dtype=np.uint8)
        if self.noise is not None:
            self._add_noise(rgb, number)
        pixels = shift / self.subpixels
        return SynthFrame(
            rgb,
            [self._mask(chunk, t, offset) for chunk in figures] if truth else [],
            [
                (float(c.blade_xy[t, 0] + pixels[0]), float(c.blade_xy[t, 1] + pixels[1]))
                for c in figures
            ],
            [float(c.axis_x[t] + pixels[0]) for c in figures],
        )

    def _shift(self, number: int) -> NDArray[np.int64]:
        """The picture's displacement in subpixels, (2,) x, y."""
        config = self.plan.config
        if config.shake == 0:
            return np.zeros(2, dtype=np.int64)
        angle = 2 * np.pi * self.shake_hz * number / config.fps + self.shake_phase
        peak = config.shake * self.unit
        moved = np.sin(angle).mean(axis=0) * peak * self.subpixels
        return np.asarray(np.rint(moved), dtype=np.int64)

    def _background(self, shift: NDArray[np.int64]) -> Image:
        """The hall as the displaced camera sees it; its subpixel phases are kept."""
        whole, part = shift // self.subpixels, shift % self.subpixels
        key = (int(part[0]), int(part[1]))
        if key not in self.shifted:
            moved = np.array([[1, 0, part[0] / self.subpixels], [0, 1, part[1] / self.subpixels]])
            size = (self.hall.shape[1], self.hall.shape[0])
            self.shifted[key] = np.asarray(
                cv2.warpAffine(self.hall, moved, size, borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
        top, left = self.margin - int(whole[1]), self.margin - int(whole[0])
        config = self.plan.config
        return self.shifted[key][top : top + config.height, left : left + config.width].copy()

    def _with_shadows(self, hall: Image) -> Image:
        """A soft shadow on the floor below each player."""
        dark = np.zeros(hall.shape[:2], np.float32)
        for seat in self.plan.seats:
            x, y = project_root(self.plan.view, seat)
            center = (round(x + self.margin), round(y + self.margin))
            axes = (round(22 * self.unit), round(6 * self.unit))
            cv2.ellipse(dark, center, axes, 0, 0, 360, 0.35, -1, cv2.LINE_AA)
        dark = cv2.GaussianBlur(dark, (0, 0), 3 * self.unit)
        return np.asarray(np.rint(hall * (1 - dark[..., None])), dtype=np.uint8)

    def _lamps(self) -> list[Image]:
        """Gains of one period of the lamps, 128 = 1; lamps differ in phase across the hall."""
        config = self.plan.config
        source = np.random.default_rng([config.seed, _FLICKER, self.plan.index])
        y, x = np.mgrid[0 : config.height, 0 : config.width].astype(np.float32)
        lead = 0.9 * np.sin(
            source.uniform(2, 5) * x / config.width + source.uniform(1, 3) * y / config.height
        )
        dither = source.random((config.height, config.width), dtype=np.float32)
        lamps = []
        for k in range(_PHASES):
            gain = 1 + config.flicker * np.sin(2 * np.pi * k / _PHASES + lead)
            level = np.clip(np.floor(128 * gain + dither), 0, 255).astype(np.uint8)
            lamps.append(np.repeat(level[..., None], 3, axis=2))
        return lamps

    def _noise(self) -> tuple[Image, Image]:
        """Noise to add and to subtract: tiles larger than the frame, read at random offsets."""
        config = self.plan.config
        source = np.random.default_rng([config.seed, _NOISE, self.plan.index])
        size = (config.height + 64, config.width + 64)
        grey = source.normal(0, config.noise, (*size, 1))
        color = source.normal(0, 0.4 * config.noise, (*size, 3))
        tile = np.rint(grey + color)
        return np.maximum(tile, 0).astype(np.uint8), np.maximum(-tile, 0).astype(np.uint8)

    def _add_noise(self, rgb: Image, number: int) -> None:
        assert self.noise is not None
        seed = [self.plan.config.seed, _OFFSETS, self.plan.index, number]
        top, left = np.random.default_rng(seed).integers(0, 64, 2)
        height, width = rgb.shape[:2]
        view = (slice(top, top + height), slice(left, left + width))
        cv2.add(rgb, self.noise[0][view], dst=rgb)
        cv2.subtract(rgb, self.noise[1][view], dst=rgb)

    def _ball(self, rgb: Image, xy: NDArray[np.float64], offset: NDArray[np.int32]) -> None:
        center = np.rint(xy * (1 << SHIFT)).astype(np.int32) + offset
        radius = max(0.021 * self.plan.view.px_per_m, 0.9)
        cv2.circle(
            rgb, (int(center[0]), int(center[1])), int(radius * (1 << SHIFT)),
            (252, 250, 240), -1, cv2.LINE_AA, SHIFT,
        )  # fmt: skip

    def _mask(self, chunk: Figure, t: int, offset: NDArray[np.int32]) -> NDArray[np.bool_]:
        mask = np.zeros((self.plan.config.height, self.plan.config.width), np.uint8)
        draw(mask, chunk, t, offset, color=255)
        return np.asarray(mask > 127)
