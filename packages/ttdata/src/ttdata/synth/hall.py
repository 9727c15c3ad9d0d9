"""The empty hall, painted once a video: walls, lamps, floor, table, net and clutter."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ttdata.synth.body.figure import project
from ttdata.synth.body.skeleton import Array
from ttdata.synth.plan import VideoPlan

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

_HALL, _CLUTTER = 20, 21  # streams of random numbers
_SUPERSAMPLING = 2
TABLE_M = (2.74, 1.525, 0.76)
NET_M = 0.1525

_WALLS = ((206, 200, 186), (186, 198, 204), (214, 206, 196), (196, 204, 192), (204, 204, 208))
_FLOORS = ((176, 136, 92), (150, 86, 70), (126, 140, 134), (96, 118, 138), (186, 154, 112))
_TABLES = ((34, 70, 120), (24, 92, 74), (40, 50, 92))
_BARRIERS = ((32, 52, 110), (24, 84, 70), (70, 70, 78), (110, 30, 44))


class _Canvas:
    """Paints in frame coordinates onto a larger, supersampled image with a margin."""

    def __init__(self, plan: VideoPlan, margin: int) -> None:
        self.plan, self.margin = plan, margin
        self.scale = _SUPERSAMPLING
        width, height = plan.config.width + 2 * margin, plan.config.height + 2 * margin
        self.image = np.zeros((height * self.scale, width * self.scale, 3), np.uint8)
        self.unit = plan.config.height / 180

    def polygon(self, points: Array, color: Color) -> None:
        pixels = np.rint((np.asarray(points) + self.margin) * self.scale * 16).astype(np.int32)
        cv2.fillPoly(self.image, [pixels], color, cv2.LINE_AA, 4)

    def box(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        self.polygon(np.array(corners, dtype=np.float64), color)

    def line(self, first: Array, second: Array, width: float, color: Color) -> None:
        along = np.asarray(second) - np.asarray(first)
        aside = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6) * width / 2
        self.polygon(
            np.stack([first + aside, second + aside, second - aside, first - aside]), color
        )

    def world(self, points: Array, color: Color) -> None:
        self.polygon(project(self.plan.view, np.asarray(points, dtype=np.float64))[0], color)

    def world_line(self, first: Array, second: Array, width_m: float, color: Color) -> None:
        ends, _ = project(self.plan.view, np.array([first, second], dtype=np.float64))
        self.line(ends[0], ends[1], max(width_m * self.plan.view.px_per_m, 0.8), color)


def paint(plan: VideoPlan, margin: int) -> Image:
    """The empty hall, (height + 2 margin, width + 2 margin, 3) uint8 RGB.

    Wall, floor, table and windows are those of the session; clutter and light change with the
    video. Nothing depends on the strokes.
    """
    hall = np.random.default_rng([plan.config.seed, _HALL, plan.session])
    clutter = np.random.default_rng([plan.config.seed, _CLUTTER, plan.index])
    canvas = _Canvas(plan, margin)
    horizon = plan.config.height * float(hall.uniform(0.43, 0.47))
    _wall(canvas, hall, horizon)
    _floor(canvas, hall, horizon)
    _barriers(canvas, hall, clutter, horizon)
    _things_behind(canvas, clutter, horizon)
    _table(canvas, _pick(hall, _TABLES))
    _things_before(canvas, clutter)
    return _lit(canvas, clutter)


def _pick(draw: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    base = colors[int(draw.integers(len(colors)))]
    red, green, blue = (int(np.clip(value + draw.integers(-10, 11), 0, 255)) for value in base)
    return red, green, blue


def _darker(color: Color, factor: float) -> Color:
    red, green, blue = (int(np.clip(value * factor, 0, 255)) for value in color)
    return red, green, blue


def _wall(canvas: _Canvas, draw: np.random.Generator, horizon: float) -> None:
    unit, width = canvas.unit, canvas.plan.config.width
    wall = _pick(draw, _WALLS)
    margin = canvas.margin
    canvas.box(-margin, -margin, width + 2 * margin, horizon + margin, wall)
    ceiling = 13 * unit
    canvas.box(-margin, -margin, width + 2 * margin, ceiling + margin, _darker(wall, 0.6))
    canvas.box(-margin, ceiling, width + 2 * margin, 2 * unit, _darker(wall, 0.75))
    spacing = float(draw.uniform(26, 40)) * unit
    for x in np.arange(-spacing * draw.random(), width + spacing, spacing):
        canvas.box(x, ceiling, 1.2 * unit, horizon - ceiling, _darker(wall, 0.93))
    _windows(canvas, draw, ceiling)
    bars = float(draw.uniform(0.05, 0.8)) * width
    for k in range(9):  # wall bars, as in a school's gymnasium
        canvas.box(bars, ceiling + (8 + 4.4 * k) * unit, 30 * unit, 1.5 * unit, (170, 124, 76))
    for k in range(3):
        canvas.box(bars + 14.5 * k * unit, ceiling + 6 * unit, 2 * unit, 42 * unit, (140, 100, 60))
    for x in np.linspace(0.14, 0.86, int(draw.integers(3, 5))) * width:
        slant = 6 * unit
        lamp = np.array([(x - 16 * unit, 3 * unit), (x + 16 * unit, 3 * unit)])
        lower = np.array([(x + 16 * unit + slant, 8 * unit), (x - 16 * unit - slant, 8 * unit)])
        canvas.polygon(np.concatenate([lamp, lower]), (255, 254, 246))


def _windows(canvas: _Canvas, draw: np.random.Generator, ceiling: float) -> None:
    unit, width = canvas.unit, canvas.plan.config.width
    count = int(draw.integers(2, 6))
    size = float(draw.uniform(16, 24)) * unit
    first = float(draw.uniform(0, 0.3)) * width
    for k in range(count):
        x = first + k * 1.35 * size
        canvas.box(x, ceiling + 6 * unit, size, 17 * unit, (120, 124, 128))
        for part in range(2):
            pane = size / 2 - 1.5 * unit
            left = x + unit + part * (pane + unit)
            canvas.box(left, ceiling + 7 * unit, pane, 15 * unit, (222, 234, 242))
            canvas.box(left, ceiling + 14 * unit, pane, 8 * unit, (190, 206, 196))


def _floor(canvas: _Canvas, draw: np.random.Generator, horizon: float) -> None:
    width, height, margin = canvas.plan.config.width, canvas.plan.config.height, canvas.margin
    floor = _pick(draw, _FLOORS)
    canvas.box(-margin, horizon, width + 2 * margin, height - horizon + margin, floor)
    for k, y in enumerate(np.arange(-4.0, 8.0, 0.35)):  # boards along the table
        shade = _darker(floor, 0.95 + 0.1 * draw.random())
        strip = [(-9, y, 0), (9, y, 0), (9, y + 0.33, 0), (-9, y + 0.33, 0)]
        flat, _ = project(canvas.plan.view, np.array(strip, dtype=np.float64))
        if flat[:, 1].min() > horizon:
            canvas.polygon(flat, shade if k % 2 else floor)
    for _ in range(3):  # lines of other sports
        color = [(230, 230, 226), (204, 60, 50), (40, 90, 160), (226, 190, 60)]
        y = float(draw.uniform(-1.2, 3.0))
        picked = color[int(draw.integers(len(color)))]
        canvas.world_line(np.array([-9, y, 0]), np.array([9, y, 0]), 0.05, picked)
    canvas.box(-margin, horizon - canvas.unit, width + 2 * margin, 2 * canvas.unit, (70, 66, 62))


def _barriers(
    canvas: _Canvas, draw: np.random.Generator, clutter: np.random.Generator, horizon: float
) -> None:
    """The low panels around a playing court, some with a pale panel on them."""
    unit, width = canvas.unit, canvas.plan.config.width
    color = _pick(draw, _BARRIERS)
    panel, tall = float(draw.uniform(48, 64)) * unit, 26 * unit
    top = horizon - tall + 8 * unit
    for k, x in enumerate(np.arange(-panel * draw.random(), width + panel, panel)):
        if clutter.random() < 0.12:
            continue
        canvas.box(x, top, panel - 1.2 * unit, tall, _darker(color, 0.94 if k % 2 else 1.04))
        canvas.box(x, top + tall - 2 * unit, panel - 1.2 * unit, 2 * unit, _darker(color, 0.7))
        if clutter.random() < 0.6:
            tint = _darker((226, 226, 220), 0.8 + 0.2 * clutter.random())
            inset = panel * 0.18
            for row in range(2):
                length = (panel - 2 * inset) * float(clutter.uniform(0.4, 1.0))
                canvas.box(x + inset, top + (7 + 6 * row) * unit, length, 3.4 * unit, tint)


def _things_behind(canvas: _Canvas, draw: np.random.Generator, horizon: float) -> None:
    """A bench with bags, and a folded table, along the barriers."""
    unit, width = canvas.unit, canvas.plan.config.width
    bench = float(draw.uniform(0.5, 0.85)) * width
    canvas.box(bench, horizon + 2 * unit, 44 * unit, 2.4 * unit, (150, 106, 60))
    for leg in (3, 38):
        canvas.box(bench + leg * unit, horizon + 4 * unit, 2 * unit, 7 * unit, (90, 90, 96))
    for _ in range(int(draw.integers(1, 4))):
        x = bench + float(draw.uniform(0, 34)) * unit
        size = float(draw.uniform(5, 9)) * unit
        color = _darker(_pick(draw, _BARRIERS), float(draw.uniform(0.8, 1.8)))
        canvas.box(x, horizon + 2 * unit - size, 1.3 * size, size, color)
    if draw.random() < 0.6:
        x = float(draw.uniform(0.05, 0.9)) * width
        canvas.box(x, horizon - 24 * unit, 5 * unit, 30 * unit, (30, 66, 110))
        canvas.box(x + 5 * unit, horizon - 24 * unit, 1.2 * unit, 30 * unit, (230, 230, 230))


def _table(canvas: _Canvas, color: Color) -> None:
    long, wide, high = TABLE_M[0] / 2, TABLE_M[1] / 2, TABLE_M[2]
    shadow = [(-long, -wide, 0), (long, -wide, 0), (long, wide, 0), (-long, wide, 0)]
    canvas.world(np.array(shadow) * 1.02, (84, 72, 62))
    for x in (-1.0, 1.0):
        for y in (-0.55, 0.55):
            canvas.world_line(np.array([x, y, 0]), np.array([x, y, high]), 0.06, (46, 48, 52))
        canvas.world_line(np.array([x, -0.55, 0.1]), np.array([x, 0.55, 0.1]), 0.05, (46, 48, 52))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (long, wide)
    for drop, paint_color in ((0.06, _darker(color, 0.55)), (0.0, (236, 238, 238))):
        canvas.world(np.column_stack([corners, np.full(4, high - drop)]), paint_color)
    inner = corners - np.sign(corners) * 0.03
    canvas.world(np.column_stack([inner, np.full(4, high)]), color)
    middle = high + 0.001
    canvas.world_line(
        np.array([-long, 0, middle]), np.array([long, 0, middle]), 0.015, (236, 238, 238)
    )
    _net(canvas, wide, high)


def _net(canvas: _Canvas, wide: float, high: float) -> None:
    far, near, top = -wide - 0.15, wide + 0.15, high + NET_M
    for y in np.linspace(far, near, 22):
        canvas.world_line(np.array([0, y, high]), np.array([0, y, top]), 0.012, (60, 66, 72))
    for z in np.linspace(high, top, 5):
        canvas.world_line(np.array([0, far, z]), np.array([0, near, z]), 0.010, (60, 66, 72))
    canvas.world_line(np.array([0, far, top]), np.array([0, near, top]), 0.025, (240, 240, 240))
    for y in (far, near):
        canvas.world_line(np.array([0, y, high - 0.1]), np.array([0, y, top]), 0.03, (40, 40, 44))


def _things_before(canvas: _Canvas, draw: np.random.Generator) -> None:
    """Balls, a bottle, a bag and a basket on the floor nearer than the players."""
    unit, plan = canvas.unit, canvas.plan
    width, height = plan.config.width, plan.config.height
    for _ in range(int(draw.integers(3, 12))):
        x, y = float(draw.uniform(0.02, 0.98)) * width, float(draw.uniform(0.72, 0.98)) * height
        color = (250, 250, 244) if draw.random() < 0.6 else (250, 160, 50)
        canvas.box(x - 0.9 * unit, y + 0.4 * unit, 2.2 * unit, unit, (80, 70, 60))
        canvas.box(x - 0.8 * unit, y - 0.8 * unit, 1.7 * unit, 1.7 * unit, color)
    for _ in range(int(draw.integers(1, 4))):
        x, y = float(draw.uniform(0.02, 0.9)) * width, float(draw.uniform(0.80, 0.92)) * height
        size = float(draw.uniform(9, 20)) * unit
        color = _darker(_pick(draw, _BARRIERS), float(draw.uniform(0.7, 2.0)))
        canvas.box(x - unit, y + 0.55 * size, 1.5 * size + 2 * unit, 2 * unit, (80, 72, 64))
        canvas.box(x, y, 1.5 * size, 0.62 * size, color)
        canvas.box(x, y, 1.5 * size, 0.16 * size, _darker(color, 0.75))
        canvas.box(x + 0.5 * size, y - 0.1 * size, 0.5 * size, 0.14 * size, _darker(color, 0.5))
    x = float(draw.uniform(0.02, 0.95)) * width
    canvas.box(x, 0.84 * height, 3 * unit, 11 * unit, (120, 180, 210))
    canvas.box(x + 0.6 * unit, 0.84 * height - 2 * unit, 1.8 * unit, 2 * unit, (40, 60, 150))


def _lit(canvas: _Canvas, draw: np.random.Generator) -> Image:
    """Grain of the surfaces and the fall-off of the light, then the size of the frame."""
    plan, margin = canvas.plan, canvas.margin
    size = (plan.config.width + 2 * margin, plan.config.height + 2 * margin)
    image = cv2.resize(canvas.image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    # A lens is softer than a polygon; and sharp edges would leap at the least shake.
    image = cv2.GaussianBlur(image, (0, 0), 0.55 * canvas.unit)
    for cell, strength in ((2, 2.5), (7, 3.0), (40, 5.0)):
        coarse = (
            max(2, int(size[0] / (cell * canvas.unit))),
            max(2, int(size[1] / (cell * canvas.unit))),
        )
        grain = draw.normal(0, strength, (coarse[1], coarse[0])).astype(np.float32)
        image += cv2.resize(grain, size, interpolation=cv2.INTER_LINEAR)[..., None]
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    x, y = x / size[0] - float(draw.uniform(0.3, 0.7)), y / size[1] - 0.3
    image *= (float(draw.uniform(0.98, 1.08)) - 0.35 * (x**2 + 0.7 * y**2))[..., None]
    image *= np.array([1 + 0.02 * draw.normal(), 1, 1 + 0.02 * draw.normal()], np.float32)
    return np.asarray(np.clip(np.rint(image), 0, 255), dtype=np.uint8)
