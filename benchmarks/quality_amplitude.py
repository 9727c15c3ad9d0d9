"""What limits the detectable change of a stroke's size: other measures of it, and the strokes.

    python benchmarks/quality_amplitude.py --seeds 5 --out table.md
    python benchmarks/quality_amplitude.py scratch --pose network --seeds 2 --fps 60 \
        --classes "Offensive Forehand Hit"

Graded sessions, as `bench_quality.py` makes them. Every measure gets the same
paths, laid upon each other at the same moments. A measure that a larger movement raises less also
varies less, so what counts is the detectable change over the slope on the realised gain.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from bench_quality import CLASSES, rank_correlation, repeated, source, strokes_of

from ttdata.synth.config import SynthConfig
from ttdata.synth.graded.truth import QualityTruth
from tttrain.quality.consistency import minimal_detectable_change, within_deviation
from tttrain.quality.landmarks import (
    ELBOW,
    FREE_HIP,
    FREE_SHOULDER,
    HIP,
    SHOULDER,
    WRIST,
    Floats,
    StrokeSignal,
)
from tttrain.quality.measures import (
    LEAST_SURE,
    PHASE_SAMPLES,
    centred,
    chords,
    fitted,
    gain,
    phase_path,
    robust_weights,
)
from tttrain.quality.timing.moments import (
    PHASES,
    Moments,
    Reference,
    agreed_references,
    carry_among,
    carry_moments,
    marked_moments,
)

NOW = "gain as it is (least squares and length, half depth)"
SHARES = (np.arange(PHASE_SAMPLES) + 0.5) / PHASE_SAMPLES
Seen = tuple[Floats, Floats]
"""A path (60, D), and how far each of its samples is to be believed, (60,)."""
Way = Callable[[StrokeSignal, Moments], Seen]
Size = Callable[[Seen, Sequence[Seen]], float]
"""Of a path against those of references."""


@dataclass(frozen=True, eq=False)
class Group:
    """The strokes of a player and class; references first."""

    rows: list[QualityTruth]
    signals: list[StrokeSignal]
    moments: list[Moments]
    """As references say them."""
    references: list[Reference]

    @property
    def true(self) -> list[Moments]:
        """The moments as they were played."""
        found = []
        for row, signal in zip(self.rows, self.signals, strict=True):
            frames = row.ready_frame, row.backswing_frame, row.contact_frame, row.end_frame - 1
            found.append(Moments(*(frame / signal.fps for frame in frames)))
        return found


def groups_of(config: SynthConfig, asked: argparse.Namespace) -> list[Group]:
    """The strokes of a source, with their moments."""
    members = defaultdict(list)
    for row, item, _ in strokes_of(config, asked, {}):
        if item.signal is not None:
            members[row.player_id, row.label].append((row, item.signal))
    found = []
    for pairs in members.values():
        first = [pair for pair in pairs if pair[0].reference]
        rest = [pair for pair in pairs if not pair[0].reference]
        marked = []
        for row, signal in first:
            frames = row.ready_frame, row.contact_frame, row.end_frame - 1
            seconds = (frame / signal.fps for frame in frames)
            marked.append(Reference(signal, marked_moments(signal, *seconds)))
        references = agreed_references(marked)
        moments = carry_among(references)
        moments += carry_moments(references, [signal for _, signal in rest])
        rows, signals = zip(*first, *rest, strict=True)
        found.append(Group(list(rows), list(signals), moments, references))
    return found


def _arm(signal: StrokeSignal) -> Floats:
    """(T, 2) in the picture alone."""
    return np.asarray(signal.xy[:, WRIST] - signal.xy[:, SHOULDER])


def _in_space(signal: StrokeSignal) -> Floats:
    """(T, 8, 3) landmarks in space, in torso lengths."""
    line = signal.world[:, [SHOULDER, FREE_SHOULDER]] - signal.world[:, [HIP, FREE_HIP]]
    return np.asarray(signal.world / np.median(np.linalg.norm(line.mean(axis=1), axis=1)))


def _aligned(of: Callable[[StrokeSignal], Floats], signal: StrokeSignal, moments: Moments) -> Seen:
    """Another path than the arm's, at the same times."""
    bounds = [moments.phase(name) for name in PHASES[:3]]
    times = np.concatenate([begin + (end - begin) * SHARES for begin, end in bounds])
    return signal.at(of(signal), times), signal.at(signal.sure, times)


def _unaligned(signal: StrokeSignal, moments: Moments) -> Seen:
    """The arm's path at even times from ready to the end, whatever lies between."""
    times = np.linspace(moments.ready, moments.end, 3 * PHASE_SAMPLES)
    return signal.at(_arm(signal), times), signal.at(signal.sure, times)


def _wrist(signal: StrokeSignal) -> Floats:
    return signal.xy[:, WRIST]


def _arm_in_space(signal: StrokeSignal) -> Floats:
    places = _in_space(signal)
    return np.asarray(places[:, WRIST] - places[:, SHOULDER])


def _with_elbow(signal: StrokeSignal) -> Floats:
    return np.concatenate([_arm(signal), signal.xy[:, ELBOW] - signal.xy[:, SHOULDER]], axis=1)


IN_SPACE: Way = partial(_aligned, _arm_in_space)


def laid(path: Seen, references: Sequence[Seen], *, robust: bool) -> tuple[Floats, Floats, Floats]:
    """Both paths less their means, and the weights of the samples."""
    weights = np.maximum([sure for _, sure in references], LEAST_SURE)[..., None]
    places = np.array([centred(*item) for item in references])
    mean = (weights * places).sum(axis=0) / weights.sum(axis=0)
    used = robust_weights(path[0], mean, path[1]) if robust else path[1]
    used = np.maximum(used, LEAST_SURE)
    return centred(path[0], used), centred(mean, used), used


def least_squares(path: Seen, references: Sequence[Seen], *, robust: bool = False) -> float:
    """A path's ratio to the references' mean."""
    return fitted(*laid(path, references, robust=robust))


def current(path: Seen, references: Sequence[Seen]) -> float:
    """The gain as it is: least squares and length."""
    way, believed = chords(*path)
    ways, weights = zip(*(chords(*item) for item in references), strict=True)
    mean = (np.array(weights) * ways).sum(axis=0) / np.sum(weights, axis=0)
    ratio = least_squares(path, references, robust=True)
    return gain(ratio, float(believed @ way), float(believed @ mean))


def total_least_squares(path: Seen, references: Sequence[Seen], *, robust: bool = False) -> float:
    """With errors in both paths."""
    one, other, weights = laid(path, references, robust=robust)
    squares = [
        float((weights[:, None] * first * second).sum())
        for first, second in ((one, one), (other, other), (one, other))
    ]
    return float(np.tan(np.arctan2(2 * squares[2], squares[1] - squares[0]) / 2))


def procrustes(path: Seen, references: Sequence[Seen], *, robust: bool = False) -> float:
    """After the turn that fits best."""
    one, other, weights = laid(path, references, robust=robust)
    turned = np.linalg.svd((weights[:, None] * one).T @ other, compute_uv=False).sum()
    return float(turned / (weights[:, None] * other**2).sum())


def extent(path: Seen, references: Sequence[Seen]) -> float:
    """The root of the mean square about the mean, of each path by itself."""
    sizes = [np.sqrt((centred(*item) ** 2).sum()) for item in (path, *references)]
    return float(sizes[0] / np.mean(sizes[1:]))


def along(path: Seen, references: Sequence[Seen], *, tail: float | None = None) -> float:
    """Along the references' main direction: deviation, or distance of two quantiles."""
    one, other, _ = laid(path, references, robust=False)
    line = np.linalg.svd(other, full_matrices=False)[2][0]
    spreads = [
        np.std(item @ line) if tail is None
        else np.subtract(*np.quantile(item @ line, [1 - tail, tail]))
        for item in (one, other)
    ]  # fmt: skip
    return float(spreads[0] / spreads[1])


def length(path: Seen, references: Sequence[Seen]) -> float:
    """Of the path."""
    sizes = [np.linalg.norm(np.diff(item, axis=0), axis=1).sum() for item, _ in (path, *references)]
    return float(sizes[0] / np.mean(sizes[1:]))


def by_phase(path: Seen, references: Sequence[Seen]) -> float:
    """Least squares, each phase about its own mean, summed up."""
    over = under = 0.0
    for begin in range(0, len(path[0]), PHASE_SAMPLES):
        part = slice(begin, begin + PHASE_SAMPLES)
        one, other, weights = laid(
            (path[0][part], path[1][part]),
            [(item[part], sure[part]) for item, sure in references],
            robust=False,
        )
        over += float((weights[:, None] * one * other).sum())
        under += float((weights[:, None] * other**2).sum())
    return over / under


robust = partial(least_squares, robust=True)
PICTURE: Way = partial(_aligned, _arm)
MEASURES: dict[str, tuple[Way, Size, bool]] = {
    NOW: (phase_path, current, False),
    "the same, true moments": (phase_path, current, True),
    "the same, no depth": (PICTURE, current, False),
    "the same, full depth": (IN_SPACE, current, False),
    "its least squares alone": (phase_path, robust, False),
    "steps from sample to sample alone": (phase_path, length, False),
    "before: least squares, no depth": (PICTURE, robust, False),
    "before, true moments": (PICTURE, robust, True),
    "least squares without robust weights": (PICTURE, least_squares, False),
    "total least squares": (PICTURE, total_least_squares, False),
    "total least squares, robust weights": (
        PICTURE, partial(total_least_squares, robust=True), False),
    "Procrustes, robust weights": (PICTURE, partial(procrustes, robust=True), False),
    "root mean square": (PICTURE, extent, False),
    "root mean square, not aligned": (_unaligned, extent, False),
    "deviation along the main direction": (PICTURE, along, False),
    "10 to 90 % along the main direction": (PICTURE, partial(along, tail=0.1), False),
    "the same, not aligned": (_unaligned, partial(along, tail=0.1), False),
    "length": (PICTURE, length, False),
    "length, not aligned": (_unaligned, length, False),
    "least squares, phases apart": (PICTURE, by_phase, False),
    "least squares of the wrist from the hips": (partial(_aligned, _wrist), robust, False),
    "least squares of wrist and elbow": (partial(_aligned, _with_elbow), robust, False),
    "least squares, full depth": (IN_SPACE, least_squares, False),
    "length, full depth": (IN_SPACE, length, False),
    "least squares, full depth, true moments": (IN_SPACE, least_squares, True),
    "length, full depth, true moments": (IN_SPACE, length, True),
}  # fmt: skip
"""Name: path, size, and whether at the true moments."""


def sizes_of(group: Group, way: Way, size: Size, *, true: bool) -> Floats:
    """(n,) of every stroke; references against the other ones."""
    moments = group.true if true else group.moments
    count = len(group.references)
    paths = [way(*pair) for pair in zip(group.signals, moments, strict=True)]
    own = moments[:count] if true else [item.moments for item in group.references]
    marked = [way(item.signal, its) for item, its in zip(group.references, own, strict=True)]
    return np.array([
        size(path, [item for other, item in enumerate(marked) if other != place])
        for place, path in enumerate(paths)
    ])  # fmt: skip


def repeats(groups: Sequence[Group], sizes: Sequence[Floats]) -> float:
    """The detectable change, from strokes at grade 1 of a player, class and session."""
    found = [zip(group.rows, own, strict=True) for group, own in zip(groups, sizes, strict=True)]
    _, values, names = zip(*repeated(chain.from_iterable(found)), strict=True)
    return minimal_detectable_change(within_deviation(values, names))


def told(groups: Sequence[Group], sizes: Sequence[Floats]) -> tuple[float, float]:
    """Slope and rank correlation on the realised gain, mean over players and classes."""
    pairs = []
    for group, found in zip(groups, sizes, strict=True):
        used = [row.kind in ("amplitude", "unchanged") for row in group.rows]
        truth = np.array([row.gain for row in group.rows])[used]
        line = np.polyfit(truth, found[used], 1)[0]
        pairs.append((line, rank_correlation(truth.tolist(), found[used].tolist())))
    slope, rank = np.mean(pairs, axis=0)
    return float(slope), float(rank)


def played(groups: Sequence[Group]) -> list[Floats]:
    """The true length of each path, as a share of the references' mean."""
    return [
        np.array([row.path_torso for row in group.rows])
        / np.mean([row.path_torso for row in group.rows[: len(group.references)]])
        for group in groups
    ]


def limits(groups: Sequence[Group], still: Sequence[Group]) -> dict[str, float]:
    """Of the gain as it is: what of its change is the strokes' own."""

    def sizes(name: str, of: Sequence[Group]) -> list[Floats]:
        way, size, true = MEASURES[name]
        return [sizes_of(group, way, size, true=true) for group in of]

    seen = sizes(NOW, groups)
    space = sizes("least squares, full depth, true moments", groups)
    realised = [np.array([row.gain for row in group.rows]) for group in groups]
    apart = [one - other for one, other in zip(seen, space, strict=True)]
    return {
        "gain": repeats(groups, seen),
        "true path in space, least squares": repeats(groups, space),
        "true path in space, its length": repeats(groups, played(groups)),
        "realised gain (each stroke against itself at grade 1)": repeats(groups, realised),
        "gain less that of the true path": repeats(groups, apart),
        "gain of strokes that do not vary": repeats(still, sizes(NOW, still)),
        "their true path, its length": repeats(still, played(still)),
    }


def rows(cases: Sequence[Sequence[Group]]) -> list[str]:
    """A row per measure: means over seeds."""
    lines = ["| measure | MDC | slope | MDC / slope | range | rank correlation |", "|---" * 6 + "|"]
    for name, (way, size, true) in MEASURES.items():
        found = []
        for groups in cases:
            sizes = [sizes_of(group, way, size, true=true) for group in groups]
            found.append((repeats(groups, sizes), *told(groups, sizes)))
        change, slope, rank = np.transpose(found)
        over = change / slope
        lines.append(
            f"| {name} | {change.mean():.3f} | {slope.mean():.2f} | {over.mean():.3f} "
            f"| {over.min():.3f} to {over.max():.3f} | {rank.mean():.3f} |"
        )
    return lines


def main() -> None:
    """Print both tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="with the network's poses")
    parser.add_argument("--pose", choices=("joints", "network"), default="joints")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--players", type=int, default=2)
    parser.add_argument("--classes", default=",".join(CLASSES))
    parser.add_argument("--fps", type=float, default=120.0)
    parser.add_argument("--limits-only", action="store_true", help="no other measures")
    parser.add_argument("--out", type=Path, help="where the tables are written")
    asked = parser.parse_args()
    cases, told_limits = [], []
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        config = source(seed, asked)
        if asked.pose == "network":
            cases.append(groups_of(config, asked))
            continue
        grades = config.grades.model_copy(update={"variation": 0.0})
        cases.append(groups_of(config, asked))
        still = groups_of(config.model_copy(update={"grades": grades}), asked)
        told_limits.append(limits(cases[-1], still))
    lines = ["| detectable change of | mean | range |", "|---|---|---|"] if told_limits else []
    for name in told_limits[0] if told_limits else ():
        values = [found[name] for found in told_limits]
        lines.append(f"| {name} | {np.mean(values):.3f} | {min(values):.3f} to {max(values):.3f} |")
    if not asked.limits_only:
        lines += ["", *rows(cases)]
    text = "\n".join(lines) + "\n"
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
