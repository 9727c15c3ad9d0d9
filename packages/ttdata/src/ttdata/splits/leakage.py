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

    Args:
        clips: rows as Clip (with `session_id` for that group); unused ones do not count.
        group: what should be on one side.
    """
    column = GROUP_COLUMN[group]
    used = clips.filter(pl.col("split").is_not_null())
    in_train = used.filter(split="train")[column].drop_nulls().unique()
    held_out = used.filter(pl.col("split") != "train")
    if held_out.is_empty():
        return 0.0
    return float(held_out[column].is_in(in_train.implode()).fill_null(False).mean())  # type: ignore[arg-type]
