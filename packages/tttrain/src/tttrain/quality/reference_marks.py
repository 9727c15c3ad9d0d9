"""The file of marked references, and that of players' hands; errors name file and line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.errors import InputError
from ttdata.sources.annotations import read_text_table, require_columns
from ttdata.storage.spreadsheet import unescape_formula
from tttrain.quality.document import Hand
from tttrain.quality.moments import MARKS

COLUMNS = ("clip_id", *MARKS)


@dataclass(frozen=True)
class Marks:
    """The three moments that a person marked, in frames of the video."""

    ready: int
    contact: int
    end: int
    line: int
    """Of the file, for messages."""


def read_marks(path: Path, clips: Mapping[str, Mapping[str, Any]]) -> dict[str, Marks]:
    """The marked references by clip.

    Args:
        path: CSV or Parquet with the columns `clip_id, ready, contact, end`; others are ignored.
        clips: rows of `clips.parquet` by clip_id.

    Raises:
        InputError: naming file, line, what was found and what is expected.
    """
    table = read_text_table(path)
    require_columns(path, table, COLUMNS)
    table = unescape_formula(table, ["clip_id"])
    found: dict[str, Marks] = {}
    for line, row in _rows(table):
        where = f"{path}, line {line}"
        clip_id = row["clip_id"]
        if clip_id not in clips:
            raise InputError(
                f"{where}: no clip {clip_id!r} in the shards; expected a clip_id of clips.parquet"
            )
        if clip_id in found:
            raise InputError(
                f"{where}: clip {clip_id!r} is there twice, first in line {found[clip_id].line}"
            )
        found[clip_id] = _marks(where, line, row, clips[clip_id])
    if not found:
        raise InputError(f"{path}: no reference; expected a row per marked stroke")
    return found


def _rows(table: pl.DataFrame) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines with something in them, cells as text."""
    for number, row in enumerate(table.to_dicts()):
        cells = {name: "" if cell is None else str(cell).strip() for name, cell in row.items()}
        if any(cells.values()):
            yield number + 2, cells


def _marks(where: str, line: int, row: Mapping[str, str], clip: Mapping[str, Any]) -> Marks:
    frames = []
    for name in MARKS:
        try:
            frames.append(int(row[name]))
        except ValueError:
            raise InputError(
                f"{where}: {name} is {row[name]!r}, expected a frame of the video"
            ) from None
    ready, contact, end = frames
    if clip["kind"] != "stroke":
        raise InputError(f"{where}: clip {row['clip_id']!r} is a {clip['kind']}, expected a stroke")
    if not ready < contact < end:
        raise InputError(f"{where}: ready {ready}, contact {contact}, end {end}; expected an order")
    first, last = clip["start_frame"], clip["end_frame"]
    if ready < first or end > last:
        raise InputError(
            f"{where}: frames {ready} to {end}, expected frames inside of the clip's, {first} to "
            f"{last} (frames are those of the video, not counted from the clip's first)"
        )
    return Marks(ready, contact, end, line)


def read_hands(path: Path) -> dict[str, Hand]:
    """The hand that holds the bat by player.

    Args:
        path: CSV with the columns `player_id, hand`; `hand` is left or right.

    Raises:
        InputError: naming file and line.
    """
    table = read_text_table(path)
    require_columns(path, table, ("player_id", "hand"))
    found: dict[str, Hand] = {}
    for line, row in _rows(table):
        player, hand = row["player_id"], row["hand"].lower()
        if hand not in ("left", "right"):
            raise InputError(f"{path}, line {line}: hand {row['hand']!r}, expected left or right")
        if player in found:
            raise InputError(f"{path}, line {line}: player {player!r} is there twice")
        found[player] = "left" if hand == "left" else "right"
    return found
