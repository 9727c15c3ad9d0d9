"""What a dataset holds: funnel, table I, durations, agreement, leakage."""

from typing import Any

import polars as pl

from ttdata.dataset import Dataset
from ttdata.schema import SPLITS


def dataset_stats(dataset: Dataset) -> dict[str, Any]:
    """All measures of a dataset, as JSON holds them."""
    split = dataset.info.split
    return {
        "funnel": dict(dataset.info.counts),
        "table": class_table(dataset.clips, dataset.info.taxonomy.classes),
        "durations_seconds": durations(dataset.clips, dataset.videos),
        "agreement": agreement(dataset.annotations, dataset.actions),
        "split": None if split is None else split.model_dump(mode="json"),
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
    rows = pl.DataFrame({"label": classes}).join(
        counted, on="label", how="left", maintain_order="left"
    )
    totals = clips.select(pl.lit("total").alias("label"), *columns)
    return pl.concat([rows.fill_null(0), totals.head(1)]).to_dicts()


def durations(clips: pl.DataFrame, videos: pl.DataFrame) -> dict[str, Any]:
    """Shortest, longest, mean and standard deviation (n - 1) of strokes and negatives, seconds."""
    seconds = (pl.col("end_frame") - pl.col("start_frame")) / pl.col("fps")
    timed = clips.join(videos.select("video_id", "fps"), on="video_id").with_columns(s=seconds)
    found = timed.group_by("kind").agg(
        n=pl.len(), min=pl.min("s"), max=pl.max("s"), mean=pl.mean("s"), std=pl.std("s")
    )
    return {row.pop("kind"): row for row in found.sort("kind", descending=True).to_dicts()}


def agreement(annotations: pl.DataFrame, actions: pl.DataFrame) -> dict[str, Any]:
    """How far annotators agree, over actions that two or more of them marked.

    Returns:
        `actions` marked by several; `share_unanimous` of them; `alpha`, Krippendorff's for nominal
        labels; mean and largest spread of their starts and ends in frames. Null where undefined.
    """
    several = actions.filter(pl.col("num_annotators") >= 2)
    unanimous = pl.col("labels").list.n_unique() == 1
    spreads = several.select(
        start_spread_mean_frames=pl.mean("start_spread_frames"),
        start_spread_max_frames=pl.max("start_spread_frames"),
        end_spread_mean_frames=pl.mean("end_spread_frames"),
        end_spread_max_frames=pl.max("end_spread_frames"),
    )
    return {
        "actions": several.height,
        "share_unanimous": several.select(unanimous.mean()).item(),
        "alpha": krippendorff_alpha(annotations),
        **spreads.row(0, named=True),
    }


def krippendorff_alpha(annotations: pl.DataFrame) -> float | None:
    """Krippendorff's alpha of nominal labels; null where nothing can disagree.

    Units are actions, and each annotator gives a unit one value; one who contradicts himself in a
    unit gives none there. 1 is perfect, 0 what chance gives.

    Args:
        annotations: rows as Annotation; those with an `action_id` count.

    Source: Krippendorff, 2011, "Computing Krippendorff's alpha-reliability", nominal data.
    """
    values = (
        annotations.drop_nulls("action_id")
        .group_by("action_id", "annotator_id")
        .agg(pl.col("label").first(), kinds=pl.col("label").n_unique())
        .filter(kinds=1)
    )
    counts = (
        values.group_by("action_id", "label")
        .len("count")
        .with_columns(unit=pl.col("count").sum().over("action_id"))
        .filter(pl.col("unit") >= 2)
        .with_columns(pl.col("count", "unit").cast(pl.Float64))
    )
    n = float(counts["count"].sum())
    disagreeing = pl.col("count") * (pl.col("unit") - pl.col("count")) / (pl.col("unit") - 1)
    observed = counts.select(disagreeing.sum()).item()
    of_label = counts.group_by("label").agg(pl.col("count").sum())["count"]
    expected = float((of_label * (n - of_label)).sum())
    if not expected:
        return None
    return 1 - float(observed) * (n - 1) / expected
