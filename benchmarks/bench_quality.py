"""How well strokes are measured: graded synthetic strokes with known truth.

    python benchmarks/bench_quality.py scratch --pose joints --seeds 5 --out table.md
    python benchmarks/bench_quality.py scratch --pose network --seeds 5 --out table.md

Graded sessions of `ttdata synth`: each player is compared with his own references of the first two
sessions; the third has unchanged strokes only a false alarm would call outside. `joints`: the true
joints of the body, nothing is rendered; `network`: rendered, then BlazePose (kept in the folder, a
file per video, so it goes on after a stop). No network was trained on anything, so every player
is unseen. Real strokes: `quality_real.py`.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from ttdata.synth.config import GradesConfig, SynthConfig
from ttdata.synth.encode import encode
from ttdata.synth.graded.joints import true_pose
from ttdata.synth.graded.truth import QualityTruth, quality_rows
from ttdata.synth.plan import VideoPlan, plan_video
from ttdata.synth.render import render
from ttflow import ClipPose
from ttflow.pose.clip_pose import estimated_frames
from ttflow.pose.config import PoseConfig
from ttflow.shards.poses import stored_poses, write_poses
from tttrain.quality.comparable import track_problem
from tttrain.quality.consistency import minimal_detectable_change, within_deviation
from tttrain.quality.document import StrokeQuality
from tttrain.quality.judge import judge_class
from tttrain.quality.landmarks import stroke_signal
from tttrain.quality.strokes import Stroke, with_cameras
from tttrain.quality.teacher.marks import Marks

CLASSES = ("Offensive Forehand Hit", "Offensive Forehand Loop", "Defensive Backhand Push")
RANKED = {
    "amplitude": ("stroke", "gain", "gain"),
    "backswing_time": ("backswing", "duration_s", "backswing_seconds"),
    "forward_time": ("forward", "duration_s", "forward_seconds"),
    "follow_time": ("follow_through", "duration_s", "follow_seconds"),
    "turn": ("backswing", "trunk_turn", "trunk_turn_deg"),
    "height": ("forward", "wrist_y", "contact_height"),
}
"""Kind of grade: phase and measure that should tell it, and the truth's column."""
TIMED = ("amplitude", "backswing_time", "forward_time", "follow_time")
MARGIN_FRAMES = 10
"""Poses beyond the stroke, a side, as `ttflow extract` stores it."""
JITTER_SECONDS = 0.05
"""Standard deviation of how far two people's bounds of a stroke lie apart."""
Change = Callable[[ClipPose], ClipPose]


def source(seed: int, asked: argparse.Namespace) -> SynthConfig:
    """Three sessions of each player; a third of them left-handed."""
    return SynthConfig(
        num_videos=3 * asked.players, num_players=asked.players, seed=seed, fps=asked.fps,
        graded=True, strokes=tuple(asked.classes.split(",")), grades=GradesConfig(),
        left_handed_share=1 / 3,
    )  # fmt: skip


def poses_of(plan: VideoPlan, asked: argparse.Namespace) -> list[ClipPose]:
    """The poses of a video's strokes."""
    rows, fps = quality_rows(plan), plan.config.fps
    spans = [
        (max(row.ready_frame - MARGIN_FRAMES, 0), row.end_frame + MARGIN_FRAMES) for row in rows
    ]
    names = [f"{row.video_id}@{row.ready_frame}-{row.end_frame}" for row in rows]
    if asked.pose == "network":
        return estimated(plan, names, spans, asked.folder)
    points, world, visibility = true_pose(plan, 0, plan.num_frames)
    found = []
    for name, (first, last) in zip(names, spans, strict=True):
        frames = estimated_frames(first, min(last, plan.num_frames), fps, PoseConfig().rate_hz)
        seen = np.ones(len(frames), np.float32)
        found.append(
            ClipPose(frames, points[frames], world[frames], visibility[frames], seen, name, fps)
        )
    return found


def estimated(
    plan: VideoPlan, names: Sequence[str], spans: Sequence[tuple[int, int]], folder: Path
) -> list[ClipPose]:
    """By the network, from a rendered video; kept."""
    from ttflow.pose.blazepose import open_model
    from ttflow.pose.video import PoseClip, estimate_video

    config = plan.config
    stem = f"{config.seed}_{config.fps:g}_{len(config.strokes)}_{config.num_players}"
    kept = folder / f"{stem}_{plan.video_id}.parquet"
    if kept.is_file():
        found = stored_poses(kept)[0]
        if [pose.clip_id for pose in found] == list(names):  # else of another generator
            return found
    folder.mkdir(parents=True, exist_ok=True)
    video = kept.with_suffix(".mp4")
    encode(video, (frame.rgb for frame in render(plan, with_truth=False)), config)
    clips = [PoseClip(name, span) for name, span in zip(names, spans, strict=True)]
    found = estimate_video(video, clips, config.fps, open_model(), PoseConfig())
    write_poses(kept, found)
    video.unlink()
    return found


def strokes_of(
    config: SynthConfig, asked: argparse.Namespace, poses: dict[str, list[ClipPose]]
) -> list[tuple[QualityTruth, Stroke, ClipPose]]:
    """All strokes of a source with their truth."""
    found = []
    for index in range(config.num_videos):
        plan = plan_video(config, index)
        if plan.video_id not in poses:
            poses[plan.video_id] = poses_of(plan, asked)
        for row, pose in zip(quality_rows(plan), poses[plan.video_id], strict=True):
            found.append((row, stroke(row, pose), pose))
    return found


def stroke(
    row: QualityTruth,
    pose: ClipPose,
    *,
    other_hand: bool = False,
    bounds: tuple[int, int] | None = None,
) -> Stroke:
    """A stroke as the command would load it; without bounds its true ones."""
    hand = "left" if row.left_handed != other_hand else "right"
    first, end = bounds or (row.ready_frame, row.end_frame)
    clip = {
        "clip_id": pose.clip_id, "video_id": row.video_id, "player_id": row.player_id,
        "session_id": row.session_id, "label": row.label, "start_frame": first,
        "end_frame": end, "fps": pose.fps,
    }  # fmt: skip
    signal = stroke_signal(pose, first, end, hand)  # type: ignore[arg-type]
    return Stroke(clip, hand, signal, track_problem(signal))  # type: ignore[arg-type]


def jittered(
    items: Sequence[tuple[QualityTruth, Stroke, ClipPose]], seed: int
) -> list[tuple[QualityTruth, Stroke]]:
    """The strokes as a detector would bound them, within the frames that have poses.

    References keep their bounds: a person marked them.
    """
    draw = np.random.default_rng(seed)
    found = []
    for row, item, pose in items:
        first, last = np.round(draw.normal(0, JITTER_SECONDS, 2) * pose.fps).astype(int).tolist()
        bounds = (
            max(row.ready_frame + first, int(pose.frames[0])),
            min(row.end_frame + last, int(pose.frames[-1]) + 1),
        )
        found.append((row, item if row.reference else stroke(row, pose, bounds=bounds)))
    return found


def judged(
    items: Sequence[tuple[QualityTruth, Stroke]], *, cameras: bool
) -> list[tuple[QualityTruth, StrokeQuality]]:
    """Every stroke against the references of its player and class."""
    groups = defaultdict(list)
    strokes = {item.row["clip_id"]: item for _, item in items}
    if cameras:
        strokes = with_cameras(strokes)
    for row, item in items:
        groups[row.player_id, row.label].append((row, strokes[item.row["clip_id"]]))
    found = []
    for (player, _), members in groups.items():
        marks = {
            item.row["clip_id"]: Marks(row.ready_frame, row.contact_frame, row.end_frame - 1, 0)
            for row, item in members
            if row.reference
        }
        results, _ = judge_class([item for _, item in members], marks, player)
        found += [(row, result) for (row, _), result in zip(members, results, strict=True)]
    return found


def value(result: StrokeQuality, phase: str, name: str) -> float:
    """A measure; NaN where there is none."""
    for item in result.phases:
        for measure in item.measures:
            if item.name == phase and measure.name == name and measure.value is not None:
                return measure.value
    return float("nan")


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, ties with their mean rank."""
    ranks = [pl.Series(item).rank().to_numpy() for item in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


Found = Sequence[tuple[QualityTruth, StrokeQuality]]
Seen = TypeVar("Seen")


def rank_row(found: Found, kind: str) -> tuple[float, float]:
    """Mean over players and classes of the rank correlation, and share of monotone levels."""
    phase, name, column = RANKED[kind]
    groups: dict[Any, list[tuple[float, float, float]]] = defaultdict(list)
    for row, result in found:
        measured = value(result, phase, name)
        if row.kind in (kind, "unchanged") and np.isfinite(measured):
            asked = getattr(row, f"asked_{kind}")
            groups[row.player_id, row.label].append((measured, getattr(row, column), asked))
    ranks, monotone = [], []
    for triples in groups.values():
        measured, truth, asked = np.array(triples).T
        ranks.append(rank_correlation(measured, truth))
        # A backhand turns the other way, so a level's truth may fall as it rises.
        steps = [
            np.diff([np.median(values[asked == level]) for level in np.unique(asked)])
            for values in (measured, truth)
        ]
        monotone.append(bool((np.sign(steps[0]) == np.sign(steps[1])).all()))
    return float(np.mean(ranks)), float(np.mean(monotone))


def contact_errors(found: Found) -> np.ndarray:
    """Absolute, in ms, of strokes that are no references."""
    return np.array([
        abs(result.moments["contact"] - row.contact_frame) / result.fps * 1000
        for row, result in found
        if not row.reference and result.moments
    ])  # fmt: skip


def false_alarms(found: Found) -> float:
    """Share of the measures of unchanged strokes called outside, in sessions without references."""
    known = {row.session_id for row, _ in found if row.reference}
    told = [
        measure.outside
        for row, result in found
        if row.kind == "unchanged" and row.session_id not in known
        for phase in result.phases
        for measure in phase.measures
        if measure.outside is not None
    ]
    return float(np.mean(told)) if told else float("nan")


def repeated(found: Iterable[tuple[QualityTruth, Seen]]) -> list[tuple[QualityTruth, Seen, str]]:
    """Strokes at grade 1 with what was found of each, and its player, class and session."""
    return [
        (row, result, f"{row.player_id}/{row.label}/{row.session_id}")
        for row, result in found
        if row.kind in ("reference", "unchanged")
    ]


def detectable(found: Found, phase: str, name: str) -> float:
    """The minimal detectable change, from repetitions of a player, class and session."""
    pairs = [(value(result, phase, name), group) for _, result, group in repeated(found)]
    values, groups = zip(*(pair for pair in pairs if np.isfinite(pair[0])), strict=True)
    return minimal_detectable_change(within_deviation(values, groups))


def played(found: Found) -> dict[str, float]:
    """How the strokes themselves vary, whatever measures them.

    The length of the path in space, as a share of the mean of the player's references. The truth's
    `gain` is of each stroke against itself at grade 1, so what a player varies is not in it.
    """
    lengths = defaultdict(list)
    for row, _ in found:
        if row.reference:
            lengths[row.player_id, row.label].append(row.path_torso)
    again = repeated(found)
    shares = [row.path_torso / np.mean(lengths[row.player_id, row.label]) for row, *_ in again]
    groups = [group for *_, group in again]
    return {
        "MDC of the true path's length": minimal_detectable_change(
            within_deviation(shares, groups)
        ),
        "degrees of freedom of MDC": float(len(groups) - len(set(groups))),
    }


def slope(found: Found) -> float:
    """By how much the gain rises where the realised one rises by 1, mean of players and classes."""
    groups = defaultdict(list)
    for row, result in found:
        size = value(result, "stroke", "gain")
        if row.kind in ("amplitude", "unchanged") and np.isfinite(size):
            groups[row.player_id, row.label].append((row.gain, size))
    return float(np.mean([np.polyfit(*np.transpose(pairs), 1)[0] for pairs in groups.values()]))


def pooled(cases: dict[int, dict[str, Any]], name: str) -> tuple[float, float, float]:
    """A detectable change over all seeds, and its 95 % interval, as of normal errors.

    Quantiles of chi-square by Wilson and Hilferty (1931): for k degrees of freedom
    k (1 - 2 / (9 k) + z sqrt(2 / (9 k)))^3.
    """
    degrees = np.array([found["degrees of freedom of MDC"] for found in cases.values()])
    changes = np.array([found[name] for found in cases.values()])
    k = degrees.sum()
    change = float(np.sqrt((degrees * changes**2).sum() / k))
    ends = [change / (1 - 2 / (9 * k) + z * np.sqrt(2 / (9 * k))) ** 1.5 for z in (1.96, -1.96)]
    return change, float(ends[0]), float(ends[1])


def moved(factor: float = 1.0, shift: float = 0.0, *, mirror: bool = False) -> Change:
    """A change of the picture that must not matter."""

    def change(pose: ClipPose) -> ClipPose:
        points, world = pose.points * factor + shift, pose.world.copy()
        if mirror:
            points[..., 0] = 640 - points[..., 0]
            world[..., 0] *= -1
        pairs = [point + 1 if point % 2 else point - 1 for point in range(11, 33)]
        order = [*range(11), *pairs] if mirror else list(range(33))
        return replace(
            pose, points=points[:, order].astype(np.float32), world=world[:, order],
            visibility=pose.visibility[:, order],
        )  # fmt: skip

    return change


CHANGES = {
    "mirrored": moved(mirror=True), "scale 0.7": moved(0.7), "scale 1.3": moved(1.3),
    "shifted 40 px": moved(shift=40.0),
}  # fmt: skip


def invariance(
    items: Sequence[tuple[QualityTruth, Stroke, ClipPose]], found: Found
) -> dict[str, tuple[float, float]]:
    """By change: the largest change of gain, and of a phase's share of the stroke."""
    before = {result.clip_id: result for _, result in found}
    told = {}
    for name, change in CHANGES.items():
        other = [
            (
                row,
                item if row.reference else stroke(row, change(pose), other_hand=name == "mirrored"),
            )
            for row, item, pose in items
        ]
        gains, shares = [0.0], [0.0]
        for _, result in judged(other, cameras=False):
            pairs = before[result.clip_id], result
            if not before[result.clip_id].phases:
                continue
            sizes = [value(one, "stroke", "gain") for one in pairs]
            if np.isfinite(sizes).any():  # else of a hidden hand either time
                gains.append(abs(np.subtract(*sizes)))
            shares += [
                abs(np.subtract(*(value(one, phase, "duration_share") for one in pairs)))
                for phase in ("backswing", "forward", "follow_through")
            ]
        # NaN where a change made a measure impossible: that is no small change.
        told[name] = float(np.max(gains)), float(np.max(shares))
    return told


def measured(found: Found) -> dict[str, float]:
    """How well strokes are measured, whatever bounds they had."""
    figures = {}
    for kind in RANKED:
        rank, monotone = rank_row(found, kind)
        figures[f"rank correlation, {kind}"] = rank
        figures[f"levels monotone, {kind}"] = monotone
    errors = contact_errors(found)
    figures["contact error, median ms"] = float(np.median(errors))
    figures["contact error, mean ms"] = float(errors.mean())
    figures["false alarms at nominal 0.05"] = false_alarms(found)
    figures["slope of gain on the realised one"] = slope(found)
    figures["MDC of gain"] = detectable(found, "stroke", "gain")
    for phase in ("backswing", "forward", "follow_through"):
        figures[f"MDC of {phase}, share of stroke"] = detectable(found, phase, "duration_share")
    return figures


def by_hand(found: Found) -> dict[str, float]:
    """Some of the same of right-handers and left-handers: a network sees their arms differently."""
    figures = {}
    for hand in ("right", "left"):
        own = [(row, result) for row, result in found if row.left_handed == (hand == "left")]
        if not own:
            continue
        for kind in TIMED:
            figures[f"{hand}-handed: rank correlation, {kind}"] = rank_row(own, kind)[0]
        figures[f"{hand}-handed: contact error, mean ms"] = float(contact_errors(own).mean())
        figures[f"{hand}-handed: MDC of gain"] = detectable(own, "stroke", "gain")
        share = detectable(own, "backswing", "duration_share")
        figures[f"{hand}-handed: MDC of backswing, share of stroke"] = share
    return figures


def case(seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """All figures of a seed."""
    config = source(seed, asked)
    items = strokes_of(config, asked, {})
    given = [(row, item) for row, item, _ in items]
    found = judged(given, cameras=False)
    gated = judged(given, cameras=True)
    figures: dict[str, Any] = {"strokes": len(found)} | measured(found) | played(found)
    figures |= by_hand(found)
    apart = measured(judged(jittered(items, seed), cameras=False))
    figures |= {f"jittered bounds: {name}": figure for name, figure in apart.items()}
    for name, (gain, share) in invariance(items, found).items():
        figures[f"change of gain, {name}"] = gain
        figures[f"change of a share, {name}"] = share
    told = [result.refused or "" for _, result in gated]
    figures["refused for the camera (all within 8 degrees)"] = float(
        np.mean(["camera angle" in text for text in told])
    )
    return figures


def table(cases: dict[int, dict[str, Any]]) -> str:
    """A row per figure, a column per seed, and the mean."""
    seeds = list(cases)
    lines = [
        "| figure | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean |",
        "|---" * (len(seeds) + 2) + "|",
    ]
    for name in cases[seeds[0]]:
        values = [float(cases[seed][name]) for seed in seeds]
        cells = " | ".join(f"{item:.3g}" for item in (*values, float(np.mean(values))))
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="scratch, keeps the network's poses")
    parser.add_argument("--pose", choices=("joints", "network"), default="joints")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--players", type=int, default=3)
    parser.add_argument("--classes", default=",".join(CLASSES))
    parser.add_argument("--fps", type=float, default=120.0)
    parser.add_argument("--out", type=Path, help="where the table is written")
    asked = parser.parse_args()
    if asked.pose == "network" and asked.folder is None:
        parser.error("expected a folder for the network's poses")
    return asked


def main() -> None:
    """Print the figures, and write them where asked."""
    asked = arguments()
    cases = {}
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        cases[seed] = case(seed, asked)
        print(f"seed {seed}", cases[seed], flush=True)
    text = table(cases) + "\n"
    for name in ("MDC of gain", "MDC of the true path's length"):
        change, low, high = pooled(cases, name)
        text += f"{name}, all seeds: {change:.3f} (95 % {low:.3f} to {high:.3f})\n"
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
