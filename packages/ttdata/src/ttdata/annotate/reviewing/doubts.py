"""What is doubted in a project's finished work: curated in memory as `ttdata curate` does it."""

from dataclasses import dataclass

import polars as pl

from ttdata.annotate.project import Project
from ttdata.annotate.work.videos import videos_table
from ttdata.curation.curate import curate
from ttdata.curation.decisions import no_reviews, read_reviews
from ttdata.review.queue import build_review_queue
from ttdata.review.tables import ReviewTables
from ttdata.schema import CoveredSpan, CurationConfig, Suspect
from ttdata.sources.formats import annotation_project
from ttdata.storage.dataset import REVIEWS
from ttdata.storage.tables import empty

Stand = tuple[int, int, int]
"""What finished work changes: the last event that finished some, how much there is, reopenings."""


@dataclass(frozen=True)
class Doubts:
    """The finished work of a moment, curated, and what is doubted in it."""

    tables: ReviewTables | None
    """None where nothing is finished."""
    queue: pl.DataFrame
    """As `build_review_queue` returns it, worst first."""


def stand_of(project: Project) -> Stand:
    """Changes when the finished work does, and not with every event of those who work."""
    with project.marks.reading() as db:
        row = db.execute(
            "SELECT ifnull(max(done_seq), 0), count(done_seq), ifnull(sum(times_reopened), 0) "
            "FROM assignment"
        ).fetchone()
    return (int(row[0]), int(row[1]), int(row[2]))


def find_doubts(project: Project) -> Doubts:
    """Curate a project's finished work with the decisions so far, and list what is doubted.

    The doubts and their order are those of `ttdata curate PROJECT` followed by `ttdata review`.

    Args:
        project: opened.

    Raises:
        AnnotationError: if `reviews.csv` is damaged.
    """
    source = annotation_project.read_finished(project.folder)
    path = project.folder / REVIEWS
    reviews = read_reviews(path, project.taxonomy) if path.exists() else no_reviews()
    if source.annotations.is_empty():
        return Doubts(None, pl.DataFrame())
    with project.marks.reading() as db:
        known = videos_table(db)
    videos = known.join(source.files.select("video_id"), on="video_id", how="semi")
    config = CurationConfig()
    found = curate(source.annotations, videos, config, project.taxonomy, reviews)
    tables = ReviewTables(
        config=config,
        taxonomy=project.taxonomy,
        videos=videos,
        annotations=found.annotations,
        actions=found.actions,
        clips=found.clips,
        covered=empty(CoveredSpan),
        suspects=empty(Suspect),
    )
    return Doubts(tables, build_review_queue(tables, reviews))
