"""What is measured of a stroke, signed and per phase (specification 7.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tttrain.quality.comparable import turned
from tttrain.quality.landmarks import (
    LEAST_SEEN,
    RATE_HZ,
    SEEN_VISIBILITY,
    WRIST,
    Floats,
    StrokeSignal,
)
from tttrain.quality.reference import Spread, spread
from tttrain.quality.strokes import Stroke
from tttrain.quality.teacher.marks import Marks
from tttrain.quality.timing.moments import (
    PHASES,
    Moments,
    Reference,
    agreed_references,
    carry_among,
    marked_moments,
)

MEASURES = (
    "duration_s",
    "duration_share",
    "gain",
    "wrist_x",
    "wrist_y",
    "peak_speed",
    "trunk_turn",
    "residual",
)
"""Names of the measures of a phase, in the order of every table."""
PHASE_SAMPLES = 20
"""Of each of the three phases when strokes are laid upon each other."""
ROUNDS = 10
NEAR_TORSOS = 0.05
"""A sample so near to the references' path at the stroke's own gain counts fully."""
LEAST_SURE = 1e-3
"""Of the weight of a sample, so that there is always a path."""
CHORD = 5
"""Samples from one end of a chord of a path to the other: shorter ones are longer for noise, and
depend on the frames of a slow camera."""
OF_THE_PATH = ("gain", "peak_speed", "residual")
"""Measures of the hand's way through a phase, which a camera may not see."""
IN_SPACE, IN_PICTURE = np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0])
Values = dict[str, float]


@dataclass(frozen=True, eq=False)
class Template:
    """The mean path of reference strokes of a class, phase by phase."""

    path: Floats
    """(60, 3): the wrist from the shoulder, less its mean over the stroke, in torso lengths."""
    chords: Floats
    """(55,): how far it is from each sample to the fifth after it, their mean."""
    flat: "Template | None" = None
    """The same in the picture alone, for strokes without metres; None: this is it."""


def phase_path(signal: StrokeSignal, moments: Moments) -> tuple[Floats, Floats]:
    """The bat's wrist seen from its shoulder at 20 even times of each of the three phases.

    Returns:
        path: (60, 3) torso lengths, in the middle of each phase's twentieths.
        sure: (60,) how far each is to be believed.
    """
    share = (np.arange(PHASE_SAMPLES) + 0.5) / PHASE_SAMPLES
    bounds = [moments.phase(name) for name in PHASES[:3]]
    times = np.concatenate([begin + (end - begin) * share for begin, end in bounds])
    return signal.at(signal.arm, times), signal.at(signal.sure, times)


def template(references: Sequence[Reference]) -> Template:
    """The mean path of references, each place weighted by how far it is to be believed.

    In the picture alone where one of them has no metres.
    """
    flat = _mean_path(references, IN_PICTURE)
    if not all(item.signal.has_depth for item in references):
        return flat
    return replace(_mean_path(references, IN_SPACE), flat=flat)


def _mean_path(references: Sequence[Reference], axes: Floats) -> Template:
    paths, sure = zip(*(phase_path(item.signal, item.moments) for item in references), strict=True)
    paths = tuple(path * axes for path in paths)
    places = np.array([centred(path, weights) for path, weights in zip(paths, sure, strict=True)])
    ways, believed = zip(*map(chords, paths, sure), strict=True)
    weights = np.maximum(np.array(sure), LEAST_SURE)[..., None]
    return Template(
        (weights * places).sum(axis=0) / weights.sum(axis=0),
        (np.array(believed) * ways).sum(axis=0) / np.sum(believed, axis=0),
    )


def centred(path: Floats, sure: Floats) -> Floats:
    """(n, 3): a path less its mean, samples weighted by how far they are to be believed."""
    weights = np.maximum(sure, LEAST_SURE)
    return np.asarray(path - weights @ path / weights.sum())


def measure(signal: StrokeSignal, moments: Moments, mean: Template) -> dict[str, Values]:
    """Every measure of every phase; NaN where there is nothing to measure.

    Args:
        signal: of the stroke.
        moments: its own.
        mean: of the references, without this stroke where it is one of them.
    """
    path, sure = phase_path(signal, moments)
    if mean.flat is not None and not signal.has_depth:
        mean = mean.flat
    path = path * (IN_PICTURE if mean.flat is None else IN_SPACE)
    weights = robust_weights(path, mean.path, sure)
    # Both alike: what of this stroke does not count does not count of the references either.
    path, other = centred(path, weights), centred(mean.path, weights)
    way, believed = chords(path, sure)
    found = {}
    for name in PHASES:
        part = _part(name)
        inside = slice(part.start, part.stop - CHORD)
        ratio = fitted(path[part], other[part], weights[part])
        rest = residual(path[part], ratio * other[part], sure[part])
        lengths = (float(believed[inside] @ item[inside]) for item in (way, mean.chords))
        begin, end = moments.phase(name)
        size = gain(ratio, *lengths) if end > begin else float("nan")
        found[name] = _measure(name, signal, moments, (size, rest))
    return found


def robust_weights(path: Floats, mean: Floats, sure: Floats) -> Floats:
    """(n,) how far each sample of a stroke counts: less where it lies far off.

    Iteratively reweighted least squares: with r the distance from the other path at the ratio so
    far, and s the median of r (at least 0.05), `sure` times min(s / r, 1)^2, ten times over.
    """
    weights = sure
    for _ in range(ROUNDS):
        one, other = centred(path, weights), centred(mean, weights)
        apart = np.linalg.norm(one - fitted(one, other, weights) * other, axis=1)
        if not np.isfinite(apart).all():
            return sure
        near = max(float(np.median(apart)), NEAR_TORSOS)
        weights = sure * np.minimum(near / np.maximum(apart, 1e-9), 1.0) ** 2
    return np.asarray(weights)


def _measure(
    name: str, signal: StrokeSignal, moments: Moments, sizes: tuple[float, float]
) -> Values:
    begin, end = moments.phase(name)
    wrist = signal.at(signal.xy[:, WRIST], end)[0]
    turns = signal.at(trunk_turn(signal), [moments.ready, end])
    whole = moments.end - moments.ready
    values = (
        end - begin,
        (end - begin) / whole if whole > 0 else np.nan,
        sizes[0],
        wrist[0],
        -wrist[1],
        peak_speed(signal, begin, end),
        turned(*turns),
        sizes[1],
    )
    found = {name: float(value) for name, value in zip(MEASURES, values, strict=True)}
    if signal.seen(begin, end) < LEAST_SEEN:
        found |= dict.fromkeys(OF_THE_PATH, float("nan"))
    if signal.at(signal.visible, end)[0] < SEEN_VISIBILITY:
        found |= dict.fromkeys(("wrist_x", "wrist_y"), float("nan"))
    return found


def _part(name: str) -> slice:
    """The samples of a path that belong to a phase."""
    if name == "stroke":
        return slice(0, 3 * PHASE_SAMPLES)
    index = PHASES.index(name)
    return slice(index * PHASE_SAMPLES, (index + 1) * PHASE_SAMPLES)


def gain(ratio: float, own: float, mean: float) -> float:
    """How large a movement is against others: the geometric mean of two ratios that err apart.

    Args:
        ratio: `fitted` of the paths, which has the sign.
        own: length of the path's chords.
        mean: of the others, their mean.

    Returns:
        1 for the same path, 0.5 for one half as large; NaN where the other paths are nothing.
    """
    if not mean > 1e-9:
        return float("nan")
    return float(np.sign(ratio) * np.sqrt(abs(ratio) * own / mean))


def fitted(path: Floats, mean: Floats, weights: Floats) -> float:
    """The least-squares ratio of a path to another.

    Args:
        path: (n, 3).
        mean: (n, 3), sample by sample the same moments.
        weights: (n,) of the samples.

    Returns:
        1 for the same path, 0.5 for one half as large; NaN where the other one is nothing.
    """
    weights = np.maximum(weights, LEAST_SURE)[:, None]
    size = float((weights * mean**2).sum())
    return float((weights * path * mean).sum() / size) if size > 1e-12 else float("nan")


def chords(path: Floats, sure: Floats) -> tuple[Floats, Floats]:
    """How far it is from each sample of a path (n, 3) to the fifth after it.

    Returns:
        (n - 5,) distances, and how far they are to be believed: as the least sure sample from end
        to end.
    """
    around = np.lib.stride_tricks.sliding_window_view(np.maximum(sure, LEAST_SURE), CHORD + 1)
    return np.linalg.norm(path[CHORD:] - path[:-CHORD], axis=1), around.min(axis=1)


def residual(path: Floats, expected: Floats, sure: Floats) -> float:
    """The root of the weighted mean square of the distance of two paths (n, 3)."""
    weights = np.maximum(sure, LEAST_SURE)[:, None]
    return float(np.sqrt((weights * (path - expected) ** 2).sum() / weights.sum()))


def peak_speed(signal: StrokeSignal, begin: float, end: float) -> float:
    """The largest speed of the wrist seen from the hips in a phase, torso lengths a second."""
    if len(signal.times) < 2:
        return float("nan")
    speed = np.linalg.norm(np.gradient(signal.xy[:, WRIST], 1 / RATE_HZ, axis=0), axis=1)
    inside = (signal.times >= begin) & (signal.times <= end)
    edges = signal.at(speed, [begin, end])
    return float(max(edges.max(), speed[inside].max(initial=0.0)))


def trunk_turn(signal: StrokeSignal) -> Floats:
    """(T,) degrees of the line of the shoulders, seen from above; only differences mean something.

    It rises as the bat's shoulder goes back, away from where the player looks. NaN without
    landmarks in metres.
    """
    line = signal.steady_shoulders[:, 0] - signal.steady_shoulders[:, 1]
    if not (np.abs(line[:, [0, 2]]).sum(axis=1) > 0).all():
        return np.full(len(signal.times), np.nan)
    return np.asarray(-np.rad2deg(np.unwrap(np.arctan2(line[:, 2], line[:, 0]))))


@dataclass(frozen=True, eq=False)
class Model:
    """What references of a class do."""

    strokes: Sequence[Stroke]
    references: Sequence[Reference]
    """With the moments that a person marked."""
    moments: Sequence[Moments]
    """Of each reference as the other ones say them, as of every other stroke."""
    values: Sequence[dict[str, Values]]
    """Of each reference at these moments, measured against the other ones."""

    def without(self, index: int) -> "Model":
        """The model of all references but one."""
        return Model(*(
            [item for place, item in enumerate(items) if place != index]
            for items in (self.strokes, self.references, self.moments, self.values)
        ))  # type: ignore[arg-type]  # fmt: skip

    @property
    def sessions(self) -> list[str]:
        """Of each reference."""
        return [item.session for item in self.strokes]

    @property
    def one_session(self) -> bool:
        """Whether nothing is known of the spread between sessions."""
        return len(set(self.sessions)) == 1

    def column(self, phase: str, name: str) -> Floats:
        """(n,) a measure of all references."""
        return np.array([item[phase][name] for item in self.values])

    def spreads(self) -> dict[str, dict[str, Spread | None]]:
        """Of every measure of every phase."""
        return {
            phase: {name: spread(self.column(phase, name), self.sessions) for name in MEASURES}
            for phase in PHASES
        }


def build_model(strokes: Sequence[Stroke], marks: Mapping[str, Marks]) -> Model:
    """The model of reference strokes, all of which can be measured; at least three.

    A reference is measured as every other stroke is, at moments carried over from the other ones:
    else its marks would vary less, or more, than what is set against them.
    """
    marked = []
    for item in strokes:
        signal, mark = known_signal(item), marks[item.row["clip_id"]]
        seconds = (frame / signal.fps for frame in (mark.ready, mark.contact, mark.end))
        marked.append(Reference(signal, marked_moments(signal, *seconds)))
    references = agreed_references(marked)
    moments = carry_among(references)
    values = []
    for one, carried in zip(references, moments, strict=True):
        others = [other for other in references if other is not one]
        values.append(measure(one.signal, carried, template(others)))
    return Model(strokes, references, moments, values)


def known_signal(item: Stroke) -> StrokeSignal:
    """The signal of a stroke that can be measured."""
    if item.signal is None:
        raise ValueError(f"{item.row['clip_id']}: a stroke without a signal")
    return item.signal
