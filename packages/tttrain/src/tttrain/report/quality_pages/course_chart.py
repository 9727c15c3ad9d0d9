"""A measure over the sessions of a player, drawn as inline SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from tttrain.quality.consistency import Progress
from tttrain.report.quality_pages.units import UNITS, title_of

WIDTH, HEIGHT = 340, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 30
_INSET = 24
"""From the sides to the first and last session."""
_LONGEST_NAME = 20


@dataclass(frozen=True)
class _Plane:
    """Where values and sessions are."""

    low: float
    high: float
    last: int
    """Number of the last session."""

    def x(self, place: int) -> float:
        wide = WIDTH - _LEFT - _RIGHT - 2 * _INSET
        return round(_LEFT + _INSET + place / max(self.last, 1) * wide, 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)


def course_chart(item: Progress, values: Sequence[Sequence[float]]) -> str:
    """Means of sessions joined, single strokes as dots, the minimal detectable change as a band.

    Args:
        item: of a player, class, phase and measure.
        values: of the strokes of each session.
    """
    least, first = item.minimal_change_of_means, item.means[0]
    drawn = [value for group in values for value in group] + list(item.means)
    if least is not None:
        drawn += [first - least, first + least]
    unit, ends = UNITS[item.measure], (min(drawn), max(drawn))
    pad = max((ends[1] - ends[0]) * 0.08, 10**-unit.digits / unit.factor)
    plane = _Plane(ends[0] - pad, ends[1] + pad, len(item.means) - 1)
    parts = [
        f'<svg class="course" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_spoken(item))}">'
    ]
    if least is not None:
        top, bottom = plane.y(first + least), plane.y(first - least)
        parts.append(
            f'<rect class="band" x="{_LEFT}" y="{top}" width="{WIDTH - _LEFT - _RIGHT}" '
            f'height="{bottom - top:.1f}"/>'
        )
    for value in dict.fromkeys(ends):
        parts.append(_grid(plane.y(value), _tick(item.measure, value)))
    parts += [*_strokes(plane, values), *_means(plane, item.means), *_names(item.sessions)]
    return "".join(parts) + "</svg>"


def _grid(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text class="tick" x="{_LEFT - 5}" y="{y + 4}" text-anchor="end">{text}</text>'
    )


def _tick(measure: str, value: float) -> str:
    unit = UNITS[measure]
    return unit.number(value).removesuffix(unit.text) + ("%" if unit.text == " %" else "")


def _strokes(plane: _Plane, values: Sequence[Sequence[float]]) -> Iterator[str]:
    for place, group in enumerate(values):
        for number, value in enumerate(group):
            aside = (number % 5 - 2) * 3  # those that are alike stand beside each other
            x = round(plane.x(place) + aside, 1)
            yield f'<circle class="one" cx="{x}" cy="{plane.y(value)}" r="2.5"/>'


def _means(plane: _Plane, means: Sequence[float]) -> Iterator[str]:
    points = [(plane.x(place), plane.y(value)) for place, value in enumerate(means)]
    line = " ".join(f"{x},{y}" for x, y in points)
    yield f'<polyline class="means" points="{line}"/>'
    for x, y in points:
        yield f'<circle class="mean" cx="{x}" cy="{y}" r="4.5"/>'


def _names(sessions: Sequence[str]) -> Iterator[str]:
    """Of the first session and the last, shortened."""
    for place in sorted({0, len(sessions) - 1}):
        anchor, x = ("start", _LEFT) if place == 0 else ("end", WIDTH - _RIGHT)
        name = sessions[place]
        if len(name) > _LONGEST_NAME:
            name = f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
        yield (
            f'<text class="tick" x="{x}" y="{HEIGHT - 9}" text-anchor="{anchor}">'
            f"{escape(name)}</text>"
        )


def _spoken(item: Progress) -> str:
    unit = UNITS[item.measure]
    means = ", ".join(
        f"{session} {unit.number(mean)} (n = {n})"
        for session, mean, n in zip(item.sessions, item.means, item.n, strict=True)
    )
    return f"{title_of(item.phase, item.measure)}: {means}"
