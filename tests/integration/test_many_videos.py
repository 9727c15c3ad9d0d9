"""Whole videos on Ray: tasks, `kill -9` of everything at once, submitted jobs; the same bytes.

Usually each command is killed once, amid its videos. TT_KILLS=n kills it n times at any moment.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

sys.path.append(str(Path(__file__).parents[1] / "tttrain" / "commands"))
from bright_videos import write_dataset_of, write_run, write_videos

PAGE = Path(__file__).parents[2] / "docs" / "running_on_a_cluster.md"
KILLS = int(os.environ.get("TT_KILLS", "0"))

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1500)]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def fit_detector(run_folder: Path, dataset: Path, *options: str) -> list[str]:
    command = ["tttrain", "fit-detector", str(run_folder), "--dataset", str(dataset)]
    return [*command, "--set", "head.epochs=6", *options]


@pytest.fixture(scope="module")
def at(run, tmp_path_factory) -> Path:
    """`run` with a detector, `bare` without; `videos`, one of which is damaged; `dataset`."""
    at = tmp_path_factory.mktemp("many videos")
    videos = write_videos(at / "videos")
    write_dataset_of(videos, at / "dataset", {"t0": "train"})
    write_run(at / "bare")
    (videos / "damaged.mp4").write_bytes(b"no film")
    shutil.copytree(at / "bare", at / "run")
    run(*fit_detector(at / "run", at / "dataset", "--workers", "1"))
    return at


def index(at: Path, name: str, *options: str) -> list[str]:
    command = ["tttrain", "index", str(at / "run"), str(at / "videos")]
    return [*command, "--out", str(at / name), *options]


@pytest.fixture(scope="module")
def whole(run, at: Path) -> Path:
    """The index of one process, undisturbed."""
    said = run(*index(at, "whole", "--workers", "1"), code=1).stderr
    assert "8 strokes of 3 videos" in said
    assert "1 videos failed" in said
    assert "damaged.mp4" in said
    return at / "whole"


def kill_all(command: list[str], amid: Callable[[], bool] | float, scripts, processes) -> bool:
    """Start a command and kill it with all that it started; False if it ended before."""
    process = subprocess.Popen(
        command,
        env=scripts,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    start = time.monotonic()
    while not (amid() if callable(amid) else time.monotonic() - start > amid):
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    with contextlib.suppress(psutil.NoSuchProcess):
        for item in processes.tree(psutil.Process(process.pid)):
            with contextlib.suppress(psutil.NoSuchProcess):
                item.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def disturb(
    command: list[str], out: Path, started: str, seconds: float, scripts, processes
) -> None:
    """Kill a command again and again: at random moments, or once, when a file is there."""
    if not KILLS:
        assert kill_all(command, lambda: any(out.rglob(started)), scripts, processes)
        return
    chooser, killed = random.Random(5), 0
    while killed < KILLS:
        if kill_all(command, chooser.uniform(0.05, 0.95) * seconds, scripts, processes):
            killed += 1
        else:  # it ended first: begin anew
            shutil.rmtree(out, ignore_errors=True)


def test_an_index_in_tasks_killed_amid_them(
    run, scripts, ray_head, processes: SimpleNamespace, at: Path, whole: Path
) -> None:
    command = index(at, "killed", "--workers", "2")
    disturb(command, at / "killed", "scores.npz", 12.0, scripts, processes)
    assert "damaged.mp4" in run(*command, code=1, env=ray_head.joined).stderr
    assert files(at / "killed") == files(whole)


def test_a_detector_whose_fitting_was_killed(
    run, scripts, ray_head, processes: SimpleNamespace, at: Path
) -> None:
    shutil.copytree(at / "bare", at / "killed run")
    command = fit_detector(at / "killed run", at / "dataset", "--workers", "2")
    folder = at / "killed run" / "detector"
    disturb(command, folder, "*.npz", 14.0, scripts, processes)
    run(*command, env=ray_head.joined)
    assert files(folder) == files(at / "run" / "detector")


def test_submitted_jobs(run, ray_head, commands, at: Path, whole: Path) -> None:
    """The commands of the page for clusters write the bytes of the local ones."""
    shutil.copytree(at / "bare", at / "job run")
    places = {
        "http://head-node:8265": ray_head.address,
        "/data/my_run": str(at / "job run"),
        "/data/my_dataset": str(at / "dataset"),
        "/data/recordings": str(at / "videos"),
        "/data/my_index": str(at / "job index"),
    }
    fit, make = (
        [places.get(word, word) for word in line]
        for line in commands(PAGE)
        if "fit-detector" in line or "index" in line
    )
    run(*fit, "--set", "head.epochs=6", env=ray_head.env)
    assert files(at / "job run" / "detector") == files(at / "run" / "detector")
    make[make.index(places["/data/my_run"])] = str(at / "run")
    said = run(*make, env=ray_head.env, code=1).stdout
    assert "8 strokes of 3 videos" in said
    assert "damaged.mp4" in said
    assert files(at / "job index") == files(whole)
