"""Which part of a picture a film shows, and how large."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, sqrt
from typing import Any

from av.filter.graph import Graph
from av.video.frame import VideoFrame

from ttdata.video.container import Orientation
from ttdata.video.decode import DecodedFrame

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max, shares of a picture."""
_BLOCK_PX = 16
"""Sides of a film are multiples: a JPEG's blocks of colour then hold one frame each."""
_ALIGN_PX = 4
"""Of a cut in the stored picture: its pixels of colour may be four times as large."""


@dataclass(frozen=True)
class Framing:
    """How a picture becomes a frame of a film: it is cut, then reduced."""

    stored_box: Box | None
    """What is cut out of the stored picture; None: nothing."""
    film_hw: tuple[int, int]
    picture_hw: tuple[float, float]
    """Height and width of the whole shown picture in pixels of the film."""
    left_top: tuple[float, float]
    """Of the film in that picture."""


def framing_of(frame: DecodedFrame, box: Box | None, longer_px: int, root_px: float) -> Framing:
    """How the frames of a video become those of a film.

    Args:
        frame: the first of them.
        box: what the film shows, as the picture is shown; None: all of it.
        longer_px: the longer side of a film, at most.
        root_px: the root of its area, at most.
    """
    stored = None
    shown: Box = (0.0, 0.0, 1.0, 1.0)
    if box is not None:
        stored = aligned(stored_box(box, frame.orientation), (frame.raw.width, frame.raw.height))
        shown = shown_box(stored, frame.orientation)
    share_x, share_y = shown[2] - shown[0], shown[3] - shown[1]
    high, wide = share_y * frame.shown_hw[0], share_x * frame.shown_hw[1]
    scale = min(1.0, longer_px / max(wide, high), root_px / sqrt(wide * high))
    film = _blocks(high * scale), _blocks(wide * scale)
    picture = film[0] / share_y, film[1] / share_x
    return Framing(stored, film, picture, (shown[0] * picture[1], shown[1] * picture[0]))


def _blocks(side: float) -> int:
    whole = floor(side + 1e-6)
    return max(1, whole // _BLOCK_PX * _BLOCK_PX or whole)


def aligned(box: Box, size_wh: tuple[int, int]) -> Box:
    """The least box around this one that can be cut out of a stored picture."""
    found = []
    for low, high, side in ((box[0], box[2], size_wh[0]), (box[1], box[3], size_wh[1])):
        first = max(floor(low * side / _ALIGN_PX) * _ALIGN_PX, 0)
        last = min(ceil(high * side / _ALIGN_PX) * _ALIGN_PX, side)
        found.append((first / side, max(last, first + 1) / side))
    (left, right), (top, bottom) = found
    return left, top, right, bottom


def stored_box(box: Box, orientation: Orientation) -> Box:
    """Where a part of the shown picture is in the stored one."""
    left, top, right, bottom = box
    for _ in range(orientation.turns):
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    if orientation.mirrored:
        top, bottom = 1 - bottom, 1 - top
    return left, top, right, bottom


def shown_box(box: Box, orientation: Orientation) -> Box:
    """Where a part of the stored picture is in the shown one."""
    left, top, right, bottom = box
    if orientation.mirrored:
        top, bottom = 1 - bottom, 1 - top
    for _ in range(orientation.turns):
        left, top, right, bottom = top, 1 - right, bottom, 1 - left
    return left, top, right, bottom


class Cropper:
    """Cuts frames before they are converted, which costs more than decoding them.

    Of a video whose picture changes its size midway the same shares are cut.
    """

    def __init__(self) -> None:
        self._made_for: tuple[Any, ...] = ()
        self._graph = Graph()

    def cropped(self, frame: DecodedFrame, framing: Framing) -> DecodedFrame:
        """The part of a frame that a film shows."""
        if framing.stored_box is None:
            return frame
        raw = frame.raw
        made_for = raw.width, raw.height, raw.format.name
        if made_for != self._made_for:
            self._graph, self._made_for = _crop_graph(raw, framing.stored_box), made_for
        self._graph.vpush(raw)
        return replace(frame, raw=self._graph.vpull())


def _crop_graph(raw: VideoFrame, box: Box) -> Graph:
    left, right = round(box[0] * raw.width), round(box[2] * raw.width)
    top, bottom = round(box[1] * raw.height), round(box[3] * raw.height)
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=raw.width, height=raw.height, format=raw.format, time_base=Fraction(1, 1000)
    )
    size = f"{max(right - left, 1)}:{max(bottom - top, 1)}"
    crop = graph.add("crop", f"{size}:{left}:{top}:exact=1")
    graph.link_nodes(source, crop, graph.add("buffersink")).configure()
    return graph
