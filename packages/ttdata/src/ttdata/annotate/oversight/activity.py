"""What people did and when, told by the times of their events."""

import sqlite3
import threading
from collections import deque
from dataclasses import dataclass, field

from ttdata.settings import FrozenModel

HOUR_MS = 3_600_000
PAUSE_MS = 120_000
"""Two events farther apart than this have a pause between them, which is no time spent."""
_OF_WORK = (
    *("assignment_opened", "mark_made", "bounds_changed", "label_set", "player_set"),
    *("mark_removed", "undone", "redone", "seen", "done"),
)
"""What people do at a video. Logging in, exporting and opening again is none of it."""


class PersonActivity(FrozenModel):
    """One person's work until now."""

    last_at: int | None = None
    """When he last did something at a video: milliseconds since 1970, UTC."""
    spent_ms: int = 0
    """Time at videos, without pauses."""
    marks_last_hour: int = 0
    """Marks that he made within the last hour and that still stand."""


@dataclass
class _Tally:
    last_at: int | None = None
    spent_ms: int = 0
    made: deque[tuple[int, str]] = field(default_factory=deque)
    """When and which, of the last hour."""

    def add(self, at: int, kind: str, mark: str | None) -> None:
        if self.last_at is not None and at - self.last_at <= PAUSE_MS:
            self.spent_ms += max(at - self.last_at, 0)
        self.last_at = max(at, self.last_at or at)
        if kind == "mark_made" and mark is not None:
            self.made.append((at, mark))


class Activity:
    """Reads each event once: asking again costs no more than what is new. Safe in threads."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._people: dict[str, _Tally] = {}
        self._after = 0
        self._lock = threading.Lock()

    def read(self, connection: sqlite3.Connection, now: int) -> dict[str, PersonActivity]:
        """By pseudonym, what each did until now; nobody is in it who did nothing.

        Imported work counts as done at the moment of the import, and took no time.

        Args:
            connection: to the project's database; always the same one's.
            now: milliseconds since 1970, UTC.
        """
        with self._lock:
            self._read_new(connection)
            query = "SELECT mark_id FROM mark WHERE removed"
            removed = {mark_id for (mark_id,) in connection.execute(query)}
            return {name: _activity(t, removed, now) for name, t in self._people.items()}

    def _read_new(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT seq, at, person, kind, mark FROM event WHERE seq > ? ORDER BY seq",
            (self._after,),
        )
        for seq, at, person, kind, mark in rows:
            self._after = seq
            if kind in _OF_WORK:
                self._people.setdefault(person, _Tally()).add(at, kind, mark)


def _activity(tally: _Tally, removed: set[str], now: int) -> PersonActivity:
    while tally.made and tally.made[0][0] <= now - HOUR_MS:
        tally.made.popleft()
    return PersonActivity(
        last_at=tally.last_at,
        spent_ms=tally.spent_ms,
        marks_last_hour=sum(mark not in removed for _, mark in tally.made),
    )
