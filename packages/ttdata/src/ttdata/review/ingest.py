"""People's decisions from a CSV, taken into a dataset's `reviews.csv`; nothing there is lost."""

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
    cells = read_review_cells(path)
    blank = pl.col("decision").fill_null("").str.strip_chars() == ""
    decided = cells.filter(~blank)
    rows = checked_reviews(path, decided, dataset.info.taxonomy)
    _check_videos(path, rows, dataset.videos)
    undecided = cells.height - decided.height
    new = rows.drop("line").with_columns(pl.all().cast(pl.String))
    reviews = dataset.path / REVIEWS
    before = read_review_cells(reviews).drop("line") if reviews.exists() else new.clear()
    names = polars_schema(Review).names()
    held = pl.concat([new.clear(), before], how="diagonal")
    if new.is_empty() or held.tail(new.height).select(names).equals(new.select(names)):
        return Taken(0, undecided, known=not new.is_empty())
    both = pl.concat([held, new], how="diagonal")
    with atomic_path(reviews) as temporary:
        escape_formula(both, TEXTS).write_csv(temporary)
    return Taken(new.height, undecided, known=False)


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
