"""Error messages, exit codes and progress bars of all command lines."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from ttdata.errors import TTError

T = TypeVar("T")


def run(app: Callable[[], object]) -> None:
    """Run a command-line app: our errors become one line on stderr and an exit code.

    Exit codes: 0 done, 1 the work failed, 2 wrong usage or input.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except TTError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno is None:  # not the operating system's: all of it helps
            raise
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"error: {where}{error.strerror}\n")
        sys.exit(1)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items, with a progress bar on a terminal and a line every few seconds elsewhere."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(
            items, description, total=total, console=Console(stderr=True), transient=True
        )
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= 5 or done == total:
            last = now
            of_total = f"/{total}" if total else ""
            left = f", {(now - start) / done * (total - done):.0f} s left" if total else ""
            sys.stderr.write(f"{description} {done}{of_total}{left}\n")
