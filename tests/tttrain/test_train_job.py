"""A submitted job on a cluster of its own trains, loses a worker on the way, and ends complete."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tttrain.evaluation import evaluate
from tttrain.run import Run

psutil = pytest.importorskip("psutil")

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = ("epochs=80", "batch_size=5", "checkpoint_minutes=0", "device=cpu", "data_path=resident")


PORTS = (
    *("port", "dashboard-port", "ray-client-server-port", "metrics-export-port"),
    *("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port"),
)


def free_ports() -> dict[str, int]:
    """A free port for each server of a head node, so that it can stand beside others."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in PORTS]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return {name: item.getsockname()[1] for name, item in zip(PORTS, sockets, strict=True)}


@pytest.fixture
def environment() -> dict[str, str]:
    """Ours, with this interpreter's scripts first, and without what an earlier Ray left behind."""
    scripts = str(Path(sys.executable).parent)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    own = {"PATH": scripts + os.pathsep + kept.get("PATH", ""), "OMP_NUM_THREADS": "1"}
    # A head node and the commands that talk to it must agree on this.
    return kept | own | {"RAY_AUTH_MODE": "disabled"}


@pytest.fixture
def dashboard(environment: dict[str, str]) -> Iterator[str]:
    """The address of a head node's job server."""
    ports = free_ports()
    # A short path: the sockets in it have names of at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="tt", dir="/tmp"))
    command = ["ray", "start", "--head", "--block", "--num-cpus=3", "--disable-usage-stats"]
    command += ["--node-ip-address=127.0.0.1", f"--temp-dir={folder}"]
    command += ["--object-store-memory=134217728"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("w") as log:
        head = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{ports['dashboard-port']}"
        finally:
            end(head)
    shutil.rmtree(folder, ignore_errors=True)


def end(head: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    if head.poll() is None:
        root = psutil.Process(head.pid)
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    head.wait()


def kill_a_worker(run: Run, seconds: float) -> str:
    """Kill the process that trains once its first epoch is written."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if run.checkpoint_path.is_file():
            for process in psutil.process_iter(["cmdline"]):
                name = "".join((process.info["cmdline"] or [])[:1])
                if "TrainWorker" in name and holds(process, run):
                    os.kill(process.pid, signal.SIGKILL)
                    return name
        time.sleep(0.1)
    return "nobody"


def holds(process: Any, run: Run) -> bool:
    """Whether it is this run's: it has the folder's lock open."""
    with contextlib.suppress(psutil.Error):
        return any(item.path == str(run.folder / ".worker.lock") for item in process.open_files())
    return False


def test_job(environment: dict[str, str], dashboard: str, shards: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    (tmp_path / "project").mkdir()
    wait_for(dashboard, environment)
    fit = ["python", "-m", "tttrain", "fit", "--data", str(shards), "--out", str(run.folder)]
    fit += ["--recipe", "demo", *(part for item in SETTINGS for part in ("--set", item))]
    submit = ["ray", "job", "submit", "--address", dashboard, "--working-dir", ".", "--", *fit]
    job = subprocess.Popen(
        submit,
        cwd=tmp_path / "project",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    killed = kill_a_worker(run, 240)
    text, _ = job.communicate(timeout=300)
    assert job.returncode == 0, text
    assert "TrainWorker" in killed, text
    assert run.info().state == "finished"
    assert [entry["epoch"] for entry in run.metrics()] == list(range(80))
    assert json.loads((run.model_folder / "config.json").read_text())
    assert evaluate(run.folder, shards)["methods"]["test"]["n"] == 6


def wait_for(dashboard: str, environment: dict[str, str]) -> None:
    """Until the job server answers."""
    for _ in range(60):
        command = ["ray", "job", "list", "--address", dashboard]
        if (
            subprocess.run(command, env=environment, capture_output=True, check=False).returncode
            == 0
        ):
            return
        time.sleep(1)
    pytest.fail(f"no job server at {dashboard}")
