"""People's decisions from a CSV, taken into a dataset's `reviews.csv`; nothing there is lost."""

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ttdata.curation.decisions import TEXTS, checked_reviews, read_review_cells
from ttdata.errors import AnnotationError
from ttdata.schema import Review
from ttdata.storage.atomic import atomic_path
from ttdata.storage.dataset import REVIEWS, Dataset
from ttdata.storage.spreadsheet import escape_formula
from ttdata.storage.tables import polars_schema
from ttdata.taxonomy import Taxonomy


@dataclass(frozen=True)
class Taken:
    """Counts of the rows of a file of decisions."""

    taken: int
    undecided: int
    """Rows whose `decision` is empty."""
    known: bool
    """`reviews.csv` ended in these very decisions: the same file was taken before."""


def take_decisions(dataset: Dataset, path: Path) -> Taken:
    """Append the decisions of a file to `reviews.csv`, all or none.

    Args:
        dataset: whose taxonomy and videos the decisions must fit.
        path: a CSV with the columns of Review; rows without a decision are left out.

    Raises:
        AnnotationError: naming file and line, if a decision is none, speaks of no video of the
            dataset, or moves an action past the end of its video.
    """
    return add_decisions(
        dataset.path / REVIEWS,
        read_review_cells(path),
        path,
        taxonomy=dataset.info.taxonomy,
        videos=dataset.videos,
    )


def add_decisions(
    reviews: Path, cells: pl.DataFrame, told: Path, *, taxonomy: Taxonomy, videos: pl.DataFrame
) -> Taken:
    """Append decisions to a file of reviews, which is made where it lacks, all or none.

    Args:
        reviews: the file, a `reviews.csv`.
        cells: text, as `read_review_cells` returns it; rows without a decision are left out.
        told: where they are from, for messages.
        taxonomy: that the labels must be of.
        videos: rows as Video that the decisions may speak of.

    Raises:
        AnnotationError: naming line and what is wrong, as `take_decisions`.
    """
    blank = pl.col("decision").fill_null("").str.strip_chars() == ""
    decided = cells.filter(~blank)
    rows = checked_reviews(told, decided, taxonomy)
    _check_videos(told, rows, videos)
    undecided = cells.height - decided.height
    new = rows.drop("line").with_columns(pl.all().cast(pl.String))
    before = read_review_cells(reviews).drop("line") if reviews.exists() else new.clear()
    names = polars_schema(Review).names()
    held = pl.concat([new.clear(), before], how="diagonal")
    if new.is_empty() or held.tail(new.height).select(names).equals(new.select(names)):
        return Taken(0, undecided, known=not new.is_empty())
    write_review_cells(reviews, pl.concat([held, new], how="diagonal"))
    return Taken(new.height, undecided, known=False)


def write_review_cells(reviews: Path, cells: pl.DataFrame) -> None:
    """Write a file of reviews, whole or not at all; text is harmless in a spreadsheet."""
    with atomic_path(reviews) as temporary:
        escape_formula(cells, TEXTS).write_csv(temporary)
    # The new name, too: after a power cut the file of before would be back.
    folder = os.open(reviews.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def with_decisions_of(source: Path, own: Path) -> tuple[pl.DataFrame | None, int]:
    """The decisions of a dataset, then those of its source that it does not hold yet.

    Decisions of a source are taken once: what a dataset holds of them, in their order, is passed
    over, so curating again adds what has been decided since.

    Args:
        source: a `reviews.csv` beside annotations; it may be missing.
        own: the dataset's.

    Returns:
        The cells of both with their `line`, None where neither file is there; and how many rows
        the source adds.

    Raises:
        AnnotationError: if a file is no table or lacks a column.
    """
    held = read_review_cells(own).drop("line") if own.exists() else None
    if not source.is_file():
        cells, added = held, 0
    else:
        theirs = read_review_cells(source).drop("line")
        new = theirs if held is None else theirs[_taken(held, theirs) :]
        cells = new if held is None else pl.concat([held, new], how="diagonal")
        added = new.height
    return None if cells is None else cells.with_columns(line=pl.int_range(2, pl.len() + 2)), added


def _taken(held: pl.DataFrame, theirs: pl.DataFrame) -> int:
    """How many of the source's rows are among those held, one after the other from the first."""
    names = [name for name in polars_schema(Review).names() if name in theirs.columns]
    missing = [pl.lit(None, pl.String).alias(n) for n in names if n not in held.columns]
    ours = held.with_columns(missing).select(pl.col(names).cast(pl.String)).rows()
    rows = theirs.select(pl.col(names).cast(pl.String)).rows()
    count = 0
    for row in ours:
        if count < len(rows) and row == rows[count]:
            count += 1
    return count


def _check_videos(path: Path, rows: pl.DataFrame, videos: pl.DataFrame) -> None:
    joined = rows.join(videos.select("video_id", "num_frames"), on="video_id", how="left")
    unknown = joined.filter(pl.col("num_frames").is_null()).sort("line")
    if unknown.height:
        row = unknown.row(0, named=True)
        raise AnnotationError(
            f"{path} line {row['line']}: video {row['video_id']!r}, expected one of the dataset"
        )
    beyond = joined.filter(pl.col("new_end_frame") > pl.col("num_frames")).sort("line")
    if beyond.height:
        row = beyond.row(0, named=True)
        raise AnnotationError(
            f"{path} line {row['line']}: move to frame {row['new_end_frame']}, but video "
            f"{row['video_id']!r} has {row['num_frames']} frames"
        )


def taken_line(taken: Taken, dataset: Dataset) -> str:
    """One line on the decisions that were taken, and the next step."""
    if taken.known:
        return f"these decisions were taken before; {taken.undecided} rows are undecided"
    again = f"; to apply them curate {dataset.info.source} again, with the options it was made with"
    return (
        f"{taken.taken} decisions taken into {dataset.path / REVIEWS}, {taken.undecided} rows are "
        f"undecided{again if taken.taken else ''}"
    )
