"""The choice of the negatives that each split uses (specification 1.5)."""

import polars as pl

from ttdata.schema import SPLITS


def negatives_wanted(positives: int, num_classes: int) -> int:
    """Negatives used beside so many strokes of so many classes: twice the mean of a class.

    >>> [negatives_wanted(n, 20) for n in (734, 209, 105)]
    [74, 21, 11]
    """
    return -(-2 * positives // num_classes) if num_classes else 0


def missing_negatives(clips: pl.DataFrame) -> dict[str, int]:
    """How many negatives each split lacks of those wanted; splits that lack none are left out."""
    strokes, negatives = clips.filter(kind="stroke"), clips.filter(kind="negative")
    classes = strokes["label"].n_unique()
    lacking: dict[str, int] = {
        name: negatives_wanted(strokes.filter(split=name).height, classes)
        - negatives.filter(split=name).height
        for name in SPLITS
    }
    return {name: count for name, count in lacking.items() if count > 0}


def draw_negatives(pool: pl.DataFrame, strokes: pl.DataFrame) -> pl.DataFrame:
    """The negatives that are used, as many per split as `negatives_wanted`.

    Args:
        pool: negatives with `draw`, `before`, the one split `allowed` (null: any) and `always`
            (used whatever the number).
        strokes: with the split `chosen`.
    """
    classes = strokes["label"].n_unique()
    wanted: dict[str, int] = {
        name: negatives_wanted(strokes.filter(chosen=name).height, classes) for name in SPLITS
    }
    if pool["allowed"].is_null().all():
        wanted = _scaled(wanted, pool.height)
    taken: list[pl.DataFrame] = []
    # First of all what was in a split before, then by lot.
    rest = pool.sort(pl.col("before").is_null(), "draw")
    for name in SPLITS:
        able = (pl.col("allowed") == name) | pl.col("allowed").is_null()
        able &= (
            (pl.col("before") == name) | pl.col("before").is_null() | (pl.col("allowed") == name)
        )
        candidates = rest.filter(able)
        always = candidates.filter("always")
        drawn = pl.concat([always, candidates.filter(~pl.col("always")).head(wanted[name])])
        taken.append(drawn.select("clip_id", chosen=pl.lit(name)))
        rest = rest.join(drawn, on="clip_id", how="anti", maintain_order="left")
    return pl.concat(taken)


def _scaled(wanted: dict[str, int], available: int) -> dict[str, int]:
    """The same proportions where there are fewer negatives than wanted, by largest remainders."""
    total = sum(wanted.values())
    if total <= available:
        return wanted
    scaled = {name: count * available // total for name, count in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: -(wanted[name] * available % total))
    for name in by_remainder[: available - sum(scaled.values())]:
        scaled[name] += 1
    return scaled
