"""Groups of clips: what a cross-validation keeps together, and which clips it divides."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ttdata.errors import InputError
from ttdata.schema import Group
from ttdata.sources.annotations import read_text_table
from ttdata.splits.leakage import GROUP_COLUMN
from tttrain.data.dataset import TrainingData
from tttrain.data.sampling import ClipInfo


def clips_to_divide(
    data: TrainingData, by: str | None = None, table: str | Path | None = None
) -> pl.DataFrame:
    """Every stroke with pixels, and the negatives that `ttdata split` took, all before a split.

    Args:
        data: shards.
        by: what stays together; None: what the table says if there is one, else the video.
        table: CSV with the columns `clip_id, group`, for `file`.

    Returns:
        `clip_id, label, group`, by clip_id.

    Raises:
        InputError: for a clip without a group, a group that is unknown, or a table that does not
            fit.
    """
    by = by or ("video" if table is None else "file")
    if by not in (*GROUP_COLUMN, "file"):
        raise InputError(f"--group {by}: expected one of {', '.join(GROUP_COLUMN)}, file")
    if (by == "file") != (table is not None):
        found = "no --groups" if table is None else f"--groups {table}"
        raise InputError(
            f"--group {by}, {found}: --groups FILE.csv goes with --group file, and that needs it"
        )
    with_pixels = [clip.clip_id for _, clip in data.everything()]
    clips = data.records.filter(pl.col("clip_id").is_in(with_pixels))
    if clips["split"].null_count() < clips.height:
        clips = clips.filter((pl.col("kind") == "stroke") | pl.col("split").is_not_null())
    if clips.is_empty():
        raise InputError(f"{data.path}: no clip has pixels; run `ttflow extract` first")
    clips = clips.select("clip_id", "label", group=_groups(by))
    if table is not None:
        clips = clips.drop("group").join(_read(Path(table), data), on="clip_id", how="left")
    return _all_known(clips.sort("clip_id"), data, by, table)


def _groups(by: str) -> pl.Expr:
    return pl.lit(None, pl.String) if by == "file" else pl.col(GROUP_COLUMN[known_group(by)])


def _read(path: Path, data: TrainingData) -> pl.DataFrame:
    table = read_text_table(path)
    if not {"clip_id", "group"} <= set(table.columns):
        raise InputError(f"{path}: columns {', '.join(table.columns)}, expected clip_id, group")
    # A blank beside a name would make two groups of one, and their clips would leak.
    group = pl.col("group").cast(pl.String).str.normalize("NFC").str.strip_chars()
    table = table.select(
        pl.col("clip_id").cast(pl.String).str.normalize("NFC").str.strip_chars(),
        group=pl.when(group != "").then(group),
    )
    twice = table.filter(pl.col("clip_id").is_duplicated())
    if twice.height:
        raise InputError(f"{path}: clip {twice['clip_id'][0]} is there twice, expected one group")
    unknown = table.filter(~pl.col("clip_id").is_in(data.records["clip_id"].implode()))
    if unknown.height:
        raise InputError(
            f"{path}: clip {unknown['clip_id'][0]} is not in {data.path}; clip_id is the column "
            "of its clips.parquet"
        )
    return table


def _all_known(
    clips: pl.DataFrame, data: TrainingData, by: str, table: str | Path | None
) -> pl.DataFrame:
    unknown = clips.filter(pl.col("group").is_null())
    if unknown.height:
        place = f"{table}: no row" if table else f"{data.path}: no {GROUP_COLUMN[known_group(by)]}"
        raise InputError(
            f"{place} for {unknown.height} of {clips.height} clips, the first is "
            f"{unknown['clip_id'][0]}; name its group, or --group video"
        )
    return clips


def groups_of(data: TrainingData, clips: Sequence[ClipInfo]) -> list[str]:
    """What each clip has in common with others: the group of its division or of the split.

    A clip of unknown group is one of its own.
    """
    if data.division is not None:
        return [data.division.groups[clip.clip_id] for clip in clips]
    column = GROUP_COLUMN["video" if data.split is None else data.split.group]
    known = dict(data.records.select("clip_id", column).iter_rows())
    return [known[clip.clip_id] or clip.clip_id for clip in clips]


def known_group(by: str | None) -> Group:
    """The group by which reports of a fold tell its leakage: of a table's groups they know none."""
    return by if by in GROUP_COLUMN else "video"
