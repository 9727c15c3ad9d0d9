"""Thirty simulated annotators at the annotation server: how long an event takes until it is stored.

    python benchmarks/bench_annotate_server.py [--seconds 600] [--people 30] [--quick] [--out FILE]

The real server in a process of its own, over loopback; a 720p film. Each annotator sends an event a
second and fetches a part of the film, both by the clock, whatever is still under way: the time
counts from when it should have been sent. At the end every event must be in the log once.
`--quick`: a small film, 5 s.
"""

import argparse
import asyncio
import platform
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np

from ttdata.annotate.exchange.adding import add_paths
from ttdata.annotate.project import Project, create_project
from ttdata.annotate.work.assigning import open_next
from ttdata.machine import available_cores
from ttdata.taxonomy import TTSTROKE21

sys.path.append(
    str(Path(__file__).resolve().parents[1] / "tests" / "ttdata" / "annotate" / "player")
)
sys.path.append(
    str(Path(__file__).resolve().parents[1] / "tests" / "ttdata" / "annotate" / "server")
)
from numbered import four_sources
from process import Process

PART = 256 * 1024
"""Bytes of the film that are fetched at once."""


@dataclass(frozen=True)
class Annotator:
    """Who works on what."""

    session: str
    assignment: str
    film: str
    num_frames: int


@dataclass
class Load:
    """What was measured, in seconds."""

    events: list[float] = field(default_factory=list)
    films: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)


def make_project(folder: Path, people: int, frames: int, size_hw: tuple[int, int]) -> Path:
    """A project of one video that all may mark."""
    sources = folder / "videos"
    sources.mkdir(parents=True)
    source = four_sources(sources, frames, size_hw)["constant"]
    with create_project(folder / "project", TTSTROKE21) as project:
        add_paths(project, [source])
        for number in range(people):
            project.people.add(f"p{number}", "annotator")
    return folder / "project"


def annotators(folder: Path, people: int) -> list[Annotator]:
    """All with a session and the video open."""
    with Project(folder) as project:
        with project.marks.reading() as db:
            (num_frames,) = db.execute("SELECT num_frames FROM video").fetchone()
        found = []
        for number in range(people):
            session = project.people.accept(project.people.invite(f"p{number}"))
            opened = open_next(project.marks, f"p{number}", annotators_per_video=people)
            assert opened is not None
            film = f"/films/{opened.assignment_id}"
            found.append(Annotator(session, opened.assignment_id, film, num_frames))
    return found


async def run_load(url: str, who: list[Annotator], seconds: int) -> Load:
    """All at work at once."""
    load, draw = Load(), random.Random(0)
    limits = httpx.Limits(max_connections=2 * len(who), max_keepalive_connections=2 * len(who))
    cookie = f"ttdata-{url.rpartition(':')[2]}"
    async with httpx.AsyncClient(
        base_url=url, limits=limits, timeout=60, verify=False, trust_env=False
    ) as browser:
        begin = time.perf_counter() + 0.5
        tasks = []
        for person in who:
            headers = {"Origin": url, "Cookie": f"{cookie}={person.session}"}
            offset = draw.random()
            for second in range(seconds):
                at = begin + offset + second
                tasks.append(_event(browser, load, person, headers, at))
                tasks.append(_film(browser, load, person, headers, at + 0.3))
        await asyncio.gather(*tasks)
    return load


async def _event(
    browser: httpx.AsyncClient, load: Load, who: Annotator, headers: dict[str, str], at: float
) -> None:
    name = str(uuid4())
    start = random.Random(name).randrange(1, who.num_frames)
    body = {"kind": "mark_made", "start_frame": start}
    event = {"uuid": name, "assignment": who.assignment, "mark": name, "body": body}
    await asyncio.sleep(max(0.0, at - time.perf_counter()))
    try:
        answer = await browser.post(
            f"/api/assignments/{who.assignment}/events", json=event, headers=headers
        )
    except httpx.HTTPError as error:
        load.errors.append(repr(error))
        return
    load.events.append(time.perf_counter() - at)
    if answer.status_code == 200:
        load.answered.add(name)
    else:
        load.errors.append(answer.text)


async def _film(
    browser: httpx.AsyncClient, load: Load, who: Annotator, headers: dict[str, str], at: float
) -> None:
    await asyncio.sleep(max(0.0, at - time.perf_counter()))
    first = random.Random(at).randrange(4) * PART // 8
    ranged = headers | {"Range": f"bytes={first}-{first + PART - 1}"}
    try:
        answer = await browser.get(who.film, headers=ranged)
    except httpx.HTTPError as error:
        load.errors.append(repr(error))
        return
    load.films.append(time.perf_counter() - at)
    if answer.status_code not in (206, 416):  # a small film ends before the part
        load.errors.append(f"film: {answer.status_code}")


def stored_events(folder: Path) -> list[str]:
    """The events of marks in the log."""
    with Project(folder) as project, project.marks.reading() as db:
        return [row[0] for row in db.execute("SELECT uuid FROM event WHERE kind = 'mark_made'")]


def measure(folder: Path, people: int, seconds: int, frames: int, size_hw: tuple[int, int]) -> Load:
    """Make the project, serve it, load it, and look whether everything arrived once."""
    project = make_project(folder, people, frames, size_hw)
    who = annotators(project, people)
    with Process(project, "--port", "0") as served:
        if not served.url:
            raise SystemExit("\n".join(served.lines))
        load = asyncio.run(run_load(served.url, who, seconds))
        served.end()
    stored = stored_events(project)
    lost, doubled = load.answered - set(stored), len(stored) - len(set(stored))
    if lost or doubled:
        load.errors.append(f"{len(lost)} answered events lost, {doubled} doubled")
    return load


def row(kind: str, seconds: list[float]) -> str:
    """A line of the table, in milliseconds."""
    median, p95, p99 = (1000 * float(np.quantile(seconds, q)) for q in (0.5, 0.95, 0.99))
    most = 1000 * max(seconds)
    return f"| {kind} | {len(seconds)} | {median:.0f} | {p95:.0f} | {p99:.0f} | {most:.0f} |"


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="a small film, 5 s")
    parser.add_argument("--out", type=Path, help="also write the table here")
    options = parser.parse_args()
    seconds = 5 if options.quick else options.seconds
    frames, size_hw = (240, (90, 160)) if options.quick else (1200, (720, 1280))
    with tempfile.TemporaryDirectory() as name:
        load = measure(Path(name), options.people, seconds, frames, size_hw)
    lines = [
        f"{options.people} annotators, {seconds} s, an event and a part of the film a second each; "
        f"{available_cores()} cores, {platform.machine()}, "
        f"fastapi {version('fastapi')}, uvicorn {version('uvicorn')}.",
        "",
        "| ms from when it was due | number | median | 95th | 99th | most |",
        "|---|---|---|---|---|---|",
        row("event, until it is on the disk", load.events),
        row("256 KiB of the film", load.films),
        "",
        f"Errors: {len(load.errors)}{' ' + load.errors[0] if load.errors else ''}",
    ]
    text = "\n".join(lines)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    sys.exit(bool(load.errors))


if __name__ == "__main__":
    main()
