"""Annotations of any format, in the frames and labels of a project."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ttdata.annotate.project import Project
from ttdata.annotate.store.wording import number_of
from ttdata.annotate.work.videos import videos_table
from ttdata.curation.filters import apply_filters
from ttdata.schema import CurationConfig
from ttdata.sources.annotations import (
    ANNOTATION_COLUMNS,
    Source,
    completed_table,
    read_text_table,
    require_columns,
)
from ttdata.sources.formats import read_source
from ttdata.sources.rates import at_video_rates
from ttdata.storage.spreadsheet import unescape_formula

_ANY_DURATION = {"min_duration_seconds": 1e-9, "max_duration_seconds": 1e9}
_TRUTH = "truth.csv"


@dataclass(frozen=True)
class Placed:
    """Annotations of a source that a project could hold, and those it could not."""

    format: str
    rows: pl.DataFrame
    """Rows as `ttdata.schema.Annotation`, rejected ones with their reasons."""
    notes: tuple[str, ...]


def placed_annotations(project: Project, path: Path, format: str | None = None) -> Placed:
    """The annotations of a source in the frames of the project's videos, labels canonical.

    Reasons are those of curation (specification 1.1), durations apart: a project warns of these.

    Args:
        project: opened.
        path: a file or folder in any format we read.
        format: a format's name; by default recognised.

    Raises:
        InputError: if the source cannot be read.
    """
    return _placed(project, read_source(path, format, need_videos=False))


def placed_truth(project: Project, folder: Path) -> Placed:
    """Known strokes, of `truth.csv` where a folder has one, else of its annotations.

    `ttdata synth` writes such a `truth.csv`.

    Raises:
        InputError: if the source cannot be read.
    """
    table = folder / _TRUTH
    if not table.is_file():
        return placed_annotations(project, folder)
    texts = ("video_id", "label", "player_id")
    frame = unescape_formula(read_text_table(table), texts)
    require_columns(table, frame, ("video_id", "start_frame", "end_frame", "label"))
    numbered = frame.with_columns(annotation_id=pl.int_range(1, pl.len() + 1).cast(pl.String))
    rows = completed_table(table, numbered, ANNOTATION_COLUMNS)
    return _placed(project, Source("truth", rows, pl.DataFrame(), trimmed=False))


def _placed(project: Project, source: Source) -> Placed:
    with project.marks.reading() as db:
        videos = videos_table(db)
    annotations, notes = at_video_rates(source, videos)
    config = CurationConfig(trimmed=source.trimmed, **_ANY_DURATION)
    rows = apply_filters(annotations, videos, config, project.taxonomy)
    return Placed(source.format, rows, (*source.notes, *notes))


def rejection_lines(rejected: pl.DataFrame) -> tuple[str, ...]:
    """A line per reason, with how many annotations it left out; of several the first counts."""
    first = Counter(reasons[0] for reasons in rejected["reasons"])
    return tuple(
        f"left out: {number_of(count, 'annotation')} ({reason})"
        for reason, count in sorted(first.items())
    )
