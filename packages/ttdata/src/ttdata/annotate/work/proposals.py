"""Strokes that models propose: kept with where they are from, shown as places, never a vote."""

import sqlite3
from collections.abc import Iterable

from ttdata.settings import FrozenModel


class Proposal(FrozenModel):
    """A stroke as a model sees it."""

    video_id: str
    model: str
    """What its file names as the annotator."""
    start_frame: int
    end_frame: int
    """Exclusive."""
    label: str | None = None


class ProposalSet(FrozenModel):
    """A file of proposals."""

    set_id: str
    """SHA-256 of the file."""
    file: str
    format: str


def add_proposals(
    connection: sqlite3.Connection, found: ProposalSet, proposals: Iterable[Proposal], at: int
) -> bool:
    """Keep the proposals of a file; false where the same file is there already.

    Args:
        connection: within a job of the writer.
        found: where they are from.
        proposals: within videos of the project.
        at: the time, in milliseconds since 1970, UTC.
    """
    query = "SELECT 1 FROM proposal_set WHERE set_id = ?"
    if connection.execute(query, (found.set_id,)).fetchone():
        return False
    connection.execute(
        "INSERT INTO proposal_set VALUES (?, ?, ?, ?)",
        (found.set_id, at, found.file, found.format),
    )
    connection.executemany(
        "INSERT INTO proposal (set_id, video_id, model, start_frame, end_frame, label) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [
            (found.set_id, p.video_id, p.model, p.start_frame, p.end_frame, p.label)
            for p in proposals
        ],
    )
    return True


def proposals_of(
    connection: sqlite3.Connection, video_id: str
) -> tuple[tuple[ProposalSet, Proposal], ...]:
    """The proposals of a video, each with its file, by place; for teachers and reviewers."""
    rows = connection.execute(
        "SELECT set_id, file, format, model, start_frame, end_frame, label "
        "FROM proposal JOIN proposal_set USING (set_id) WHERE video_id = ? "
        "ORDER BY start_frame, end_frame, proposal_id",
        (video_id,),
    )
    return tuple(
        (
            ProposalSet(set_id=set_id, file=file, format=format_),
            Proposal(video_id=video_id, model=model, start_frame=start, end_frame=end, label=label),
        )
        for set_id, file, format_, model, start, end, label in rows
    )
