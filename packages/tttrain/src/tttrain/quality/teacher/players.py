"""The file of players: who plays in which video, and with which hand; errors name the line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ttdata.errors import InputError
from ttdata.sources.annotations import read_text_table, require_columns
from ttdata.storage.spreadsheet import unescape_formula
from tttrain.quality.document import Hand
from tttrain.quality.teacher.lines import lines

Place = tuple[str, str]
"""A video, and the side of it where several play there (else an empty text)."""


@dataclass(frozen=True)
class Players:
    """What a teacher tells of players; what the data say of themselves is not overruled."""

    hands: Mapping[str, Hand] = field(default_factory=dict)
    """By player: which holds the bat."""
    ids: Mapping[Place, str] = field(default_factory=dict)
    """The player in a place."""
    sessions: Mapping[Place, str] = field(default_factory=dict)
    """The session that a place is of."""

    def told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A stroke's row with player and session where it lacks them."""
        places = ((row["video_id"], side) for side in (row.get("side") or "", ""))
        place = next((place for place in places if place in self.ids), None)
        if place is None:
            return dict(row)
        player, session = row["player_id"], row["session_id"]
        return dict(row) | {
            "player_id": self.ids[place] if player is None else player,
            "session_id": self.sessions.get(place) if session is None else session,
        }

    def unknown(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Players and videos of the file that no stroke is of: slips of the pen, it may be."""
        rows = list(rows)
        videos = {row["video_id"] for row in rows}
        players = {row["player_id"] for row in rows}
        lost = [f"player {name!r}" for name in self.hands if name not in players]
        named = dict.fromkeys(video_id for video_id, _ in self.ids)
        return [*lost, *(f"video {name!r}" for name in named if name not in videos)]


def read_players(path: Path | None) -> Players:
    """What the file says; nothing where there is none.

    Args:
        path: CSV with the column `player_id` and at least one of `hand` (left or right) and
            `video_id`; with this, if need be, `side` (of the picture, as an index with several
            players names it) and `session_id`.

    Raises:
        InputError: naming file and line.
    """
    if path is None:
        return Players()
    table = read_text_table(path)
    require_columns(path, table, ["player_id"])
    if not {"hand", "video_id"} & set(table.columns):
        raise InputError(f"{path}: neither a column hand nor video_id; expected one or both")
    table = unescape_formula(table, ["player_id", "video_id", "session_id"])
    by_video = "video_id" in table.columns
    hands: dict[str, Hand] = {}
    ids: dict[Place, str] = {}
    sessions: dict[Place, str] = {}
    for line, row in lines(table):
        where = f"{path}, line {line}"
        _note_hand(where, row, hands, may_come_again=by_video)
        if not by_video:
            continue
        place = row["video_id"], row.get("side", "").lower()
        if place in ids:
            raise InputError(f"{where}: {' '.join(place).strip()!r} is there twice, expected once")
        ids[place] = row["player_id"]
        if row.get("session_id"):
            sessions[place] = row["session_id"]
    return Players(hands, ids, sessions)


def _note_hand(
    where: str, row: Mapping[str, str], hands: dict[str, Hand], *, may_come_again: bool
) -> None:
    """The hand of a line's player, unless a file of videos leaves it empty."""
    player, hand = row["player_id"], row.get("hand", "").lower()
    if not player:
        raise InputError(f"{where}: player_id is empty, expected a name")
    if may_come_again and not hand:
        return
    if hand not in ("left", "right"):
        raise InputError(f"{where}: hand {row['hand']!r}, expected left or right")
    found: Hand = "left" if hand == "left" else "right"
    if player in hands and not (may_come_again and hands[player] == found):
        raise InputError(f"{where}: player {player!r} is there twice, before as {hands[player]}")
    hands[player] = found
