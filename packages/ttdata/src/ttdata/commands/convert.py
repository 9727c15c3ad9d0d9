"""The `ttdata convert` command: annotations written in another format."""

from collections.abc import Iterator
from pathlib import Path

from ttdata.commands.notes import Note
from ttdata.commands.options import parse_window
from ttdata.sources.conversion import convert_source


def run_convert(
    source: Path, out: Path, to: str, *, source_format: str | None = None, event_window: str
) -> Iterator[str]:
    """Convert a source, see `convert_source`; yields the lines to print.

    Raises:
        InputError: if the source, the target or the window does not fit.
        TTError: if the target cannot be written.
    """
    window = parse_window(event_window)
    done = convert_source(source, out, to, source_format=source_format, window=window)
    yield from map(Note, done.notes)
    yield done.summary
