"""What the server does by itself: backups every few minutes and at the end, lacking copies."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from ttdata.annotate.exchange.backup import back_up
from ttdata.annotate.project import Project
from ttdata.annotate.proxies.queue import make_proxies
from ttdata.annotate.server.context import Context
from ttdata.storage.dataset import REVIEWS

_log = logging.getLogger(__name__)


@asynccontextmanager
async def keeping_up(app: FastAPI) -> AsyncIterator[None]:
    """While the server runs: lacking copies, backups; one more when it ends."""
    context: Context = app.state.context
    project = context.project
    task = asyncio.create_task(_back_up_often(project, 60 * context.settings.backup_minutes))
    ending = threading.Event()
    copies = threading.Thread(target=_make_copies, args=(context, ending), daemon=True)
    copies.start()
    try:
        yield
    finally:
        ending.set()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await run_in_threadpool(copies.join)
        context.last_backup.path = await run_in_threadpool(try_backup, project)


class _Ended(Exception):
    pass


def _make_copies(context: Context, ending: threading.Event) -> None:
    """Make the copies that lack; one that is half made when the server ends is made anew later."""

    def on_frame(*_: object) -> None:
        if ending.is_set():
            raise _Ended

    try:
        sources = [source for _, source in context.films.missing() if source.is_file()]
        for made in make_proxies(sources, context.project.proxies, on_frame) if sources else ():
            if made.problem is not None:
                _log.error("%s: no copy for browsers: %s", made.source, made.problem)
    except _Ended:
        return
    except Exception as error:
        _log.error("copies for browsers cannot be made: %s", error)


async def _back_up_often(project: Project, seconds: float) -> None:
    stored = await run_in_threadpool(_last_event, project)
    while True:
        await asyncio.sleep(seconds)
        # Where nothing happens the same again would push out the backups of better days.
        last = await run_in_threadpool(_last_event, project)
        if last != stored and await run_in_threadpool(try_backup, project) is not None:
            stored = last


def _last_event(project: Project) -> tuple[int, int] | None:
    """The last event's number, and how much reviewers have decided."""
    try:
        with project.marks.reading() as db:
            (found,) = db.execute("SELECT ifnull(max(seq), 0) FROM event").fetchone()
    except Exception as error:
        _log.error("the log cannot be read: %s", error)
        return None
    reviews = project.folder / REVIEWS
    return int(found), reviews.stat().st_size if reviews.is_file() else 0


def try_backup(project: Project) -> Path | None:
    """Write a backup, and tell where; a failure is logged and stops nobody's work."""
    try:
        return back_up(project.folder, project.marks.clock)
    except Exception as error:
        _log.error("no backup could be written: %s", error)
        return None
