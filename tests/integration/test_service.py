"""Extraction as a service: broken videos, killed processes, a full disk, a cluster.

TT_VIDEOS sets how many videos; five of them are broken.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
import psutil
import pytest

from ttdata import TTSTROKE21
from ttdata.schema import Clip, CurationConfig, DatasetInfo, Video
from ttdata.storage.tables import write_table
from ttflow.decode import frames

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1500)]

VIDEOS = max(10, int(os.environ.get("TT_VIDEOS", "30")))
DISTINCT = 4
FRAMES = 20
CLIP = (4, 12)
SETTINGS = {
    "frame_height": 48,
    "frame_width": 64,
    "crop_height": 24,
    "crop_width": 24,
    "patch_side": 32,
    "window_frames": 10,
    "margin_frames": 2,
    "estimator": "dis-ultrafast",
}
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "cannot be opened"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:400]), "cannot be opened"),
    "text": (lambda path: path.write_text("no film"), "cannot be opened"),
    "gone": (lambda path: path.unlink(), "cannot be read"),
    "short": (lambda path: None, f"only {FRAMES} frames decode"),
}
"""How each is broken, and what its reason says; the last one lacks frames of its clip."""


def write_tiny(path: Path, seed: int) -> None:
    noise = np.random.default_rng(seed)
    wall = noise.integers(60, 120, (48, 64, 3), dtype=np.uint8)
    player = noise.integers(140, 255, (12, 12, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.thread_count = 1
        for index in range(FRAMES):
            image = wall.copy()
            image[16:28, 8 + 2 * index : 20 + 2 * index] = player
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Copies of a few tiny videos, a clip in each; the last five are broken."""
    at = tmp_path_factory.mktemp("many")
    for seed in range(DISTINCT):
        write_tiny(at / f"{seed}.mp4", seed)
    names = [f"good {index:04d}" for index in range(VIDEOS - len(BROKEN))] + list(BROKEN)
    videos, clips = [], []
    for index, name in enumerate(names):
        path = at / f"{name}.mp4"
        shutil.copy(at / f"{index % DISTINCT}.mp4", path)
        BROKEN.get(name, (lambda _: None, ""))[0](path)
        start, end = (4, FRAMES + 5) if name == "short" else CLIP
        videos.append({"video_id": name, "path": str(path), "fps": 30.0, "num_frames": FRAMES})
        clips.append({"clip_id": f"{name}@{start}", "start_frame": start, "end_frame": end})
        clips[-1] |= {"video_id": name, "label": "Serve Forehand Loop", "kind": "stroke"}
    folder = at / "dataset"
    sizes = {"width": 64, "height": 48}
    write_table(pl.DataFrame([row | sizes for row in videos]), folder / "videos.parquet", Video)
    write_table(pl.DataFrame(clips), folder / "clips.parquet", Clip)
    info = DatasetInfo(source="test", taxonomy=TTSTROKE21, config=CurationConfig(), counts={})
    (folder / "dataset.json").write_text(info.model_dump_json())
    (at / "settings.json").write_text(json.dumps(SETTINGS))
    return folder


def extraction(dataset: Path, out: Path) -> list[str]:
    settings = dataset.parent / "settings.json"
    return ["ttflow", "extract", str(dataset), "--out", str(out), "--config", str(settings)]


def failures(shards: Path) -> dict[str, str]:
    lines = (shards / "failures.jsonl").read_text().splitlines()
    return {entry["video_id"]: entry["error"] for entry in map(json.loads, lines)}


def files(shards: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(shards)): path.read_bytes()
        for path in sorted(shards.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(run, dataset: Path, tmp_path_factory) -> Path:
    """The shards of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole") / "shards"
    result = run(*extraction(dataset, out), code=1)
    assert f"{len(BROKEN)} of {VIDEOS} videos failed" in result.stderr
    return out


def test_broken_videos_are_named_with_reasons(whole: Path) -> None:
    found = failures(whole)
    assert found.keys() == BROKEN.keys()
    for name, (_, reason) in BROKEN.items():
        assert reason in found[name], found[name]
        assert name in found[name]


@contextlib.contextmanager
def standing_still(root: psutil.Process) -> Iterator[None]:
    """A process and all that it started wait meanwhile."""
    stopped: list[psutil.Process] = []
    try:
        with contextlib.suppress(psutil.NoSuchProcess):
            stopped = [root, *root.children(recursive=True)]
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


class Disturbed:
    """The command, and what is killed of it once enough videos are finished."""

    def __init__(self, command: list[str], shards: Path, environment: dict[str, str]) -> None:
        self._manifests = shards / "manifests"
        self._said = shards.with_name("said.txt")
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.root = psutil.Process(self._process.pid)

    def finished(self) -> int:
        return len(list(self._manifests.glob("*.json"))) if self._manifests.exists() else 0

    def kill_after(self, videos: int, victims: Callable[[psutil.Process], list[psutil.Process]]):
        """Kill the first of the victims there are, once so many videos are finished.

        All stand still while we look: a task takes some 0.05 s, and on a busy machine a look at the
        processes takes longer, so that the command could end before a task was met.
        """
        while True:
            if (code := self._process.poll()) is not None:
                pytest.fail(
                    f"the command ended with exit code {code} before it was disturbed, "
                    f"{self.finished()} videos were finished, {videos} awaited; it said:\n"
                    f"{self._said.read_text(errors='replace')[-6000:]}"
                )
            if self.finished() >= videos:
                with standing_still(self.root):
                    found = victims(self.root)
                    if found:
                        os.kill(found[0].pid, signal.SIGKILL)
                        return found[0]
            time.sleep(0.01)

    def wait(self) -> None:
        self._process.wait(timeout=60)


def test_killed_workers_and_a_killed_command_change_nothing(
    run, scripts, ray_head, processes, dataset: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    command = extraction(dataset, out)
    good = VIDEOS - len(BROKEN)
    disturbed = Disturbed(command, out, scripts)

    def extracting(root: psutil.Process) -> list[psutil.Process]:
        return processes.workers(root, "_run_row")

    first = disturbed.kill_after(good // 5, extracting)
    second = disturbed.kill_after(2 * good // 5, extracting)
    assert first.pid != second.pid
    disturbed.kill_after(3 * good // 5, lambda root: [root])
    disturbed.wait()
    assert not (out / "clips.parquet").exists()
    assert disturbed.finished() < good

    result = run(*command, code=1, env=ray_head.joined)
    assert f"{len(BROKEN)} of {VIDEOS} videos failed" in result.stderr
    assert failures(out) == failures(whole)
    assert files(out) == files(whole)  # names and bytes; nothing temporary
    report = json.loads(run("ttflow", "verify", out, "--deep", "--json").stdout)
    assert (report["videos"], report["clips"], report["problems"]) == (good, good, [])


# --- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(whole: Path, tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system with room for a number of bytes; call again for another number."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    at, mounted = tmp_path / "disk", False

    def mount(num_bytes: int) -> Path:
        nonlocal mounted
        at.mkdir(exist_ok=True)
        options = f"{'remount,' if mounted else ''}size={num_bytes}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            pytest.skip(f"mounting a small disk is not allowed here: {result.stderr.strip()}")
        mounted = True
        return at

    yield mount
    if mounted:
        subprocess.run(["umount", str(at)], check=True)


def test_a_full_disk_is_one_clear_error(
    run, ray_head, dataset: Path, whole: Path, small_disk: Callable[[int], Path]
) -> None:
    needed = sum(len(content) for content in files(whole).values())
    out = small_disk(int(0.6 * needed)) / "shards"
    result = run(*extraction(dataset, out), code=1, env=ray_head.joined)
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert f"no space left on the disk of {out}" in error
    assert f"of {VIDEOS - 1} videos; what is finished is kept" in error
    assert "Traceback" not in result.stderr
    report = json.loads(run("ttflow", "verify", out, "--deep", "--json").stdout)
    assert 0 < report["videos"] == report["clips"] < VIDEOS - len(BROKEN)
    assert not list(out.rglob("*.tmp"))

    small_disk(4 * needed + (8 << 20))
    run(*extraction(dataset, out), code=1, env=ray_head.joined)
    assert files(out) == files(whole)


# --- the page ------------------------------------------------------------------------------------

HOW = Path(__file__).parents[2] / "docs" / "how_extraction_works.md"


def test_the_page_on_extraction(run, ray_head, commands, tmp_path: Path) -> None:
    env = ray_head.joined
    done = [(line, run(*line, cwd=tmp_path, env=env).stdout) for line in commands(HOW)]
    assert [line[1] for line, _ in done] == [
        *("synth", "curate", "split", "extract", "verify", "view", "view", "stats")
    ]
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [path.suffix for path in pictures].count(".png") == 3
    films = [path for path in pictures if path.suffix == ".mp4"]
    assert len(films) == 2
    for film in films:
        sizes = {image.shape for _, _, image in frames(film)}
        assert len(sizes) == 1
    assert "px become 1" in done[-1][1]


# --- a cluster -----------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "running_on_a_cluster.md"


def test_the_page_of_the_cluster(
    run, ray_head, dataset: Path, whole: Path, commands, tmp_path: Path
) -> None:
    """A job on a cluster writes the shards of the local command, byte by byte."""
    (tmp_path / "my_dataset").symlink_to(dataset)
    places = {"http://head-node:8265": ray_head.address}
    lines = [
        [places.get(word, word.replace("/data/", f"{tmp_path}/")) for word in line]
        for line in commands(PAGE)
        if "ttflow" in line  # test_kill runs those of training
    ]
    assert [line[line.index("--") + 2] for line in lines] == ["extract", "verify"]
    lines[0] += ["--config", str(dataset.parent / "settings.json")]
    done = run(*lines[0], env=ray_head.env, code=1)
    assert f"{len(BROKEN)} of {VIDEOS} videos failed" in done.stdout
    theirs, ours = files(tmp_path / "my_shards"), files(whole)
    # Where the dataset lies is another path to the same folder.
    told = json.loads(theirs.pop("dataset_folder.json"))["path"]
    assert Path(told).samefile(json.loads(ours.pop("dataset_folder.json"))["path"])
    assert theirs == ours
    done = run(*lines[1], env=ray_head.env)
    assert f"{VIDEOS - len(BROKEN)} clips" in done.stdout
    assert "0 problems" in done.stdout
