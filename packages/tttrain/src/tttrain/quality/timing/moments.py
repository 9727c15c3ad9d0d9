"""The moments of a stroke: marked in references, carried over to all others (specification 7.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tttrain.quality.landmarks import RATE_HZ, WRIST, Floats, StrokeSignal
from tttrain.quality.timing.alignment import Alignment, align_all
from tttrain.quality.timing.ends import arm_places, outer_end, outer_moves

SPEED_SECONDS = 0.1
"""What a speed counts beside a place when strokes are aligned: that of so much time."""
MARKS = ("ready", "contact", "end")
MOMENTS = ("ready", "backswing", "contact", "end")
PHASES = ("backswing", "forward", "follow_through", "stroke")
"""From ready to the turning point, on to contact, on to the end; and all of it."""


@dataclass(frozen=True)
class Moments:
    """The moments of a stroke in seconds of its video, in order."""

    ready: float
    backswing: float
    """The turning point between ready and contact."""
    contact: float
    end: float
    spread: float | None = None
    """Of the contact, as the references say it: half of the middle half, in seconds; None where a
    person marked it."""

    def phase(self, name: str) -> tuple[float, float]:
        """Begin and end of a phase in seconds."""
        return {
            "backswing": (self.ready, self.backswing),
            "forward": (self.backswing, self.contact),
            "follow_through": (self.contact, self.end),
            "stroke": (self.ready, self.end),
        }[name]

    def outer(self, name: str) -> tuple[float, float]:
        """Ready or end, and the moment of the stroke that is next to it."""
        return (self.ready, self.backswing) if name == "ready" else (self.end, self.contact)


@dataclass(frozen=True, eq=False)
class Reference:
    """A stroke whose moments a person marked."""

    signal: StrokeSignal
    moments: Moments


def alignment_features(signal: StrokeSignal) -> Floats:
    """(n, 12): places and speeds of the arm with the bat in a stroke, less their mean, of size 1.

    So a stroke with larger movements is not far from the same one with smaller movements.
    """
    places = arm_places(signal)[signal.inner]
    speeds = np.zeros_like(places)
    if len(places) > 1:
        speeds = np.asarray(np.gradient(places, 1 / RATE_HZ, axis=0)) * SPEED_SECONDS
    values = np.concatenate([places, speeds], axis=1)
    values -= values.mean(axis=0)
    size = np.sqrt((values**2).sum(axis=1).mean())
    return np.asarray(values / max(size, 1e-9))


def marked_moments(signal: StrokeSignal, ready: float, contact: float, end: float) -> Moments:
    """The moments of a stroke of which three are marked, in seconds."""
    return Moments(ready, turning_point(signal, ready, contact), contact, end)


def turning_point(signal: StrokeSignal, ready: float, contact: float) -> float:
    """When the bat's wrist is furthest back, in seconds.

    Back is against the direction in which the wrist moves at contact, seen from the hips: the time
    in [ready, contact] at which the wrist's place along that direction is least; between samples
    the vertex of the parabola through the least sample and its neighbours.
    """
    window = np.array([contact - 1 / RATE_HZ, contact + 1 / RATE_HZ])
    wrist = signal.xy[:, WRIST]
    before, after = signal.at(wrist, window)
    along = wrist @ (after - before)
    inside = np.flatnonzero((signal.times > ready) & (signal.times < contact))
    if not len(inside):
        return ready
    ends = signal.at(along, [ready, contact])
    best = int(inside[along[inside].argmin()])
    if ends[0] <= along[best]:
        return ready
    if 0 < best < len(along) - 1:
        shift = _vertex(*along[best - 1 : best + 2])
        return float(np.clip(signal.times[best] + shift / RATE_HZ, ready, contact))
    return float(signal.times[best])


def _vertex(left: float, middle: float, right: float) -> float:
    """Where the parabola through (-1, left), (0, middle), (1, right) is least, in [-1/2, 1/2]."""
    bend = left - 2 * middle + right
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0


def agreed_references(references: Sequence[Reference]) -> list[Reference]:
    """The references with the turning points that they agree on.

    One turning point is a shallow extremum, so noise moves it far: each reference gets the median
    of its own and of what the others say of it.
    """
    features = [alignment_features(item.signal) for item in references]
    said = [align_all(own, features) for own in features]
    result = []
    for index, item in enumerate(references):
        points = [
            item.moments.backswing
            if other is item
            else _carried(other, item.signal, said[place][index], other.moments.backswing)
            for place, other in enumerate(references)
        ]
        low, high = item.moments.ready, item.moments.contact
        agreed = float(np.clip(np.median(points), low, high))
        result.append(replace(item, moments=replace(item.moments, backswing=agreed)))
    return result


def carry_moments(
    references: Sequence[Reference], signals: Sequence[StrokeSignal]
) -> list[Moments]:
    """The moments of strokes that nobody marked: the median over what references say.

    Begin and end of a clip are not exact, so those of the stroke are looked for.

    Args:
        references: of the same class, at least one.
        signals: the strokes.
    """
    features = [alignment_features(signal) for signal in signals]
    found = [align_all(alignment_features(item.signal), features) for item in references]
    outer = _outer(references)
    return [
        _with_ends(_agreed(references, signal, [paths[index] for paths in found]), signal, outer)
        for index, signal in enumerate(signals)
    ]


def carry_among(references: Sequence[Reference]) -> list[Moments]:
    """The moments of each reference as the other ones say them, as those of another stroke."""
    features = [alignment_features(item.signal) for item in references]
    found = [align_all(own, features) for own in features]
    outer = _outer(references)
    result = []
    for index, item in enumerate(references):
        rest = [place for place in range(len(references)) if place != index]
        paths = [found[place][index] for place in rest]
        agreed = _agreed([references[place] for place in rest], item.signal, paths)
        result.append(_with_ends(agreed, item.signal, [moves[rest] for moves in outer]))
    return result


def _outer(references: Sequence[Reference]) -> list[Floats]:
    """(n, 120) each: how the references begin, and how they end."""
    return [
        np.array([outer_moves(item.signal, item.moments.outer(name)) for item in references])
        for name in ("ready", "end")
    ]


def _with_ends(moments: Moments, signal: StrokeSignal, outer: Sequence[Floats]) -> Moments:
    """The moments with begin and end where the outer phases move as those of references do."""
    first, last = outer
    return replace(
        moments,
        ready=outer_end(first, signal, moments.outer("ready")),
        end=outer_end(last, signal, moments.outer("end")),
    )


def _agreed(
    references: Sequence[Reference], signal: StrokeSignal, paths: Sequence[Alignment]
) -> Moments:
    said = np.array(
        [
            [_carried(item, signal, path, getattr(item.moments, name)) for name in MOMENTS]
            for item, path in zip(references, paths, strict=True)
        ]
    )
    ready, backswing, contact, end = (float(value) for value in np.median(said, axis=0))
    low, high = np.percentile(said[:, MOMENTS.index("contact")], [25, 75])
    return Moments(ready, backswing, contact, end, float(high - low) / 2)


def _carried(reference: Reference, signal: StrokeSignal, path: Alignment, seconds: float) -> float:
    """Where a moment of a reference is in another stroke, in seconds of its video."""
    place = (seconds - reference.signal.bounds[0]) * RATE_HZ
    return float(signal.bounds[0] + path.to_second(place) / RATE_HZ)
