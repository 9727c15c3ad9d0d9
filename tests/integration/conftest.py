"""Runs the real commands as a user would: a process each, in a folder of its own."""

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
# Ray Train looks at its workers every 2 s, longer than most trainings here take, and has a process
# that watches for machines about to be taken away; Ray starts workers before they are needed.
QUICK_RAY = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_prestart_worker_first_driver": "0",
}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def environment() -> dict[str, str]:
    """The environment of a command: ours, with the interpreter's scripts first on the path."""
    scripts = str(Path(sys.executable).parent)
    path = scripts + os.pathsep + os.environ.get("PATH", "")
    return os.environ | QUICK_RAY | {"PATH": path}


def run_command(
    *command: str | Path,
    cwd: Path | None = None,
    timeout: float = 600,
    code: int | None = 0,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command and expect an exit code (None: any)."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if code is not None and result.returncode != code:
        pytest.fail(
            f"{' '.join(map(str, command))}: exit code {result.returncode}, expected {code}\n"
            f"{result.stdout[-3000:]}\n{result.stderr[-6000:]}"
        )
    return result


@pytest.fixture(scope="session")
def run() -> Run:
    return run_command


def page_commands(page: Path) -> list[list[str]]:
    """The lines of a page's shell blocks, without remarks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.fixture(scope="session")
def commands() -> Callable[[Path], list[list[str]]]:
    return page_commands


@pytest.fixture(scope="session")
def scripts() -> dict[str, str]:
    """The environment in which our commands are found."""
    return environment()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real videos that TT_REAL_DATA names."""
    folder = os.environ.get("TT_REAL_DATA")
    if not folder:
        pytest.skip("TT_REAL_DATA does not name a folder of real videos")
    return Path(folder)


def process_tree(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started, by process id."""
    return sorted([root, *root.children(recursive=True)], key=lambda item: item.pid)


def ray_workers(root: psutil.Process, task: str = "") -> list[psutil.Process]:
    """The Ray workers below a process, by process id; of a task only those that run it now."""
    named = []
    for item in process_tree(root):
        with contextlib.suppress(psutil.NoSuchProcess):
            named.append((item, "".join(item.cmdline()[:1])))
    found = [(item, name) for item, name in named if name.startswith("ray::") and task in name]
    return [item for item, name in found if "Agent" not in name]


@pytest.fixture(scope="session")
def processes() -> SimpleNamespace:
    """What runs below a command."""
    return SimpleNamespace(tree=process_tree, workers=ray_workers)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


HEAD_PORTS = (
    *("port", "dashboard-port", "ray-client-server-port", "metrics-export-port"),
    *("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port"),
)


@contextlib.contextmanager
def started_head() -> Iterator[SimpleNamespace]:
    """A head node, as `ray_head` tells."""
    # A short path: the sockets inside have names of at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="tt", dir="/tmp"))
    ports = dict(zip(HEAD_PORTS, free_ports(len(HEAD_PORTS)), strict=True))
    # Both sides must agree on this; an earlier `ray.init()` may have left a token behind.
    env = environment() | {"RAY_AUTH_MODE": "disabled"}
    env.pop("RAY_ADDRESS", None)
    command = ["ray", "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=3"]
    command += [
        "--node-ip-address=127.0.0.1",
        f"--temp-dir={folder}",
        "--object-store-memory=200000000",
    ]
    command += [f"--{name}={port}" for name, port in ports.items()]
    log = (folder / "start.log").open("w")
    process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        wait_for(f"{address}/api/version", process, folder / "start.log")
        joined = env | {"RAY_ADDRESS": f"127.0.0.1:{ports['port']}"}
        yield SimpleNamespace(address=address, env=env, joined=joined)
    finally:
        end(process)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a started process answers."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"{url} does not answer:\n{log.read_text()[-3000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; asked politely, Ray takes half a minute."""
    if process.poll() is None:
        for item in reversed(process_tree(psutil.Process(process.pid))):
            with contextlib.suppress(psutil.NoSuchProcess):
                item.kill()
    process.wait()


class Head:
    """The head node of this process, while tests need it: idle it takes some 5 % of a core."""

    def __init__(self) -> None:
        self._running = contextlib.ExitStack()
        self._found: SimpleNamespace | None = None

    def started(self) -> SimpleNamespace:
        """Start it, unless it runs."""
        if self._found is None:
            self._found = self._running.enter_context(started_head())
        return self._found

    def end(self) -> None:
        """End it, if it runs."""
        self._found = None
        self._running.close()


HEAD = Head()


@pytest.fixture(scope="module")
def ray_head() -> SimpleNamespace:
    """A head node, which modules share that are marked `ray` and follow each other.

    `address` of its dashboard, `env` for commands that submit jobs there, `joined` for commands
    that work on it themselves: most of a small command's time is Ray's start.
    """
    return HEAD.started()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the head node once the next test of this process is none of those that share it."""
    here = nextitem is not None and nextitem.path.parent == item.path.parent
    if not here or nextitem.get_closest_marker("ray") is None:
        HEAD.end()


def pytest_sessionfinish() -> None:
    """Also after an interruption."""
    HEAD.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no chromium here")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()
