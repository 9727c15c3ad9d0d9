"""Small drawings of a stroke against its references, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 240, 26
_MIDDLE, _REACH = WIDTH / 2, WIDTH / 2 - 8
_TIMES_WIDTH, _LABEL = 720, 130


@dataclass(frozen=True)
class Off:
    """A measure, from the mean of the references."""

    difference: float
    band: tuple[float, float] | None
    """In which nineteen of twenty unchanged strokes lie; None: the spread is unknown."""
    outside: bool | None
    words: str


def off_bar(off: Off) -> str:
    """The spread of the references as a band about their mean, the stroke as a mark.

    The middle is the mean, right is more. A mark outside is a filled diamond, one inside a ring,
    one of which nothing can be told a cross: none is told by its colour alone.
    """
    edges = off.band or (0.0, 0.0)
    largest = max(abs(off.difference) * 1.1, *(abs(edge) * 1.5 for edge in edges), 1e-12)

    def at(value: float) -> float:
        return round(_MIDDLE + value / largest * _REACH, 1)

    parts = [
        f'<svg class="off" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(off.words)}">',
        f'<line class="axis" x1="4" x2="{WIDTH - 4}" y1="13" y2="13"/>',
    ]
    if off.band is not None:
        low, high = at(off.band[0]), at(off.band[1])
        wide = round(max(high - low, 1.0), 1)
        parts.append(f'<rect class="band" x="{low}" y="5" width="{wide}" height="16" rx="3"/>')
    parts.append(f'<line class="mean" x1="{_MIDDLE}" x2="{_MIDDLE}" y1="2" y2="24"/>')
    parts.append(_mark(at(off.difference), off.outside))
    return "".join(parts) + "</svg>"


def _mark(x: float, outside: bool | None) -> str:
    if outside is None:
        return f'<path class="unknown" d="M{x - 5} 8l10 10m0 -10l-10 10"/>'
    if outside:
        return f'<path class="outside" d="M{x} 5l8 8l-8 8l-8 -8z"/>'
    return f'<circle class="inside" cx="{x}" cy="13" r="5"/>'


@dataclass(frozen=True)
class Times:
    """How long the phases of a row take, in seconds."""

    name: str
    phases: Sequence[float]


def times_bars(rows: Sequence[Times], names: Sequence[str]) -> str:
    """The phases one after the other, a row for the stroke and one for its references.

    Rows stand with their contact below each other: the second phase ends there.

    Args:
        rows: of three phases each.
        names: of the phases.
    """
    before = max(sum(row.phases[:2]) for row in rows)
    after = max(sum(row.phases[2:]) for row in rows)
    scale = (_TIMES_WIDTH - _LABEL - 10) / max(before + after, 1e-9)
    high = 44 * len(rows) + 20
    contact = round(_LABEL + before * scale, 1)
    parts = [
        f'<svg class="times" viewBox="0 0 {_TIMES_WIDTH} {high}" role="img" '
        f'aria-label="{escape(_spoken(rows, names))}">'
    ]
    for place, row in enumerate(rows):
        top = 44 * place + 4
        parts.append(f'<text class="row" x="0" y="{top + 22}">{escape(row.name)}</text>')
        left = _LABEL + (before - sum(row.phases[:2])) * scale
        for number, seconds in enumerate(row.phases):
            parts.append(_phase(left, top, seconds * scale, number, seconds, names[number]))
            left += seconds * scale
    parts.append(f'<line class="contact" x1="{contact}" x2="{contact}" y1="0" y2="{high - 18}"/>')
    parts.append(
        f'<text class="tick" x="{contact}" y="{high - 4}" text-anchor="middle">contact</text>'
    )
    return "".join(parts) + "</svg>"


def _phase(left: float, top: float, wide: float, number: int, seconds: float, name: str) -> str:
    text = f"{seconds * 1000:.0f} ms"
    inner = (
        f'<text class="in{number}" x="{left + wide / 2:.1f}" y="{top + 22}" '
        f'text-anchor="middle">{text}</text>'
    )
    return (
        f'<rect class="phase{number}" x="{left:.1f}" y="{top}" width="{max(wide, 0):.1f}" '
        f'height="34"><title>{escape(name)}: {text}</title></rect>'
    ) + (inner if wide > 9 * len(text) else "")


def _spoken(rows: Sequence[Times], names: Sequence[str]) -> str:
    return "; ".join(
        f"{row.name}: "
        + ", ".join(
            f"{name} {seconds * 1000:.0f} ms"
            for name, seconds in zip(names, row.phases, strict=True)
        )
        for row in rows
    )
