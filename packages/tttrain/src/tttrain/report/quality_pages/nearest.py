"""Which reference stands beside a stroke unless the teacher chooses another."""

from math import isfinite, sqrt

from tttrain.quality.document import ReferenceClass, StrokeQuality
from tttrain.quality.judge import OVERALL
from tttrain.report.quality_pages.against import References


def references_beside(stroke: StrokeQuality, references: References) -> list[str]:
    """The references of a stroke, the nearest first; itself is none.

    Near is a small root mean square of the differences in what the overall distance is made of,
    in units of the references' deviations. Where nothing is known to compare, they stay in order.
    """
    found = references.of(stroke)
    if found is None:
        return []
    others = [name for name in found.clip_ids if name != stroke.clip_id]
    known = [name for name in others if name in references.strokes]
    return sorted(known, key=lambda name: _apart(stroke, references.strokes[name], found))


def _apart(one: StrokeQuality, other: StrokeQuality, found: ReferenceClass) -> float:
    first, second = _values(one), _values(other)
    squares = []
    for phase, name in OVERALL:
        spread = found.spreads.get(phase, {}).get(name)
        pair = first.get((phase, name)), second.get((phase, name))
        if spread is None or not spread.deviation > 0 or pair[0] is None or pair[1] is None:
            continue
        squares.append(((pair[0] - pair[1]) / spread.deviation) ** 2)
    mean = sqrt(sum(squares) / len(squares)) if squares else 0.0
    return mean if isfinite(mean) else 0.0


def _values(stroke: StrokeQuality) -> dict[tuple[str, str], float | None]:
    return {
        (phase.name, item.name): item.value for phase in stroke.phases for item in phase.measures
    }
