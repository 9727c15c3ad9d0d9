"""Lines that a command prints for its user beside its result."""


class Note(str):
    """A line about how the work went: it is printed on stderr, so that pipes hold results only."""

    __slots__ = ()
