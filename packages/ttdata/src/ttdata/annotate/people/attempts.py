"""How often somebody may try a password."""

from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock


class Attempts:
    """Counts logins by a key, such as a name, that were not right, over the last minute.

    >>> attempts = Attempts(clock=lambda: 0, most=2)
    >>> [attempts.begin(name) for name in ("ann", "ann", "ann", "bob")]
    [True, True, False, True]
    """

    def __init__(self, clock: Callable[[], int], most: int = 5, window_ms: int = 60_000) -> None:
        """A counter that knows of nobody.

        Args:
            clock: milliseconds.
            most: wrong logins in the window; after these none is allowed.
            window_ms: how long a wrong login counts, in milliseconds.
        """
        self._clock, self._most, self._window = clock, most, window_ms
        self._times: defaultdict[str, deque[int]] = defaultdict(deque)
        self._lock = Lock()

    def begin(self, key: str) -> bool:
        """Whether one more login may be tried; it counts as wrong until it is known as right."""
        now = self._clock()
        with self._lock:
            self._forget(now - self._window, now)
            if len(self._times[key]) >= self._most:
                return False
            self._times[key].append(now)
            return True

    def right(self, key: str) -> None:
        """Forget the key: this login was right."""
        with self._lock:
            self._times.pop(key, None)

    def _forget(self, before: int, now: int) -> None:
        """Drop what is older, of all keys: names that were made up leave, too.

        Also what lies ahead: a clock that was put back would keep somebody out for as long.
        """
        for key, times in list(self._times.items()):
            while times and not before < times[0] <= now:
                times.popleft()
            if not times:
                del self._times[key]
