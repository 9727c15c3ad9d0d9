"""`kill -9` while eight people mark: what was answered is there, once."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from ttdata.annotate.project import Project, create_project
from ttdata.annotate.store.projection import projection_bytes
from ttdata.annotate.work.videos import add_video
from ttdata.taxonomy import TTSTROKE21

KILLS = int(os.environ.get("TT_KILLS", "3"))
"""`TT_KILLS=50` is the long form."""
WRITERS = 8

SCRIPT = """
import sys, threading
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5
from ttdata.annotate.project import Project
from ttdata.annotate.store.events import AssignmentOpened, Event, MarkMade

folder, first = Path(sys.argv[1]), [int(text) for text in sys.argv[2:]]
project, lock = Project(folder), threading.Lock()

def work(writer):
    person, number = f"p{writer}", first[writer]
    assignment = str(uuid5(NAMESPACE_OID, person))
    opened = Event(uuid=assignment, person=person, assignment=assignment,
        body=AssignmentOpened(video_id="a"))
    project.marks.append(opened)
    while True:
        name = str(uuid5(NAMESPACE_OID, f"{person} {number}"))
        body = MarkMade(start_frame=1 + number % 900)
        project.marks.append(
            Event(uuid=name, person=person, assignment=assignment, mark=name, body=body))
        with lock:
            sys.stdout.write(f"{writer} {number} {name}\\n")
            sys.stdout.flush()
        number += 1

for writer in range(len(first)):
    threading.Thread(target=work, args=(writer,), daemon=True).start()
threading.Event().wait()
"""


def test_no_answered_event_is_lost_or_doubled(tmp_path: Path, make_video) -> None:
    folder = tmp_path / "project"
    with create_project(folder, TTSTROKE21) as project:
        project.marks.write(lambda db: add_video(db, make_video("a")))
    draw = random.Random(1)
    answered: set[str] = set()
    first = [0] * WRITERS
    for _ in range(KILLS):
        # Each writer goes on with the event after the last that was answered: one that was stored
        # and not answered is sent again, as a browser's outbox does.
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT, folder, *map(str, first)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(draw.randrange(5, 120))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout
        for line in lines:
            if line.endswith("\n"):
                writer, number, name = line.split()
                answered.add(name)
                first[int(writer)] = int(number) + 1
        check(folder, answered, first)


def check(folder: Path, answered: set[str], first: list[int]) -> None:
    with Project(folder) as project:
        with project.marks.reading() as db:
            stored = [row[0] for row in db.execute("SELECT uuid FROM event WHERE kind='mark_made'")]
            before = projection_bytes(db)
            marks = db.execute("SELECT count(*) FROM mark").fetchone()[0]
        project.marks.rebuild()
        with project.marks.reading() as db:
            assert projection_bytes(db) == before
    assert answered <= set(stored)
    assert len(stored) == len(set(stored)) == marks
    # At most one event a writer was stored without its answer having been read.
    assert len(stored) <= sum(first) + len(first)
