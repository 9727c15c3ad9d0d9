"""Lines that a command prints for its user beside its result."""

from collections.abc import Iterable


class Note(str):
    """A line about how the work went: it is printed on stderr, so that pipes hold results only."""

    __slots__ = ()


def print_lines(lines: Iterable[str]) -> None:
    """Print a command's lines as they come, its notes on stderr."""
    import typer

    for line in lines:
        typer.echo(line, err=isinstance(line, Note))
