"""Agreement of annotators: Krippendorff's alpha, a record of each, and confused labels.

Units are actions. One annotator gives an action one label; one who contradicts himself in an action
gives none there. Labels are compared whole, or by type or hand alone.
"""

from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from ttdata.confidence import wilson
from ttdata.curation.consensus import one_vote_each
from ttdata.curation.overlaps import Floats, Ints
from ttdata.schema import Reason
from ttdata.taxonomy import Taxonomy

Level = Literal["label", "type", "hand"]
LEVELS: tuple[Level, ...] = get_args(Level)
_RESAMPLES = 2000


def levels_of(taxonomy: Taxonomy) -> tuple[Level, ...]:
    """The levels that a taxonomy's strokes have."""
    strokes = taxonomy.strokes
    return tuple(x for x in LEVELS if x == "label" or any(getattr(s, x) for s in strokes))


def at_level(labels: pl.Expr, taxonomy: Taxonomy, level: Level) -> pl.Expr:
    """Canonical labels as their type or hand; one without (the rejection class) stays itself."""
    if level == "label":
        return labels
    known = {stroke.label: getattr(stroke, level) for stroke in taxonomy.strokes}
    names = {label: name for label, name in known.items() if name}
    return labels.replace(names) if names else labels


def label_votes(
    annotations: pl.DataFrame, taxonomy: Taxonomy | None = None, level: Level = "label"
) -> pl.DataFrame:
    """`action_id, annotator_id, label`, one row per annotator and action.

    Args:
        annotations: rows as Annotation; those with an `action_id` count.
        taxonomy: for the levels `type` and `hand`.
        level: what of a label is compared.
    """
    labels = pl.col("label") if taxonomy is None else at_level(pl.col("label"), taxonomy, level)
    labelled = annotations.drop_nulls("action_id").with_columns(label=labels)
    return one_vote_each(labelled, "action_id").sort("action_id", "annotator_id")


def krippendorff_alpha(votes: pl.DataFrame) -> float | None:
    """Krippendorff's alpha of nominal labels; null where nothing can disagree.

    1 is perfect, 0 what chance gives.

    Args:
        votes: as `label_votes` returns them.

    Source: Krippendorff, 2011, "Computing Krippendorff's alpha-reliability", nominal data.
    """
    value = float(_alpha_of(*_patterns(votes)))
    return None if np.isnan(value) else value


def alpha_interval(votes: pl.DataFrame, seed: int = 0) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of `krippendorff_alpha`; null where that is.

    Actions are drawn with replacement, 2000 times, and the 2.5 and 97.5 % points taken of the
    draws in which labels can disagree. Actions with equal counts are drawn together, which is the
    same and takes no longer for a million of them.
    """
    counts, times = _patterns(votes)
    if np.isnan(_alpha_of(counts, times)):
        return None
    total = int(times.sum())
    drawn = np.random.default_rng(seed).multinomial(total, times / total, size=_RESAMPLES)
    low, high = np.nanquantile(_alpha_of(counts, drawn), [0.025, 0.975])
    return float(low), float(high)


def _patterns(votes: pl.DataFrame) -> tuple[Floats, Ints]:
    """Counts of labels in an action, (patterns, labels), and how many actions have each pattern."""
    counted = (
        votes.group_by("action_id", "label")
        .len()
        .with_columns(votes=pl.col("len").sum().over("action_id"))
        .filter(pl.col("votes") >= 2)
        .sort("action_id", "label")
    )
    key = pl.format("{}:{}", "label", "len").str.join("\n")
    groups = counted.group_by("action_id", maintain_order=True).agg("label", "len", key=key)
    found = groups.group_by("key").agg(pl.first("label", "len"), times=pl.len()).sort("key")
    names = counted["label"].unique().sort()
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((found.height, len(names)))
    for row, (labels, numbers) in enumerate(zip(found["label"], found["len"], strict=True)):
        counts[row, [index[label] for label in labels]] = numbers
    return counts, found["times"].cast(pl.Int64).to_numpy()


def _alpha_of(counts: Floats, times: Ints) -> Floats:
    """Alpha for how often each pattern occurs, (..., patterns); not a number where undefined."""
    weights = times.astype(np.float64)
    votes = counts.sum(axis=1)
    disagreeing = (counts * (votes[:, None] - counts)).sum(axis=1) / np.maximum(votes - 1, 1)
    of_label = weights @ counts
    total = of_label.sum(axis=-1, keepdims=True)
    expected = (of_label * (total - of_label)).sum(axis=-1)
    observed = (weights @ disagreeing) * (total[..., 0] - 1)
    ratio: Floats = np.full(expected.shape, np.nan)
    np.divide(observed, expected, out=ratio, where=expected > 0)
    return 1 - ratio


def label_pairs(votes: pl.DataFrame) -> pl.DataFrame:
    """What any two annotators of one action said, the two labels in the order of their names.

    Args:
        votes: as `label_votes` returns them.

    Returns:
        `label, other, pairs`, sorted: how many pairs of annotators said the two; the labels are
        equal where they agreed.
    """
    return (
        _both(votes)
        .filter(pl.col("annotator_id") < pl.col("annotator_id_other"))
        .select(
            label=pl.min_horizontal("label", "label_other"),
            other=pl.max_horizontal("label", "label_other"),
        )
        .group_by("label", "other")
        .agg(pairs=pl.len().cast(pl.Int64))
        .sort("label", "other")
    )


def annotator_pairs(votes: pl.DataFrame) -> list[dict[str, Any]]:
    """How often each two annotators say the same, least often first.

    Args:
        votes: as `label_votes` returns them.

    Returns:
        Rows `annotator_id, other, compared, agreeing, share, interval`: of the actions that both
        gave a label, how many have the same, with the 95 % interval.
    """
    pairs = _both(votes).filter(pl.col("annotator_id") < pl.col("annotator_id_other"))
    rows = (
        pairs.group_by("annotator_id", other="annotator_id_other")
        .agg(
            compared=pl.len().cast(pl.Int64),
            agreeing=(pl.col("label") == pl.col("label_other")).sum().cast(pl.Int64),
        )
        .with_columns(share=pl.col("agreeing") / pl.col("compared"))
        .sort("share", -pl.col("compared"), "annotator_id", "other")
        .to_dicts()
    )
    for row in rows:
        row["interval"] = wilson(row["agreeing"], row["compared"])
    return rows


def _both(votes: pl.DataFrame) -> pl.DataFrame:
    """Every vote beside every vote of the same action, as `label_other, annotator_id_other`."""
    return votes.join(votes, on="action_id", suffix="_other")


def confusions(votes: pl.DataFrame) -> list[dict[str, Any]]:
    """Which labels annotators mix up, most often first.

    Returns:
        Rows `label, other, pairs, of, share`: `pairs` of annotators of one action said the two,
        `of` is how many pairs said at least one of them, and share their ratio.
    """
    pairs = label_pairs(votes)
    both = pl.concat(
        [
            pairs.select("label", "pairs"),
            pairs.filter(pl.col("label") != pl.col("other")).select("pairs", label="other"),
        ],
        how="diagonal",
    )
    with_label = both.group_by("label").agg(pl.col("pairs").sum())
    mixed = (
        pairs.filter(pl.col("label") != pl.col("other"))
        .join(with_label.rename({"pairs": "one"}), on="label")
        .join(with_label.rename({"pairs": "two", "label": "other"}), on="other")
        .with_columns(of=pl.col("one") + pl.col("two") - pl.col("pairs"))
        .with_columns(share=pl.col("pairs") / pl.col("of"))
    )
    return (
        mixed.sort(-pl.col("pairs"), "label", "other")
        .select("label", "other", "pairs", "of", "share")
        .to_dicts()
    )


def annotator_records(annotations: pl.DataFrame, actions: pl.DataFrame) -> list[dict[str, Any]]:
    """A row per annotator: how much was annotated or rejected, and how it fits the others.

    Returns:
        Rows `annotator_id, annotations, accepted, reasons` (counts of each that applied);
        `compared`, the actions in which the others have one most frequent label, `agreeing` of
        them, their `share` and its 95 % `interval`; `start_offset_frames`, `end_offset_frames`:
        the median of annotation minus action, negative when early; and their `_deviation_frames`,
        the median absolute deviation from that. Null where there is nothing to compare.
    """
    reasons = [
        pl.col("reasons").list.contains(name).sum().cast(pl.Int64).alias(name)
        for name in get_args(Reason)
    ]
    made = annotations.group_by("annotator_id").agg(
        annotations=pl.len().cast(pl.Int64),
        accepted=pl.col("accepted").sum().cast(pl.Int64),
        reasons=pl.struct(reasons),
    )
    rows = (
        made.join(_agreeing(label_votes(annotations)), on="annotator_id", how="left")
        .join(_offsets(annotations, actions), on="annotator_id", how="left")
        .sort("annotator_id")
        .with_columns(pl.col("compared", "agreeing").fill_null(0))
    ).to_dicts()
    for row in rows:
        n, k = row["compared"], row["agreeing"]
        row["reasons"] = {name: count for name, count in row["reasons"].items() if count}
        row["share"] = k / n if n else None
        row["interval"] = wilson(k, n) if n else None
    return rows


def _agreeing(votes: pl.DataFrame) -> pl.DataFrame:
    """`annotator_id, compared, agreeing` with the most frequent label of the others."""
    others = (
        _both(votes)
        .filter(pl.col("annotator_id") != pl.col("annotator_id_other"))
        .group_by("action_id", "annotator_id", "label", "label_other")
        .len()
    )
    key = ["action_id", "annotator_id"]
    top = others.filter(pl.col("len") == pl.col("len").max().over(key))
    single = top.filter(pl.len().over(key) == 1)
    return single.group_by("annotator_id").agg(
        compared=pl.len().cast(pl.Int64),
        agreeing=(pl.col("label") == pl.col("label_other")).sum().cast(pl.Int64),
    )


def _offsets(annotations: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Offsets of each annotator's bounds from the actions that others annotated too, in frames."""
    shared = actions.filter(pl.col("num_annotators") >= 2).select(
        "action_id", action_start="start_frame", action_end="end_frame"
    )
    offsets = annotations.join(shared, on="action_id").select(
        "annotator_id",
        start=(pl.col("start_frame") - pl.col("action_start")).cast(pl.Float64),
        end=(pl.col("end_frame") - pl.col("action_end")).cast(pl.Float64),
    )
    columns = []
    for name in ("start", "end"):
        value = pl.col(name)
        columns.append(value.median().alias(f"{name}_offset_frames"))
        deviation = (value - value.median()).abs().median()
        columns.append(deviation.alias(f"{name}_deviation_frames"))
    return offsets.group_by("annotator_id").agg(columns)
