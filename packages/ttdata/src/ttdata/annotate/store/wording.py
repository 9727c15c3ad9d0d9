"""Counts in words."""


def number_of(count: float, noun: str, plural: str | None = None) -> str:
    """How many of something there are.

    >>> number_of(1, "mark"), number_of(0, "mark"), number_of(2.5, "frame")
    ('1 mark', '0 marks', '2.5 frames')
    >>> number_of(2, "person has", "people have")
    '2 people have'
    """
    words = noun if count == 1 else plural or f"{noun}s"
    return f"{count} {words}".replace(".0 ", " ", 1)
