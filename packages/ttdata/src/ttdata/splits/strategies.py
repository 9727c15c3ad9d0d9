"""Clips divided into train, validation and test (specification 1.5)."""

import math

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttdata.schema import SPLITS, Group, Strategy
from ttdata.splits.earlier import earlier_splits
from ttdata.splits.group_assignment import assign_groups
from ttdata.splits.leakage import GROUP_COLUMN
from ttdata.splits.negatives import draw_negatives

PAPER_SHARES = (0.7, 0.2, 0.1)

Shares = tuple[float, float, float]


def split_sizes(n: int, shares: Shares = PAPER_SHARES) -> tuple[int, int, int]:
    """How many of n clips of a class are for train, validation and test.

    >>> split_sizes(31)
    (22, 6, 3)

    Source: table I of the paper; the rounding is ours and gives all its rows.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, found {n}")
    train = min(n, math.floor(shares[0] * n + 0.5))
    validation = min(n - train, math.floor(shares[1] * n + 0.5))
    return train, validation, n - train - validation


def split_clips(
    clips: pl.DataFrame,
    strategy: Strategy = "grouped",
    *,
    group: Group = "video",
    seed: int = 0,
    shares: Shares = PAPER_SHARES,
    assignments: pl.DataFrame | None = None,
    existing: pl.DataFrame | None = None,
    fresh: bool = False,
) -> pl.DataFrame:
    """The clips with their `split`; strokes all have one, negatives that are not used have none.

    Args:
        clips: rows as Clip, in any order; with `session_id` where that is the group.
        strategy: `paper` by stroke (strokes of one video may be on both sides), `grouped` every
            group on one side, `given` and `file` as the assignments say.
        group: what stays on one side.
        seed: of all that is drawn.
        shares: of train, validation and test; `paper` always takes 0.7, 0.2, 0.1.
        assignments: for `given` and `file`: `video_id, split` or `clip_id, split`.
        existing: an earlier division, rows as Clip, or `clip_id, split` alone: its clips stay where
            they are. A clip is known again by its interval and player (IoU of at least 0.5, see
            `curation.matching`), so that bounds may move; without intervals by its id.
        fresh: forget the earlier division.

    Raises:
        InputError: if a group or an assignment is missing, or the earlier division has a group on
            both sides.
    """
    _check_shares(shares, strategy)
    if clips["clip_id"].is_duplicated().any():
        raise ValueError("clip ids must be unique")
    earlier = _earlier(clips, None if fresh else existing)
    generator = np.random.default_rng(seed)
    # Draws belong to clips in the order of their ids, whatever the order of the rows.
    table = (
        clips.select("clip_id", "video_id", "label", "kind", *_key_column(clips, group))
        .sort("clip_id")
        .join(earlier, on="clip_id", how="left", maintain_order="left")
        .with_columns(draw=pl.Series(generator.random(clips.height), dtype=pl.Float64))
    )
    strokes, negatives = table.filter(kind="stroke"), table.filter(kind="negative")
    _check_groups(strokes, group)
    if strategy == "paper":
        divided = _by_stroke(strokes)
        pool = negatives.with_columns(allowed=pl.lit(None, pl.String), always=pl.lit(False))
    elif strategy == "grouped":
        divided, pool = _by_group(strokes, negatives, shares, generator)
    else:
        divided, pool = _by_assignment(strokes, negatives, assignments, strategy)
    used = draw_negatives(pool, divided)
    both = pl.concat([frame.select("clip_id", split="chosen") for frame in (divided, used)])
    return (
        clips.drop("split", strict=False)
        .join(both, on="clip_id", how="left", maintain_order="left")
        .select(list(dict.fromkeys([*clips.columns, "split"])))
    )


def _check_shares(shares: Shares, strategy: Strategy) -> None:
    if strategy == "paper" and shares != PAPER_SHARES:
        raise InputError("strategy paper divides 0.7, 0.2, 0.1; leave --shares out")
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6 or not shares[0]:
        raise InputError(
            f"shares {', '.join(f'{share:g}' for share in shares)}: expected three numbers, none "
            "negative, the first above 0, that sum to 1"
        )


def _check_groups(strokes: pl.DataFrame, group: Group) -> None:
    """Refuse strokes without a group: they cannot be kept together, and leakage is undefined."""
    unknown = strokes.filter(pl.col("group").is_null())
    if unknown.height:
        raise InputError(
            f"cannot group by {group}: {unknown.height} of {strokes.height} strokes have no "
            f"{GROUP_COLUMN[group]}, the first is {unknown['clip_id'][0]!r}; add it to the "
            "annotations or to videos.csv, or group by video"
        )


def _key_column(clips: pl.DataFrame, group: Group) -> list[pl.Expr]:
    column = GROUP_COLUMN[group]
    known = column in clips.columns
    return [(pl.col(column) if known else pl.lit(None, pl.String)).alias("group")]


def _earlier(clips: pl.DataFrame, existing: pl.DataFrame | None) -> pl.DataFrame:
    if existing is None:
        return pl.DataFrame(schema={"clip_id": pl.String, "before": pl.String})
    return earlier_splits(clips, existing).select("clip_id", before="split")


def _by_stroke(strokes: pl.DataFrame) -> pl.DataFrame:
    """Every class divided by `split_sizes`; earlier clips stay, new ones fill what is missing."""
    parts = [
        _fill_sizes(rows, split_sizes(rows.height))
        for _, rows in strokes.group_by("label", maintain_order=True)
    ]
    return pl.concat(parts) if parts else strokes.with_columns(chosen=pl.lit(None, pl.String))


def _fill_sizes(rows: pl.DataFrame, sizes: tuple[int, int, int]) -> pl.DataFrame:
    """The rows with their split `chosen`: earlier ones stay, the others fill up the sizes."""
    before = [int((rows["before"] == name).sum()) for name in SPLITS]
    missing = [max(0, size - held) for size, held in zip(sizes, before, strict=True)]
    names = [name for name, count in zip(SPLITS, missing, strict=True) for _ in range(count)]
    free = rows.filter(pl.col("before").is_null()).sort("draw")
    # Where earlier clips exceed a size, the others' sizes leave fewer places than clips, never
    # more: train takes the rest.
    chosen = (names + ["train"] * free.height)[: free.height]
    return pl.concat(
        [
            rows.filter(pl.col("before").is_not_null()).with_columns(chosen="before"),
            free.with_columns(chosen=pl.Series(chosen, dtype=pl.String)),
        ]
    )


def _by_group(
    strokes: pl.DataFrame,
    negatives: pl.DataFrame,
    shares: Shares,
    generator: np.random.Generator,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Strokes by their group; negatives may go where their group is, or their video's strokes."""
    grouped = _grouped_table(strokes, shares, generator)
    divided = strokes.join(grouped, on="group", how="left")
    of_video = divided.group_by("video_id").agg(
        video_split=pl.when(pl.col("chosen").n_unique() == 1).then(pl.col("chosen").first())
    )
    followed = negatives.join(grouped, on="group", how="left").join(
        of_video, on="video_id", how="left"
    )
    # A negative that shows two players may only go where both are.
    allowed = pl.when(pl.col("group").is_null()).then("video_split").otherwise("chosen")
    placed = followed.with_columns(allowed=allowed, always=pl.lit(False))
    pool = _place_negative_groups(placed, shares, generator)
    return divided, pool.filter(pl.col("allowed").is_not_null())


def _grouped_table(
    strokes: pl.DataFrame, shares: Shares, generator: np.random.Generator
) -> pl.DataFrame:
    """`group, chosen` of every group that holds strokes."""
    before = strokes.drop_nulls("before").group_by("group").agg(pl.col("before").unique().sort())
    several = before.filter(pl.col("before").list.len() > 1).sort("group")
    if several.height:
        raise InputError(
            f"group {several['group'][0]!r} is in {' and '.join(several['before'][0])} of the "
            "earlier division; divide anew with --fresh"
        )
    wide = (
        strokes.group_by("group", "label")
        .len()
        .sort("group", "label")
        .pivot("label", index="group", values="len", sort_columns=True)
        .fill_null(0)
        .join(before.with_columns(pl.col("before").list.first()), on="group", how="left")
        .sort("group")
    )
    counts = wide.drop("group", "before").to_numpy().astype(np.int64)
    numbers = {name: index for index, name in enumerate(SPLITS)}
    fixed = wide["before"].replace_strict(numbers, default=-1, return_dtype=pl.Int64).to_numpy()
    found = assign_groups(counts, shares, fixed, generator)
    chosen = pl.Series([SPLITS[index] for index in found], dtype=pl.String)
    return wide.select("group").with_columns(chosen=chosen)


def _place_negative_groups(
    negatives: pl.DataFrame, shares: Shares, generator: np.random.Generator
) -> pl.DataFrame:
    """Assign groups that hold negatives only by the shares, each to one split."""
    only_negatives = pl.col("group").is_not_null() & pl.col("allowed").is_null()
    held = (
        negatives.filter(only_negatives)
        .group_by("group")
        .agg(before=pl.col("before").drop_nulls().first())
    )
    rows = held.sort("group").with_columns(
        draw=pl.Series(generator.random(held.height), dtype=pl.Float64)
    )
    placed = _fill_sizes(rows, split_sizes(rows.height, shares)).select(
        "group", group_split="chosen"
    )
    return negatives.join(placed, on="group", how="left").with_columns(
        allowed=pl.coalesce("allowed", "group_split")
    )


def _by_assignment(
    strokes: pl.DataFrame,
    negatives: pl.DataFrame,
    assignments: pl.DataFrame | None,
    strategy: Strategy,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As listed, by clip or by video.

    By clip, a listed negative is used. By video, as many are drawn as for other strategies, and all
    of a video that holds no stroke are used: it is there for their sake.
    """
    if assignments is None:
        raise InputError(f"strategy {strategy} needs assignments")
    key = "clip_id" if "clip_id" in assignments.columns else "video_id"
    listed = assignments.select(key, chosen="split").unique()
    twice = listed.filter(pl.col(key).is_duplicated())
    if twice.height:
        raise InputError(f"{key} {twice[key][0]!r} is assigned to two splits")
    divided = strokes.join(listed, on=key, how="left", maintain_order="left")
    missing = divided.filter(pl.col("chosen").is_null())
    if missing.height:
        raise InputError(
            f"{missing.height} of {divided.height} strokes have no split in the assignments, the "
            f"first is {missing[key][0]!r} ({key})"
        )
    busy = strokes["video_id"].unique().implode()
    always = pl.lit(key == "clip_id") | ~pl.col("video_id").is_in(busy)
    pool = negatives.join(listed, on=key, how="left").with_columns(allowed="chosen", always=always)
    return divided, pool.filter(pl.col("allowed").is_not_null())
