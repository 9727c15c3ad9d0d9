"""How well the people of a project agree, on work that is finished: curation's own measures."""

import threading
from collections.abc import Iterable
from typing import Any

import polars as pl

from ttdata.annotate.project import Project
from ttdata.annotate.work.videos import videos_table
from ttdata.curation.curate import curate
from ttdata.report.reliability import (
    Level,
    annotator_pairs,
    annotator_records,
    at_level,
    label_pairs,
    label_votes,
    levels_of,
)
from ttdata.report.stats import agreement
from ttdata.schema import CurationConfig
from ttdata.settings import FrozenModel
from ttdata.sources.formats.annotation_project import read_finished

Interval = tuple[float, float]


class Mixed(FrozenModel):
    """Two names that people give to the same strokes."""

    label: str
    other: str
    pairs: int
    """Pairs of people who said the two of one stroke."""
    of: int
    """Pairs of people who said at least one of them."""


class Matrix(FrozenModel):
    """Which names two people gave to one stroke; symmetric, each pair of people counts once."""

    labels: tuple[str, ...]
    """In the taxonomy's order; only those that somebody gave."""
    counts: tuple[tuple[int, ...], ...]
    """A row per label; what both said alike is on the diagonal."""


class LevelAgreement(FrozenModel):
    """Agreement on the whole name, or on a part of it."""

    level: Level
    alpha: float | None
    """Krippendorff's: 1 is perfect, 0 is chance; null where nothing can disagree."""
    interval: Interval | None
    """95 %, of drawn strokes."""
    matrix: Matrix
    mixed: tuple[Mixed, ...]
    """Most often first."""


class PersonAgreement(FrozenModel):
    """One person against the others."""

    person: str
    marks: int
    """Finished ones."""
    accepted: int
    """Not rejected by curation, as what is too short is."""
    compared: int
    """Strokes in which the others have one most frequent name."""
    agreeing: int
    interval: Interval | None
    """Of agreeing among compared, 95 %; null where none is compared."""
    start_offset_frames: float | None
    """Median of mark minus stroke, negative when early; null where others marked none of them."""
    end_offset_frames: float | None


class PairAgreement(FrozenModel):
    """Two people against each other."""

    one: str
    other: str
    compared: int
    """Strokes to which both gave a name."""
    agreeing: int
    interval: Interval


class Agreement(FrozenModel):
    """How well people agree on the strokes that two or more of them marked."""

    marks: int
    """Finished ones, of videos that are done."""
    rejected: int
    """Of these, by curation: too short, too long and the like; they are not compared."""
    strokes: int
    """That two or more people marked."""
    alone: int
    """That one person only marked."""
    share_unanimous: float | None
    start_spread_frames: float | None
    """Mean of the latest minus the earliest start; null without strokes."""
    end_spread_frames: float | None
    levels: tuple[LevelAgreement, ...]
    people: tuple[PersonAgreement, ...]
    pairs: tuple[PairAgreement, ...]
    """Those who agree least come first."""


def project_agreement(project: Project) -> Agreement:
    """The agreement on all finished work, golden clips and training apart.

    Marks are merged to strokes as `ttdata curate` merges them by default; decisions of reviewers
    change nothing here, as they are no annotators. Takes up to seconds, so call it in a thread.
    """
    source = read_finished(project.folder)
    with project.marks.reading() as db:
        videos = videos_table(db)
    config = CurationConfig(negatives=False)
    result = curate(source.annotations, videos, config, project.taxonomy)
    annotations, actions = result.annotations, result.actions
    found = agreement(annotations, actions, project.taxonomy)
    return Agreement(
        marks=annotations.height,
        rejected=annotations.filter(~pl.col("accepted")).height,
        strokes=found["actions"],
        alone=actions.height - found["actions"],
        share_unanimous=found["share_unanimous"],
        start_spread_frames=found["start_spread_mean_frames"],
        end_spread_frames=found["end_spread_mean_frames"],
        levels=tuple(
            _level(project, annotations, level, found["levels"][level])
            for level in levels_of(project.taxonomy)
        ),
        people=tuple(map(_person, annotator_records(annotations, actions))),
        pairs=tuple(map(_pair, annotator_pairs(label_votes(annotations)))),
    )


def _level(
    project: Project, annotations: pl.DataFrame, level: Level, found: dict[str, Any]
) -> LevelAgreement:
    votes = label_votes(annotations, project.taxonomy, level)
    order = _names(project, level)
    mixed = [{k: row[k] for k in Mixed.model_fields} for row in found["confusions"]]
    return LevelAgreement(
        level=level,
        alpha=found["alpha"],
        interval=found["interval"],
        matrix=make_matrix(label_pairs(votes), order),
        mixed=tuple(map(Mixed.model_validate, mixed)),
    )


def _names(project: Project, level: Level) -> list[str]:
    """The names at a level in the taxonomy's order, each once."""
    classes = pl.DataFrame({"label": project.taxonomy.classes})
    names = classes.select(at_level(pl.col("label"), project.taxonomy, level))
    return names["label"].unique(maintain_order=True).to_list()


def make_matrix(pairs: pl.DataFrame, order: Iterable[str]) -> Matrix:
    """Pairs of labels as a square table.

    Args:
        pairs: as `label_pairs` returns them.
        order: the names in the order of rows and columns; those without a pair are left out.
    """
    counts: dict[frozenset[str], int] = {
        frozenset((label, other)): count for label, other, count in pairs.iter_rows()
    }
    said = {name for pair in counts for name in pair}
    labels = tuple(name for name in order if name in said)
    rows = tuple(tuple(counts.get(frozenset((a, b)), 0) for b in labels) for a in labels)
    return Matrix(labels=labels, counts=rows)


def _person(row: dict[str, Any]) -> PersonAgreement:
    return PersonAgreement(
        person=row["annotator_id"],
        marks=row["annotations"],
        accepted=row["accepted"],
        compared=row["compared"],
        agreeing=row["agreeing"],
        interval=row["interval"],
        start_offset_frames=row["start_offset_frames"],
        end_offset_frames=row["end_offset_frames"],
    )


def _pair(row: dict[str, Any]) -> PairAgreement:
    return PairAgreement(
        one=row["annotator_id"],
        other=row["other"],
        compared=row["compared"],
        agreeing=row["agreeing"],
        interval=row["interval"],
    )


class KeptAgreement:
    """Measured anew only where work was finished or opened again since the last time."""

    def __init__(self) -> None:
        """Nothing is measured yet."""
        self._kept: tuple[int, Agreement] | None = None
        self._lock = threading.Lock()

    def read(self, project: Project) -> Agreement:
        """As `project_agreement`, of always the same project."""
        with self._lock:
            with project.marks.reading() as db:
                (last,) = db.execute(
                    "SELECT ifnull(max(seq), 0) FROM event WHERE kind IN ('done', 'reopened')"
                ).fetchone()
            if self._kept is None or self._kept[0] != last:
                self._kept = int(last), project_agreement(project)
            return self._kept[1]
