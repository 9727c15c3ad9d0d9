"""The command: what it prints, what it refuses, how it ends."""

import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from process import Process

from ttdata.annotate.exchange.backup import list_backups
from ttdata.annotate.project import Project
from ttdata.annotate.server import run
from ttdata.annotate.server.lan import lan_names
from ttdata.annotate.server.run import listen, serve_folder
from ttdata.commands.annotate import run_serve
from ttdata.errors import InputError


@pytest.fixture
def folder(project: Project) -> Path:
    """A project that nobody has open."""
    project.close()
    return project.folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    import shutil

    return Project(shutil.copytree(template, tmp_path / "project"))


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def run(folder: Path, *options: str) -> Process:
        made.append(Process(folder, "--port", "0", *options))
        return made[-1]

    yield run
    for each in made:
        if each.process.poll() is None:
            each.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_to_go_and_ends_in_order(start, folder: Path, how: signal.Signals) -> None:
    served = start(folder)
    assert served.lines == [f"{folder}: open {served.url} (Ctrl-C ends it)"]
    assert served.url.startswith("http://127.0.0.1:")
    assert httpx.get(f"{served.url}/login", trust_env=False).status_code == 200
    assert list_backups(folder) == []
    assert served.end(how) == 0
    assert served.lines[1:] == [f"{folder}: closed, with a backup in {folder / 'backups'}"]
    assert len(list_backups(folder)) == 1
    Project(folder).close()  # open to others again


def greeting(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> list[tuple[bool, str]]:
    """What is said before anything is served."""
    monkeypatch.setattr("ttdata.annotate.server.run.serve", lambda *_: None)
    return list(serve_folder(folder, port=0, **options))[:-1]


def test_without_lan_only_this_machine_comes_in(folder: Path, monkeypatch) -> None:
    hosts = []
    monkeypatch.setattr(
        "ttdata.annotate.server.run.listen", lambda *args: hosts.append(args[0]) or listen(*args)
    )
    ((is_warning, line),) = greeting(folder, monkeypatch)
    assert (is_warning, "http://127.0.0.1:" in line, hosts) == (False, True, ["127.0.0.1"])


def test_lan_names_addresses_and_warns(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("ttdata.annotate.server.run.lan_names", lambda: ("192.0.2.7", "pc.local"))
    warning, *others, own = greeting(folder, monkeypatch, lan=True, host_names=("hall.example",))
    assert warning[0]
    assert "without --cert and --key" in warning[1]
    assert [line.rpartition(":")[0] for _, line in others] == [
        "others open http://hall.example",
        "others open http://192.0.2.7",
        "others open http://pc.local",
    ]
    assert "open http://127.0.0.1:" in own[1]


def test_names_of_this_machine_are_no_loopback() -> None:
    assert not [name for name in lan_names() if name.startswith("127.") or name == "localhost"]


def test_the_first_start_shows_one_link(tmp_path: Path, monkeypatch) -> None:
    from ttdata.annotate.project import create_project
    from ttdata.taxonomy import TTSTROKE21

    create_project(tmp_path / "new", TTSTROKE21).close()
    links = [
        line
        for _ in range(2)
        for _, line in greeting(tmp_path / "new", monkeypatch)
        if "first start" in line
    ]
    tokens = {line.rpartition("/setup/")[2] for line in links}
    assert [len(token) for token in tokens] == [22, 22]


def test_a_copy_that_lacks_is_said(folder: Path, monkeypatch) -> None:
    for copy in (folder / "proxies").glob("*.mp4"):
        copy.unlink()
    warnings = [line for is_warning, line in greeting(folder, monkeypatch) if is_warning]
    assert len(warnings) == 3
    assert warnings[0] == "video 'a': its copy for browsers is not there and is made now"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_it_serves_ends_it(folder: Path, how: signal.Signals) -> None:
    before = signal.getsignal(how)
    lines = []
    for _, line in serve_folder(folder, port=0):
        lines.append(line)
        if len(lines) == 1:
            signal.raise_signal(how)
    assert lines[1:] == [f"{folder}: closed, with a backup in {folder / 'backups'}"]
    assert signal.getsignal(how) == before


def test_who_presses_ctrl_c_twice_is_told_whether_there_is_a_backup(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forced(server: Any, listening: socket.socket) -> None:
        server.should_exit = server.force_exit = True
        server.run(sockets=[listening])

    monkeypatch.setattr(run, "serve", forced)
    (*_, (_, last)) = serve_folder(folder, port=0)
    assert ("with a backup in" in last) == bool(list_backups(folder))


def test_a_backup_that_could_not_be_written_is_not_claimed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "serve", lambda *_: None)
    (*_, last) = serve_folder(folder, port=0)
    assert last == (
        True,
        f"{folder}: closed; all that was sent is stored, but not as a backup: "
        f"`ttdata annotate {folder} backup` writes one",
    )


def test_a_port_in_use_is_one_line(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}: cannot be used .*--port"):
            next(serve_folder(folder, port=port))
    Project(folder).close()


def test_a_project_that_is_open_is_one_line(start, folder: Path) -> None:
    start(folder)
    second = start(folder)
    assert second.wait() == 2
    (line,) = second.lines
    assert "is open for writing elsewhere" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"certificate": Path("cert.pem")}, "expected both or none"),
        ({"certificate": Path("none.pem"), "key": Path("none.pem")}, "cannot be used"),
        ({"host_names": ("http://x",)}, "names.0"),
    ],
)
def test_what_does_not_fit_is_one_line(folder: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        next(serve_folder(folder, port=0, **options))
    assert "\n" not in str(caught.value)


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ttdata.commands.annotate.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'ttdata\[annotate\]'"):
        next(run_serve(tmp_path, port=0))


def test_help_imports_nothing_of_the_server() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from ttdata.cli import app\n"
        "for args in (['--help'], ['annotate', 'p', '--help']): CliRunner().invoke(app, args)\n"
        "bad = {'fastapi', 'starlette', 'uvicorn', 'segno', 'anyio', 'polars', 'av'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_https(start, folder: Path, tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(str(key))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(cert), append=True)
    served = start(folder, "--cert", str(cert), "--key", str(key))
    assert served.url.startswith("https://127.0.0.1:")
    url = f"https://localhost:{served.port}"
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with httpx.Client(base_url=url, verify=trusting, trust_env=False) as browser:
        body = {"name": "tess", "password": "a long password"}
        answer = browser.post("/login", json=body, headers={"Origin": url})
        assert answer.status_code == 200
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        assert browser.get("/films/1").status_code == 200
        plain = url.replace("https", "http")
        assert browser.post("/logout", json={}, headers={"Origin": plain}).status_code == 403
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as raw:
        raw.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not raw.recv(100).startswith(b"HTTP/1.1 200")
    assert served.end() == 0
