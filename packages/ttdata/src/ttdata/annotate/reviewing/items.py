"""One doubt as a reviewer sees it: the place, why, the marks under letters, models' proposals."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Literal

import polars as pl

from ttdata.annotate.reviewing.doubts import Doubts
from ttdata.annotate.work.proposals import proposals_of
from ttdata.settings import FrozenModel
from ttdata.sources.annotations import REGION

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_AROUND_SECONDS = 0.5
"""Proposals that lie so near are shown; as in `review.js`."""
_OWNER = ("player_id", *REGION)


class LetteredMark(FrozenModel):
    """A person's mark, under a letter in place of his name."""

    letter: str
    start_frame: int | None
    end_frame: int | None
    label: str | None
    left_out: tuple[str, ...] = ()
    """Why curation leaves it out."""


class Proposed(FrozenModel):
    """What a model sees there, and where that is from."""

    start_frame: int
    end_frame: int
    label: str | None
    model: str
    file: str


class Item(FrozenModel):
    """A doubt that a person settles."""

    item_id: str
    kind: Literal["action", "negative"]
    video_id: str
    start_frame: int
    end_frame: int
    """Exclusive."""
    label: str | None
    """Of an action, by most of its annotators; None where they disagree."""
    why: tuple[str, ...]
    """The reasons, worst first."""
    votes: str | None
    """The labels with their counts."""
    player_id: str | None = None
    region: tuple[float, float, float, float] | None = None


class Shown(FrozenModel):
    """An item with all that is shown beside the film."""

    item: Item
    marks: tuple[LetteredMark, ...]
    proposals: tuple[Proposed, ...]


def items_of(doubts: Doubts) -> tuple[Item, ...]:
    """The doubts as items, in their order."""
    if doubts.tables is None:
        return ()
    labels = {_place(row): row["label"] for row in doubts.tables.actions.iter_rows(named=True)}
    return tuple(_item(row, labels) for row in doubts.queue.iter_rows(named=True))


def _item(row: Mapping[str, Any], labels: Mapping[tuple[Any, ...], str | None]) -> Item:
    is_action = row["kind"] == "action"
    region = tuple(row[name] for name in REGION)
    key = [row["kind"], *_place(row), row["labels"]]
    return Item(
        item_id=hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24],
        kind=row["kind"],
        video_id=row["video_id"],
        start_frame=row["start_frame"],
        end_frame=row["end_frame"],
        label=labels.get(_place(row)) if is_action else None,
        why=tuple(row["why"].split("; ")),
        votes=row["labels"],
        player_id=row["player_id"],
        region=None if None in region else region,
    )


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("video_id", "start_frame", "end_frame", *_OWNER))


def shown_item(connection: sqlite3.Connection, doubts: Doubts, item: Item) -> Shown:
    """An item with the marks and proposals at its place, nobody named.

    Args:
        connection: to the project's database.
        doubts: that the item is of.
        item: to show.
    """
    if doubts.tables is None:
        return Shown(item=item, marks=(), proposals=())
    videos = doubts.tables.videos.filter(video_id=item.video_id)
    around = round(_AROUND_SECONDS * float(videos["fps"][0])) if videos.height else 0
    first, last = item.start_frame - around, item.end_frame + around
    proposals = (
        Proposed(
            **found.model_dump(include={"start_frame", "end_frame", "label", "model"}),
            file=PurePath(source.file).name,
        )
        for source, found in proposals_of(connection, item.video_id)
        if found.start_frame < last and found.end_frame > first
    )
    # A letter gives its name to the doubt: the mark of the next stroke must have none.
    of_it = doubts.tables.annotations.filter(
        pl.col("video_id") == item.video_id,
        pl.col("start_frame") < item.end_frame,
        pl.col("end_frame") > item.start_frame,
    )
    return Shown(item=item, marks=tuple(_lettered(of_it)), proposals=tuple(proposals))


def _lettered(marks: pl.DataFrame) -> Iterator[LetteredMark]:
    """By place, never by person: nobody can tell who made which."""
    ordered = marks.sort("start_frame", "end_frame", "label", "annotation_id")
    for place, row in enumerate(ordered.iter_rows(named=True)):
        more, letter = divmod(place, len(_LETTERS))
        yield LetteredMark(
            letter=_LETTERS[letter] + (str(more + 1) if more else ""),
            start_frame=row["start_frame"],
            end_frame=row["end_frame"],
            label=row["label"],
            left_out=tuple(row["reasons"] or ()),
        )
