"""How many changes somebody may send."""

import math
import time
from collections.abc import Callable
from threading import Lock

PER_SECOND, AT_ONCE = 50.0, 500
"""Nobody marks as fast; a page that was offline for hours still sends all it kept."""


class Pace:
    """So many changes at once, and afterwards so many a second, for each person.

    >>> pace = Pace(clock=lambda: 0.0, per_second=2, at_once=2)
    >>> [pace.seconds_to_wait(name) for name in ("ann", "ann", "ann", "bob")]
    [0, 0, 1, 0]
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        per_second: float = PER_SECOND,
        at_once: int = AT_ONCE,
    ) -> None:
        """A count that knows of nobody.

        Args:
            clock: seconds, which never go back.
            per_second: changes that are taken in the long run.
            at_once: changes that are taken after a long pause.
        """
        self._clock, self._per_second, self._at_once = clock, per_second, at_once
        self._left: dict[str, tuple[float, float]] = {}  # how many, as of when
        self._lock = Lock()

    def seconds_to_wait(self, person: str) -> int:
        """Take a change of a person and return 0, or take none: seconds until he may again."""
        now = self._clock()
        with self._lock:
            left = self._left_at(now, person)
            if left < 1:
                return math.ceil((1 - left) / self._per_second)
            self._left[person] = (left - 1, now)
            return 0

    def charge(self, person: str) -> None:
        """Count a change that is taken in any case."""
        now = self._clock()
        with self._lock:
            self._left[person] = (self._left_at(now, person) - 1, now)

    def _left_at(self, now: float, person: str) -> float:
        left, at = self._left.get(person, (float(self._at_once), now))
        return min(float(self._at_once), left + (now - at) * self._per_second)
