"""What a reviewer decides on an item, as rows of `reviews.csv`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import polars as pl

from ttdata.annotate.reviewing.items import Item
from ttdata.annotate.store.errors import Refused
from ttdata.annotate.store.wording import number_of
from ttdata.curation.decisions import read_review_cells
from ttdata.schema import Review
from ttdata.settings import FrozenModel
from ttdata.sources.annotations import REGION
from ttdata.storage.tables import polars_schema
from ttdata.taxonomy import Taxonomy

OF_KIND = {
    "action": ("accept", "relabel", "move", "drop"),
    "negative": ("accept", "reject"),
}
"""The decisions on an item of each kind."""


class Verdict(FrozenModel):
    """A reviewer's decision on an item.

    `accept`: it is right. Of an action also: with these bounds. `reject`: a negative is none.
    `relabel`, `move`, `drop`: an action has another label, other bounds, is none. A label and
    bounds may be changed at once.
    """

    item_id: str
    decision: Literal["accept", "reject", "relabel", "move", "drop"]
    label: str | None = None
    start_frame: int | None = None
    """Both bounds or none; those of the item are no change."""
    end_frame: int | None = None
    """Exclusive."""


def rows_of(
    verdict: Verdict, item: Item, num_frames: int, taxonomy: Taxonomy, reviewer: str
) -> pl.DataFrame:
    """The decision as the cells of a file of reviews, one row or, of label and bounds, two.

    Curation knows `accept` of negatives only: an action that is right is one that gets its own
    label again, so that nobody is asked once more.

    Args:
        verdict: what was decided.
        item: on what.
        num_frames: of its video.
        taxonomy: of the project.
        reviewer: a pseudonym.

    Raises:
        Refused: if the decision is none for this item, lacks a label, or bounds do not fit.
    """
    if verdict.decision not in OF_KIND[item.kind]:
        expected = ", ".join(OF_KIND[item.kind])
        raise Refused(f"decision {verdict.decision} on this {item.kind}: expected {expected}")
    if item.kind == "negative" or verdict.decision == "drop":
        return _cells([_row(item, reviewer, verdict.decision)])
    label = verdict.label if verdict.label is not None else item.label
    if label is None:
        raise Refused("the marks disagree about the name: name the stroke, too")
    if label not in taxonomy.classes:
        raise Refused(f"label {label!r}: expected a class of the project's taxonomy")
    bounds = _moved(verdict, item, num_frames)
    rows = []
    if bounds is not None:
        new = {"new_start_frame": str(bounds[0]), "new_end_frame": str(bounds[1])}
        rows.append({**_row(item, reviewer, "move"), **new})
    if bounds is None or label != item.label:
        rows.append({**_row(item, reviewer, "relabel"), "label": label})
    return _cells(rows)


def reviewed_videos(reviews: Path) -> dict[str, frozenset[str]]:
    """By reviewer's pseudonym the videos of which he has settled a doubt.

    Args:
        reviews: a `reviews.csv`; it may be missing.

    Raises:
        AnnotationError: if the file is no table or lacks a column.
    """
    cells = read_review_cells(reviews) if reviews.is_file() else None
    if cells is None or "reviewer_id" not in cells.columns:
        return {}
    groups = cells.drop_nulls("reviewer_id").group_by("reviewer_id").agg("video_id")
    return {reviewer: frozenset(videos) for reviewer, videos in groups.iter_rows()}


def _moved(verdict: Verdict, item: Item, num_frames: int) -> tuple[int, int] | None:
    """The new bounds; None where they are the item's own."""
    start = item.start_frame if verdict.start_frame is None else verdict.start_frame
    end = item.end_frame if verdict.end_frame is None else verdict.end_frame
    if not 0 <= start < end <= num_frames:
        raise Refused(
            f"bounds {start} to {end}: expected a start before the end, "
            f"within {number_of(num_frames, 'frame')}"
        )
    is_own = (start, end) == (item.start_frame, item.end_frame)
    if is_own and verdict.decision == "move":
        raise Refused("the bounds were not changed: move one of them, or accept")
    return None if is_own else (start, end)


def _row(item: Item, reviewer: str, decision: str) -> dict[str, str | None]:
    region = item.region or (None,) * len(REGION)
    return {
        "video_id": item.video_id,
        "start_frame": str(item.start_frame),
        "end_frame": str(item.end_frame),
        "decision": decision,
        "reviewer_id": reviewer,
        "player_id": item.player_id,
        **{n: None if v is None else str(v) for n, v in zip(REGION, region, strict=True)},
    }


def _cells(rows: Iterable[dict[str, str | None]]) -> pl.DataFrame:
    schema = dict.fromkeys(polars_schema(Review), pl.String())
    frame = pl.DataFrame(list(rows), schema=schema)
    return frame.with_columns(line=pl.int_range(2, pl.len() + 2))
