"""`ttflow pose` without Ray and without weights: which frames are looked at, reruns, failures."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import ttflow.jobs.pose_run
import ttflow.jobs.run
import ttflow.pose.video
from ttdata.errors import DatasetError, InputError
from ttdata.storage.dataset import load_dataset
from ttflow import open_shards, read_poses
from ttflow.cli import app
from ttflow.errors import ExtractError, PoseUnavailable, ShardError
from ttflow.jobs.job import PoseJob, Workers
from ttflow.jobs.pose_run import estimate_poses
from ttflow.jobs.pose_worker import run_poses
from ttflow.jobs.run import extract
from ttflow.jobs.worker import run_job
from ttflow.pose import blazepose
from ttflow.pose.config import PoseConfig
from ttflow.pose.model import Detection, Landmarks, Square
from ttflow.shards.layout import remember_dataset
from ttflow.shards.verify import repair, verify

CLIPS = [(10, 30), (20, 44), (100, 110)]
"""Stored with T = 24 and margins of 4: [4, 36), [16, 48), [89, 121); the first two overlap."""
STORED = [(4, 36), (16, 48), (89, 121)]


class NumberReader:
    """A stand-in for the networks: every landmark is at the number that the picture shows."""

    def __init__(self, read_number) -> None:
        self.read_number = read_number
        self.seen: list[int] = []

    def detect(self, picture: np.ndarray, min_score: float = 0.3) -> list[Detection]:
        height, width = picture.shape[:2]
        places = [0.25 * width, 0.75 * width]
        return [Detection(0.9, Square(x, height / 2, x, 0.0)) for x in places]

    def landmarks(self, picture: np.ndarray, square: Square) -> Landmarks:
        number = self.read_number(picture)
        self.seen.append(number)
        return Landmarks(
            points=np.full((33, 2), number, np.float32),
            world=np.full((33, 3), square.x, np.float32),
            visibility=np.full(33, 0.75, np.float32),
            presence=0.9,
            following=square,
        )


@pytest.fixture
def reader(lib, monkeypatch: pytest.MonkeyPatch) -> NumberReader:
    """The networks of the jobs, which run here; there are weights of a kind."""
    made = NumberReader(lib.read_number)

    def run_here(jobs: list[PoseJob], workers: Workers, weights: dict[str, bytes]):
        for job in jobs:
            yield run_poses(PoseJob.model_validate_json(job.model_dump_json()), weights)

    monkeypatch.setattr(blazepose, "open_model", lambda weights: made)
    monkeypatch.setattr(ttflow.jobs.pose_run, "_weights", lambda: {"a": b"1"})
    monkeypatch.setattr(ttflow.jobs.pose_run, "_events", run_here)
    return made


def write_dataset(lib, at: Path, video: Path) -> Path:
    """Two videos of the same content, three clips each."""
    videos = {}
    for video_id in ("a", "ü b"):
        path = at / "videos" / f"{video_id}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(video.read_bytes())
        videos[video_id] = (path, 150)
    clips = [lib.clip_row(video_id, *clip) for video_id in videos for clip in CLIPS]
    clips[5] |= {"x_min": 0.0, "y_min": 0.0, "x_max": 0.5, "y_max": 1.0}
    return lib.write_dataset(at / "dataset", videos, clips)


@pytest.fixture
def extraction_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttflow.jobs.run, "_events", lambda jobs, _: (run_job(job) for job in jobs))


@pytest.fixture(scope="module")
def extracted(lib, tmp_path_factory: pytest.TempPathFactory, number_video: Path) -> Path:
    at = tmp_path_factory.mktemp("extracted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ttflow.jobs.run, "_events", lambda jobs, _: (run_job(job) for job in jobs))
        extract(write_dataset(lib, at, number_video), at / "shards", lib.small)
    return at / "shards"


@pytest.fixture
def dataset(lib, tmp_path: Path, number_video: Path) -> Path:
    return write_dataset(lib, tmp_path, number_video)


@pytest.fixture
def shards(extracted: Path, dataset: Path, tmp_path: Path) -> Path:
    shutil.copytree(extracted, tmp_path / "shards")
    remember_dataset(tmp_path / "shards", dataset)
    return tmp_path / "shards"


def contents(shards: Path, inside: bool) -> dict[str, bytes]:
    """Every file of the folder of poses, or every other one."""
    paths = [path for path in sorted(shards.rglob("*")) if path.is_file()]
    return {
        str(path): path.read_bytes() for path in paths if (path.parent.name == "pose") == inside
    }


def test_every_fourth_stored_frame_and_the_last_is_looked_at(
    shards: Path, reader: NumberReader
) -> None:
    before = contents(shards, inside=False)
    summary = estimate_poses(shards)
    assert summary.line == "poses estimated: 2 videos, unchanged: 0, failed: 0"
    poses = read_poses(shards)
    for video_id in ("a", "ü b"):
        for (start, end), (first, last) in zip(CLIPS, STORED, strict=True):
            pose = poses[f"{video_id}@{start}-{end}"]
            assert pose.frames.tolist() == [*range(first, last - 1, 4), last - 1]
            assert (pose.points == pose.frames[:, None, None]).all()
            assert (pose.fps, pose.picture_hw) == (120.0, (180, 320))
            assert (pose.presence == np.float32(0.9)).all()
    assert contents(shards, inside=False) == before
    assert verify(shards, deep=True).problems == ()
    assert "poses of 6 clips: 0 problems" in verify(shards).text


def test_the_person_in_the_region_of_a_clip_is_followed(shards: Path, reader: NumberReader) -> None:
    estimate_poses(shards)
    poses = read_poses(shards)
    assert (poses["ü b@100-110"].world == 80.0).all()
    assert (poses["a@100-110"].world == 240.0).all(), "the largest"


def test_a_video_is_decoded_once_and_only_as_far_as_needed(
    shards: Path, reader: NumberReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[tuple[str, int]] = []
    original = ttflow.pose.video.decoded

    def watched(path: str, hwaccel: str):
        for frame in original(path, hwaccel):
            decoded.append((path, frame.index))
            yield frame

    monkeypatch.setattr(ttflow.pose.video, "decoded", watched)
    estimate_poses(shards)
    paths = sorted({path for path, _ in decoded})
    assert decoded == [(path, index) for path in paths for index in range(121)]


def test_a_rerun_needs_neither_videos_nor_dataset_nor_weights(
    shards: Path, reader: NumberReader, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate_poses(shards)
    before = contents(shards, inside=True)
    reader.seen.clear()
    dataset.rename(dataset.with_name("elsewhere"))
    monkeypatch.undo()
    summary = estimate_poses(shards)
    assert summary.line == "poses unchanged: 2 videos, nothing to estimate"
    assert reader.seen == []
    assert contents(shards, inside=True) == before


def test_what_is_missing_is_done_again_with_the_same_bytes(
    shards: Path, reader: NumberReader
) -> None:
    estimate_poses(shards)
    before = contents(shards, inside=True)
    next((shards / "pose").glob("a.*.parquet")).unlink()
    left = shards / "pose" / ".0123.locked.tmp"
    left.write_bytes(b"of a killed job")
    assert estimate_poses(shards).line == "poses estimated: 1 videos, unchanged: 1, failed: 0"
    assert contents(shards, inside=True) == before


def test_a_video_that_fails_costs_its_own_clips_only(
    shards: Path, reader: NumberReader, tmp_path: Path
) -> None:
    broken = tmp_path / "videos" / "a.mp4"
    whole = broken.read_bytes()
    broken.unlink()
    with pytest.raises(ExtractError) as caught:
        estimate_poses(shards)
    assert str(caught.value).startswith(
        f"1 of 2 videos failed, the others are finished; {shards}/pose/failures.jsonl names them; "
        f"the first: {broken}: cannot be read"
    )
    (line,) = (shards / "pose" / "failures.jsonl").read_text().splitlines()
    assert json.loads(line)["video_id"] == "a"
    assert json.loads(line)["num_clips"] == 3
    assert len(read_poses(shards, [f"ü b@{start}-{end}" for start, end in CLIPS])) == 3
    with pytest.raises(ShardError) as caught:
        read_poses(shards)
    assert str(caught.value) == (
        f"{shards}: no pose of clip 'a@10-30'; its video failed ({json.loads(line)['error']}): "
        f"mend that, then run `ttflow pose {shards}`"
    )
    report = verify(shards)
    assert report.problems == ()
    assert "poses of 3 clips (1 videos failed, see pose/failures.jsonl): 0 problems" in report.text
    broken.write_bytes(whole)
    assert estimate_poses(shards).computed == 1
    assert (shards / "pose" / "failures.jsonl").read_text() == ""


def test_an_error_while_a_video_is_looked_at_is_its_own(
    shards: Path, reader: NumberReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = reader.landmarks

    def fails_once(picture: np.ndarray, square: Square) -> Landmarks:
        if len(reader.seen) == 10:
            reader.seen.append(-1)
            raise RuntimeError("no more")
        return original(picture, square)

    monkeypatch.setattr(reader, "landmarks", fails_once)
    with pytest.raises(ExtractError, match=r"1 of 2 videos failed.*a\.mp4: RuntimeError: no more"):
        estimate_poses(shards)
    assert len(list((shards / "pose").glob("*.parquet"))) == 1
    assert not list((shards / "pose").glob(".*"))


def test_another_file_than_was_extracted_is_refused(
    shards: Path, reader: NumberReader, tmp_path: Path
) -> None:
    video = tmp_path / "videos" / "a.mp4"
    size = video.stat().st_size
    with video.open("ab") as handle:
        handle.write(b"\0")
    with pytest.raises(
        ExtractError, match=rf"a\.mp4: {size + 1} bytes, .* expected {size} bytes, .*ttflow extract"
    ):
        estimate_poses(shards)


def test_without_weights_nothing_is_written(
    shards: Path, reader: NumberReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("TTFLOW_POSE_DIR", str(tmp_path / "nothing"))
    with pytest.raises(PoseUnavailable, match=r"ttflow fetch-pose|pip install 'ttflow"):
        estimate_poses(shards)
    assert not (shards / "pose").exists()


def test_a_dataset_that_moved_is_named(shards: Path, reader: NumberReader, dataset: Path) -> None:
    moved = dataset.rename(dataset.with_name("moved"))
    with pytest.raises(InputError, match=rf"^{dataset}: no such folder, .* --dataset$"):
        estimate_poses(shards)
    (shards / "dataset_folder.json").unlink()
    with pytest.raises(InputError, match=r"does not say where its dataset lies; .* --dataset$"):
        estimate_poses(shards)
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        estimate_poses(shards, dataset=shards.parent)
    assert estimate_poses(shards, dataset=moved).computed == 2


def test_a_video_that_the_dataset_does_not_know(
    lib, shards: Path, reader: NumberReader, dataset: Path
) -> None:
    path = load_dataset(dataset).videos["path"][0]
    other = lib.write_dataset(dataset.parent / "other", {"a": (path, 150)}, [])
    with pytest.raises(ExtractError, match=r"1 of 2 videos failed.*names no file for it"):
        estimate_poses(shards, dataset=other)


def test_new_intervals_leave_no_stale_file(
    lib, extraction_here, shards: Path, reader: NumberReader, dataset: Path, tmp_path: Path
) -> None:
    estimate_poses(shards)
    (stale,) = (shards / "pose").glob("a.*.parquet")
    videos = {v: (tmp_path / "videos" / f"{v}.mp4", 150) for v in ("a", "ü b")}
    clips = pl.read_parquet(dataset / "clips.parquet").to_dicts()
    clips[0] = lib.clip_row("a", 10, 34)
    lib.write_dataset(dataset, videos, clips)
    extract(dataset, shards, lib.small)
    report = verify(shards)
    assert [text.partition(": ")[2] for text in report.problems] == [
        "no poses; run `ttflow pose` again",
        "no clip of now has these poses; run `ttflow pose` again",
    ]
    assert estimate_poses(shards).line == "poses estimated: 1 videos, unchanged: 1, failed: 0"
    assert not stale.exists()
    assert verify(shards).problems == ()


def test_videos_that_left_the_dataset_keep_their_poses(
    lib, extraction_here, shards: Path, reader: NumberReader, dataset: Path, tmp_path: Path
) -> None:
    estimate_poses(shards)
    videos = {v: (tmp_path / "videos" / f"{v}.mp4", 150) for v in ("a", "ü b")}
    clips = pl.read_parquet(dataset / "clips.parquet").to_dicts()
    lib.write_dataset(dataset, {"a": videos["a"]}, clips[:3])
    extract(dataset, shards, lib.small)
    assert estimate_poses(shards).computed == 0
    assert verify(shards).problems == ()
    lib.write_dataset(dataset, videos, clips)
    extract(dataset, shards, lib.small)
    assert estimate_poses(shards).line == "poses unchanged: 2 videos, nothing to estimate"
    assert len(read_poses(shards)) == 6


def test_damage_is_found_and_repaired(shards: Path, reader: NumberReader) -> None:
    estimate_poses(shards)
    whole = contents(shards, inside=True)
    (path,) = (shards / "pose").glob("a.*.parquet")
    path.write_bytes(path.read_bytes()[:-30])
    report = verify(shards)
    assert len(report.problems) == 1
    assert f"{path}: cannot be read" in report.problems[0]
    assert report.unusable_poses == (path.name,)
    assert "unusable files of poses: 1; `ttflow verify --repair` removes them" in report.text
    result = CliRunner().invoke(app, ["verify", str(shards), "--repair"])
    assert result.exit_code == 1
    assert "removed: 1 files of poses; run `ttflow pose` again" in result.output
    assert not path.exists()
    assert estimate_poses(shards).computed == 1
    assert contents(shards, inside=True) == whole


def test_values_that_are_not_those_that_were_written(shards: Path, reader: NumberReader) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    estimate_poses(shards)
    (path,) = (shards / "pose").glob("a.*.parquet")
    table = pq.read_table(path)
    changed = [[value + 1 for value in row] for row in table["presence"].to_pylist()]
    column = pa.array(changed, table.schema.field("presence").type)
    place = table.schema.get_field_index("presence")
    pq.write_table(table.set_column(place, table.schema.field("presence"), column), path)
    (problem,) = verify(shards).problems
    assert problem.startswith(f"{path}: SHA-256 ")
    pq.write_table(table.slice(1), path)
    found = verify(shards).problems
    assert found[1] == f"{path}: no pose of clip a@10-30"
    repair(shards, verify(shards))
    assert not path.exists()


def test_poses_of_damaged_pixels_wait_for_them(
    lib, extraction_here, shards: Path, reader: NumberReader, dataset: Path
) -> None:
    estimate_poses(shards)
    part = next((shards / "parts").glob("a.*.parquet"))
    part.write_bytes(b"damaged")
    report = verify(shards)
    assert report.damaged_videos == ("a",)
    repair(shards, report)
    extract(dataset, shards, lib.small)
    assert estimate_poses(shards).line == "poses unchanged: 2 videos, nothing to estimate"
    assert verify(shards).problems == ()


def test_the_command(shards: Path, reader: NumberReader, dataset: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["pose", str(shards), *words])
        return result.exit_code, result.output or repr(result.exception)

    assert run("--dataset", str(dataset), "--set", "rate_hz=15") == (
        0,
        "poses estimated: 2 videos, unchanged: 0, failed: 0\n",
    )
    assert read_poses(shards, ["a@10-30"])["a@10-30"].frames.tolist() == [4, 12, 20, 28, 35]
    assert "made with rate_hz=15.0, asked 30.0; use the same" in run()[1]
    assert "did you mean 'rate_hz'" in run("--set", "rate=15")[1]
    cores = os.cpu_count() or 1
    assert "this machine has" in run("--workers", str(1000 * cores), "--set", "rate_hz=15")[1]
    with pytest.raises(ShardError, match="made with rate_hz"):
        estimate_poses(shards, PoseConfig())


def test_a_folder_that_is_no_shards_folder(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(ShardError, match=r"shards\.json: no such file"):
        estimate_poses(tmp_path / "nothing")
    result = CliRunner().invoke(app, ["pose", str(dataset)])
    assert "holds a dataset, expected shards" in str(result.exception)


def test_extraction_notes_where_the_dataset_lies(shards: Path, dataset: Path) -> None:
    noted = json.loads((shards / "dataset_folder.json").read_text())
    assert noted == {"schema_version": 1, "path": str(dataset)}
    assert open_shards(shards).clips.height == 6
