"""Where a stroke begins and ends: where its outer phases move as the references' do.

The bounds of a clip are not exact, nor do two people agree on them, so they only say where to look
(specification 7.3).
"""

import numpy as np

from tttrain.quality.landmarks import (
    MARGIN_SECONDS,
    RATE_HZ,
    Floats,
    StrokeSignal,
)

PHASE_STEPS = 20
"""Of a phase, when two are compared."""
LEAST_SECONDS = 0.05
"""No outer phase is shorter."""
STRAYING_PRICE = 0.1
"""Of an end that is `MARGIN_SECONDS` from where it was carried to, by the square of how far it is;
the likeness of two phases is at most 1."""
Span = tuple[float, float]
"""Outer and inner end of a phase, in seconds."""


def arm_places(signal: StrokeSignal) -> Floats:
    """(T, 6): wrist, elbow and shoulder of the bat's side in the picture, without what jumps."""
    return signal.steady_arm.reshape(len(signal.times), -1)


def outer_moves(signal: StrokeSignal, span: Span) -> Floats:
    """(120,): how the arm moves in 20 even steps of a phase, of size 1."""
    return np.asarray(_moves(signal, np.array(span[:1]), span[1])[0])


def outer_end(references: Floats, signal: StrokeSignal, near: Span) -> float:
    """When the first phase of a stroke begins, or its last one ends, in seconds.

    Args:
        references: (n, 120), `outer_moves` of the same phase of references of the class.
        signal: the stroke.
        near: the ends of its phase; the outer one is about there.

    Returns:
        The median of what the references say; the outer end of `near` where there is no room.
    """
    about, inner = near
    reach = np.arange(-MARGIN_SECONDS, MARGIN_SECONDS + 1e-9, 0.5 / RATE_HZ)
    ends = np.unique(np.clip(about + reach, signal.times[0], signal.times[-1]))
    ends = ends[np.abs(ends - inner) >= LEAST_SECONDS]
    ends = ends[(ends > inner) == (about > inner)]
    if not len(ends):
        return about
    strayed = ((ends - about) / MARGIN_SECONDS) ** 2
    alike = references @ _moves(signal, ends, inner).T - STRAYING_PRICE * strayed
    return float(np.median(ends[np.argmax(alike, axis=1)]))


def _moves(signal: StrokeSignal, ends: Floats, inner: float) -> Floats:
    """(n, 120): `outer_moves` from each of `ends`."""
    share = np.arange(PHASE_STEPS + 1) / PHASE_STEPS
    times = ends[:, None] + (inner - ends)[:, None] * share
    places = signal.at(arm_places(signal), times.ravel()).reshape(*times.shape, -1)
    moves = np.diff(places, axis=1).reshape(len(ends), -1)
    return np.asarray(moves / np.maximum(np.linalg.norm(moves, axis=1, keepdims=True), 1e-9))
