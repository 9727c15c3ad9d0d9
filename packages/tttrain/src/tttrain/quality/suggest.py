"""Which strokes to mark as references: the central ones of each class (specification 7.8)."""

from collections.abc import Mapping, Sequence

import numpy as np

from tttrain.quality.landmarks import LEAST_SEEN, Floats, StrokeSignal
from tttrain.quality.timing.alignment import align_all
from tttrain.quality.timing.moments import alignment_features

MOST_COMPARED = 60
"""Strokes of a class that are compared with each other: every k-th of more."""


def central(
    signals: Mapping[str, StrokeSignal], sessions: Mapping[str, str], count: int
) -> list[tuple[str, float]]:
    """The most central strokes, in turn from each session.

    Central is a small mean cost of alignment with all others (the first is the medoid). Strokes in
    which the hand with the bat is hidden come last.

    Args:
        signals: by clip, of one class.
        sessions: by clip.
        count: how many.

    Returns:
        Clip and mean cost, sessions in the order of their best stroke.
    """
    names = sorted(signals)
    names = names[:: max(1, -(-len(names) // MOST_COMPARED))]
    costs = mean_costs([alignment_features(signals[name]) for name in names])
    order = sorted(zip(costs, names, strict=True))
    turns: dict[str, int] = {}
    ranked = []
    for place, (cost, name) in enumerate(order):
        hidden = signals[name].seen(*signals[name].bounds) < LEAST_SEEN
        turn = turns.get(sessions[name], 0)
        turns[sessions[name]] = turn + (not hidden)
        ranked.append((hidden, turn, place, name, float(cost)))
    return [(name, cost) for *_, name, cost in sorted(ranked)[:count]]


def mean_costs(features: Sequence[Floats]) -> Floats:
    """(n,): the mean cost of aligning each stroke with all others."""
    n = len(features)
    costs = np.zeros((n, n))
    for index in range(n - 1):
        found = align_all(features[index], features[index + 1 :])
        costs[index, index + 1 :] = [item.cost for item in found]
    costs += costs.T
    return np.asarray(costs.sum(axis=1) / max(n - 1, 1))
