"""The clips of an earlier division, known again among the clips of today."""

import polars as pl

from ttdata.curation.matching import PLACE, best_matches
from ttdata.schema import SPLITS


def earlier_splits(clips: pl.DataFrame, existing: pl.DataFrame) -> pl.DataFrame:
    """The clips that an earlier division knew, with the split they had there.

    A clip is the one of before that it fits best (see `curation.matching`), whatever its id, label
    or kind has become; where none fits, or the intervals of before are unknown, the one of its id.

    Args:
        clips: rows as Clip.
        existing: rows as Clip, or `clip_id, split` alone; clips without a split are not known.

    Returns:
        `clip_id, earlier_id, split`; `earlier_id` is the id of before. In the order of `clips`.
    """
    known = existing.filter(pl.col("split").is_not_null())
    by_id = known.select("clip_id", id_split="split")
    joined = clips.select("clip_id").join(by_id, on="clip_id", how="left", maintain_order="left")
    return (
        joined.join(_overlapping(clips, known), on="clip_id", how="left", maintain_order="left")
        .select(
            "clip_id",
            earlier_id=pl.coalesce("earlier_id", "clip_id"),
            split=pl.coalesce("overlap_split", "id_split"),
        )
        .drop_nulls("split")
    )


def _overlapping(clips: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    if not set(PLACE).issubset(known.columns):
        schema = {"clip_id": pl.String, "earlier_id": pl.String, "overlap_split": pl.String}
        return pl.DataFrame(schema=schema)
    found = best_matches(clips, known)
    return pl.DataFrame(
        {
            "clip_id": clips["clip_id"].gather(found["row"]),
            "earlier_id": known["clip_id"].gather(found["target"]),
            "overlap_split": known["split"].gather(found["target"]),
        }
    )


def left_test(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The clips that were in test before and are no more.

    Args:
        before: rows as Clip of the earlier division.
        after: rows as Clip of the new one.

    Returns:
        `clip_id` (as before), `now` (its id today, null where no clip is it any more), `kind` and
        `split` (of today; null where it is used in none). Sorted by clip_id. A clip that several of
        today's overlap is listed with the one in train, if there is one.
    """
    tested = before.filter(split="test")
    known = earlier_splits(after, before).filter(split="test")
    same = known.select("earlier_id", now="clip_id")
    today = same.join(after.select(now="clip_id", today="split"), on="now", how="left")
    rank = pl.col("today").replace_strict(
        {name: place for place, name in enumerate(SPLITS)}, default=-1, return_dtype=pl.Int64
    )
    worst = today.sort(rank == 2, rank == -1, rank, "now").unique(
        "earlier_id", keep="first", maintain_order=True
    )
    return (
        tested.select("clip_id", "kind")
        .join(worst, left_on="clip_id", right_on="earlier_id", how="left")
        .filter(pl.col("today").is_null() | (pl.col("today") != "test"))
        .select("clip_id", "now", "kind", split="today")
        .sort("clip_id")
    )
