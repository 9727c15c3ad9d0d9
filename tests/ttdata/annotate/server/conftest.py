"""A project of three tiny films, served by the real server in a thread."""

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ttdata.annotate.exchange.adding import add_paths
from ttdata.annotate.people import passwords
from ttdata.annotate.project import Project, ProjectInfo, create_project
from ttdata.annotate.store.states import Role
from ttdata.taxonomy import TTSTROKE21

# Without ttdata[annotate] there is nothing to test here.
_NEEDED = ("fastapi", "uvicorn", "segno", "httpx")
collect_ignore_glob = [] if all(map(find_spec, _NEEDED)) else ["test_*.py"]

PASSWORD = "a long password"
NUM_FRAMES = 40
HIT = "Offensive Forehand Hit"


@dataclass
class Running:
    """A served project."""

    project: Project
    app: Any
    settings: Any

    @property
    def url(self) -> str:
        return self.settings.origin_of("127.0.0.1")

    def client(self, pseudonym: str | None = None) -> Any:
        """A browser, so to speak; logged in as a person, if one is named."""
        import httpx

        found = httpx.Client(
            base_url=self.url,
            headers={"Origin": self.url},
            timeout=20,
            trust_env=False,
            verify=False,  # reading the system's certificates takes longer than most tests
        )
        if pseudonym is not None:
            people = self.project.people
            session = people.accept(people.invite(pseudonym))
            found.cookies.set(self.settings.cookie, session, domain="127.0.0.1")
        return found


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a password costs is tested beside it."""
    monkeypatch.setattr(passwords, "_N", 2**4)


@pytest.fixture(scope="session")
def template(write_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with the videos `a`, `b`, `c` and one person of each role."""
    videos = tmp_path_factory.mktemp("videos")
    for place, name in enumerate("abc"):
        write_video(videos / f"{name}.mp4", NUM_FRAMES + place)
    folder = tmp_path_factory.mktemp("template") / "project"
    with (
        pytest.MonkeyPatch.context() as patch,
        create_project(folder, TTSTROKE21, ProjectInfo(golden_share=0)) as project,
    ):
        patch.setattr(passwords, "_N", 2**4)
        add_paths(project, [videos])
        project.people.add("tess", "teacher", password=PASSWORD)
        for name, role in (("ann", "annotator"), ("bob", "annotator"), ("rex", "reviewer")):
            project.people.add(name, role)
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Iterator[Project]:
    folder = shutil.copytree(template, tmp_path / "project")
    with Project(folder) as opened:
        yield opened


@contextmanager
def running(project: Project, port: int = 0, **options: Any) -> Iterator[Running]:
    """Serve a project, by default on a free port."""
    from ttdata.annotate.server.app import create_app
    from ttdata.annotate.server.run import listen, make_server
    from ttdata.annotate.server.settings import ServeSettings

    socket = listen("127.0.0.1", port)
    settings = ServeSettings(port=socket.getsockname()[1], **options)
    app = create_app(project, settings)
    server = make_server(app, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.005)
    assert server.started
    try:
        yield Running(project, app, settings)
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def served(project: Project) -> Iterator[Running]:
    with running(project) as found:
        yield found


@pytest.fixture(scope="session")
def run_server() -> Callable[..., Any]:
    """`with run_server(project, **settings) as served`."""
    return running


@pytest.fixture
def serve_with(project: Project) -> Callable[..., Any]:
    """`with serve_with(backup_minutes=1) as served`: with other settings."""
    return lambda **options: running(project, **options)


@pytest.fixture
def client(served: Running) -> Iterator[Callable[[Role | None], Any]]:
    """`client("teacher")`: a browser that is logged in in this role; None: as nobody."""
    names: dict[Role | None, str | None] = {
        None: None,
        "annotator": "ann",
        "reviewer": "rex",
        "teacher": "tess",
    }
    made = []

    def make(role: Role | None = None) -> Any:
        made.append(served.client(names[role]))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Hand:
    """A person who opens videos and marks them through the API."""

    def __init__(self, client: Any, first: int = 1) -> None:
        self.client = client
        self._numbers = itertools.count(first * 100_000)
        self.assignment = ""

    def uid(self) -> str:
        return str(UUID(int=next(self._numbers)))

    def open(self) -> str:
        """The next video; gives the assignment."""
        answer = self.client.get("/annotate", follow_redirects=True)
        assert answer.status_code == 200, answer.text
        self.assignment = answer.url.path.rpartition("/")[2]
        return self.assignment

    def send(self, kind: str, mark: str | None = None, base: int | None = None, **body: Any) -> Any:
        event = {
            "uuid": self.uid(),
            "assignment": self.assignment,
            "mark": mark,
            "base_revision": base,
            "body": {"kind": kind, **body},
        }
        return self.client.post(f"/api/assignments/{self.assignment}/events", json=event)

    def finish(self, *strokes: tuple[int, int, str]) -> None:
        """Mark strokes in the open video and say done."""
        for start, end, label in strokes:
            answer = self.send(
                "mark_made", self.uid(), start_frame=start, end_frame=end, label=label
            )
            assert answer.status_code == 200, answer.text
        num_frames = self.data()["video"]["num_frames"]
        assert self.send("seen", spans=[[0, num_frames]]).status_code == 200
        answer = self.send("done")
        assert answer.status_code == 200, answer.text

    def data(self) -> Any:
        return self.client.get(f"/api/assignments/{self.assignment}/data").json()


@pytest.fixture
def hand() -> type[Hand]:
    return Hand
