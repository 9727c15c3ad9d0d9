"""Proxies of many videos, one after the other or several at once, whatever becomes of one."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ttdata.annotate.proxies.make import Proxy, make_proxy
from ttdata.errors import VideoError

_ABANDONED_SECONDS = 60.0
"""Unfinished files that nobody has written to for as long are of a process that was killed."""


@dataclass(frozen=True)
class Made:
    """What became of one video: a proxy, or the reason why there is none."""

    source: Path
    proxy: Proxy | None
    problem: str | None = None


def make_proxies(
    sources: Iterable[Path],
    folder: Path,
    on_frame: Callable[[Path, int, int], None] | None = None,
    workers: int = 1,
) -> Iterator[Made]:
    """Make the proxies of videos; yields each as it is finished.

    Finished proxies are not made again, so a queue that was killed goes on where it was.

    Args:
        sources: the videos; one that is there twice is made once.
        folder: of the proxies.
        on_frame: told the source, frames written and frames promised, from the workers' threads;
            what it raises ends the queue.
        workers: how many videos at once, a core each.

    Raises:
        OSError: if a proxy cannot be written.
    """
    remove_abandoned(folder)

    def one(source: Path) -> Made:
        def tell(done: int, promised: int) -> None:
            if on_frame is not None:
                on_frame(source, done, promised)

        try:
            return Made(source, make_proxy(source, folder, tell))
        except VideoError as error:
            return Made(source, None, str(error))

    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        running = [pool.submit(one, source) for source in dict.fromkeys(sources)]
        for finished in as_completed(running):
            yield finished.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what a killed process left half written; what is being written is left alone."""
    for path in folder.glob(".*.mp4.*.tmp"):
        if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
            path.unlink(missing_ok=True)
