"""The pieces of the service: temporary files, progress, full disks, versions, statistics."""

import errno
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ttflow.jobs.run
from ttdata.errors import InputError, VersionError
from ttdata.schema import Video
from ttdata.storage.tables import read_table, write_table
from ttflow import open_shards
from ttflow.errors import ExtractError
from ttflow.jobs.job import Job, Outcome, Progress, Workers
from ttflow.jobs.progress import Tally, track_jobs
from ttflow.jobs.run import extract
from ttflow.jobs.worker import run_job, watched, watched_job
from ttflow.schema import SCHEMA_VERSION, ClipRecord
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.layout import prepare_folder
from ttflow.shards.locks import Temporary, clean_temporary
from ttflow.shards.stats import flow_stats
from ttflow.shards.verify import verify
from ttflow.shards.writer import VideoWriter


def run_here(jobs: list[Job], _: Workers) -> Iterator[Outcome]:
    """Jobs without Ray, one after the other."""
    yield from map(run_job, jobs)


@pytest.fixture
def shards(lib, tmp_path: Path, square_video: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards of one video with two clips, extracted here and without Ray."""
    monkeypatch.setattr(ttflow.jobs.run, "_events", run_here)
    clips = [
        lib.clip_row("v", 10, 40),
        lib.clip_row("v", 60, 90, split="test"),
    ]
    dataset = lib.write_dataset(tmp_path / "dataset", {"v": (square_video, 200)}, clips)
    extract(dataset, tmp_path / "shards", lib.small)
    return tmp_path / "shards"


def make_job(lib, shards: Path, path: Path, expected_frames: int = 200) -> Job:
    prepare_folder(shards, lib.small)
    return Job(
        shards=shards,
        video_id=path.stem,
        path=str(path),
        key="k" * 16,
        source=(0, ""),
        expected_frames=expected_frames,
        clips=(ClipSpec("c", 20, 60), ClipSpec("d", 70, 90)),
        config=lib.small,
    )


# --- temporary files -----------------------------------------------------------------------------


def test_a_living_writer_keeps_its_file_and_a_dead_one_does_not(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from ttflow.shards.locks import Temporary\n"
        "file = Temporary(pathlib.Path(sys.argv[1]))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == b"ready\n"
        clean_temporary(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
        process.kill()
    clean_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_small_files_of_others_are_left_alone_for_a_while(tmp_path: Path) -> None:
    young, old = tmp_path / ".a.json.1.tmp", tmp_path / ".b.json.2.tmp"
    for path in (young, old):
        path.write_text("")
    os.utime(old, (0, time.time() - 3600))
    clean_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == [young]


def test_published_or_gone(tmp_path: Path) -> None:
    with Temporary(tmp_path) as one, Temporary(tmp_path) as other:
        one.handle.write(b"x")
        other.handle.write(b"y")
        one.sync()
        one.publish(tmp_path / "one")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"one": b"x"}


def test_closed_parts_of_a_living_job_are_not_cleaned(lib, shards: Path) -> None:
    row = next(iter(pq.read_table(next((shards / "parts").iterdir())).to_pylist()))
    with VideoWriter(shards, "new", "k" * 16, target_bytes=1) as writer:
        for _ in range(2):
            writer.write(row)
        clean_temporary(shards / "parts")
        assert len(writer.commit((0, ""), 100, 40).parts) == 2


# --- progress ------------------------------------------------------------------------------------


def test_a_job_tells_how_far_it_is(lib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lib.write_video(tmp_path / "long.mp4", lib.moving_square(130))
    monkeypatch.setattr("ttflow.jobs.worker._PROGRESS_FRAMES", 50)
    *progress, outcome = watched_job(make_job(lib, tmp_path / "shards", path, 130))
    assert progress == [Progress(video_id="long", num_frames=n) for n in (50, 100)]
    assert isinstance(outcome, Outcome)
    assert (outcome.error, outcome.num_frames) == (None, 130)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("x"), ValueError("x")])
def test_work_that_ends_without_an_outcome_has_failed(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ttflow.jobs.worker._PROGRESS_FRAMES", 50)

    def work(report: Callable[[int], None]) -> Outcome:
        report(60)
        raise error

    *progress, outcome = watched("v", work)
    assert progress == [Progress(video_id="v", num_frames=50)]
    assert outcome == Outcome(video_id="v", error=f"v: {type(error).__name__}: {error}")


def test_the_line_moves_within_a_video(lib, tmp_path: Path) -> None:
    jobs = [make_job(lib, tmp_path / "s", Path(f"{name}.mp4"), 1000) for name in "ab"]
    tally = Tally(jobs)
    start = time.monotonic()
    assert tally.line(start + 5) == "0/2 videos, 0 clips, 0 frames/s, unknown time left"
    tally.add(Progress(video_id="a", num_frames=500))
    tally._start = start
    assert tally.line(start + 5) == "0/2 videos, 0 clips, 100 frames/s, 0:00:15 left"
    tally.add(Outcome(video_id="a", num_frames=1000))
    assert tally.line(start + 10) == "1/2 videos, 2 clips, 100 frames/s, 0:00:10 left"
    assert not tally.finished
    tally.add(Outcome(video_id="b", error="broken"))
    assert tally.finished


def test_failures_are_named_at_once(lib, tmp_path: Path, caplog) -> None:
    job = make_job(lib, tmp_path / "s", Path("a.mp4"))
    events = [Progress(video_id="a", num_frames=500), Outcome(video_id="a", error="a.mp4: broken")]
    with caplog.at_level(logging.INFO):
        assert list(track_jobs([job], events)) == events[1:]
    assert "failed: a: a.mp4: broken" in caplog.text
    assert "1/1 videos, 2 clips" in caplog.text


def test_shares_of_a_gpu_fit_into_it() -> None:
    assert Workers().gpu_share == 0.125
    assert all(n * Workers(videos_per_gpu=n).gpu_share <= 1 for n in range(1, 101))


# --- what the disk says --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_the_work(
    lib, tmp_path: Path, square_video: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(VideoWriter, "write", fail)
    monkeypatch.setattr(ttflow.jobs.run, "_events", run_here)
    clips = [lib.clip_row(name, 10, 40) for name in "ab"]
    listed = dict.fromkeys("ab", (square_video, 200))
    dataset = lib.write_dataset(tmp_path / "dataset", listed, clips)
    with pytest.raises(ExtractError, match=r"no space left .* after 0 of 2 videos") as caught:
        extract(dataset, tmp_path / "shards", lib.small)
    assert caught.value.exit_code == 1
    assert (tmp_path / "shards" / "failures.jsonl").read_text() == ""
    assert verify(tmp_path / "shards").problems == ()


def test_a_folder_that_cannot_be_written(lib, tmp_path: Path, square_video: Path) -> None:
    listed, clips = {"a": (square_video, 200)}, [lib.clip_row("a", 10, 40)]
    dataset = lib.write_dataset(tmp_path / "dataset", listed, clips)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExtractError, match=r"file/shards.*: Not a directory"):
        extract(dataset, tmp_path / "file" / "shards", lib.small)


def test_a_relative_folder_in_a_ray_job(lib, shards: Path, monkeypatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(InputError, match="--out out: expected an absolute path"):
        extract(shards.parent / "dataset", Path("out"), lib.small)


# --- versions ------------------------------------------------------------------------------------

NEWER = rf"schema version 99, ttflow \S+ reads {SCHEMA_VERSION}; use that release or a later one"
OLDER = rf"schema version 0, ttflow \S+ reads {SCHEMA_VERSION}; use the release that wrote it"


@pytest.mark.parametrize(("version", "message"), [(99, NEWER), (0, OLDER)])
@pytest.mark.parametrize("name", ["shards.json", "dataset.json", "manifests"])
def test_json_of_another_version(shards: Path, name: str, version: int, message: str) -> None:
    path = shards / name
    path = next(path.iterdir()) if path.is_dir() else path
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))
    with pytest.raises(VersionError, match=rf"{path.name}: {message}, or extract again into") as e:
        open_shards(shards)
    assert e.value.exit_code == 2


@pytest.mark.parametrize(("version", "message"), [(99, NEWER), (0, OLDER)])
def test_tables_of_another_version(shards: Path, version: int, message: str) -> None:
    clip_id = open_shards(shards).clips["clip_id"][0]
    part = next((shards / "parts").iterdir())
    table = pq.read_table(part)
    metadata = {"schema_version": str(version)}
    pq.write_table(table.replace_schema_metadata(metadata), part, row_group_size=1)
    with pytest.raises(VersionError, match=rf"{part.name}: {message}"):
        open_shards(shards).read(clip_id)
    clips = pl.read_parquet(shards / "clips.parquet")
    clips.write_parquet(shards / "clips.parquet", metadata=metadata)
    with pytest.raises(VersionError, match=rf"clips\.parquet: {message}"):
        open_shards(shards)


def test_a_run_on_a_folder_of_another_version(lib, shards: Path) -> None:
    path = shards / "shards.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(VersionError, match="extract again into another folder"):
        extract(shards.parent / "dataset", shards, lib.small)


def test_verify_names_parts_of_another_version(shards: Path) -> None:
    part = next((shards / "parts").iterdir())
    data = part.read_bytes()
    changed = data.replace(b"schema_version\x18\x011", b"schema_version\x18\x017")
    assert changed != data
    part.write_bytes(changed)
    changed_bytes, version = verify(shards).problems
    assert "SHA-256" in changed_bytes
    assert "schema version 7" in version


# --- statistics ----------------------------------------------------------------------------------


def rewrite_maxima(shards: Path, maxima_px: dict[str, np.ndarray]) -> None:
    """Give the clips other maxima, frame by frame."""
    part = next((shards / "parts").iterdir())
    rows = pq.read_table(part).to_pylist()
    for row in rows:
        row["flow_max_px"] = maxima_px[row["clip_id"]].ravel().tolist()
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(part)), part, row_group_size=1)


def stored_frames(shards: Path) -> dict[str, int]:
    opened = open_shards(shards)
    rows = (opened.read(clip_id, ["flags"]) for clip_id in opened.clips["clip_id"])
    return {row["clip_id"]: len(row["flags"]) for row in rows}


def test_statistics_are_those_of_numpy(shards: Path) -> None:
    rng = np.random.default_rng(3)
    maxima = {name: rng.gamma(2, 3, (n, 2)) for name, n in stored_frames(shards).items()}
    rewrite_maxima(shards, maxima)
    for split, values in (
        (None, np.concatenate(list(maxima.values()))),
        ("test", maxima["v@60-90"]),
    ):
        found = flow_stats(shards, split)
        for axis in (0, 1):
            large = values[:, axis][values[:, axis] > 5]
            assert found.frames == len(values)
            assert found.frames_used[axis] == len(large)
            assert found.mean_px[axis] == pytest.approx(large.mean(), rel=1e-12)
            assert found.sigma_px[axis] == pytest.approx(large.std(), rel=1e-12)
            assert found.scale_px[axis] == pytest.approx(large.mean() + 3 * large.std(), rel=1e-12)


def test_statistics_of_slow_and_of_no_flow(shards: Path) -> None:
    maxima = {name: np.tile([4.0, 0.0], (n, 1)) for name, n in stored_frames(shards).items()}
    rewrite_maxima(shards, maxima)
    found = flow_stats(shards)
    assert found.mean_px == (4.0, 0.0)
    assert found.scale_px == (4.0, 1.0)
    assert found.clips == 1
    assert "4.00 px become 1" in found.text
    with pytest.raises(InputError, match="no clip of split 'validation'"):
        flow_stats(shards, "validation")


def test_records_tell_when_a_clip_is_shown(shards: Path, lib) -> None:
    """Where frame i is not shown at i / fps; learning it later computes no pixel again."""
    assert open_shards(shards).clips["start_seconds"].to_list() == [None, None]
    dataset = shards.parent / "dataset"
    videos = read_table(dataset / "videos.parquet", Video)
    times = pl.Series([[frame / 100 for frame in range(200)]])
    write_table(videos.with_columns(frame_seconds=times), dataset / "videos.parquet", Video)
    assert extract(dataset, shards, lib.small).line == (
        "unchanged: 1 videos, relabelled clips: 2, nothing to compute"
    )
    found = open_shards(shards).clips.select("start_seconds", "end_seconds")
    assert found.rows() == [(0.1, 0.4), (0.6, 0.9)]


def test_records_carry_their_version(shards: Path) -> None:
    assert set(pl.read_parquet_metadata(shards / "clips.parquet")) >= {"schema_version"}
    assert set(open_shards(shards).clips.columns) == set(ClipRecord.model_fields)
