"""What is outside again and again: single strokes are outside by chance, too."""

from collections.abc import Sequence
from dataclasses import dataclass

from tttrain.quality.document import StrokeQuality
from tttrain.quality.reference import NOMINAL
from tttrain.report.quality_pages.units import direction_of


@dataclass(frozen=True)
class Repeated:
    """A measure that is outside on one side in several strokes."""

    words: str
    outside: int
    told: int
    """Strokes of which it can be told whether they are outside."""


def repeated(strokes: Sequence[StrokeQuality]) -> list[Repeated]:
    """Measures outside on the same side in at least two strokes, and in a fifth of all.

    By chance one stroke in twenty is outside, on either side. References do not count.

    Args:
        strokes: of one class.

    Returns:
        The most frequent first, then in the order of phases and measures.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    for stroke in strokes:
        for phase in () if stroke.is_reference else stroke.phases:
            for item in phase.measures:
                if item.outside is None or item.difference is None:
                    continue
                less_more_told = counts.setdefault((phase.name, item.name), [0, 0, 0])
                less_more_told[2] += 1
                if item.outside:
                    # Words are of the film's sides, differences of its mirror image.
                    flipped = stroke.mirrored and item.name == "wrist_x"
                    less_more_told[(item.difference > 0) != flipped] += 1
    found = [
        Repeated(direction_of(phase, name, more=more), numbers[more], numbers[2])
        for (phase, name), numbers in counts.items()
        for more in (False, True)
        if numbers[more] >= max(2, 4 * NOMINAL * numbers[2])
    ]
    return sorted(found, key=lambda item: -item.outside / item.told)
