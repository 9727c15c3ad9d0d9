"""What a page says of one stroke: every measure against the references, in words and bars."""

from collections.abc import Iterator
from dataclasses import dataclass

from tttrain.quality.comparable import least_deviation, usable_deviation
from tttrain.quality.document import (
    Measured,
    PhaseQuality,
    Quality,
    ReferenceClass,
    StrokeQuality,
)
from tttrain.quality.reference import NOMINAL, Spread, quantile
from tttrain.quality.timing.moments import PHASES
from tttrain.report.quality_pages.bars import Off, Times, off_bar, times_bars
from tttrain.report.quality_pages.units import PHASE_NAMES, UNITS

Band = tuple[float, float]
"""From the references' mean down and up."""


@dataclass(frozen=True)
class Row:
    """A measure of a phase, to be shown."""

    name: str
    value: str
    reference: str
    difference: str
    words: str
    bar: str
    outside: bool | None


@dataclass(frozen=True)
class PhaseRows:
    """A phase, to be shown."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Against:
    """A stroke, to be shown."""

    stroke: StrokeQuality
    times: str | None
    phases: tuple[PhaseRows, ...]
    words: tuple[str, ...]
    """What is outside of what the references do."""
    cannot_tell: tuple[str, ...]
    """Why nothing, or not everything, can be told."""


class References:
    """The references of each stroke, and how they vary."""

    def __init__(self, quality: Quality) -> None:
        self._classes = {(item.label, item.player_id): item for item in quality.references}
        self._bands: dict[tuple[str, str | None, str, str], Band | None] = {}
        self.strokes = {item.clip_id: item for item in quality.strokes}

    def of(self, stroke: StrokeQuality) -> ReferenceClass | None:
        """Those that a stroke is compared with."""
        return self._classes.get((stroke.label, stroke.compared_with))

    def band(self, found: ReferenceClass, phase: str, measure: str) -> Band | None:
        """`band_of` a measure of a phase, computed once."""
        key = found.label, found.player_id, phase, measure
        if key not in self._bands:
            spread = found.spreads.get(phase, {}).get(measure)
            self._bands[key] = band_of(measure, spread, self._least(found, measure))
        return self._bands[key]

    def _least(self, found: ReferenceClass, measure: str) -> float:
        """What a measure cannot be told better than, as the comparison takes it."""
        fps = [self.strokes[name].fps for name in found.clip_ids if name in self.strokes]
        whole = found.spreads.get("stroke", {}).get("duration_s")
        return least_deviation(measure, min(fps, default=25.0), whole.mean if whole else 1.0)


def band_of(measure: str, spread: Spread | None, least: float) -> Band | None:
    """In which nineteen of twenty unchanged strokes lie, from the references' mean.

    Args:
        measure: its name.
        spread: of the references.
        least: deviation of what the measure cannot be told better than.

    Returns:
        None where that cannot be told: references of one session, or without any spread.
    """
    if spread is None or spread.sessions < 2:
        return None
    deviation = usable_deviation(spread, least)
    if deviation is None:
        return None
    if measure == "residual":  # one-sided: a path nearer to the references' is no news
        return -spread.mean, quantile(spread.degrees, 2 * NOMINAL) * deviation
    reach = quantile(spread.degrees) * deviation
    return -reach, reach


def against(stroke: StrokeQuality, references: References) -> Against:
    """What a page says of a stroke."""
    found = references.of(stroke)
    phases = tuple(
        PhaseRows(PHASE_NAMES[phase.name], tuple(_rows(stroke, phase, found, references)))
        for phase in stroke.phases
    )
    return Against(
        stroke=stroke,
        times=_times(stroke),
        phases=tuple(phase for phase in phases if phase.rows),
        words=stroke.words,
        cannot_tell=tuple(_cannot_tell(stroke, found)),
    )


def _cannot_tell(stroke: StrokeQuality, found: ReferenceClass | None) -> Iterator[str]:
    if stroke.refused is not None:
        yield stroke.refused
    elif found is not None and found.cannot_tell is not None:
        yield found.cannot_tell


def _rows(
    stroke: StrokeQuality, phase: PhaseQuality, found: ReferenceClass | None, references: References
) -> Iterator[Row]:
    for item in phase.measures:
        band = None if found is None else references.band(found, phase.name, item.name)
        if (row := _row(item, band, mirrored=stroke.mirrored)) is not None:
            yield row


def _row(item: Measured, band: Band | None, *, mirrored: bool) -> Row | None:
    if item.value is None or item.reference is None or item.words is None:
        return None
    value, mean = item.value, item.reference
    if mirrored and item.name == "wrist_x":  # the sides of the film, as in the words
        value, mean = -value, -mean
    unit = UNITS[item.name]
    if item.outside is None:
        band = None
    bar = off_bar(Off(value - mean, band, item.outside, item.words))
    return Row(
        name=unit.name, value=unit.number(value), reference=unit.number(mean),
        difference=unit.signed(value - mean), words=item.words, bar=bar, outside=item.outside,
    )  # fmt: skip


def _times(stroke: StrokeQuality) -> str | None:
    """How long the phases take, the stroke above its references."""
    by_phase = {phase.name: phase for phase in stroke.phases}
    found = [_duration(by_phase.get(name)) for name in PHASES[:3]]
    if any(item is None or item.value is None for item in found):
        return None
    rows = [Times("This stroke", [item.value or 0.0 for item in found if item is not None])]
    means = [item.reference for item in found if item is not None]
    if all(mean is not None for mean in means):
        rows.append(Times("References, mean", [mean or 0.0 for mean in means]))
    return times_bars(rows, [PHASE_NAMES[name] for name in PHASES[:3]])


def _duration(phase: PhaseQuality | None) -> Measured | None:
    if phase is None:
        return None
    return next((item for item in phase.measures if item.name == "duration_s"), None)
