"""How alike a player's strokes are, and which change is larger than chance (specification 7.6).

Source: Shrout and Fleiss, "Intraclass Correlations: Uses in Assessing Rater Reliability",
Psychological Bulletin 1979; Weir, "Quantifying Test-Retest Reliability Using the Intraclass
Correlation Coefficient and the SEM", 2005.
"""

import re
import sys
from collections.abc import Sequence
from math import nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ttdata.settings import FrozenModel
from tttrain.quality.reference import Spread, quantile


class Progress(FrozenModel):
    """A measure of a phase over the sessions of a player, in the order of their names."""

    player_id: str
    label: str
    phase: str
    measure: str
    sessions: tuple[str, ...]
    n: tuple[int, ...]
    """Strokes of each session."""
    means: tuple[float, ...]
    variation: float | None
    """Standard deviation within sessions over the absolute mean; of ratio measures only."""
    sem: float | None
    """Standard error of measurement: the standard deviation within sessions; null where no session
    has two strokes."""
    minimal_change: float | None
    """Between two single strokes: 1.96 sqrt(2) sem."""
    change: float | None
    """Last session's mean minus the first's; null with one session, or where either is of strokes
    whose session is not known."""
    minimal_change_of_means: float | None
    """Between those two means, from stroke to stroke and from session to session; null where the
    references do not tell how sessions differ."""
    changed: bool | None
    """Whether the change is larger than that; null likewise."""


def within_deviation(values: ArrayLike, groups: Sequence[str]) -> float:
    """The standard deviation within groups, pooled; NaN where no group has two values."""
    numbers = np.asarray(values, np.float64)
    if not len(numbers):
        return nan
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=numbers) / counts
    free = len(numbers) - len(counts)
    return sqrt(float(((numbers - means[place]) ** 2).sum()) / free) if free else nan


def coefficient_of_variation(values: ArrayLike) -> float:
    """Standard deviation over the absolute mean; NaN for fewer than two values or a mean of 0."""
    numbers = np.asarray(values, np.float64)
    if len(numbers) < 2 or numbers.mean() == 0:
        return nan
    return float(numbers.std(ddof=1) / abs(numbers.mean()))


def minimal_detectable_change(sem: float) -> float:
    """1.96 sqrt(2) SEM: two measurements of the same differ by less in 19 of 20 cases."""
    return 1.96 * sqrt(2) * sem


def icc_2_1(ratings: ArrayLike) -> float:
    """The intraclass correlation ICC(2,1) of Shrout and Fleiss: absolute agreement.

    Args:
        ratings: (targets, raters), e.g. strokes measured twice; at least 2 x 2.

    Returns:
        NaN where nothing varies.
    """
    x = np.asarray(ratings, np.float64)
    n, k = x.shape
    grand = x.mean()
    rows, columns = x.mean(axis=1), x.mean(axis=0)
    between = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    raters = n * float(((columns - grand) ** 2).sum()) / (k - 1)
    rest = x - rows[:, None] - columns[None, :] + grand
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    whole = between + (k - 1) * error + k * (raters - error) / n
    return (between - error) / whole if whole > 0 else nan


UNKNOWN = "unknown"
"""Stands for the session of strokes of which it is not known: they may be of any."""
_LAST = sys.maxsize
"""Letters come after numbers."""
RATIO_MEASURES = ("duration_s", "duration_share", "gain", "peak_speed", "residual")
"""Those with a zero of their own, of which a coefficient of variation means something."""


def by_number(name: str) -> tuple[tuple[int, str], ...]:
    """What sorts names as people count: "day 2" before "day 10".

    >>> sorted(["10", "2", "a"], key=by_number)
    ['2', '10', 'a']
    """
    parts = re.findall(r"\d+|\D+", name)
    return tuple((int(part), "") if part.isdecimal() else (_LAST, part) for part in parts)


def progress(
    values: Sequence[float],
    sessions: Sequence[str],
    *,
    usual: Spread | None = None,
    **whose: str,
) -> Progress | None:
    """What a measure did over the sessions; None where no stroke has it.

    Args:
        values: of the strokes.
        sessions: of the same.
        usual: how the references vary: their `between` is how far sessions differ without any
            change, which these sessions cannot say of themselves.
        whose: player_id, label, phase and measure of the result.
    """
    known = [(s, v) for s, v in zip(sessions, values, strict=True) if np.isfinite(v)]
    if not known:
        return None
    names = tuple(sorted({session for session, _ in known}, key=lambda n: (by_number(n), n)))
    groups = [[value for session, value in known if session == name] for name in names]
    means = tuple(float(np.mean(group)) for group in groups)
    sem = within_deviation([value for _, value in known], [session for session, _ in known])
    overall = abs(float(np.mean([value for _, value in known])))
    has_zero = whose["measure"] in RATIO_MEASURES and overall > 0
    return Progress.model_validate(
        {
            **whose,
            "sessions": names,
            "n": tuple(len(group) for group in groups),
            "means": means,
            "variation": _known(sem / overall) if has_zero else None,
            "sem": _known(sem),
            "minimal_change": _known(minimal_detectable_change(sem)),
            **_change(names, means, [len(group) for group in groups], sem, usual),
        }
    )


def _change(
    names: Sequence[str],
    means: Sequence[float],
    counts: Sequence[int],
    sem: float,
    usual: Spread | None,
) -> dict[str, Any]:
    """From the first session to the last, and whether it is more than chance."""
    if len(means) < 2 or UNKNOWN in (names[0], names[-1]):
        return dict.fromkeys(("change", "minimal_change_of_means", "changed"))
    change = means[-1] - means[0]
    inner = sem**2 * (1 / counts[0] + 1 / counts[-1])
    if usual is None or usual.between is None or not np.isfinite(inner):
        return {"change": change, "minimal_change_of_means": None, "changed": None}
    outer = 2 * usual.between**2
    # Satterthwaite: strokes of these sessions, and sessions of the references.
    parts = inner**2 / (sum(counts) - len(counts)) + outer**2 / (usual.sessions - 1)
    degrees = (inner + outer) ** 2 / parts if parts > 0 else 1.0
    least = quantile(degrees) * sqrt(inner + outer)
    # Rounding is no change, be it that nothing varies.
    least = max(least, 1e-9 * max(1.0, abs(means[0])))
    return {
        "change": change,
        "minimal_change_of_means": least,
        "changed": bool(abs(change) > least),
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
