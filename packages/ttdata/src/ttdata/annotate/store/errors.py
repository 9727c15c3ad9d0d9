"""What a project refuses. Each is one line that a person can act on."""

from ttdata.annotate.store.states import MarkState
from ttdata.errors import InputError, TTError


class ProjectError(InputError):
    """A project folder is missing, damaged, in use or of another release."""


class Refused(InputError):
    """An event that would break a rule; nothing was stored."""


class NotOwn(Refused):
    """An event about work that is none of its person's: he may have logged in as somebody else.

    Whoever sent it should keep it until the right person is back: servers answer 403.
    """


class TooMany(Refused):
    """Too many wrong logins for now: servers answer 429."""


class DiskFull(TTError):
    """The disk of the project is full; nothing was stored. Servers answer 507."""

    def __init__(self) -> None:
        super().__init__(
            "nothing was stored, the project's disk is full; make room on it and try again"
        )


class TooOften(TTError):
    """More events of one person than are taken in a while.

    Whoever sent it keeps it and waits for `seconds`: servers answer 429 with `Retry-After`.
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"too many changes at once: the next one is taken in {seconds} s")


class Conflict(TTError):
    """An event speaks of a mark as it is no longer; nothing was stored.

    `mark` is the mark as it is.
    """

    def __init__(self, mark: MarkState) -> None:
        self.mark = mark
        super().__init__(
            f"mark {mark.mark_id}: is at revision {mark.revision}; look at it and try again"
        )
