"""`ttflow pose` with the real networks: the README's command, `kill -9`, checks, pictures."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from ttflow import read_poses
from ttflow.errors import PoseUnavailable
from ttflow.pose.runtime import check_runtime
from ttflow.pose.weights import read_weights

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1500)]

SIZES = (
    *("--set", "frame_height=90", "--set", "frame_width=160", "--set", "patch_side=72"),
    *("--set", "crop_height=48", "--set", "crop_width=48", "--set", "window_frames=16"),
    *("--set", "estimator=dis-ultrafast"),
)
COMMAND = ("ttflow", "pose", "my_shards")


@pytest.fixture(scope="module")
def at(run, ray_head, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shards of two short videos."""
    try:
        check_runtime()
        read_weights()
    except PoseUnavailable as error:
        pytest.skip(str(error))
    at = tmp_path_factory.mktemp("pose")
    run(
        *("ttdata", "synth", "source", "--videos", "2", "--players", "2", "--seconds", "10"),
        *("--fps", "60", "--size", "320x180", "--set", "num_annotators=1"),
        *("--strokes", "Serve Forehand Topspin,Offensive Forehand Hit"),
        cwd=at,
    )
    run("ttdata", "curate", "source", "--out", "ds", "--set", "window_frames=16", cwd=at)
    run("ttflow", "extract", "ds", "--out", "my_shards", *SIZES, cwd=at, env=ray_head.joined)
    return at


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_killed_and_run_again_gives_the_same_bytes(run, scripts, ray_head, at: Path) -> None:
    pixels = files(at / "my_shards" / "parts")
    done = run(*COMMAND, cwd=at, env=ray_head.joined)
    assert "poses estimated: 2 videos, unchanged: 0, failed: 0" in done.stdout
    poses = read_poses(at / "my_shards")
    assert np.concatenate([pose.found for pose in poses.values()]).mean() >= 0.95
    assert all((np.diff(pose.frames[:-1]) == 2).all() for pose in poses.values())
    whole = files(at / "my_shards" / "pose")
    (at / "my_shards" / "pose").rename(at / "whole")
    process = subprocess.Popen(
        [*COMMAND, "--workers", "1"],
        cwd=at,
        env=scripts,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not list((at / "my_shards" / "pose").glob("*.parquet")):
        assert process.poll() is None, "it ended before a video was done"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list((at / "my_shards" / "pose").glob("*.parquet"))) < 2
    run(*COMMAND, cwd=at)  # as in the README: a Ray of its own
    assert files(at / "my_shards" / "pose") == whole
    assert files(at / "my_shards" / "parts") == pixels
    assert "nothing to estimate" in run(*COMMAND, cwd=at).stdout


def test_poses_are_checked_and_drawn(run, at: Path) -> None:
    run(*COMMAND, cwd=at)
    done = run("ttflow", "verify", "my_shards", "--deep", cwd=at)
    clips = len(read_poses(at / "my_shards"))
    assert f"poses of {clips} clips: 0 problems" in done.stdout
    done = run("ttflow", "view", "my_shards", "--out", "pictures", cwd=at)
    assert [Path(line).suffix for line in done.stdout.split()] == [".png", ".png", ".mp4"]
