"""The same stroke in two tables: what overlaps by half and may be of the same player.

Reviews find their actions in this way, and clips of a new curation those of the one before.
"""

import polars as pl

from ttdata.curation.merge import SAME_REGION_IOU, annotation_arrays
from ttdata.curation.overlaps import (
    may_be_same_player,
    overlapping_pairs,
    region_overlap,
    time_overlap,
)
from ttdata.sources.annotations import REGION

MIN_IOU = 0.5
"""Two intervals whose intersection / union reaches this are of the same stroke."""

PLACE = ("video_id", "start_frame", "end_frame", "player_id", *REGION)
"""The columns that tell where a stroke is and whose it is; the last five may be null."""

_FIT = ("iou", "same_player", "region_iou", "same_id")
"""What makes one target better than another, most important first."""


def best_matches(rows: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """For every row that finds a target the one of best IoU in time.

    Both tables have the columns PLACE. Targets of another player, or in another region, are not
    found. Ties go to the same player, then to the nearest region, then to the same `clip_id` (where
    both tables have it), then to the target listed first.

    Returns:
        `row, target` (positions in the two tables), `iou`, and `num_equal`, how many targets fit as
        well as this one. Sorted by row.
    """
    pairs = _pairs(_numbered(rows), _numbered(targets))
    order = [-pl.col(name).cast(pl.Float64) for name in _FIT]
    fit = pl.struct(_FIT)
    return (
        pairs.sort("row", *order, "target")
        .group_by("row", maintain_order=True)
        .agg(pl.first("target"), pl.first("iou"), num_equal=(fit == fit.first()).sum())
    )


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    has_id = "clip_id" in frame.columns
    clip_id = pl.col("clip_id") if has_id else pl.lit(None, pl.String).alias("clip_id")
    return frame.select(*PLACE, clip_id, place=pl.int_range(pl.len()))


def _pairs(rows: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """All pairs of a row and a target that may be the same stroke, with how well they fit."""
    # What ends beyond twice the last target overlaps none by half: typing errors stay small.
    last = int(targets["end_frame"].to_numpy().max(initial=0))
    rows = rows.filter(pl.col("end_frame") <= 2 * last)
    both = pl.concat(
        [rows.with_columns(old=pl.lit(False)), targets.with_columns(old=pl.lit(True))],
        how="vertical_relaxed",
    ).sort("video_id", "start_frame", "old", "place")
    arrays = annotation_arrays(both)
    first, second = overlapping_pairs(arrays.video, arrays.start, arrays.end)
    old = both["old"].to_numpy()
    mixed = old[first] != old[second]
    first, second = first[mixed], second[mixed]
    row = first + (second - first) * old[first]
    target = first + second - row
    one, other = arrays.take(row), arrays.take(target)
    found = pl.DataFrame(
        {
            "row": both["place"].gather(row),
            "target": both["place"].gather(target),
            "iou": time_overlap(one, other)[1],
            "same_player": (one.player >= 0) & (one.player == other.player),
            "region_iou": region_overlap(one, other),
            "same_id": (both["clip_id"].gather(row) == both["clip_id"].gather(target)),
            "able": may_be_same_player(one, other, SAME_REGION_IOU),
        }
    )
    able = found.filter((pl.col("iou") >= MIN_IOU) & pl.col("able"))
    return able.with_columns(pl.col("same_id").fill_null(False))
