"""The table of an audit: a row per clip, most suspect first; and what it says in sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from ttdata.schema import Split
from ttdata.settings import FrozenModel
from ttdata.storage.tables import conform
from tttrain.evaluation.audit.suspicion import margins, percentiles, suggestions, suspicion

TABLE_VERSION = 1
LIST_SHARE = 0.1
"""Of the clips, which are listed as suspects where no rate is estimated."""


class AuditRow(FrozenModel):
    """A row of `audit.parquet`: how suspect the label of a clip is, and why."""

    clip_id: str = Field(description="of the shards")
    video_id: str = Field(description="as in `videos.parquet`")
    start_frame: int = Field(description="first frame of the clip")
    end_frame: int = Field(description="exclusive")
    label: str = Field(description="as the shards say")
    split: Split = Field(description="of the run; test clips are ranked and listed apart")
    suspicion: float = Field(description="1 minus the mean percentile of the measures; in (0, 1)")
    rank: int = Field(description="1 is most suspect; test clips have ranks of their own")
    suspected: bool = Field(description="among those that a person should look at")
    margin: float | None = Field(
        description="out of folds, score of the label minus the largest other; null without folds"
    )
    aum: float | None = Field(
        description="mean over epochs of the label's logit minus the largest other; train only"
    )
    neighbour_share: float | None = Field(
        description="of the nearest clips of other groups, those with this label"
    )
    suggested_label: str | None = Field(
        description="likeliest other class, by folds and neighbours; null where nothing speaks"
    )
    suggested_score: float | None = Field(description="mean score of that class, 0 to 1")
    group: str = Field(description="clips of one group err together, and do not vouch")


@dataclass(frozen=True, eq=False)
class Measures:
    """What an audit measured of N clips of C classes; NaN where a clip has none."""

    clips: pl.DataFrame
    """N rows: `clip_id, video_id, start_frame, end_frame, label, split, group`."""
    labels: np.ndarray
    """(N,) class indices."""
    aum: np.ndarray
    """(N,)."""
    neighbours: np.ndarray
    """(N, C) shares."""
    folds: np.ndarray
    """(N, C) scores out of folds."""


def audit_table(found: Measures, classes: Sequence[str], share: float = LIST_SHARE) -> pl.DataFrame:
    """Rows as AuditRow: clips to learn from, most suspect first, then the test clips likewise.

    Args:
        found: the measures.
        classes: names, in the order of the indices.
        share: of the clips, half up and at least one, that count as suspected; of the test clips
            likewise.
    """
    rows = np.arange(len(found.labels))
    margin = margins(found.folds, found.labels)
    doubts = suspicion([margin, found.aum, margins(found.neighbours, found.labels)])
    other, score = suggestions([found.folds, found.neighbours], found.labels)
    named = [None if index < 0 else classes[index] for index in other]
    held = pl.col("split") == "test"
    table = found.clips.with_columns(
        suspicion=pl.Series(doubts),
        margin=pl.Series(margin).fill_nan(None),
        aum=pl.Series(found.aum.astype(np.float64)).fill_nan(None),
        neighbour_share=pl.Series(found.neighbours[rows, found.labels]).fill_nan(None),
        suggested_label=pl.Series(named, dtype=pl.String),
        suggested_score=pl.Series(score).fill_nan(None),
    ).sort(held, -pl.col("suspicion"), "clip_id")
    most = (pl.len() * share + 0.5).floor().clip(1).over(held)
    ranked = table.with_columns(rank=(pl.int_range(pl.len()) + 1).over(held))
    return conform(ranked.with_columns(suspected=pl.col("rank") <= most), AuditRow)


def by_class(table: pl.DataFrame, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Beside the list, what it holds of each class: rare and hard classes fill it.

    Args:
        table: rows as AuditRow.
        classes: in the order of the result; those without clips are left out.
    """
    listed = table.filter(pl.col("split") != "test")
    place = pl.Series(percentiles(listed["suspicion"]), dtype=pl.Float64)
    found = (
        listed.with_columns(place=place)
        .group_by("label")
        .agg(
            n=pl.len(),
            suspected=pl.col("suspected").sum(),
            mean_percentile=pl.col("place").mean(),
        )
    )
    rows: Mapping[str, dict[str, Any]] = {row["label"]: row for row in found.to_dicts()}
    return [rows[name] for name in classes if name in rows]
