"""A player over his sessions: what changed, and how alike his strokes are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite

from tttrain.quality.consistency import (
    UNKNOWN,
    Progress,
    coefficient_of_variation,
    icc_2_1,
)
from tttrain.quality.document import Quality, ReferenceClass, StrokeQuality
from tttrain.report.quality_pages.course_chart import course_chart
from tttrain.report.quality_pages.units import UNITS, direction_of, title_of

SHOWN = (
    ("backswing", "duration_s"),
    ("forward", "duration_s"),
    ("follow_through", "duration_s"),
    ("stroke", "gain"),
    ("forward", "wrist_y"),
    ("forward", "peak_speed"),
    ("backswing", "trunk_turn"),
)
"""Phases and measures that are drawn over sessions; `quality.json` has all."""


@dataclass(frozen=True)
class Course:
    """A measure over the sessions of a player, to be shown."""

    title: str
    chart: str
    words: str
    changed: bool | None


@dataclass(frozen=True)
class Alike:
    """How alike the strokes of a player are, to be shown."""

    title: str
    by_session: tuple[str, ...]
    whole: str
    references: str
    least: str
    """The smallest difference of two single strokes that is more than chance."""


def values_of(strokes: Sequence[StrokeQuality], phase: str, measure: str) -> dict[str, list[float]]:
    """By session, as progress names it: what a measure is in each stroke."""
    found: dict[str, list[float]] = {}
    for stroke in strokes:
        session = stroke.session or UNKNOWN
        for part in stroke.phases:
            for item in part.measures:
                if (part.name, item.name) == (phase, measure) and item.value is not None:
                    found.setdefault(session, []).append(item.value)
    return found


def courses(progress: Sequence[Progress], strokes: Sequence[StrokeQuality]) -> list[Course]:
    """The drawn measures of a player and class.

    Args:
        progress: of this player and class.
        strokes: of the same.
    """
    known = {(item.phase, item.measure): item for item in progress}
    found = []
    for phase, measure in SHOWN:
        item = known.get((phase, measure))
        if item is None:
            continue
        values = values_of(strokes, phase, measure)
        chart = course_chart(item, [values.get(session, []) for session in item.sessions])
        title = title_of(phase, measure)
        found.append(Course(title, chart, progress_words(item), item.changed))
    return found


def progress_words(item: Progress) -> str:
    """What became of a measure from the first session to the last."""
    if len(item.sessions) > 1 and item.change is None:
        return "The session of some strokes is not known: a change cannot be told."
    if len(item.sessions) < 2 or item.change is None:
        return "One session only: a change cannot be told."
    unit = UNITS[item.measure]
    size = unit.number(abs(item.change))
    way = direction_of(item.phase, item.measure, more=item.change > 0)
    told = f"{way[0].upper()}{way[1:]} by {size} since {item.sessions[0]}"
    if size == unit.number(0.0):
        told = f"No difference from {item.sessions[0]}"
    if item.minimal_change_of_means is None:
        return f"{told}; whether that is more than chance cannot be told."
    least = unit.number(item.minimal_change_of_means)
    if item.changed:
        return f"{told}: more than chance, which gives up to {least}."
    return f"{told}: no more than chance, which gives up to {least}."


def alike(
    progress: Sequence[Progress],
    strokes: Sequence[StrokeQuality],
    references: ReferenceClass | None,
) -> list[Alike]:
    """How alike the strokes of a player and class are, as a share of their mean where it has one.

    Args:
        progress: of this player and class.
        strokes: of the same.
        references: that they are compared with.
    """
    known = {(item.phase, item.measure): item for item in progress}
    sessions = progress[0].sessions if progress else ()  # as the head of the table
    found = []
    for phase, measure in SHOWN:
        item = known.get((phase, measure))
        if item is None or item.variation is None:
            continue
        values = values_of(strokes, phase, measure)
        each = [_percent(coefficient_of_variation(values.get(name, []))) for name in sessions]
        least = item.minimal_change
        found.append(
            Alike(
                title_of(phase, measure), tuple(each), _percent(item.variation),
                _of_references(references, phase, measure),
                "" if least is None else UNITS[measure].number(least),
            )
        )  # fmt: skip
    return found


def _of_references(references: ReferenceClass | None, phase: str, measure: str) -> str:
    spread = None if references is None else references.spreads.get(phase, {}).get(measure)
    if spread is None or spread.within is None or not spread.mean:
        return "not known"
    return _percent(spread.within / abs(spread.mean))


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %" if isfinite(value) else "not known"


def told_apart(quality: Quality, label: str) -> list[tuple[str, str, int, int]]:
    """How far measures tell players apart, session after session: ICC(2,1) of sessions' means.

    Of the players who share the same sessions of this class, at least two of either. Strokes whose
    session is not known are left out.

    Returns:
        Title, ICC as text, players, sessions per drawn measure; empty where it cannot be told.
    """
    found = []
    for phase, measure in SHOWN:
        means = {
            item.player_id: dict(zip(item.sessions, item.means, strict=True))
            for item in quality.progress
            if (item.label, item.phase, item.measure) == (label, phase, measure)
        }
        players, sessions = _common(means)
        if len(players) < 2 or len(sessions) < 2:
            continue
        icc = icc_2_1([[means[player][name] for name in sessions] for player in players])
        if isfinite(icc):
            found.append((title_of(phase, measure), f"{icc:.2f}", len(players), len(sessions)))
    return found


def _common(means: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[str]]:
    """The players of the two sessions that most share, and all sessions that these share."""
    sessions = {player: set(own) - {UNKNOWN} for player, own in means.items()}
    pairs = Counter(pair for own in sessions.values() for pair in combinations(sorted(own), 2))
    if not pairs:
        return [], []
    most = set(pairs.most_common(1)[0][0])
    players = [player for player, own in sessions.items() if most <= own]
    return players, sorted(set.intersection(*(sessions[player] for player in players)))
