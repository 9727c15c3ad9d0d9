"""`kill -9` of the server while thirty people mark: what was answered is there, once."""

import asyncio
import os
import random
import sys
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import httpx
import pytest

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from process import Process

from ttdata.annotate.project import Project
from ttdata.annotate.store.projection import projection_bytes

KILLS = int(os.environ.get("TT_KILLS", "2"))
"""`TT_KILLS=50` is the long form."""
WRITERS = 30


class Writer:
    """One person's outbox: events one after the other, repeated by uuid until they are answered."""

    def __init__(self, number: int, session: str, assignment: str) -> None:
        self.person, self.session, self.assignment = f"p{number}", session, assignment
        self.number = 0
        self.answered: list[str] = []

    async def write(self, browser: httpx.AsyncClient, url: str, cookie: str) -> None:
        """Send until the server is gone."""
        headers = {"Origin": url, "Cookie": f"{cookie}={self.session}"}
        path = f"{url}/api/assignments/{self.assignment}/events"
        while True:
            name = str(uuid5(NAMESPACE_OID, f"{self.person} {self.number}"))
            body = {"kind": "mark_made", "start_frame": 1 + self.number % 30}
            event = {"uuid": name, "assignment": self.assignment, "mark": name, "body": body}
            try:
                answer = await browser.post(path, json=event, headers=headers)
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            assert answer.json()["uuid"] == name
            self.answered.append(name)
            self.number += 1


def writers_of(folder: Path) -> list[Writer]:
    """Thirty people with a session and an open video each."""
    from ttdata.annotate.work.assigning import open_next

    found = []
    with Project(folder) as project:
        for number in range(WRITERS):
            project.people.add(f"p{number}", "annotator")
            session = project.people.accept(project.people.invite(f"p{number}"))
            opened = open_next(project.marks, f"p{number}", golden_share=0, annotators_per_video=30)
            assert opened is not None
            found.append(Writer(number, session, opened.assignment_id))
    return found


async def write_until_killed(served: Process, writers: list[Writer], events: int) -> None:
    """Let all write until so many more events are answered; then kill in mid-write."""
    goal = sum(len(writer.answered) for writer in writers) + events
    limits = httpx.Limits(max_connections=WRITERS, max_keepalive_connections=WRITERS)
    async with httpx.AsyncClient(
        limits=limits, timeout=60, verify=False, trust_env=False
    ) as browser:
        cookie = f"ttdata-{served.port}"
        tasks = [asyncio.create_task(w.write(browser, served.url, cookie)) for w in writers]
        while sum(len(writer.answered) for writer in writers) < goal:
            assert not [task for task in tasks if task.done() and task.exception()]
            await asyncio.sleep(0.001)
        served.process.kill()
        await asyncio.gather(*tasks)
    served.kill()


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * KILLS)
def test_no_answered_event_is_lost_or_doubled(project: Project) -> None:
    project.close()
    writers, draw = writers_of(project.folder), random.Random(1)
    for _ in range(KILLS):
        with Process(project.folder, "--port", "0") as served:
            assert served.url, served.lines
            asyncio.run(write_until_killed(served, writers, draw.randrange(30, 200)))
        check(project.folder, writers)


def check(folder: Path, writers: list[Writer]) -> None:
    with Project(folder) as project:
        with project.marks.reading() as db:
            query = "SELECT uuid FROM event WHERE kind = 'mark_made' ORDER BY seq"
            stored = [uuid for (uuid,) in db.execute(query)]
            (marks,) = db.execute("SELECT count(*) FROM mark").fetchone()
            before = projection_bytes(db)
        project.marks.rebuild()
        with project.marks.reading() as db:
            assert projection_bytes(db) == before
    assert len(stored) == len(set(stored)) == marks
    assert {uuid for writer in writers for uuid in writer.answered} <= set(stored)
    # Of each person at most the last event is stored without an answer, and all are in order.
    assert len(stored) <= sum(len(writer.answered) for writer in writers) + WRITERS
    for writer in writers:
        own = set(writer.answered)
        assert [uuid for uuid in stored if uuid in own] == writer.answered
