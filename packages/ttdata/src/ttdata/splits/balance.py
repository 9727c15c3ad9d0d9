"""The distance of a division from its shares, class by class."""

from typing import Any

import polars as pl

from ttdata.schema import SPLITS, SplitInfo


def class_balance(clips: pl.DataFrame, split: SplitInfo) -> dict[str, Any]:
    """The gap that a division leaves between what it holds and what its shares aim at.

    Strokes only: how many negatives are used follows from them. Clips without a split do not
    count.

    Returns:
        `mean_gap` and `largest_gap` in clips over all splits and classes; `largest`, where that is
        (`label, split, held, aimed`); `missing`, the classes that a split with a share lacks
        (`label, split`), those with fewer clips than such splits left out. Null without a stroke.
    """
    used = clips.filter((pl.col("kind") == "stroke") & pl.col("split").is_not_null())
    if used.is_empty():
        return {"mean_gap": None, "largest_gap": None, "largest": None, "missing": []}
    shares = pl.DataFrame({"split": SPLITS, "share": split.shares})
    totals = used.group_by("label").agg(total=pl.len().cast(pl.Int64))
    held = used.group_by("label", "split").agg(held=pl.len().cast(pl.Int64))
    cells = (
        totals.join(shares, how="cross")
        .join(held, on=["label", "split"], how="left")
        .with_columns(pl.col("held").fill_null(0), aimed=pl.col("total") * pl.col("share"))
        .with_columns(gap=(pl.col("held") - pl.col("aimed")).abs())
        .sort(-pl.col("gap"), "label", "split")
    )
    worst = cells.row(0, named=True)
    open_splits = sum(share > 0 for share in split.shares)
    lacking = cells.filter(
        (pl.col("held") == 0) & (pl.col("share") > 0) & (pl.col("total") >= open_splits)
    )
    return {
        "mean_gap": cells["gap"].mean(),
        "largest_gap": worst["gap"],
        "largest": {name: worst[name] for name in ("label", "split", "held", "aimed")},
        "missing": lacking.sort("label", "split").select("label", "split").to_dicts(),
    }
