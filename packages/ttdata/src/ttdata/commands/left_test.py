"""What a person is told about clips that left the test split."""

from pathlib import Path

import polars as pl

from ttdata.splits.earlier import left_test

_GONE = "no clip overlaps it by half any more"
_UNDRAWN = "fewer negatives are used"
_GROUP = "all of its group is there"


def left_test_rows(before: pl.DataFrame, after: pl.DataFrame, cause: str | None) -> pl.DataFrame:
    """The clips that left test, see `splits.earlier.left_test`, each with `why`.

    Args:
        before: rows as Clip of the earlier division.
        after: rows as Clip of the new one.
        cause: what moved clips; None where every clip was to stay where it was.
    """
    reason = pl.lit(cause) if cause else pl.lit(_GROUP)
    undrawn = pl.col("split").is_null() & (pl.col("kind") == "negative") & pl.lit(cause is None)
    why = (
        pl.when(pl.col("now").is_null())
        .then(pl.lit(_GONE))
        .when(undrawn)
        .then(pl.lit(_UNDRAWN))
        .otherwise(reason)
    )
    return left_test(before, after).with_columns(why=why)


def left_test_notes(rows: pl.DataFrame, dataset: Path) -> tuple[str, ...]:
    """One line that sums up the clips that left test; none where all stayed."""
    if rows.is_empty():
        return ()
    place = (
        pl.when(pl.col("now").is_null())
        .then(pl.lit("gone"))
        .when(pl.col("split").is_null())
        .then(pl.lit("unused"))
        .otherwise(pl.format("to {}", "split"))
    )
    counts = rows.group_by(place=place, why="why").len().sort("place", "why")
    parts = [f"{n} {where} ({why})" for where, why, n in counts.iter_rows()]
    listed = dataset / "report" / "index.html"
    return (f"{rows.height} clips left test: {', '.join(parts)}; listed in {listed}",)
