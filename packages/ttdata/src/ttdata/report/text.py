"""Funnel, table I and the rest as text for a terminal."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from ttdata.schema import SPLITS, SplitInfo

FUNNEL = (
    ("videos", "videos", 0),
    ("annotations", "annotations", 0),
    ("annotations_rejected", "rejected, for one reason or more", 1),
    ("rejected_starts_at_first_frame", "starts at frame 0", 2),
    ("rejected_ends_after_video", "ends after its video", 2),
    ("rejected_too_short", "too short", 2),
    ("rejected_too_long", "too long", 2),
    ("rejected_unlabelled", "no label", 2),
    ("rejected_unknown_label", "label outside the taxonomy", 2),
    ("rejected_unknown_video", "unknown video", 2),
    ("rejected_empty_interval", "empty interval", 2),
    ("annotations_accepted", "accepted", 1),
    ("actions", "actions", 0),
    ("actions_set_aside", "set aside: annotators disagree, or dropped", 1),
    ("actions_accepted", "accepted", 1),
    ("actions_overlapping", "overlap another by too much (flagged)", 1),
    ("gaps", "gaps between actions", 0),
    ("gaps_too_short", "too short", 1),
    ("negatives_proposed", "proposed as negatives", 1),
    ("negatives_touches_rejected", "left out: touch a rejected annotation", 2),
    ("negatives_rejected", "left out: rejected by a person", 2),
    ("negatives_not_reviewed", "left out: not reviewed", 2),
    ("negatives_usable", "usable", 2),
    ("clips_stroke", "clips: strokes", 0),
    ("clips_negative", "clips: negatives, of which a split uses some", 0),
    ("stretches_straddling", "stretches at the bounds of strokes, for `tttrain fit`", 0),
    ("stretches_rest", "stretches between strokes, for `tttrain fit`", 0),
)
_ALWAYS = ("videos", "annotations", "annotations_accepted", "actions", "actions_accepted")


def funnel_lines(funnel: dict[str, int]) -> Iterator[str]:
    """The funnel, an indented line per count; reasons that never applied are left out."""
    for key, text, depth in FUNNEL:
        if funnel.get(key) or key in _ALWAYS or key.startswith("clips"):
            yield f"{funnel[key]:>9}  {'  ' * depth}{text}"


def table_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Table I: a line per class that holds a clip, and the totals."""
    width = max(len(str(row["label"])) for row in rows)
    columns = (*SPLITS, "total", "unused")
    yield " ".join(["class".ljust(width), *(name.rjust(10) for name in columns)])
    for row in rows:
        if row["total"] or row["unused"]:
            cells = (str(row[name]).rjust(10) for name in columns)
            yield " ".join([str(row["label"]).ljust(width), *cells])


def split_line(split: SplitInfo | None) -> str:
    """One line on the division of the dataset and its leakage."""
    if split is None:
        return "not divided yet: run `ttdata split`"
    unknown = split.unknown_group_clips
    return (
        f"split: {split.strategy}, seed {split.seed}; leakage {split.leakage:.1%} of test and "
        f"validation clips share their {split.group} with training"
        + (f", {unknown} of unknown {split.group} left out" if unknown else "")
    )


def balance_line(balance: dict[str, Any] | None) -> str | None:
    """One line on the gap between the division and its shares, and on missing classes."""
    if balance is None or balance["largest"] is None:
        return None
    worst = balance["largest"]
    missing = [f"{row['label']} in {row['split']}" for row in balance["missing"]]
    return (
        f"balance: strokes of a class in a split are off by {balance['mean_gap']:.1f} on average, "
        f"most for {worst['label']} in {worst['split']} ({worst['held']}, aimed at "
        f"{worst['aimed']:.1f}); "
        + (f"missing: {', '.join(missing)}" if missing else "no class is missing from a split")
    )


def stats_lines(stats: dict[str, Any], split: SplitInfo | None) -> Iterator[str]:
    """Everything `ttdata stats` shows."""
    yield from funnel_lines(stats["funnel"])
    for rows in (stats["table"], *stats["table_by"].values()):
        yield ""
        yield from table_lines(rows)
    yield ""
    for kind, row in stats["durations"].items():
        seconds, frames = row["seconds"], row["frames"]
        yield (
            f"{kind} durations: {seconds['min']:.2f} to {seconds['max']:.2f} s, mean "
            f"{_mean(seconds, 2)} s ({frames['min']:.0f} to {frames['max']:.0f} frames, mean "
            f"{_mean(frames, 1)}; n = {row['n']})"
        )
    yield from _agreement_lines(stats["agreement"])
    yield from _annotator_lines(stats["annotators"])
    yield split_line(split)
    if (line := balance_line(stats["balance"])) is not None:
        yield line


def _mean(measure: dict[str, float | None], digits: int) -> str:
    """Mean and standard deviation, where there is one."""
    deviation = "" if measure["std"] is None else f" ± {measure['std']:.{digits}f}"
    return f"{measure['mean']:.{digits}f}{deviation}"


def _agreement_lines(found: dict[str, Any]) -> Iterator[str]:
    if not found["actions"]:
        yield "agreement: no action was annotated by two annotators"
        return
    yield (
        f"agreement: {found['share_unanimous']:.1%} of {found['actions']} actions annotated by two "
        f"or more are unanimous; boundaries spread by {found['start_spread_mean_frames']:.1f} "
        f"(start) and {found['end_spread_mean_frames']:.1f} (end) frames on average"
    )
    for level, measure in found["levels"].items():
        yield f"  Krippendorff's alpha by {level}: {alpha_text(measure)}"
        for row in measure["confusions"][:3] if level == "label" else ():
            yield (
                f"    mixed up: {row['label']} and {row['other']}, {row['pairs']} of {row['of']} "
                "pairs of annotators who said one of them"
            )


def alpha_text(measure: dict[str, Any]) -> str:
    """Alpha with its interval, or that there is none."""
    if measure["alpha"] is None:
        return "undefined"
    low, high = measure["interval"]
    return f"{measure['alpha']:.3f} (95 % interval {low:.3f} to {high:.3f})"


def _annotator_lines(records: list[dict[str, Any]]) -> Iterator[str]:
    for row in records:
        agrees = "nothing to compare"
        if row["share"] is not None:
            low, high = row["interval"]
            agrees = (
                f"agrees with the others in {row['share']:.1%} (n = {row['compared']}, 95 % "
                f"interval {low:.1%} to {high:.1%})"
            )
        yield (
            f"annotator {row['annotator_id']!r}: {row['annotations']} annotations, "
            f"{row['accepted']} accepted; {agrees}"
        )


def review_lines(queue: pl.DataFrame) -> Iterator[str]:
    """The items of the review queue, a line each."""
    for row in queue.iter_rows(named=True):
        labels = f" ({row['labels']})" if row["labels"] else ""
        player = f", player {row['player_id']}" if row["player_id"] else ""
        yield (
            f"{row['kind']:>8} {row['video_id']} [{row['start_frame']}, {row['end_frame']}) at "
            f"{row['start_seconds']:.1f} s{player}: {row['why']}{labels}"
        )
