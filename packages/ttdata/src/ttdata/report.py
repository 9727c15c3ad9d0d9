"""Funnel, table I and the rest as text for a terminal."""

from collections.abc import Iterator
from typing import Any

from ttdata.schema import SplitInfo

_FUNNEL = (
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
)
_ALWAYS = ("videos", "annotations", "annotations_accepted", "actions", "actions_accepted")


def funnel_lines(funnel: dict[str, int]) -> Iterator[str]:
    """The funnel, an indented line per count; reasons that never applied are left out."""
    for key, text, depth in _FUNNEL:
        if funnel.get(key) or key in _ALWAYS or key.startswith("clips"):
            yield f"{funnel[key]:>9}  {'  ' * depth}{text}"


def table_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Table I: a line per class that holds a clip, and the totals."""
    width = max(len(str(row["label"])) for row in rows)
    columns = ("train", "validation", "test", "total", "unused")
    yield " ".join(["class".ljust(width), *(name.rjust(10) for name in columns)])
    for row in rows:
        if row["total"] or row["unused"]:
            cells = (str(row[name]).rjust(10) for name in columns)
            yield " ".join([str(row["label"]).ljust(width), *cells])


def split_line(split: SplitInfo | None) -> str:
    """How the dataset is divided, and what that leaks."""
    if split is None:
        return "not divided yet: run `ttdata split`"
    return (
        f"split: {split.strategy}, seed {split.seed}; leakage {split.leakage:.1%} of test and "
        f"validation clips share their {split.group} with training"
    )


def stats_lines(stats: dict[str, Any], split: SplitInfo | None) -> Iterator[str]:
    """Everything `ttdata stats` shows."""
    yield from funnel_lines(stats["funnel"])
    yield ""
    yield from table_lines(stats["table"])
    yield ""
    for kind, row in stats["durations_seconds"].items():
        std = "" if row["std"] is None else f", standard deviation {row['std']:.2f} s"
        yield (
            f"{kind} durations: {row['min']:.2f} to {row['max']:.2f} s, mean {row['mean']:.2f} s"
            f"{std} (n = {row['n']})"
        )
    yield from _agreement_lines(stats["agreement"])
    yield split_line(split)


def _agreement_lines(found: dict[str, Any]) -> Iterator[str]:
    if not found["actions"]:
        yield "agreement: no action was marked by two annotators"
        return
    alpha = "undefined" if found["alpha"] is None else f"{found['alpha']:.3f}"
    yield (
        f"agreement: {found['share_unanimous']:.1%} of {found['actions']} actions marked by two or "
        f"more are unanimous; Krippendorff's alpha {alpha}; boundaries spread by "
        f"{found['start_spread_mean_frames']:.1f} (start) and "
        f"{found['end_spread_mean_frames']:.1f} (end) frames on average"
    )
