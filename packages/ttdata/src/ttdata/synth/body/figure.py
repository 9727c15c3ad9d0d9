"""From joints in space to the polygons of a player, in drawing order, for a chunk of frames."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ttdata.synth.body.skeleton import Array, skeleton
from ttdata.synth.plan import Seat, View
from ttdata.synth.players import Player

SHIFT = 4
"""Polygon points are integers in 1/16 px."""

_BLADE_M, _HANDLE_M = 0.088, 0.11
_RED, _BLACK, _WOOD = (200, 36, 40), (28, 28, 32), (196, 150, 96)
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6)
_CIRCLE = np.linspace(0, 2 * np.pi, 16, endpoint=False)

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """A convex polygon per frame: points (T, N, 2) int32 in 1/16 px, colours (T, 3) uint8."""

    points: NDArray[np.int32]
    colors: list[Color]


@dataclass(frozen=True)
class Figure:
    """A player over a chunk of frames.

    `order[t]` lists indices of `parts`, back to front. `blade_xy` and `axis_x`: (T, 2) and (T,)
    float64, pixels: the middle of the bat, and the body's axis.
    """

    parts: list[Part]
    order: list[list[int]]
    blade_xy: Array
    axis_x: Array
    free_xy: Array


def project(view: View, world: Array) -> tuple[Array, Array]:
    """Image points (..., 2) in pixels and nearness to the camera (...) in metres."""
    sin_a, cos_a = np.sin(view.azimuth_rad), np.cos(view.azimuth_rad)
    sin_e, cos_e = np.sin(view.elevation_rad), np.cos(view.elevation_rad)
    across = cos_a * world[..., 0] - sin_a * world[..., 1]
    toward = sin_a * world[..., 0] + cos_a * world[..., 1]
    x = view.origin_xy[0] + view.px_per_m * across
    y = view.origin_xy[1] + view.px_per_m * (sin_e * toward - cos_e * world[..., 2])
    return np.stack([x, y], axis=-1), cos_e * toward + sin_e * world[..., 2]


def to_world(seat: Seat, local: Array) -> Array:
    """From a player's axes (f, r, u) to the hall's: x along the table, y to the camera, z up."""
    facing = -seat.end
    hand = facing * seat.player.handedness
    return np.asarray(local * (facing, hand, 1.0) + (*seat.root_m, 0.0))


def figure(pose: Array, seat: Seat, view: View) -> Figure:
    """The player's polygons for the poses (T, 18)."""
    local = skeleton(pose, seat.player)
    vectors = {name: local.pop(name) for name in ("axis", "normal")}
    flat, near = {}, {}
    for name, points in local.items():
        flat[name], near[name] = project(view, to_world(seat, points))
    builder = _Builder(seat.player, view, flat)
    layers = {
        "leg_bat": builder.leg("bat"),
        "leg_free": builder.leg("free"),
        "trunk": builder.trunk(),
        "head": builder.head(-seat.end),
        "arm_free": builder.arm("free"),
        "arm_bat": builder.arm("bat"),
        "bat": _bat(seat, view, local, vectors, flat),
    }
    parts: list[Part] = []
    places: dict[str, list[int]] = {}
    for name, members in layers.items():
        places[name] = list(range(len(parts), len(parts) + len(members)))
        parts += members
    order = _order(places, near, len(pose))
    blade = flat["blade"]
    return Figure(parts, order, blade, flat["hips"][:, 0], flat["wrist_free"])


def _order(places: dict[str, list[int]], near: dict[str, Array], count: int) -> list[list[int]]:
    """Back to front in each frame: the legs, then trunk and head between far and near arms."""
    trunk = (near["hips"] + near["spine_top"]) / 2
    arms = {
        side: (near[f"elbow_{side}"] + near[f"wrist_{side}"]) / 2 - trunk
        for side in ("bat", "free")
    }
    bat_first = near["blade"] < near["wrist_bat"]
    right_leg_near = near["ankle_bat"] > near["ankle_free"]
    orders = []
    for t in range(count):
        arm_bat = ["bat", "arm_bat"] if bat_first[t] else ["arm_bat", "bat"]
        limbs = [("arm_free", float(arms["free"][t])), ("arm_bat", float(arms["bat"][t]))]
        limbs.sort(key=lambda item: item[1])
        names = ["leg_free", "leg_bat"] if right_leg_near[t] else ["leg_bat", "leg_free"]
        middle = [("trunk", 0.0), ("head", 0.0)]
        behind = [name for name, depth in limbs if depth < 0]
        before = [name for name, depth in limbs if depth >= 0]
        for name in (*behind, *(name for name, _ in middle), *before):
            names += arm_bat if name == "arm_bat" else [name]
        orders.append([index for name in names for index in places[name]])
    return orders


class _Builder:
    """Makes the parts of a body from projected joints."""

    def __init__(self, player: Player, view: View, flat: dict[str, Array]) -> None:
        self.player, self.flat = player, flat
        self.px = view.px_per_m * player.height_m / 1.75
        self.count = len(flat["hips"])

    def limb(self, first: Array, second: Array, radii_m: tuple[float, float], color: Color) -> Part:
        girth = self.player.girth
        radii = (radii_m[0] * girth * self.px, radii_m[1] * girth * self.px)
        return _part(_capsule(first, second, *radii), color, self.count)

    def leg(self, side: str) -> list[Part]:
        hip, knee, ankle, toe = (
            self.flat[f"{name}_{side}"] for name in ("hip", "knee", "ankle", "toe")
        )
        player = self.player
        dark = 0.88 if side == "free" else 1.0
        skin, shorts = _shade(player.skin, dark), _shade(player.shorts, dark)
        hem = hip + 0.68 * (knee - hip)
        sock = knee + 0.72 * (ankle - knee)
        heel = ankle + np.array([0.0, 0.02 * self.px])
        return [
            self.limb(knee, ankle, (0.055, 0.038), skin),
            self.limb(sock, ankle, (0.046, 0.044), _shade((240, 240, 240), dark)),
            self.limb(heel, toe, (0.055, 0.045), player.shoes),
            self.limb(hip, knee, (0.08, 0.058), skin),
            self.limb(hip, hem, (0.105, 0.092), shorts),
        ]

    def trunk(self) -> list[Part]:
        flat, player = self.flat, self.player
        left, right = flat["shoulder_free"], flat["shoulder_bat"]
        hip_left, hip_right = flat["hip_free"], flat["hip_bat"]
        middle, waist = (left + right) / 2, (hip_left + hip_right) / 2
        inner_left, inner_right = left + 0.3 * (middle - left), right + 0.3 * (middle - right)
        dark, light = _shade(player.shirt, 0.86), _shade(player.shirt, 1.1)
        chest = middle + 0.22 * (waist - middle)
        return [
            self.limb(hip_left, hip_right, (0.105, 0.105), player.shorts),
            self.limb(inner_left, hip_left, (0.095, 0.10), dark),
            self.limb(inner_right, hip_right, (0.095, 0.10), player.shirt),
            self.limb(middle, waist, (0.11, 0.10), player.shirt),
            self.limb(left, right, (0.068, 0.068), player.shirt),
            self.limb(chest, middle + 0.8 * (waist - middle), (0.035, 0.03), light),
            self.limb(
                chest + 0.5 * (left - middle), chest + 0.5 * (right - middle),
                (0.03, 0.03), player.stripe,
            ),
        ]  # fmt: skip

    def head(self, facing: int) -> list[Part]:
        flat, player = self.flat, self.player
        head = flat["head"]
        forward = np.array([facing * 0.03, 0.0]) * self.px
        up = np.array([0.0, -0.035]) * self.px
        return [
            self.limb(flat["spine_top"], head, (0.05, 0.05), _shade(player.skin, 0.85)),
            self.limb(head - forward + up, head - forward, (0.108, 0.10), player.hair),
            self.limb(head + forward * 0.9, head + forward - up, (0.088, 0.075), player.skin),
            self.limb(head + up * 2.1, head + up * 1.8 + forward, (0.07, 0.06), player.hair),
        ]

    def arm(self, side: str) -> list[Part]:
        shoulder, elbow, wrist = (
            self.flat[f"{name}_{side}"] for name in ("shoulder", "elbow", "wrist")
        )
        player = self.player
        dark = 0.9 if side == "free" else 1.0
        skin = _shade(player.skin, dark)
        hand = wrist + 0.12 * (wrist - elbow)
        sleeve = shoulder + 0.55 * (elbow - shoulder)
        return [
            self.limb(shoulder, elbow, (0.055, 0.044), skin),
            self.limb(shoulder, sleeve, (0.070, 0.066), _shade(player.shirt, 0.94 * dark)),
            self.limb(elbow, wrist, (0.043, 0.034), skin),
            self.limb(wrist, hand, (0.042, 0.045), skin),
        ]


def _bat(
    seat: Seat,
    view: View,
    local: dict[str, Array],
    vectors: dict[str, Array],
    flat: dict[str, Array],
) -> list[Part]:
    """Handle, rim and rubber; the rubber shows red on the face that hits, black on the other."""
    size = seat.player.height_m / 1.75
    axis, normal = vectors["axis"], vectors["normal"]
    side = np.cross(axis, normal)
    ring = np.cos(_CIRCLE)[:, None, None] * axis + np.sin(_CIRCLE)[:, None, None] * side
    ring = ring.transpose(1, 0, 2)
    outline = project(view, to_world(seat, local["blade"][:, None] + 1.12 * _BLADE_M * size * ring))
    rubber = project(view, to_world(seat, local["blade"][:, None] + _BLADE_M * size * ring))
    facing = project(view, to_world(seat, local["blade"] + normal))[1]
    front = facing > project(view, to_world(seat, local["blade"]))[1]
    handle_end = project(view, to_world(seat, local["blade"] - axis * _HANDLE_M * size * 2.1))[0]
    width = max(0.018 * size * view.px_per_m, 0.5)
    count = len(axis)
    # A blade seen edge-on keeps the thickness of a bat: a thin capsule along its axis.
    tip = (
        2 * flat["blade"]
        - project(view, to_world(seat, local["blade"] - axis * _BLADE_M * size))[0]
    )
    return [
        _part(_capsule(handle_end, flat["blade"], width, width), _WOOD, count),
        _part(_capsule(2 * flat["blade"] - tip, tip, width, width), _BLACK, count),
        _part(outline[0], _WOOD, count),
        Part(_fixed(rubber[0]), [_RED if shown else _BLACK for shown in front]),
    ]


def _part(points: Array, color: Color, count: int) -> Part:
    return Part(_fixed(points), [color] * count)


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def _shade(color: Color, factor: float) -> Color:
    red, green, blue = (min(255, round(value * factor)) for value in color)
    return red, green, blue


def _capsule(first: Array, second: Array, radius_first: float, radius_second: float) -> Array:
    """(T, 12, 2): a limb with round ends between points (T, 2), radii in pixels."""
    along = second - first
    angle = np.arctan2(along[:, 1], along[:, 0])[:, None]
    head = angle + _ARC
    tail = head + np.pi
    return np.concatenate(
        [
            second[:, None] + radius_second * np.stack([np.cos(head), np.sin(head)], axis=-1),
            first[:, None] + radius_first * np.stack([np.cos(tail), np.sin(tail)], axis=-1),
        ],
        axis=1,
    )


def draw(
    image: NDArray[np.uint8],
    chunk: Figure,
    t: int,
    offset: NDArray[np.int32],
    color: int | None = None,
) -> None:
    """Draw frame `t` of a chunk into an image, anti-aliased.

    Args:
        image: (H, W, 3) or (H, W) uint8, drawn into.
        chunk: the player's polygons.
        t: frame within the chunk.
        offset: (2,) int32, shift of the camera in 1/16 px.
        color: a grey level for masks; None: the parts' colours.
    """
    for index in chunk.order[t]:
        part = chunk.parts[index]
        fill = part.colors[t] if color is None else (color,)
        cv2.fillConvexPoly(image, part.points[t] + offset, fill, cv2.LINE_AA, SHIFT)
