"""`kill -9` of any process, then the same command again: the result of an uninterrupted run.

Usually training is killed once: extraction is killed in `test_service`, a worker of a submitted job
below, and Ray takes minutes to notice the loss of some of its own servers.
TT_KILLS=n kills any process of extraction and of training n times each, and two training workers or
their command n times over one run.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import psutil
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

sys.path.append(str(Path(__file__).parents[1] / "tttrain"))
from squares import make_shards

PAGE = Path(__file__).parents[2] / "docs" / "running_on_a_cluster.md"
KILLS = int(os.environ.get("TT_KILLS", "0"))
Choose = Callable[[psutil.Process], psutil.Process]

EPOCHS, JOB_EPOCHS = 60, 50
"""Of the run that is killed once."""

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1500)]

SIZES = (
    *("--set", "frame_height=90", "--set", "frame_width=160", "--set", "patch_side=48"),
    *("--set", "crop_height=32", "--set", "crop_width=32", "--set", "window_frames=16"),
    *("--set", "estimator=dis-medium"),
)


@pytest.fixture(scope="module")
def dataset(run, tmp_path_factory) -> Path:
    at = tmp_path_factory.mktemp("kill")
    run(
        *("ttdata", "synth", at / "source", "--videos", "4", "--players", "4", "--seconds", "16"),
        *("--fps", "30", "--size", "320x180", "--set", "num_annotators=2"),
        *("--strokes", "Serve Forehand Topspin,Offensive Forehand Hit"),
    )
    run("ttdata", "curate", at / "source", "--out", at / "dataset", "--set", "window_frames=16")
    run("ttdata", "split", at / "dataset", "--group", "player", "--shares", "0.5,0.25,0.25")
    return at / "dataset"


def interruptions(
    duration: float, seed: int, processes: SimpleNamespace
) -> list[tuple[float, Choose]]:
    """When to kill, and whom."""
    chooser = random.Random(seed)
    moments = [chooser.uniform(0.1, 0.95) * duration for _ in range(KILLS)]
    return [(at, lambda root: chooser.choice(processes.tree(root))) for at in moments]


def kill_often(
    command: Sequence[object], out: Path, plan: Sequence[tuple[float, Choose]], env: dict[str, str]
) -> list[str]:
    """Kill the command as planned; tells whom. Where it ends first, begin anew and kill earlier."""
    killed: list[str] = []
    for seconds, choose in plan:
        name = None
        for attempt in range(6):
            name = interrupt(command, seconds * 0.7**attempt, choose, env)
            if name is not None:
                break
            shutil.rmtree(out, ignore_errors=True)
        assert name is not None, f"after {len(killed)} kills the command always ended first"
        killed.append(name)
    return killed


def interrupt(
    command: Sequence[object], seconds: float, choose: Choose, env: dict[str, str]
) -> str | None:
    """Start a command and kill one process of its tree after some seconds; None if it ended."""
    process = subprocess.Popen(
        [str(part) for part in command],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
        assert process.returncode == 0
        return None
    try:
        root = psutil.Process(process.pid)
        victim = choose(root)
        name = victim.name()
        os.kill(victim.pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError):
        name = None
    try:
        process.wait(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pytest.fail(f"killed {name} after {seconds:.1f} s: the command neither ended nor failed")
    return name


def kill_amid(
    command: Sequence[object],
    amid: Callable[[], bool],
    env: dict[str, str],
    kill: Callable[[int, int], None] = os.kill,
) -> None:
    """Start a command, and kill it once something has happened; by `os.killpg` with its group."""
    process = subprocess.Popen([str(part) for part in command], env=env, start_new_session=True)
    while not amid():
        assert process.poll() is None, "the command ended before it was to be killed"
        time.sleep(0.02)
    kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the command ended before it was killed"


def pixels(shards: Path) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for part in sorted(shards.rglob("*.parquet")):
        if part.name == "clips.parquet":
            continue
        for row in pq.read_table(part).to_pylist():
            assert row["clip_id"] not in rows, "a clip is stored twice"
            rows[row["clip_id"]] = row
    return rows


@pytest.mark.skipif(not KILLS, reason="TT_KILLS is not set; test_service kills an extraction")
def test_extract(run, scripts, processes, dataset: Path, tmp_path: Path) -> None:
    start = time.monotonic()
    run("ttflow", "extract", dataset, "--out", tmp_path / "whole", *SIZES)
    duration = time.monotonic() - start
    expected = pixels(tmp_path / "whole")
    command = ("ttflow", "extract", dataset, "--out", tmp_path / "killed", *SIZES)
    plan = interruptions(duration, 1, processes)
    killed = kill_often(command, tmp_path / "killed", plan, scripts)
    run(*command)
    assert pixels(tmp_path / "killed") == expected, f"killed: {killed}"
    run("ttflow", "verify", tmp_path / "killed")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few clips of moving squares: what is killed is the command, whatever it learns from."""
    counts = {"train": 8, "validation": 2, "test": 2}
    return make_shards(tmp_path_factory.mktemp("squares") / "shards", counts)


def test_fit(run, scripts, ray_head, processes, shards: Path, tmp_path: Path) -> None:
    def command(name: str) -> tuple[object, ...]:
        sets = ("--set", f"schedule.epochs={EPOCHS}", "--set", "execution.checkpoint_minutes=0")
        paths = ("--data", shards, "--out", tmp_path / name)
        return ("tttrain", "fit", *paths, "--recipe", "demo", *sets)

    killed, start = ["the command after two epochs"], time.monotonic()
    run(*command("whole"), env=None if KILLS else ray_head.joined)
    if KILLS:
        plan = interruptions(time.monotonic() - start, 2, processes)
        killed = kill_often(command("killed"), tmp_path / "killed", plan, scripts)
    else:
        kill_amid(command("killed"), lambda: epochs_of(tmp_path / "killed") >= 2, scripts)
        assert epochs_of(tmp_path / "killed") < EPOCHS, "the run had its last epoch already"
    run(*command("killed"), env=ray_head.joined)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole"), f"killed: {killed}"
    weights = [
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "killed")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all((weights[0][key] == weights[1][key]).all() for key in weights[0])


def test_cross_validation(run, scripts, ray_head, shards: Path, tmp_path: Path) -> None:
    """Killed once its first fold is tested, and folds two at once: the same table."""

    def command(name: str, *more: str) -> list[str]:
        paths = ("--data", str(shards), "--out", str(tmp_path / name), *more)
        how = ("--folds", "3", "--group", "player", "--recipes", "rgb", "--base-recipe", "demo")
        settings = ("epochs=1", "warmup_epochs=0")
        sets = [part for item in settings for part in ("--set", f"schedule.{item}")]
        sets += ["--set", "execution.torch_threads=1"]
        return ["tttrain", "cross-validate", *paths, *how, *sets]

    run(*command("at once", "--parallel", "2"), env=ray_head.joined)
    first = tmp_path / "killed" / "fold_1" / "rgb" / "evaluation" / "test.json"
    kill_amid(command("killed"), first.is_file, scripts, os.killpg)
    assert not (tmp_path / "killed" / "cross_validation.json").exists()
    before = first.stat().st_mtime_ns
    run(*command("killed"), env=ray_head.joined)
    assert first.stat().st_mtime_ns == before
    assert table(tmp_path / "killed") == table(tmp_path / "at once")


def table(folder: Path) -> tuple[dict[str, object], list[dict[str, object]]]:
    """What a cross-validation found, without how long it took, and what was said of each clip."""
    found = json.loads((folder / "cross_validation.json").read_text())
    for row in found["rows"]:
        del row["training_seconds"]
    return found, pl.read_parquet(folder / "predictions.parquet").to_dicts()


def test_a_submitted_job_outlives_its_worker(
    run, ray_head, commands, shards: Path, tmp_path: Path
) -> None:
    """The commands of the page for clusters; of two workers the one that writes is killed."""
    places = {"http://head-node:8265": ray_head.address, "/data/my_shards": str(shards)}
    places["/data/my_run"] = str(out := tmp_path / "run")
    fit, evaluate = (
        [places.get(word, word) for word in line]
        for line in commands(PAGE)
        if {"fit", "evaluate"} & set(line)
    )
    settings = (
        f"schedule.epochs={JOB_EPOCHS}",
        "execution.device=cpu",
        "execution.data_path=resident",
    )
    job = subprocess.Popen(
        [*fit, *(part for item in settings for part in ("--set", item))],
        cwd=tmp_path,
        env=ray_head.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    killed = kill_the_trainer(out, job)
    text, _ = job.communicate(timeout=300)
    assert job.returncode == 0, text
    assert killed, f"no worker was met:\n{text}"
    assert json.loads((out / "run.json").read_text())["state"] == "finished"
    assert [epoch["epoch"] for epoch in losses(out)] == list(range(JOB_EPOCHS))
    clips = pq.read_table(shards / "clips.parquet", columns=["split"])["split"].to_pylist()
    text = run(*evaluate, env=ray_head.env).stdout
    assert f"n = {clips.count('test')}, 95 % interval" in text


def kill_the_trainer(out: Path, job: subprocess.Popen[str]) -> bool:
    """Kill the worker that holds a run, once its first checkpoint is written.

    It is looked for before: an epoch takes less time than a look at all processes.
    """
    lock, holder = out / ".worker.lock", None
    while job.poll() is None:
        if holder is None and lock.is_file():
            holder = holder_of(lock)
        if holder is not None and (out / "checkpoint.pt").is_file():
            os.kill(holder.pid, signal.SIGKILL)
            return True
        time.sleep(0.02)
    return False


def holder_of(lock: Path) -> psutil.Process | None:
    """The training worker that has this file open."""
    for process in psutil.process_iter(["cmdline"]):
        name = "".join((process.info["cmdline"] or [])[:1])
        if "TrainWorker" in name and holds(process, lock):
            return process
    return None


def holds(process: psutil.Process, lock: Path) -> bool:
    """Whether a process has this file open."""
    with contextlib.suppress(psutil.Error):
        return any(item.path == str(lock) for item in process.open_files())
    return False


@pytest.mark.skipif(not KILLS, reason="TT_KILLS is not set")
@pytest.mark.timeout(3600)
def test_one_run_killed_all_the_time(run, scripts, processes, shards: Path, tmp_path: Path) -> None:
    """Two workers; one of them or the command dies every so often, and the same command goes on."""
    settings = ("execution.num_workers=2", "execution.checkpoint_minutes=0")
    settings += (f"schedule.epochs={3 * KILLS}",)

    def command(name: str) -> list[str]:
        paths = ("--data", str(shards), "--out", str(tmp_path / name))
        sets = (part for item in settings for part in ("--set", item))
        return ["tttrain", "fit", *paths, "--recipe", "demo", *sets]

    run(*command("whole"), timeout=1800)
    chooser = random.Random(3)
    moments = [3 * kill + chooser.randrange(3) + chooser.random() for kill in range(KILLS)]
    metrics = tmp_path / "killed" / "metrics.jsonl"
    killed = Killer(command("killed"), scripts, processes, metrics).kill(moments, chooser)
    run(*command("killed"), timeout=1800)
    print("killed:", killed)
    assert len(killed) == KILLS
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole"), f"killed: {killed}"


class Killer:
    """Keeps a command going and kills its workers, or itself."""

    def __init__(
        self, command: list[str], env: dict[str, str], processes: SimpleNamespace, metrics: Path
    ) -> None:
        self._command, self._env, self._processes = command, env, processes
        self._metrics = metrics
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self, moments: Sequence[float], chooser: random.Random) -> list[str]:
        """Kill once at each moment, in epochs of the run; tells whom."""
        names = []
        for moment in moments:
            name = None
            while name is None:
                self._wait_for(int(moment))
                time.sleep(moment % 1)
                name = self._kill_one(chooser)
            names.append(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return names

    def _wait_for(self, epochs: int) -> None:
        """Until so many epochs are written, with the command started again where it gave up."""
        while epochs_of(self._metrics.parent) < epochs:
            code = self._process.poll()
            assert code != 0, f"the run ended before epoch {epochs}"
            if code is not None:  # Ray replaces lost workers twice; the third loss ends the command
                self._process = self._started()
            time.sleep(0.05)

    def _kill_one(self, chooser: random.Random) -> str | None:
        """Kill a worker or the command; None if it was gone already."""
        if self._process.poll() is not None:
            self._process = self._started()
            return None
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            root = psutil.Process(self._process.pid)
            victim = chooser.choice([root, *self._processes.workers(root, "TrainWorker")])
            os.kill(victim.pid, signal.SIGKILL)
            if victim != root:
                return "worker"
            self._process.wait()
            self._process = self._started()
            return "command"
        return None


def epochs_of(run_folder: Path) -> int:
    """How many epochs a run has written."""
    metrics = run_folder / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.is_file() else 0


def losses(run_folder: Path) -> list[dict[str, object]]:
    """What each epoch measured, without how long it took."""
    timing = {"seconds", "clips_per_second"}
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line) for line in lines]
    return [{key: epoch[key] for key in epoch if key not in timing} for epoch in epochs]
