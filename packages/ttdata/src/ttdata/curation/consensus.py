"""Actions from clusters of annotations, with the labels agreed on (specification 1.2, 1.3)."""

import numpy as np
import polars as pl

from ttdata.curation.dawid_skene import dawid_skene
from ttdata.curation.filters import ORDER
from ttdata.curation.merge import annotation_arrays, assign_actions, consensus
from ttdata.curation.overlaps import AnnotationArrays, overlapping_pairs, time_overlap
from ttdata.schema import Action, Annotation, CurationConfig
from ttdata.sources.annotations import REGION
from ttdata.storage.tables import conform, empty

_KEY = ["video_id", "start_frame", "end_frame"]


def make_actions(
    annotations: pl.DataFrame, config: CurationConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The annotations with their `action_id`, and the actions they make, as Action rows.

    Args:
        annotations: rows as Annotation, in `filters.ORDER`; only accepted ones count.
        config: `max_overlap`, `agreement` and `min_label_probability` are used.

    Returns:
        Annotations in the same order, and actions sorted by video and interval.
    """
    accepted = annotations.filter("accepted").sort(ORDER, nulls_last=True)
    if accepted.is_empty():
        return annotations.with_columns(action_id=pl.lit(None, pl.String)), empty(Action)
    numbers = assign_actions(accepted, config.max_overlap)
    numbered = accepted.drop("action_id").with_columns(action=pl.Series(numbers, dtype=pl.Int64))
    members = numbered.sort("action", "annotation_id").group_by("action", maintain_order=True)
    facts = members.agg(
        num_annotators=pl.col("annotator_id").n_unique().cast(pl.Int64),
        annotation_ids=pl.col("annotation_id"),
        labels=pl.col("label"),
        start_spread_frames=(pl.max("start_frame") - pl.min("start_frame")).cast(pl.Float64),
        end_spread_frames=(pl.max("end_frame") - pl.min("end_frame")).cast(pl.Float64),
        player_id=pl.col("player_id").drop_nulls().first(),
    )
    actions = (
        _bounds(numbered, numbers)
        .join(facts, on="action")
        .join(agreed_labels(numbered, config), on="action")
        .pipe(with_status)
        .pipe(flag_overlaps, config.max_overlap)
        .with_columns(interval_ids("action_id"))
    )
    ids = numbered.join(actions, on="action").select("annotation_id", "action_id")
    named = annotations.drop("action_id").join(
        ids, on="annotation_id", how="left", maintain_order="left"
    )
    return named.pipe(conform, Annotation), actions.pipe(conform, Action)


def _bounds(
    numbered: pl.DataFrame, numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> pl.DataFrame:
    """One row per action: video, consensus interval and region."""
    annotator = numbered["annotator_id"].rank("dense").cast(pl.Int64).to_numpy()
    centre = consensus(annotation_arrays(numbered), annotator, numbers)
    videos = numbered.group_by("action").agg(pl.first("video_id")).sort("action")
    return videos.with_columns(
        pl.Series("start_frame", centre.start),
        pl.Series("end_frame", centre.end),
        *(pl.Series(name, centre.region[:, i]).fill_nan(None) for i, name in enumerate(REGION)),
    )


def interval_ids(name: str) -> pl.Expr:
    """`<video_id>@<start>-<end>`, with `#2` and on where rows share an interval, in row order."""
    number = pl.int_range(1, pl.len() + 1).over(_KEY)
    suffix = pl.when(number > 1).then(pl.format("#{}", number)).otherwise(pl.lit(""))
    return pl.format("{}@{}-{}{}", "video_id", "start_frame", "end_frame", suffix).alias(name)


def agreed_labels(numbered: pl.DataFrame, config: CurationConfig) -> pl.DataFrame:
    """`action`, `label`: the label the annotators agree on, null where they do not.

    Under unanimity every annotation must say the same. Otherwise one annotator has one vote, and
    one who contradicts himself in an action has none there; of a majority a tie is no agreement,
    and the most probable label of Dawid and Skene must be more probable than
    `min_label_probability`.
    """
    same = numbered.group_by("action").agg(label=_SAME)
    if config.agreement == "unanimity":
        return same
    votes = one_vote_each(numbered, "action")
    if config.agreement == "majority":
        counted = votes.group_by("action", "label").agg(votes=pl.len())
        most = counted.filter(pl.col("votes") == pl.col("votes").max().over("action"))
        chosen = most.group_by("action").agg(
            label=pl.when(pl.len() == 1).then(pl.col("label").first())
        )
    else:
        chosen = _most_probable(votes, config.min_label_probability)
    return same.select("action").join(chosen, on="action", how="left")


def one_vote_each(annotations: pl.DataFrame, unit: str) -> pl.DataFrame:
    """`unit, annotator_id, label`: one row per annotator and unit, none for contradictions."""
    return annotations.group_by(unit, "annotator_id").agg(label=_SAME).drop_nulls("label")


_SAME = pl.when(pl.col("label").n_unique() == 1).then(pl.col("label").first())


def _most_probable(votes: pl.DataFrame, least: float) -> pl.DataFrame:
    """`action, label` by Dawid and Skene, null where no label is more probable than `least`."""
    if votes.is_empty():
        return votes.select("action", "label")
    ordered = votes.sort("action", "annotator_id")
    actions, labels = ordered["action"].unique().sort(), ordered["label"].unique().sort()
    unit, annotator, label = (
        ordered[name].rank("dense").cast(pl.Int64).to_numpy() - 1
        for name in ("action", "annotator_id", "label")
    )
    found = dawid_skene(unit, annotator, label, len(labels)).labels
    return pl.DataFrame({"action": actions}).with_columns(
        label=pl.when(pl.Series(found.max(axis=1) > least)).then(
            labels.gather(found.argmax(axis=1))
        )
    )


def with_status(actions: pl.DataFrame) -> pl.DataFrame:
    """The actions with `status`: set aside where there is no label."""
    agreed = pl.col("label").is_not_null()
    status = pl.when(agreed).then(pl.lit("accepted")).otherwise(pl.lit("set_aside"))
    return actions.with_columns(status=status)


def flag_overlaps(actions: pl.DataFrame, max_overlap: float) -> pl.DataFrame:
    """The actions, sorted, with `overlaps_other` where two of a video overlap by more."""
    first_id = pl.col("annotation_ids").list.first()
    ordered = actions.sort(*_KEY, *REGION, "player_id", first_id, nulls_last=True)
    rows: AnnotationArrays = annotation_arrays(ordered)
    first, second = overlapping_pairs(rows.video, rows.start, rows.end)
    overlap, _ = time_overlap(rows.take(first), rows.take(second))
    flags = np.zeros(ordered.height, np.bool_)
    flags[first[overlap > max_overlap]] = True
    flags[second[overlap > max_overlap]] = True
    return ordered.with_columns(overlaps_other=pl.Series(flags, dtype=pl.Boolean))
