"""How real strokes repeat themselves when measured twice, on different frames of the same film.

    python benchmarks/quality_real.py shards --marks benchmarks/real_marks.csv --out table.md
    python benchmarks/quality_real.py shards --pairs pairs.csv --out table.md

Each stroke that is no reference is measured on the even and on the odd estimated frames, so at half
the rate. References: those of the marks (`real_marks.csv`: by eye, frame by frame, by no coach);
without marks six central strokes a class, first frame, 60 % and last frame standing for moments.
One column is of all strokes, one of those that `tttrain quality` compares: of a camera within 15
degrees of a reference's in either half. Also whether near-identical clips (CSV with clip_id and
group) are nearer to each other than others of a class.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from bench_quality import value

from ttflow import ClipPose, open_shards, read_poses
from tttrain.quality.consistency import icc_2_1
from tttrain.quality.document import StrokeQuality
from tttrain.quality.judge import judge_class
from tttrain.quality.landmarks import stroke_signal
from tttrain.quality.measures import MEASURES
from tttrain.quality.strokes import Stroke, load_strokes, stroke_rows, with_cameras
from tttrain.quality.suggest import central
from tttrain.quality.teacher.marks import Marks, read_marks
from tttrain.quality.timing.alignment import align_all

REFERENCES = 6
"""Of a class, where nobody chose."""
DRAWS = 1000
"""Of strokes, for an interval."""
Pairs = dict[tuple[str, str], list[list[float]]]
"""By phase and measure: of each stroke its value on even and on odd frames."""


def halves(pose: ClipPose) -> tuple[ClipPose, ClipPose]:
    """Its even and its odd estimated frames."""
    names = ("frames", "points", "world", "visibility", "presence")
    even, odd = (
        replace(pose, **{name: getattr(pose, name)[part::2] for name in names}) for part in (0, 1)
    )
    return even, odd


def with_pose(item: Stroke, pose: ClipPose) -> Stroke:
    """The stroke, seen by another pose; two missing frames are no gap here."""
    row = item.row
    signal = stroke_signal(pose, row["start_frame"], row["end_frame"], item.hand or "right")
    return Stroke(row, item.hand, signal)


def by_class(strokes: Mapping[str, Stroke]) -> list[list[str]]:
    """The clips of each class that can be measured."""
    found = defaultdict(list)
    for clip_id, item in strokes.items():
        if item.problem is None:
            found[item.row["label"]].append(clip_id)
    return list(found.values())


def arbitrary_marks(strokes: Mapping[str, Stroke], clip_ids: Sequence[str]) -> dict[str, Marks]:
    """Central strokes: first frame, 60 % of the clip, last frame."""
    signals = {name: strokes[name].signal for name in clip_ids}
    found = {}
    for name, _ in central(signals, {name: name for name in signals}, REFERENCES):  # type: ignore[arg-type]
        row = strokes[name].row
        first, last = row["start_frame"], row["end_frame"] - 1
        found[name] = Marks(first, round(first + 0.6 * (last - first)), last, 0)
    return found


def retest(shards_path: Path, marks_path: Path | None) -> tuple[Pairs, Pairs]:
    """Every measure twice: of all strokes, and of those that are compared in both halves."""
    shards = open_shards(shards_path)
    strokes = load_strokes(shards, {})
    poses = read_poses(shards, list(strokes))
    marks = None if marks_path is None else read_marks(marks_path, stroke_rows(shards))
    everyone: Pairs = defaultdict(list)
    compared: Pairs = defaultdict(list)
    for clip_ids in by_class(strokes):
        if marks is None:
            used = arbitrary_marks(strokes, clip_ids)
        else:
            used = {name: marks[name] for name in clip_ids if name in marks}
        again = [
            {
                name: strokes[name] if name in used
                else with_pose(strokes[name], halves(poses[name])[half])
                for name in clip_ids
            }
            for half in (0, 1)
        ]  # fmt: skip
        add(everyone, (judge_class(list(found.values()), used)[0] for found in again))
        gated = (judge_class(list(with_cameras(found).values()), used)[0] for found in again)
        add(compared, gated)
    return everyone, compared


def add(pairs: Pairs, both: Iterable[Sequence[StrokeQuality]]) -> None:
    """What was found of the strokes that are no references in both halves."""
    for one, other in zip(*both, strict=True):
        for phase in () if one.is_reference else (item.name for item in one.phases):
            for name in MEASURES:
                values = [value(one, phase, name), value(other, phase, name)]
                if np.isfinite(values).all() and (phase, name) != ("stroke", "duration_share"):
                    pairs[phase, name].append(values)


def agreement(values: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """ICC(2,1) and its 95 % interval over draws of strokes."""
    if not values:
        return nan, nan, nan
    numbers = np.array(values)
    draw = np.random.default_rng(0)
    drawn = [icc_2_1(numbers[draw.integers(0, len(numbers), len(numbers))]) for _ in range(DRAWS)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return icc_2_1(numbers), float(low), float(high)


def table(everyone: Pairs, compared: Pairs) -> str:
    """A row per measure, and how many fall short of 0.9."""
    lines = ["| measure | all strokes (95 %) | n | compared ones (95 %) | n |", "|---" * 5 + "|"]
    short = [0, 0]
    for phase, name in everyone:
        cells = []
        for place, pairs in enumerate((everyone, compared)):
            found = pairs.get((phase, name), [])
            icc, low, high = agreement(found)
            short[place] += not icc >= 0.9
            cells += [f"{icc:.3f} ({low:.2f} to {high:.2f})", str(len(found))]
        lines.append(f"| {phase} {name} | {' | '.join(cells)} |")
    told = " | | ".join(f"{count} of {len(everyone)}" for count in short)
    return "\n".join([*lines, f"| below 0.9 | {told} | |"]) + "\n"


def whole_body(signal: Any) -> np.ndarray:
    """(T, 40): all joints in the picture, and in metres twice, neither centred nor sized."""
    return np.concatenate([signal.xy, 2 * signal.world], axis=2).reshape(len(signal.times), -1)


def near_identical(shards_path: Path, pairs: Path) -> float:
    """How probably a near-identical pair is nearer than another pair of its class."""
    strokes = load_strokes(open_shards(shards_path), {})
    group = dict(pl.read_csv(pairs, infer_schema=False).select("clip_id", "group").iter_rows())
    same, other = [], []
    for names in by_class(strokes):
        features = [whole_body(strokes[name].signal) for name in names]
        for place, name in enumerate(names[:-1]):
            costs = align_all(features[place], features[place + 1 :], band=0.5, price=0.0)
            for other_name, found in zip(names[place + 1 :], costs, strict=True):
                near = group.get(name) is not None and group.get(name) == group.get(other_name)
                (same if near else other).append(found.cost)
    ranks = pl.Series([*same, *other]).rank().to_numpy()[: len(same)]
    above = ranks.sum() - len(same) * (len(same) + 1) / 2
    return float(1 - above / (len(same) * len(other)))


def main() -> None:
    """Print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path, help="real strokes with poses")
    parser.add_argument("--marks", type=Path, help="CSV clip_id,ready,contact,end of references")
    parser.add_argument("--pairs", type=Path, help="CSV clip_id,group of near-identical clips")
    parser.add_argument("--out", type=Path, help="where the table is written")
    asked = parser.parse_args()
    text = table(*retest(asked.shards, asked.marks))
    if asked.pairs is not None:
        text += f"\nNear-identical pairs: AUC {near_identical(asked.shards, asked.pairs):.3f}\n"
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
