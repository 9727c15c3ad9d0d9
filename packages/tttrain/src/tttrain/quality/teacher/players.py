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
    lines: Mapping[Place, str] = field(default_factory=dict)
    """File and line that name a place, for messages."""

    def told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A stroke's row with player and session where it lacks them."""
        place = place_of(row)
        if place not in self.ids:
            return dict(row)
        player, session = row["player_id"], row["session_id"]
        return dict(row) | {
            "player_id": self.ids[place] if player is None else player,
            "session_id": self.sessions.get(place) if session is None else session,
        }

    def unknown(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Players and places of the file that no stroke is of: slips of the pen, it may be.

        Raises:
            InputError: if a video is named without a side, and all of its strokes have one.
        """
        rows = list(rows)
        players = {row["player_id"] for row in rows}
        sides: dict[str, set[str]] = {}
        for row in rows:
            sides.setdefault(row["video_id"], set()).add(place_of(row)[1])
        lost = [f"player {name!r}" for name in self.hands if name not in players]
        for video_id, side in self.ids:
            known = sides.get(video_id, set())
            if known and not side and "" not in known:
                raise InputError(
                    f"{self.lines[video_id, side]}: no side, but in video {video_id!r} several "
                    f"play; expected a row for each side ({', '.join(sorted(known))})"
                )
            if not known:
                lost.append(f"video {video_id!r}")
            elif side not in known:
                lost.append(f"side {side!r} of video {video_id!r}")
        return list(dict.fromkeys(lost))


def place_of(row: Mapping[str, Any]) -> Place:
    """Where a stroke was played."""
    return row["video_id"], row.get("side") or ""


def read_players(path: Path | None) -> Players:
    """What the file says; nothing where there is none.

    Args:
        path: CSV with the column `player_id` and at least one of `hand` (left or right) and
            `video_id`; with this, if need be, `side` (of the picture, as an index with several
            players names it) and `session_id`. A row without a video tells a hand only.

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
    named: dict[Place, str] = {}
    for line, row in lines(table):
        where = f"{path}, line {line}"
        _note_hand(where, row, hands, by_video=by_video)
        if not row.get("video_id"):
            continue
        place = row["video_id"], row.get("side", "").lower()
        if place in ids:
            raise InputError(f"{where}: {' '.join(place).strip()!r} is there twice, expected once")
        ids[place], named[place] = row["player_id"], where
        if row.get("session_id"):
            sessions[place] = row["session_id"]
    return Players(hands, ids, sessions, named)


def _note_hand(
    where: str, row: Mapping[str, str], hands: dict[str, Hand], *, by_video: bool
) -> None:
    """The hand of a line's player; the line of a video may leave it empty, or say it again."""
    player, hand = row["player_id"], row.get("hand", "").lower()
    if not player:
        raise InputError(f"{where}: player_id is empty, expected a name")
    if row.get("video_id") and not hand:
        return
    if hand not in ("left", "right"):
        raise InputError(f"{where}: hand {row.get('hand', '')!r}, expected left or right")
    found: Hand = "left" if hand == "left" else "right"
    if player in hands and not (by_video and hands[player] == found):
        raise InputError(f"{where}: player {player!r} is there twice, before as {hands[player]}")
    hands[player] = found
