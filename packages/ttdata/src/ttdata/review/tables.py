"""The tables of one curation that a review queue is made from."""

from dataclasses import dataclass

import polars as pl

from ttdata.schema import CurationConfig
from ttdata.storage.dataset import Dataset
from ttdata.taxonomy import Taxonomy


@dataclass(frozen=True)
class ReviewTables:
    """What was curated, from a dataset folder or in memory."""

    config: CurationConfig
    taxonomy: Taxonomy
    videos: pl.DataFrame
    """Rows as Video."""
    annotations: pl.DataFrame
    """Rows as Annotation."""
    actions: pl.DataFrame
    """Rows as Action."""
    clips: pl.DataFrame
    """Rows as Clip."""
    covered: pl.DataFrame
    """Rows as CoveredSpan."""
    suspects: pl.DataFrame
    """Rows as Suspect."""


def tables_of(dataset: Dataset) -> ReviewTables:
    """The tables of a dataset folder."""
    return ReviewTables(
        config=dataset.info.config,
        taxonomy=dataset.info.taxonomy,
        videos=dataset.videos,
        annotations=dataset.annotations,
        actions=dataset.actions,
        clips=dataset.clips,
        covered=dataset.covered,
        suspects=dataset.suspects,
    )
