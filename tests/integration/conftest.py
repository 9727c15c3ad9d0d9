"""Runs the real commands as a user would: a process each, in a folder of its own."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    """The environment of a command: ours, with the interpreter's scripts first on the path."""
    scripts = str(Path(sys.executable).parent)
    return os.environ | {"PATH": scripts + os.pathsep + os.environ.get("PATH", "")}


def run_command(
    *command: str | Path, cwd: Path | None = None, timeout: float = 600, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command and expect an exit code (None: any)."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(),
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


def computing_processes(root: psutil.Process) -> list[psutil.Process]:
    """The Ray workers below a process, by process id."""
    named = []
    for item in process_tree(root):
        with contextlib.suppress(psutil.NoSuchProcess):
            named.append((item, "".join(item.cmdline()[:1])))
    return [item for item, name in named if name.startswith("ray::") and "Agent" not in name]


def youngest_worker(root: psutil.Process) -> psutil.Process:
    """The youngest process that computes, or the command itself before there is one."""
    return (computing_processes(root) or [root])[-1]


@pytest.fixture(scope="session")
def processes() -> SimpleNamespace:
    """What runs below a command."""
    return SimpleNamespace(tree=process_tree, workers=computing_processes, worker=youngest_worker)
