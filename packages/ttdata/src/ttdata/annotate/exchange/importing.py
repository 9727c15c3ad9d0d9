"""Annotations that were made elsewhere, into a project: as people's marks, as truth, as hints."""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import polars as pl
from pydantic import ValidationError

from ttdata.annotate.exchange.reading import (
    Placed,
    placed_annotations,
    placed_truth,
    rejection_lines,
)
from ttdata.annotate.project import Project
from ttdata.annotate.store.events import AssignmentOpened, Done, Event, MarkMade, Seen
from ttdata.annotate.store.rows import num_frames_of
from ttdata.annotate.store.wording import number_of
from ttdata.annotate.work.golden import Truth, set_truth
from ttdata.annotate.work.proposals import Proposal, ProposalSet, add_proposals
from ttdata.errors import InputError
from ttdata.settings import first_problem
from ttdata.sources.covered import read_covered
from ttdata.sources.formats.beside import folder_of

_NAMESPACE = UUID("5e0f6a0c-0d0b-5d0e-9d63-2f7a55a3c1a7")
"""Ids of what is imported follow from it and from the source's own: twice is once."""
_PLACED_ANYWAY = ("starts_at_first_frame", "unlabelled", "unknown_label")
"""What speaks against an annotation and not against a hint."""


@dataclass(frozen=True)
class Imported:
    """How many annotations were taken, and lines on the others."""

    count: int
    notes: tuple[str, ...]
    videos: frozenset[str] = frozenset()
    """Of the project, that the source knows something of."""


def import_marks(
    project: Project, path: Path, *, annotator: str | None = None, format: str | None = None
) -> Imported:
    """Take the annotations of a source as finished marks of its annotators.

    Each annotator's work on a video is taken whole or not at all; taking a source again changes
    nothing. Videos of which only spans were annotated (`covered.csv`) are left out.

    Args:
        project: opened; annotations of videos that it lacks are left out.
        path: a file or folder in any format we read.
        annotator: whose marks they are; by default the source says it.
        format: a format's name; by default recognised.

    Raises:
        Refused: if somebody has this video already, or the source has changed since it was taken.
        InputError: if the source cannot be read, names no annotator, or has a name that is too
            long.
    """
    placed = placed_annotations(project, path, format)
    rows, notes = _accepted(placed)
    if annotator is not None:
        rows = rows.with_columns(annotator_id=pl.lit(annotator))
    if rows.filter(annotator_id="").height:
        raise InputError(f"{path}: names no annotator; give one by --annotator")
    halves = read_covered(folder_of(path))["video_id"].unique()
    half = rows.filter(pl.col("video_id").is_in(halves.implode()))
    if half.height:
        notes = (
            *notes,
            f"left out: {number_of(half.height, 'annotation')} of half-annotated videos",
        )
    whole = rows.join(half, on="annotation_id", how="anti")
    for (person, video_id), part in whole.group_by("annotator_id", "video_id", maintain_order=True):
        strokes = list(part.iter_rows(named=True))
        try:
            project.marks.write(partial(_import, project, str(person), str(video_id), strokes))
        except ValidationError as error:
            raise InputError(f"{path}: video {video_id!r}: {first_problem(error)}") from error
    return Imported(whole.height, (*placed.notes, *notes))


def _accepted(placed: Placed) -> tuple[pl.DataFrame, tuple[str, ...]]:
    return placed.rows.filter("accepted"), rejection_lines(placed.rows.filter(~pl.col("accepted")))


def _import(
    project: Project,
    person: str,
    video_id: str,
    rows: Iterable[Mapping[str, Any]],
    db: sqlite3.Connection,
) -> None:
    """Store the events of one person's finished work on one video."""
    assignment = _id("assignment", person, video_id)
    for name, body in _bodies(video_id, num_frames_of(db, video_id) or 0, rows):
        is_mark = isinstance(body, MarkMade)
        event = Event(
            uuid=_id(body.kind, person, video_id, name),
            person=person,
            assignment=assignment,
            mark=_id("mark", person, video_id, name) if is_mark else None,
            body=body,
        )
        project.marks.append_within(db, event)


def _bodies(
    video_id: str, num_frames: int, rows: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, AssignmentOpened | MarkMade | Seen | Done]]:
    """What happens from opening to done, each with a name of its own."""
    yield "opened", AssignmentOpened(video_id=video_id, purpose="import")
    for row in rows:
        made = MarkMade(
            start_frame=row["start_frame"],
            end_frame=row["end_frame"],
            label=row["label"],
            player_id=row["player_id"],
            from_first_frame=row["start_frame"] == 0,
        )
        yield row["annotation_id"], made
    yield "seen", Seen(spans=((0, num_frames),))
    yield "done", Done()


def _id(*parts: str) -> str:
    return str(uuid5(_NAMESPACE, json.dumps(parts)))


def read_truth(project: Project, folder: Path) -> Placed:
    """The strokes that a source knows; the project need not hold the videos yet.

    Raises:
        InputError: if the source cannot be read, or several people annotated it.
    """
    placed = placed_truth(project, folder)
    people = placed.rows["annotator_id"].unique()
    if len(people) > 1:
        raise InputError(f"{folder}: {len(people)} annotators, expected truth.csv or one of them")
    return placed


def import_truth(project: Project, folder: Path, among: Collection[str] | None = None) -> Imported:
    """Make golden clips of the project's videos for which a source knows the strokes.

    Args:
        project: opened.
        folder: with `truth.csv`, or annotations of one person.
        among: the videos that may become golden clips; by default all of the project.

    Raises:
        Refused: if people have begun to annotate such a video, or other strokes are known.
        InputError: if the source cannot be read, or several people annotated it.
    """
    placed = read_truth(project, folder)
    rows, notes = _accepted(placed)
    if among is not None:
        others = rows.filter(~pl.col("video_id").is_in(list(among)))
        rows = rows.join(others, on="annotation_id", how="anti")
        if others.height:
            count = number_of(others.height, "stroke")
            notes = (*notes, f"left out: {count} of videos that are not added here")

    def job(db: sqlite3.Connection) -> None:
        for (video_id,), part in rows.group_by("video_id", maintain_order=True):
            strokes = part.select(list(Truth.model_fields)).iter_rows(named=True)
            set_truth(db, str(video_id), [Truth(**stroke) for stroke in strokes])

    project.marks.write(job)
    return Imported(rows.height, (*placed.notes, *notes), frozenset(rows["video_id"]))


def import_proposals(project: Project, file: Path, format: str | None = None) -> Imported:
    """Keep a model's detections as hints; the same file twice is once.

    Args:
        project: opened.
        file: in any format we read; its annotators are the models' names.
        format: a format's name; by default recognised.

    Raises:
        InputError: if it is no file or cannot be read.
    """
    if not file.is_file():
        raise InputError(f"{file}: expected a file of detections")
    placed = placed_annotations(project, file, format)
    against = pl.col("reasons").list.set_difference(list(_PLACED_ANYWAY)).list.len() > 0
    rows, rejected = placed.rows.filter(~against), placed.rows.filter(against)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    found = ProposalSet(set_id=digest, file=str(file.resolve()), format=placed.format)
    names = ("video_id", "start_frame", "end_frame", "label")
    proposals = [
        Proposal(model=row["annotator_id"] or placed.format, **{n: row[n] for n in names})
        for row in rows.iter_rows(named=True)
    ]
    at = project.marks.clock()
    new = project.marks.write(lambda db: add_proposals(db, found, proposals, at))
    notes = (*placed.notes, *rejection_lines(rejected))
    return Imported(len(proposals) if new else 0, notes)
