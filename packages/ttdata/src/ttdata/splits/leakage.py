"""Leakage: how many test and validation clips share their group with training."""

import polars as pl

from ttdata.schema import Group

GROUP_COLUMN: dict[Group, str] = {
    "video": "video_id",
    "player": "player_id",
    "session": "session_id",
}
"""The column that names a clip's group."""


def leakage(clips: pl.DataFrame, group: Group = "video") -> float:
    """The share of test and validation clips whose group is also in train; 0 if there are none.

    Clips whose group is unknown do not count; `num_unknown_groups` is their number.

    Args:
        clips: rows as Clip (with `session_id` for that group); unused ones do not count.
        group: what should be on one side.
    """
    column = GROUP_COLUMN[group]
    in_train = clips.filter(split="train")[column].drop_nulls().unique()
    groups = _held_out_groups(clips, group).drop_nulls()
    if groups.is_empty():
        return 0.0
    return float(groups.is_in(in_train.implode()).mean())  # type: ignore[arg-type]


def num_unknown_groups(clips: pl.DataFrame, group: Group = "video") -> int:
    """How many test and validation clips have no known group: nobody knows whether they leak."""
    return _held_out_groups(clips, group).null_count()


def _held_out_groups(clips: pl.DataFrame, group: Group) -> pl.Series:
    held_out = clips.filter(pl.col("split").is_not_null() & (pl.col("split") != "train"))
    return held_out[GROUP_COLUMN[group]]
