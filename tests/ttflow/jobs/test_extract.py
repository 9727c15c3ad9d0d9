"""The command: odd input, reruns, relabelling, one failure among many; through Ray where marked."""

import hashlib
import json
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import polars as pl
import pytest
import torch

import ttflow.flow
import ttflow.jobs.run
from ttdata.errors import DatasetError, InputError
from ttdata.schema import Stretch
from ttdata.storage.dataset import load_dataset
from ttdata.storage.tables import write_table
from ttflow.errors import ExtractError, ShardError
from ttflow.flow import raft
from ttflow.jobs.job import Job, Workers
from ttflow.jobs.planning import plan_work
from ttflow.jobs.run import _with_weights, extract, resolve_config
from ttflow.jobs.worker import _estimator, run_job, weights_of
from ttflow.schema import Failure, FlowConfig
from ttflow.shards.layout import prepare_folder
from ttflow.shards.reader import open_shards
from ttflow.shards.stats import flow_stats
from ttflow.shards.verify import verify
from ttflow.view.pictures import _contact_sheet, view


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs run here, one after the other; their videos are listed."""
    ran: list[str] = []

    def run_here(jobs: list[Job], workers: Workers):
        for job in jobs:
            ran.append(job.video_id)
            yield run_job(Job.model_validate_json(job.model_dump_json()))

    monkeypatch.setattr(ttflow.jobs.run, "_events", run_here)
    return ran


@pytest.fixture
def videos(lib, tmp_path: Path, square_video: Path) -> dict[str, Path]:
    result = {}
    for video_id in ("plain", "with space", "-dash", "ünï/卓球"):
        path = tmp_path / "videos" / f"{video_id}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(square_video.read_bytes())
        result[video_id] = path
    return result


@pytest.fixture
def dataset(lib, tmp_path: Path, videos: dict[str, Path]) -> Path:
    clips = [
        lib.clip_row(video_id, start, start + 30) for video_id in videos for start in (10, 30, 150)
    ]
    listed = {video_id: (path, 200) for video_id, path in videos.items()}
    return lib.write_dataset(tmp_path / "dataset", listed, clips)


def stamps(shards: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in sorted(shards.rglob("*")) if p.is_file()}


def test_a_rerun_does_nothing(lib, dataset: Path, tmp_path: Path, without_ray: list[str]) -> None:
    summary = extract(dataset, tmp_path / "shards", lib.small)
    assert (summary.computed, summary.unchanged) == (4, 0)
    assert verify(tmp_path / "shards", deep=True).problems == ()
    before = stamps(tmp_path / "shards")
    without_ray.clear()
    summary = extract(dataset, tmp_path / "shards", lib.small)
    assert without_ray == []
    assert summary.line == "unchanged: 4 videos, relabelled clips: 0, nothing to compute"
    after = stamps(tmp_path / "shards")
    before.pop(str(tmp_path / "shards" / "failures.jsonl"))
    assert all(after[name] == stamp for name, stamp in before.items())


def test_relabelling_recomputes_nothing(
    lib, dataset: Path, tmp_path: Path, without_ray: list[str], videos: dict[str, Path]
) -> None:
    extract(dataset, tmp_path / "shards", lib.small)
    without_ray.clear()
    clips = pl.read_parquet(dataset / "clips.parquet").to_dicts()
    clips[0]["label"], clips[1]["split"] = "Serve Forehand Loop", "test"
    listed = {video_id: (path, 200) for video_id, path in videos.items()}
    lib.write_dataset(dataset, listed, clips)
    videos["plain"].unlink()  # its pixels are there already
    summary = extract(dataset, tmp_path / "shards", lib.small)
    assert without_ray == []
    assert "relabelled clips: 2, nothing to compute" in summary.line
    stored = open_shards(tmp_path / "shards").clips
    assert stored.select("clip_id", "label", "split").to_dicts() == [
        {name: clip[name] for name in ("clip_id", "label", "split")} for clip in clips
    ]


def test_a_new_clip_recomputes_its_video_only(
    lib, dataset: Path, tmp_path: Path, without_ray: list[str], videos: dict[str, Path]
) -> None:
    extract(dataset, tmp_path / "shards", lib.small)
    without_ray.clear()
    clips = pl.read_parquet(dataset / "clips.parquet").to_dicts()
    clips.append(lib.clip_row("-dash", 100, 120))
    lib.write_dataset(dataset, {v: (p, 200) for v, p in videos.items()}, clips)
    extract(dataset, tmp_path / "shards", lib.small)
    assert without_ray == ["-dash"]
    assert verify(tmp_path / "shards", deep=True).clips == 13
    assert verify(tmp_path / "shards").problems == ()


def test_stretches_are_stored_beside_the_clips(
    lib,
    dataset: Path,
    tmp_path: Path,
    without_ray: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extract(dataset, tmp_path / "shards", lib.small)
    without_ray.clear()
    names = ("clip_id", "video_id", "start_frame", "end_frame", "kind")
    place = ("-dash@60-120+rest", "-dash", 60, 120, "rest")
    region = {"x_min": 0.0, "y_min": 0.0, "x_max": 0.5, "y_max": 1.0}
    row = dict(zip(names, place, strict=True)) | region
    write_table(pl.DataFrame([row]), dataset / "stretches.parquet", Stretch)
    extract(dataset, tmp_path / "shards", lib.small)
    assert without_ray == ["-dash"]
    shards = open_shards(tmp_path / "shards")
    stored = shards.read("-dash@60-120+rest")
    assert {name: stored[name] for name in row} == row
    assert (stored["label"], stored["split"]) == ("Negative", None)
    assert (stored["stored_start_frame"], stored["stored_end_frame"]) == (56, 124)
    assert shards.clips["kind"].to_list() == ["stroke"] * 12 + ["rest"]
    # As many as `ttdata curate` counted, and as before where they are taken away.
    counts = {"clips_stroke": 12, "clips_negative": 0, "stretches_rest": 1}
    info = lib.info.model_copy(update={"counts": counts})
    (dataset / "dataset.json").write_text(info.model_dump_json())
    extract(dataset, tmp_path / "shards", lib.small)
    report = verify(tmp_path / "shards")
    assert report.problems == ()
    assert "13 clips (1 of them stretches)" in report.text
    # Who looks at clips sees none.
    assert shards.without_stretches.height == 12
    assert flow_stats(tmp_path / "shards", split=None).clips == 12
    monkeypatch.setattr("ttflow.view.pictures._save", lambda figure, _: figure)
    sheet = _contact_sheet(shards, tmp_path / "sheet.png")
    titles = [axes.get_title() for axes in sheet.axes]
    assert len(titles) == 12
    assert all(titles)
    assert "rest" not in "".join(titles)
    (dataset / "stretches.parquet").unlink()
    extract(dataset, tmp_path / "shards", lib.small)
    assert open_shards(tmp_path / "shards").clips.height == 12
    assert "12 clips, " in verify(tmp_path / "shards").text


def test_damage_is_recomputed(lib, dataset: Path, tmp_path: Path, without_ray: list[str]) -> None:
    extract(dataset, tmp_path / "shards", lib.small)
    part = sorted((tmp_path / "shards" / "parts").iterdir())[0]
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    without_ray.clear()
    extract(dataset, tmp_path / "shards", lib.small)
    assert len(without_ray) == 1
    assert part.read_bytes() == content


def test_one_bad_video_does_not_stop_the_others(
    lib, dataset: Path, tmp_path: Path, without_ray: list[str], videos: dict[str, Path]
) -> None:
    videos["plain"].write_bytes(b"")
    videos["with space"].unlink()
    listed = {video_id: (path, 200) for video_id, path in videos.items()}
    clips = pl.read_parquet(dataset / "clips.parquet").to_dicts()
    clips += [lib.clip_row("elsewhere", 0, 5)]
    lib.write_dataset(dataset, listed | {"elsewhere": (None, 100)}, clips)
    with pytest.raises(ExtractError, match=r"3 of 5 videos failed.*failures\.jsonl") as caught:
        extract(dataset, tmp_path / "shards", lib.small)
    assert caught.value.exit_code == 1
    lines = (tmp_path / "shards" / "failures.jsonl").read_text().splitlines()
    failures = {f.video_id: f for f in map(Failure.model_validate_json, lines)}
    assert set(failures) == {"plain", "with space", "elsewhere"}
    assert "plain.mp4: cannot be opened" in failures["plain"].error
    assert failures["plain"].num_clips == 3
    assert set(open_shards(tmp_path / "shards").clips["video_id"]) == {"-dash", "ünï/卓球"}
    assert verify(tmp_path / "shards", deep=True).problems == ()


def test_a_repaired_video_is_added(
    lib, dataset: Path, tmp_path: Path, without_ray: list[str], videos: dict[str, Path]
) -> None:
    good = videos["plain"].read_bytes()
    videos["plain"].write_bytes(good[:1000])
    with pytest.raises(ExtractError):
        extract(dataset, tmp_path / "shards", lib.small)
    videos["plain"].write_bytes(good)
    without_ray.clear()
    extract(dataset, tmp_path / "shards", lib.small)
    assert without_ray == ["plain"]
    assert (tmp_path / "shards" / "failures.jsonl").read_text() == ""
    assert open_shards(tmp_path / "shards").clips.height == 12


def test_another_configuration_is_refused(
    lib, dataset: Path, tmp_path: Path, without_ray: list[str]
) -> None:
    extract(dataset, tmp_path / "shards", lib.small)
    other = lib.small.model_copy(update={"estimator": "farneback"})
    with pytest.raises(ShardError, match="estimator='dis-ultrafast', asked 'farneback'"):
        extract(dataset, tmp_path / "shards", other)


def test_settings() -> None:
    assert resolve_config(None, None, []).estimator == "beyond-pixels"
    assert resolve_config(None, "auto", []) == resolve_config(None, "beyond-pixels", [])
    assert resolve_config(None, "dis", []).estimator == "dis-medium"
    assert resolve_config(None, None, ["estimator=dis", "roi_alpha=0.5"]).roi_alpha == 0.5
    with pytest.raises(InputError, match="unknown flow estimator 'x'"):
        resolve_config(None, "x", [])
    with pytest.raises(InputError, match="did you mean 'patch_side'"):
        resolve_config(None, None, ["patch_size=3"])


def test_bad_datasets(lib, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="ttdata curate"):
        extract(tmp_path / "nothing", tmp_path / "shards", lib.small)
    clip = lib.clip_row("unlisted", 0, 5)
    lib.write_dataset(dataset, {"plain": (tmp_path, 1)}, [clip])
    with pytest.raises(DatasetError, match="unlisted"):
        extract(dataset, tmp_path / "shards", lib.small)
    lib.write_dataset(dataset, {"unlisted": (tmp_path, 1)}, [clip, clip])
    with pytest.raises(DatasetError, match="comes twice"):
        extract(dataset, tmp_path / "shards", lib.small)


def test_a_damaged_dataset_makes_no_folder(lib, dataset: Path, tmp_path: Path) -> None:
    (dataset / "clips.parquet").write_bytes(b"no table")
    with pytest.raises(DatasetError, match=r"clips\.parquet: not a readable Parquet file"):
        extract(dataset, tmp_path / "shards", lib.small)
    (dataset / "videos.parquet").unlink()
    with pytest.raises(DatasetError, match=r"videos\.parquet: no such file"):
        extract(dataset, tmp_path / "shards", lib.small)
    (dataset / "dataset.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"dataset\.json: not a readable JSON object"):
        extract(dataset, tmp_path / "shards", lib.small)
    assert not (tmp_path / "shards").exists()


@pytest.mark.real
def test_every_odd_file_gives_frames_or_one_error(
    lib, tmp_path: Path, without_ray: list[str]
) -> None:
    suffixes = {".mp4", ".mov", ".mkv", ".avi", ".webm"}
    paths = sorted(p for p in lib.real_videos().rglob("*") if p.suffix in suffixes)
    listed = {p.relative_to(lib.real_videos()).as_posix(): (p, 0) for p in paths}
    clips = [lib.clip_row(video_id, 0, 3) for video_id in listed]
    dataset = lib.write_dataset(tmp_path / "dataset", listed, clips)
    with pytest.raises(ExtractError, match=f"4 of {len(paths)} videos failed"):
        extract(dataset, tmp_path / "shards", lib.small)
    lines = (tmp_path / "shards" / "failures.jsonl").read_text().splitlines()
    errors = {f["video_id"]: f["error"] for f in map(json.loads, lines)}
    upright = {"decord/video_90.mov", "decord/video_270.mov"}  # in a working frame that lies
    assert set(errors) == {"decord/corrupted.mp4", "moviepy/result.webm"} | upright
    assert all("320 x 568 pixels would be squashed" in errors[name] for name in upright)
    assert "frame 28" in errors["decord/corrupted.mp4"]
    opened = open_shards(tmp_path / "shards")
    assert opened.clips.height == len(paths) - 4
    counts = dict(opened.clips.select("video_id", "num_frames").iter_rows())
    assert counts["decord/flipping_a_pancake.mkv"] == 310
    assert counts["torchcodec/nasa_13013.mp4"] == 390
    assert verify(tmp_path / "shards", deep=True).problems == ()


# --- the real command ----------------------------------------------------------------------------

SETS = [
    *("--set", "frame_height=90", "--set", "frame_width=160", "--set", "patch_side=72"),
    *("--set", "crop_height=48", "--set", "crop_width=48", "--set", "window_frames=24"),
    *("--set", "margin_frames=4", "--estimator", "dis-ultrafast"),
]


def command(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    parts = [sys.executable, "-m", "ttflow", *map(str, arguments)]
    result = subprocess.run(parts, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "extract" in command("--help").stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time: what else the machine does is no concern of the command.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert median(seconds) < 1


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, ttflow; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in out.stdout.split()}
    assert not loaded & {"ray", "torch", "cv2", "av", "polars", "pyarrow", "matplotlib"}


def test_a_video_is_viewed_inside_its_frames(lib, square_video: Path, tmp_path: Path) -> None:
    sizes = [f"{name}={value}" for name, value in lib.small.model_dump().items() if value]
    with pytest.raises(InputError, match=r"--frame 1000: the video has 200 frames"):
        view(square_video, tmp_path, frame=1000, overrides=sizes)
    assert view(square_video, tmp_path / "last", frame=199, overrides=sizes)  # no successor
    pictures = view(square_video, tmp_path, overrides=sizes)
    assert pictures[0].name.endswith("-frame60.png")


def test_exports() -> None:
    import ttflow
    from ttflow import flow
    from ttflow.flow import variational

    assert flow.BeyondPixels is variational.BeyondPixels
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = flow.no_such_name

    assert list(ttflow.__all__) == sorted(ttflow.__all__)
    assert set(ttflow.__all__) <= set(dir(ttflow))
    assert set(ttflow.flow.__all__) <= set(dir(ttflow.flow))
    assert all(getattr(ttflow, name) is not None for name in ttflow.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ttflow.no_such_name


def test_usage_errors_are_one_line(tmp_path: Path) -> None:
    result = command("extract", tmp_path, "--out", tmp_path / "x", "--estimator", "x", code=2)
    assert result.stderr.startswith("error: unknown flow estimator 'x'")
    assert result.stderr.count("\n") == 1
    command("extract", code=2)
    command("verify", tmp_path, code=2)


@pytest.mark.ray
def test_extract_verify_and_view(lib, dataset: Path, tmp_path: Path) -> None:
    shards, pictures = tmp_path / "shards", tmp_path / "pictures"
    clips = pl.read_parquet(dataset / "clips.parquet").to_dicts()
    paths = pl.read_parquet(dataset / "videos.parquet")["path"].to_list()
    listed = {Path(p).stem: (Path(p), 200) for p in paths[:2]} | {"gone": (tmp_path / "no", 9)}
    clips = [c for c in clips if c["video_id"] in listed] + [lib.clip_row("gone", 0, 5)]
    lib.write_dataset(dataset, listed, clips)
    result = command("extract", dataset, "--out", shards, "--workers", 2, *SETS, code=1)
    assert "1 of 3 videos failed" in result.stderr
    report = json.loads(command("verify", shards, "--deep", "--json").stdout)
    assert (report["videos"], report["clips"], report["problems"]) == (2, 6, [])
    command("view", shards, "--out", pictures, "--clip", clips[1]["clip_id"], "--frame", 35)
    command("view", paths[0], "--out", pictures, "--frame", 60)
    assert len(list(pictures.glob("*.png"))) == 3
    assert len(list(pictures.glob("*.mp4"))) == 2


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A cluster with a GPU that only Ray believes in."""
    import ray

    address = os.environ.pop("RAY_ADDRESS", None)
    ray.init(address="local", num_cpus=2, num_gpus=1, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()
    if address is not None:
        os.environ["RAY_ADDRESS"] = address


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_a_gpu_is_looked_for_before_it_is_waited_for(lib, local_ray, tmp_path: Path) -> None:
    from ttflow.jobs.ray_pipeline import run_jobs

    job = Job(
        shards=tmp_path,
        video_id="v",
        path="no.mp4",
        key="k",
        source=(0, ""),
        expected_frames=1,
        clips=(),
        config=lib.small.model_copy(update={"estimator": "beyond-pixels"}),
    )
    with pytest.raises(InputError, match="--device cuda: Ray and torch find no GPU here"):
        list(run_jobs([job], Workers(device="cuda")))


@pytest.mark.ray
# Ray reads deprecated settings of its own when it copies its context.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_read_clips_keeps_order_and_rows(
    lib, local_ray, dataset: Path, tmp_path: Path, without_ray: list[str]
) -> None:
    from ttflow import read_clips

    extract(dataset, tmp_path / "shards", lib.small)
    opened = open_shards(tmp_path / "shards")
    wanted = list(reversed(opened.clips["clip_id"].to_list())) * 2
    rows = list(read_clips(tmp_path / "shards", wanted).iter_rows())
    assert [row["clip_id"] for row in rows] == wanted
    assert all(dict(row) == opened.read(row["clip_id"]) for row in rows)
    slim = read_clips(tmp_path / "shards", columns=["flow_max_px"]).take_all()
    assert [row["clip_id"] for row in slim] == opened.clips["clip_id"].to_list()
    assert set(slim[0]) == set(opened.clips.columns) | {"flow_max_px"}
    assert read_clips(tmp_path / "shards", []).count() == 0


# --- RAFT's weights ------------------------------------------------------------------------------


class Still(torch.nn.Module):
    """Answers as RAFT does: nothing moves."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
        return [torch.zeros_like(first[:, :2])]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[raft.Weights]]:
    """torchvision is not needed; the weights that processes loaded are listed."""
    found: list[raft.Weights] = []

    def load(weights: raft.Weights) -> Still:
        found.append(weights)
        return Still()

    monkeypatch.setattr(raft, "load", load)
    monkeypatch.delenv(raft.WEIGHTS_VARIABLE, raising=False)
    _estimator.cache_clear()
    yield found
    _estimator.cache_clear()


def weights_file(path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    path.write_bytes(content)
    monkeypatch.setenv(raft.WEIGHTS_VARIABLE, str(path))
    return hashlib.sha256(content).hexdigest()


def test_shards_are_keyed_by_the_weights(
    lib,
    dataset: Path,
    tmp_path: Path,
    without_ray: list[str],
    loaded: list[raft.Weights],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, shards = lib.small.model_copy(update={"estimator": "raft"}), tmp_path / "shards"
    with pytest.raises(InputError, match=raft.WEIGHTS_VARIABLE):
        extract(dataset, shards, config)
    assert not shards.exists()
    one = weights_file(tmp_path / "one.pth", b"one", monkeypatch)
    assert extract(dataset, shards, config).computed == 4
    assert open_shards(shards).info.config.weights_sha256 == one
    assert {weights.sha256 for weights in loaded} == {one}
    # The same bytes elsewhere are the same weights; other bytes are another folder's.
    weights_file(tmp_path / "copy.pth", b"one", monkeypatch)
    assert extract(dataset, shards, config).unchanged == 4
    weights_file(tmp_path / "one.pth", b"two", monkeypatch)
    with pytest.raises(ShardError, match=rf"made with weights_sha256='{one}', asked '3fc4cc"):
        extract(dataset, shards, config)
    # To relabel, nobody needs them.
    monkeypatch.delenv(raft.WEIGHTS_VARIABLE)
    assert extract(dataset, shards, config).unchanged == 4


def test_shards_that_did_not_record_their_weights_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights_file(tmp_path / "one.pth", b"one", monkeypatch)
    raft_config, shards = FlowConfig(estimator="raft"), tmp_path / "shards"
    prepare_folder(shards, raft_config)  # as earlier releases wrote it
    assert _with_weights(raft_config, shards) == raft_config
    assert _with_weights(raft_config, tmp_path / "new").weights_sha256 is not None


def test_workers_get_the_weights_or_check_their_own(
    lib,
    dataset: Path,
    tmp_path: Path,
    loaded: list[raft.Weights],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sha256 = weights_file(tmp_path / "one.pth", b"one", monkeypatch)
    update = {"estimator": "raft", "weights_sha256": sha256}
    config = lib.small.model_copy(update=update)
    prepare_folder(tmp_path / "shards", config)
    job = plan_work(load_dataset(dataset), tmp_path / "shards", config).jobs[0]
    sent = pickle.loads(pickle.dumps(weights_of(config)))
    monkeypatch.delenv(raft.WEIGHTS_VARIABLE)  # as on another machine
    assert run_job(job, weights=sent).error is None
    assert loaded == [sent]
    assert loaded[0].content == b"one"
    assert raft.WEIGHTS_VARIABLE in (run_job(job).error or "")
    weights_file(tmp_path / "other.pth", b"other", monkeypatch)
    error = run_job(job).error or ""
    assert error.startswith(f"{tmp_path / 'other.pth'}: weights of RAFT with SHA-256 d9298a10")
    assert f"expected {sha256[:16]}" in error
    assert "\n" not in error


def test_weights_without_a_network_are_refused() -> None:
    with pytest.raises(InputError, match="'dis-medium' has no weights"):
        resolve_config(None, "dis", ["weights_sha256=ab"])


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_weights_reach_workers_that_have_no_file(
    lib, local_ray, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ttflow.jobs.ray_pipeline import run_jobs

    sha256 = weights_file(tmp_path / "one.pth", b"one", monkeypatch)
    config = lib.small.model_copy(update={"estimator": "raft", "weights_sha256": sha256})
    jobs = plan_work(load_dataset(dataset), tmp_path / "shards", config).jobs[:1]
    # The cluster began without the variable: its workers do not know the file.
    (outcome,) = run_jobs(jobs, Workers(device="cpu"))
    wanted = "one.pth: cannot be read as weights" if find_spec("torchvision") else "torchvision"
    assert wanted in (outcome.error or "")


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_a_cluster_that_others_fill_is_no_endless_wait(
    lib, local_ray, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from ttflow.jobs.ray_pipeline import run_jobs

    jobs = plan_work(load_dataset(dataset), tmp_path / "shards", lib.small).jobs
    group = ray.util.placement_group([{"CPU": 2}])
    assert group.wait(60)
    monkeypatch.setenv("TTFLOW_RAY_WAIT_SECONDS", "0.5")
    try:
        with pytest.raises(InputError, match=r"the cluster is full: 0 of 2 CPUs free, expected 1"):
            list(run_jobs(jobs, Workers(device="cpu")))
    finally:
        ray.util.remove_placement_group(group)
