"""The table of measured strokes: a row per stroke and phase."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
from pydantic import Field, create_model

from ttdata.settings import FrozenModel
from ttdata.storage.tables import conform, polars_schema
from tttrain.quality.consistency import UNKNOWN, Progress, progress
from tttrain.quality.document import Quality, ReferenceClass, StrokeQuality
from tttrain.quality.measures import MEASURES

COMPARED = ("reference", "difference", "percentile", "chance", "outside")
TEXTS = ("clip_id", "video_id", "player_id", "session_id", "label", "refused", "words", "notes")
"""Columns that a spreadsheet might run as a formula."""


class _Stroke(FrozenModel):
    clip_id: str = Field(description="of the shards")
    video_id: str = Field(description="as in `videos.parquet`")
    player_id: str | None = Field(description="null if unknown")
    session_id: str | None = Field(description="null if unknown")
    label: str = Field(description="class")
    is_reference: bool = Field(description="whether its moments were marked")
    hand: str | None = Field(description="left or right: holds the bat")
    mirrored: bool = Field(description="whether left and right of the picture were exchanged")
    phase: str | None = Field(
        description="backswing, forward, follow_through, stroke; null where it was refused"
    )
    start_frame: float | None = Field(description="of the phase, in the video, not rounded")
    end_frame: float | None = Field(description="of the phase, in the video, not rounded")
    contact_spread_seconds: float | None = Field(
        description="half of the middle half of what the references say of contact"
    )
    distance: float | None = Field(description="of the whole stroke; about 1 for a reference")
    distance_percentile: float | None = Field(
        description="(1 + references at least as far) / (n + 1)"
    )
    refused: str | None = Field(description="why the stroke is not compared")
    words: str | None = Field(description="what is outside in this phase")
    notes: str | None = Field(description="what to know when reading the row")


def _columns() -> dict[str, Any]:
    kinds = {name: bool | None if name == "outside" else float | None for name in COMPARED}
    found: dict[str, Any] = {}
    for name in MEASURES:
        found[name] = (float | None, None)
        found |= {f"{name}_{key}": (kind, None) for key, kind in kinds.items()}
    return found


QualityRow: type[FrozenModel] = create_model("QualityRow", __base__=_Stroke, **_columns())
"""A row of `quality.csv`; per measure its value and how it compares (docs/formats.md)."""


def quality_table(found: Quality) -> pl.DataFrame:
    """Rows as QualityRow: strokes in their order, phases from the backswing to the whole stroke."""
    rows = [row for stroke in found.strokes for row in _rows(stroke)]
    table = pl.DataFrame(rows, schema=_schema(), orient="row")
    return conform(table, QualityRow).select(_schema().names())


def _schema() -> pl.Schema:
    known = polars_schema(QualityRow)
    names = [*_Stroke.model_fields, *_columns()]
    return pl.Schema({name: known[name] for name in names})


def _rows(stroke: StrokeQuality) -> Iterator[dict[str, Any]]:
    same = {name: getattr(stroke, name) for name in _Stroke.model_fields if hasattr(stroke, name)}
    same |= {"notes": "; ".join(stroke.notes) or None, "words": None}
    if not stroke.phases:
        yield same | {"phase": None, "start_frame": None, "end_frame": None}
    for phase in stroke.phases:
        told = [item.words for item in phase.measures if item.outside and item.words]
        row = same | {
            "phase": phase.name,
            "start_frame": phase.start_frame,
            "end_frame": phase.end_frame,
            "words": "; ".join(told) or None,
        }
        for item in phase.measures:
            row[item.name] = item.value
            row |= {f"{item.name}_{key}": getattr(item, key) for key in COMPARED}
        yield row


def all_progress(
    strokes: Sequence[StrokeQuality], references: Sequence[ReferenceClass]
) -> tuple[Progress, ...]:
    """Of each player, class, phase and measure over sessions, from the strokes that were measured.

    Strokes of unknown players are of nobody's progress: they may be of several. How far sessions
    differ without a change is what the references of the class say, the player's own where each has
    his own.
    """
    spreads = {(item.label, item.player_id): item.spreads for item in references}
    found = []
    for (player, label, phase, name), values in _histories(strokes).items():
        usual = spreads.get((label, player), spreads.get((label, None), {}))
        known = progress(
            [value for _, value in values],
            [session for session, _ in values],
            player_id=player, label=label, phase=phase, measure=name,
            usual=usual.get(phase, {}).get(name),
        )  # fmt: skip
        if known is not None:
            found.append(known)
    return tuple(found)


def _histories(
    strokes: Sequence[StrokeQuality],
) -> dict[tuple[str, str, str, str], list[tuple[str, float]]]:
    """By player, class, phase and measure: session and value of each stroke."""
    found: dict[tuple[str, str, str, str], list[tuple[str, float]]] = {}
    for stroke in strokes:
        if stroke.player_id is None:
            continue
        for phase in stroke.phases:
            for item in phase.measures:
                if item.value is not None:
                    key = (stroke.player_id, stroke.label, phase.name, item.name)
                    found.setdefault(key, []).append((stroke.session or UNKNOWN, item.value))
    return found
