"""Small charts as inline SVG, so that a report is one file and works offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 96, 12, 30


@dataclass(frozen=True)
class Series:
    """A line of a chart: its name, its CSS class, and one y value per x value."""

    name: str
    css: str
    values: Sequence[float]


def line_chart(
    x: Sequence[float],
    series: Sequence[Series],
    *,
    y_max: float,
    percent: bool = False,
    marked: int | None = None,
) -> str:
    """An SVG line chart with labels at the lines' ends and an optional marked position.

    Args:
        x: positions, rising.
        series: lines over x.
        y_max: the top of the y axis, which starts at 0.
        percent: whether the y axis is labelled in percent.
        marked: index into x of a vertical mark.
    """
    y_max = y_max or 1.0
    span = max(x[-1] - x[0], 1e-9)

    def place(at: float, value: float) -> tuple[float, float]:
        right = LEFT + (at - x[0]) / span * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - min(value / y_max, 1.0) * (HEIGHT - TOP - BOTTOM)
        return round(right, 1), round(down, 1)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    for step in range(5):
        value = y_max * step / 4
        _, down = place(x[0], value)
        text = f"{value:.0%}" if percent else f"{value:.2g}"
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down}" y2="{down}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{down + 4}" text-anchor="end">{text}</text>'
        )
    for at in dict.fromkeys((x[0], x[-1])):
        right, _ = place(at, 0)
        parts.append(
            f'<text class="tick" x="{right}" y="{HEIGHT - 10}" text-anchor="middle">{at:g}</text>'
        )
    if marked is not None:
        right, _ = place(x[marked], 0)
        parts.append(
            f'<line class="mark" x1="{right}" x2="{right}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{right}" y="{HEIGHT - 10}" text-anchor="middle">'
            f"{'' if marked in (0, len(x) - 1) else f'{x[marked]:g}'}</text>"
        )
    parts += _lines(x, series, place)
    return "".join(parts) + "</svg>"


def _lines(x: Sequence[float], series: Sequence[Series], place: object) -> list[str]:
    assert callable(place)
    ends = [place(x[-1], item.values[-1])[1] + 4 for item in series]
    labels = _apart(ends, 15.0)
    parts = []
    for item, down in zip(series, labels, strict=True):
        points = [place(at, value) for at, value in zip(x, item.values, strict=True)]
        if len(points) == 1:
            (right, level), *_ = points
            parts.append(f'<circle class="dot {item.css}" cx="{right}" cy="{level}" r="4"/>')
        text = " ".join(f"{right},{level}" for right, level in points)
        parts.append(f'<polyline class="line {item.css}" points="{text}"/>')
        parts.append(
            f'<text class="name {item.css}" x="{WIDTH - RIGHT + 8}" y="{down:.1f}">'
            f"{item.name}</text>"
        )
    return parts


def _apart(positions: Sequence[float], least: float) -> list[float]:
    """The positions, moved down where labels would overlap; order kept."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = list(positions)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + least)
    return moved


def reliability_chart(bins: Sequence[Mapping[str, float | None]]) -> str:
    """An SVG reliability diagram: share right against stated score, with how many clips.

    Args:
        bins: of `tttrain.evaluation.calibration.reliability`: low, high, n, score, right.
    """
    side, left, top = 200, 40, 10
    count = max(1.0, *(item["n"] or 0 for item in bins))

    def at(share: float) -> float:
        return round(share * side, 1)

    parts = [f'<svg class="square" viewBox="0 0 {side + 60} {side + 50}" role="img">']
    for share in (0.0, 0.5, 1.0):
        parts.append(
            f'<line class="grid" x1="{left}" x2="{left + side}" y1="{top + at(1 - share)}" '
            f'y2="{top + at(1 - share)}"/><text class="tick" x="{left - 6}" '
            f'y="{top + at(1 - share) + 4}" text-anchor="end">{share:.0%}</text>'
            f'<text class="tick" x="{left + at(share)}" y="{top + side + 16}" '
            f'text-anchor="middle">{share:.0%}</text>'
        )
    for item in bins:
        if item["right"] is None or item["low"] is None or item["high"] is None:
            continue
        opacity = 0.25 + 0.75 * (item["n"] or 0) / count
        parts.append(
            f'<rect class="reliable" x="{left + at(item["low"]) + 1}" '
            f'y="{top + at(1 - item["right"])}" width="{at(item["high"] - item["low"]) - 2}" '
            f'height="{at(item["right"])}" style="opacity:{opacity:.2f}"><title>{item["n"]} clips, '
            f"{item['right']:.0%} right</title></rect>"
        )
    parts.append(
        f'<line class="mark" x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}"/>'
        f'<text class="tick" x="{left + side / 2}" y="{top + side + 34}" text-anchor="middle">'
        "score of the answer</text>"
    )
    return "".join(parts) + "</svg>"


def interval_bar(value: float, low: float, high: float) -> str:
    """An SVG bar for a share in [0, 1] with a whisker for its interval."""
    width = 240

    def at(share: float) -> float:
        return round(share * width, 1)

    return (
        f'<svg class="bar" viewBox="-2 0 {width + 4} 18" role="img">'
        f'<rect class="track" x="0" y="4" width="{width}" height="10" rx="2"/>'
        f'<rect class="fill" x="0" y="4" width="{at(value)}" height="10" rx="2"/>'
        f'<line class="whisker" x1="{at(low)}" x2="{at(high)}" y1="9" y2="9"/>'
        f'<line class="whisker" x1="{at(low)}" x2="{at(low)}" y1="5" y2="13"/>'
        f'<line class="whisker" x1="{at(high)}" x2="{at(high)}" y1="5" y2="13"/>'
        "</svg>"
    )
