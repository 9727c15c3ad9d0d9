"""What extraction refuses before it works, and the end of every wait for Ray."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import ttflow.jobs.job
import ttflow.jobs.run
from ttdata.errors import DatasetError, InputError
from ttflow.errors import ExtractError, ShardError
from ttflow.jobs.job import Job, Workers
from ttflow.jobs.ray_address import WAIT_VARIABLE, check_address, wait_seconds
from ttflow.jobs.run import extract
from ttflow.jobs.worker import run_job
from ttflow.shards.verify import verify


@pytest.fixture
def dataset(lib, tmp_path: Path, square_video: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two videos of one clip each; jobs run here, without Ray."""
    monkeypatch.setattr(ttflow.jobs.run, "_events", lambda jobs, _: map_jobs(jobs))
    listed = dict.fromkeys("ab", (square_video, 200))
    clips = [lib.clip_row(name, 10, 40) for name in "ab"]
    return lib.write_dataset(tmp_path / "dataset", listed, clips)


def map_jobs(jobs: list[Job]):
    yield from map(run_job, jobs)


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    texts = [str(argument) for argument in arguments]
    return subprocess.run(
        [sys.executable, "-m", "ttflow", *texts], capture_output=True, text=True, check=False
    )


def test_a_gpu_for_an_estimator_without_a_gpu_path(lib, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = command("extract", dataset, "--out", out, "--device", "cuda", "--estimator", "dis")
    assert result.returncode == 2
    assert result.stderr.startswith("error: --device cuda: estimator 'dis-medium' computes on the")
    assert result.stderr.count("\n") == 1
    assert not out.exists()


def test_a_dataset_without_clips(lib, dataset: Path, tmp_path: Path) -> None:
    lib.write_dataset(dataset, {}, [])
    with pytest.raises(DatasetError, match="dataset: holds no clip"):
        extract(dataset, tmp_path / "out", lib.small)
    assert not (tmp_path / "out").exists()


def test_more_workers_than_cores(lib, dataset: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ttflow.jobs.job, "available_cores", lambda: 2)
    with pytest.raises(InputError, match="--workers 99: this machine has 2 cores"):
        extract(dataset, tmp_path / "out", lib.small, Workers(count=99))
    monkeypatch.setenv("RAY_ADDRESS", "cluster:6379")
    extract(dataset, tmp_path / "out", lib.small, Workers(count=99))


def test_a_portrait_video_among_landscape_ones(lib, dataset: Path, tmp_path: Path) -> None:
    portrait = lib.write_video(
        tmp_path / "p.mp4", [f[:, :90].copy() for f in lib.moving_square(60)]
    )
    videos = pl.read_parquet(dataset / "videos.parquet")
    listed = {"a": (Path(videos["path"][0]), 200), "p": (portrait, 60)}
    lib.write_dataset(dataset, listed, [lib.clip_row(name, 10, 40) for name in listed])
    with pytest.raises(ExtractError, match=r"1 of 2 videos failed.*p\.mp4: 90 x 180 pixels would"):
        extract(dataset, tmp_path / "out", lib.small)
    assert verify(tmp_path / "out").problems == ()


def test_damage_that_verify_finds_is_repaired(lib, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    extract(dataset, out, lib.small)
    whole = {path.name: path.read_bytes() for path in (out / "parts").iterdir()}
    part = min((out / "parts").iterdir())
    data = bytearray(part.read_bytes())
    data[5000] ^= 0xFF
    part.write_bytes(data)
    assert "ttflow verify --repair" in command("verify", out).stdout
    report = json.loads(command("verify", out, "--json").stdout)
    assert report["damaged_videos"] == ["a"]
    assert part.exists()
    result = command("verify", out, "--repair")
    assert result.returncode == 1
    assert "removed: 1 damaged videos" in result.stderr
    summary = extract(dataset, out, lib.small)
    assert (summary.computed, summary.unchanged) == (1, 1)
    assert {path.name: path.read_bytes() for path in (out / "parts").iterdir()} == whole
    assert verify(out).damaged_videos == ()


@pytest.mark.parametrize("name", ["clips.parquet", "dataset.json"])
def test_damaged_tables_are_written_anew(lib, dataset: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    extract(dataset, out, lib.small)
    whole = (out / name).read_bytes()
    (out / name).write_bytes(b"\xff" * 8 + whole[8:-8] + b"\xff" * 8)
    summary = extract(dataset, out, lib.small)
    assert (summary.computed, summary.unchanged) == (0, 2)
    assert (out / name).read_bytes() == whole
    assert verify(out).problems == ()


def test_a_damaged_manifest_says_what_to_do(lib, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    extract(dataset, out, lib.small)
    manifest = min((out / "manifests").iterdir())
    manifest.write_bytes(b"\xff" + manifest.read_bytes()[1:])
    with pytest.raises(ShardError, match=r"not a readable JSON.*; remove this file, then `ttflow"):
        extract(dataset, out, lib.small)
    manifest.unlink()
    assert extract(dataset, out, lib.small).computed == 1
    assert verify(out).problems == ()


def test_an_address_where_nothing_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"RAY_ADDRESS={address}: no Ray cluster answers"):
            check_address(address)
        with pytest.raises(InputError, match="RAY_ADDRESS=ray://"):
            check_address(f"ray://{address}")
        free.listen()
        check_address(address)
    check_address("auto")


def test_the_limit_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait_seconds() == 60
    monkeypatch.setenv(WAIT_VARIABLE, "5")
    assert wait_seconds() == 5
    for text in ("soon", "-1", "nan"):
        monkeypatch.setenv(WAIT_VARIABLE, text)
        with pytest.raises(InputError, match=f"{WAIT_VARIABLE}={text}"):
            wait_seconds()


def test_a_cluster_that_does_not_answer_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from ttflow.jobs import ray_pipeline

    def give_up(**_: object) -> None:
        raise SystemExit(15)  # what Ray does when something else than Ray answers

    monkeypatch.setattr(ray_pipeline.ray, "init", give_up)
    monkeypatch.setattr(ray_pipeline, "check_address", lambda address: None)
    monkeypatch.setenv("RAY_ADDRESS", "web:80")
    with pytest.raises(InputError, match=r"RAY_ADDRESS=web:80: no Ray cluster answers there"):
        ray_pipeline.start_ray()


def test_a_full_cluster_is_waited_for_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from ttflow.jobs import ray_pipeline

    looks: list[dict[str, float]] = [{}, {"CPU": 1.5}, {"CPU": 2.0}]
    monkeypatch.setattr(ray_pipeline.ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 1.0})
    monkeypatch.setattr(ray_pipeline.ray, "available_resources", lambda: looks.pop(0))
    monkeypatch.setenv(WAIT_VARIABLE, "0.1")
    ray_pipeline.wait_for_free({"CPU": 2}, "use fewer")
    assert looks == []
    monkeypatch.setattr(ray_pipeline.ray, "available_resources", lambda: {"CPU": 3.0})
    wanted = r"full: 0 of 1 GPUs free, expected 1 within 0\.1 s; .*, use fewer, or set TTFLOW_RAY_W"
    with pytest.raises(InputError, match=wanted):
        ray_pipeline.wait_for_free({"CPU": 2, "GPU": 1}, "use fewer")


@pytest.mark.parametrize("failures", [1, 2])
def test_an_embedded_ray_is_started_again(monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    from ttflow.jobs import ray_pipeline

    starts: list[dict[str, object]] = []

    def start(**options: object) -> None:
        starts.append(options)
        if len(starts) <= failures:
            raise RuntimeError("the node\ntimed out")

    monkeypatch.setattr(ray_pipeline.ray, "init", start)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if failures == 1:
        ray_pipeline.start_ray(num_cpus=2)
    else:
        with pytest.raises(ExtractError, match=r"does not start .*the node timed out.*RAY_ADDRESS"):
            ray_pipeline.start_ray(num_cpus=2)
    assert [options["num_cpus"] for options in starts] == [2, 2]


def test_a_long_name_of_a_video_is_cut_for_its_pictures(lib, tmp_path: Path) -> None:
    from ttflow.view.pictures import view

    for letter in "ab":
        path = lib.write_video(tmp_path / "v.mp4", lib.moving_square(20)).rename(
            tmp_path / f"{'ü' * 120}{letter}.mp4"
        )
        settings = ["window_frames=8", "estimator=dis-ultrafast"]
        written = view(path, tmp_path / "pictures", frame=5, overrides=settings)
        assert all(item.is_file() for item in written)
    assert len(list((tmp_path / "pictures").iterdir())) == 4
