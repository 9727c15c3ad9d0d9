"""The measures of a dataset: funnel, table I, durations, agreement, division."""

from typing import Any

import polars as pl

from ttdata.report.reliability import (
    Level,
    alpha_interval,
    annotator_records,
    at_level,
    confusions,
    krippendorff_alpha,
    label_votes,
    levels_of,
)
from ttdata.schema import SPLITS
from ttdata.splits.balance import class_balance
from ttdata.storage.dataset import Dataset
from ttdata.taxonomy import Taxonomy
from ttdata.video.times import durations_of


def dataset_stats(dataset: Dataset) -> dict[str, Any]:
    """All measures of a dataset, as JSON holds them."""
    split, taxonomy = dataset.info.split, dataset.info.taxonomy
    return {
        "funnel": dict(dataset.info.counts),
        "table": class_table(dataset.clips, taxonomy.classes),
        "table_by": {
            level: level_table(dataset.clips, taxonomy, level)
            for level in levels_of(taxonomy)
            if level != "label"
        },
        "durations": durations(dataset.clips, dataset.videos),
        "agreement": agreement(dataset.annotations, dataset.actions, taxonomy),
        "annotators": annotator_records(dataset.annotations, dataset.actions),
        "split": None if split is None else split.model_dump(mode="json"),
        "balance": None if split is None else class_balance(dataset.clips, split),
    }


def class_table(clips: pl.DataFrame, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Clips per class and split, in the taxonomy's order, and a last row with the totals.

    Source: table I of the paper; `unused` is ours, and not part of `total`.
    """
    columns = [
        *((pl.col("split") == name).sum().cast(pl.Int64).alias(name) for name in SPLITS),
        pl.col("split").is_not_null().sum().cast(pl.Int64).alias("total"),
        pl.col("split").is_null().sum().cast(pl.Int64).alias("unused"),
    ]
    counted = clips.group_by("label").agg(columns)
    rows = pl.DataFrame({"label": classes}, schema={"label": pl.String}).join(
        counted, on="label", how="left", maintain_order="left"
    )
    totals = clips.select(pl.lit("total").alias("label"), *columns)
    return pl.concat([rows.fill_null(0), totals.head(1)]).to_dicts()


def level_table(clips: pl.DataFrame, taxonomy: Taxonomy, level: Level) -> list[dict[str, Any]]:
    """`class_table` by type or hand; the rejection class stays itself."""
    names = pl.DataFrame({"label": taxonomy.classes}).select(
        at_level(pl.col("label"), taxonomy, level)
    )
    classes = names["label"].unique(maintain_order=True)
    coarser = clips.with_columns(label=at_level(pl.col("label"), taxonomy, level))
    return class_table(coarser, tuple(classes))


def durations(clips: pl.DataFrame, videos: pl.DataFrame) -> dict[str, Any]:
    """Shortest, longest, mean and standard deviation (n - 1) of strokes and negatives.

    Returns:
        For each kind `n`, and `seconds` and `frames` with `min, max, mean, std`; the paper gives
        both.
    """
    frames = (pl.col("end_frame") - pl.col("start_frame")).cast(pl.Float64)
    known = clips.join(videos.select("video_id"), on="video_id", how="semi")
    timed = known.with_columns(frames=frames, seconds=durations_of(known, videos))
    found: dict[str, Any] = {}
    for kind in ("stroke", "negative"):
        rows = timed.filter(kind=kind)
        if rows.height:
            measures = {name: _spread_of(rows[name]) for name in ("seconds", "frames")}
            found[kind] = {"n": rows.height, **measures}
    return found


def _spread_of(values: pl.Series) -> dict[str, Any]:
    return {
        "min": values.min(),
        "max": values.max(),
        "mean": values.mean(),
        "std": values.std(),
    }


def agreement(
    annotations: pl.DataFrame, actions: pl.DataFrame, taxonomy: Taxonomy
) -> dict[str, Any]:
    """Measure the agreement of annotators, over actions that two or more of them annotated.

    Returns:
        `actions` annotated by several; `share_unanimous` of them; for each level the taxonomy has
        (`label, type, hand`) Krippendorff's `alpha`, its bootstrap `interval` and the `confusions`;
        mean and largest spread of starts and ends in frames. Null where undefined.
    """
    several = actions.filter(pl.col("num_annotators") >= 2)
    unanimous = pl.col("labels").list.n_unique() == 1
    spreads = several.select(
        start_spread_mean_frames=pl.mean("start_spread_frames"),
        start_spread_max_frames=pl.max("start_spread_frames"),
        end_spread_mean_frames=pl.mean("end_spread_frames"),
        end_spread_max_frames=pl.max("end_spread_frames"),
    )
    by_level = {}
    for level in levels_of(taxonomy):
        votes = label_votes(annotations, taxonomy, level)
        by_level[level] = {
            "alpha": krippendorff_alpha(votes),
            "interval": alpha_interval(votes),
            "confusions": confusions(votes),
        }
    return {
        "actions": several.height,
        "share_unanimous": several.select(unanimous.mean()).item(),
        "levels": by_level,
        **spreads.row(0, named=True),
    }
