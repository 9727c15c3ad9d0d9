"""Names of pages: any player or class makes one, and no two make the same."""

from ttflow.shards.layout import video_stem


def page_name(name: str) -> str:
    """A file name: a readable part, then a hash of all of it.

    >>> page_name("O'Brien"), page_name("O Brien")
    ('O_Brien.e6e62496.html', 'O_Brien.c3b2de97.html')
    """
    return f"{video_stem(name)}.html"
