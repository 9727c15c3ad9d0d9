"""Networks on landmarks through every command, without a cluster."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from ttdata.errors import InputError
from ttflow.errors import ShardError
from ttflow.pose.config import PoseConfig
from ttflow.shards.poses import stored_poses, write_poses
from ttmodels import load
from tttrain import recipes
from tttrain.cli import app
from tttrain.commands import evaluate_detector as evaluating
from tttrain.commands import fit as fitting
from tttrain.commands import fit_detector as detecting
from tttrain.commands import predict as predicting
from tttrain.commands.compare import compare
from tttrain.commands.evaluate import evaluate
from tttrain.commands.predict import predict
from tttrain.commands.video_indexer import VideoIndexer
from tttrain.data.dataset import ShardSource, open_data
from tttrain.data.poses import PoseSource
from tttrain.data.sampling import central_request
from tttrain.evaluation.scoring import score_clip
from tttrain.evaluation.video_input import extracted
from tttrain.run import Run, RunInfo
from tttrain.training.worker import Trainer, Worker

FAST = {"schedule": {"epochs": 4}, "execution": {"torch_threads": 1, "device": "cpu"}}
POSE = recipes.pose().with_changes(batch_size=6, **FAST)


def train_here(run: Run, info: RunInfo) -> None:
    """Stands in for the cluster: one worker, in this process."""
    data, network = open_data(Path(run.info().data)), info.resolved.network
    assert network.clip_shape is not None
    num_frames = network.clip_shape[0]
    source = ShardSource(data, num_frames) if network.reads_pixels else None
    if network.reads_pose:
        clip_ids = [clip.clip_id for clip in data.read_in_training({})]
        poses = [pose.reading(network.landmarks) for pose in data.poses(clip_ids)]
        source = PoseSource(poses, num_frames, source)
    Trainer(run, data.clips, source, Worker()).train(lambda _: None)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_launch", train_here)


@pytest.fixture(scope="module")
def run(shards_with_poses: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained on landmarks alone, with pixels that nobody can decode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_launch", train_here)
        patch.setattr("tttrain.data.decode.decode_window", _no_pixels)
        out = tmp_path_factory.mktemp("runs") / "pose"
        return fitting.fit(POSE, shards_with_poses, out)


def _no_pixels(*_: object) -> None:
    raise AssertionError("pixels are decoded")


def test_a_network_on_landmarks_decodes_no_pixel(
    run: Run, shards_with_poses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tttrain.data.decode.decode_window", _no_pixels)
    assert (load(run.model_folder).name, len(run.metrics())) == ("pose", 4)
    assert run.metrics()[-1]["train_loss"] < run.metrics()[0]["train_loss"]
    assert run.info().pose_estimation == PoseConfig()
    assert run.info().dataset_hash != open_data(shards_with_poses).hash
    result = evaluate(run.folder, shards_with_poses)
    assert [item["n"] for item in result["methods"].values()] == [6, 6, 6]
    assert result["calibration"]["test_avg"]["n"] == 6
    assert evaluate(run.folder, shards_with_poses) == result
    assert run.report_path.is_file()
    told = predict(run.folder, shards_with_poses, tmp_path / "strokes.csv")
    table = pl.read_csv(tmp_path / "strokes.csv")
    assert told.startswith("24 strokes named")
    answers = {clip["clip_id"]: clip["answers"]["test_avg"] for clip in result["clips"]}
    named = dict(table.select("clip_id", "label").iter_rows())
    assert {clip_id: named[clip_id] for clip_id in answers} == answers


def test_answers_of_baselines_of_before_are_made_anew(
    run: Run, shards_with_poses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = evaluate(run.folder, shards_with_poses)["key"]
    monkeypatch.setattr("tttrain.evaluation.baselines.VERSION", 1)
    assert evaluate(run.folder, shards_with_poses)["key"] != now


def test_strokes_are_learned_from_landmarks(shards_with_poses: Path, tmp_path: Path) -> None:
    """One joint of 33 moves, so it takes some epochs; chance is a loss of log 3 = 1.10."""
    config = POSE.with_changes(
        batch_size=12,
        optimizer={"learning_rate": 0.002},
        schedule={"epochs": 60},
        augment={"spatial": False, "temporal": False},
    )
    learned = fitting.fit(config, shards_with_poses, tmp_path / "run")
    assert learned.metrics()[-1]["train_loss"] < 0.9


def test_landmarks_in_space_are_read_in_training_and_test(
    shards_with_poses: Path, tmp_path: Path
) -> None:
    config = recipes.small_turned().with_changes(batch_size=6, **FAST)
    run = fitting.fit(config, shards_with_poses, tmp_path / "run")
    model, data = load(run.model_folder), open_data(shards_with_poses)
    (clip, *_) = data.clips["validation"]
    (stored,) = data.poses([clip.clip_id])
    num_frames = model.config.clip_shape[0]
    window = stored.reading("world").window(
        central_request(clip, num_frames).start_frame, num_frames
    )
    expected = model.predict_proba(window.pose[None])[0].tolist()
    assert score_clip(model, data, clip).central.tolist() == pytest.approx(expected, abs=1e-6)
    # What training measured of its best epoch is what the saved network does in a test.
    right = evaluate(run.folder, shards_with_poses, split="validation")["methods"]["test"]
    best = max(entry["validation_accuracy"] for entry in run.metrics())
    assert right["accuracy"] == pytest.approx(best)


def test_a_finished_run_is_one_of_its_landmarks(
    run: Run, shards_with_poses: Path, tmp_path: Path
) -> None:
    assert fitting.fit(POSE, shards_with_poses, run.folder).folder == run.folder
    other = tmp_path / "shards"
    shutil.copytree(shards_with_poses, other)
    (file,) = (other / "pose").glob("video_00.*")
    (pose,), _ = stored_poses(file)
    file.unlink()
    write_poses(file, [replace(pose, points=pose.points + 1)])
    with pytest.raises(InputError, match="holds a run on other data"):
        fitting.fit(POSE, other, run.folder)


def test_three_streams(shards_with_poses: Path, tmp_path: Path) -> None:
    config = recipes.siamese_pose().with_changes(batch_size=6, **FAST)
    run = fitting.fit(config, shards_with_poses, tmp_path / "run")
    model = load(run.model_folder)
    assert (model.name, model.inputs) == ("sstc_pose", ("rgb", "flow", "pose"))
    assert model.config.stored()["head"] == "pooled"
    assert evaluate(run.folder, shards_with_poses)["methods"]["test"]["n"] == 6


def test_branches_that_learn_apart(shards_with_poses: Path, tmp_path: Path) -> None:
    """Saved is an ordinary network, which does in a test what training measured of its epoch."""
    config = recipes.siamese_pose_turned().with_changes(batch_size=6, **FAST)
    run = fitting.fit(config, shards_with_poses, tmp_path / "run")
    model = load(run.model_folder)
    assert (model.name, model.config.stored()["landmarks"]) == ("sstc_pose", "world")
    data, (best, *_) = (
        open_data(shards_with_poses),
        sorted(
            run.metrics(),
            key=lambda entry: (-entry["validation_accuracy"], entry["validation_loss"]),
        ),
    )
    result = evaluate(run.folder, shards_with_poses, split="validation")
    assert result["methods"]["test"]["accuracy"] == pytest.approx(best["validation_accuracy"])
    losses = [
        -np.log(clip["scores"][data.classes.index(clip["truth"])]) for clip in result["clips"]
    ]
    assert np.mean(losses) == pytest.approx(best["validation_loss"], abs=1e-3)


def test_rows_for_few_clips(shards_with_poses: Path, tmp_path: Path) -> None:
    rows = ["pose", "siamese_pooled"]
    settings = ["schedule.epochs=4", "execution.torch_threads=1", "batch_size=6"]
    table = compare(shards_with_poses, tmp_path / "table", rows, overrides=settings)
    assert [row["name"] for row in table["rows"]] == ["siamese_pooled", "pose"]
    assert [row["paper"] for row in table["rows"]] == [(None, None, None)] * 2
    assert table["rows"][1]["mcnemar"]["against"] == "siamese_pooled"
    assert "| Pose |" in (tmp_path / "table" / "table.md").read_text()


def test_missing_landmarks(run: Run, shards: Path, tmp_path: Path) -> None:
    said = rf"no pose of clip 'video 00@5-13'; run `ttflow pose {shards}`"
    with pytest.raises(ShardError, match=said):
        fitting.fit(POSE, shards, tmp_path / "run")
    with pytest.raises(ShardError, match=said):
        compare(shards, tmp_path / "table", ["siamese_pooled", "pose"])
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "table" / "siamese_pooled").exists()
    with pytest.raises(ShardError, match=said):
        predict(run.folder, shards, tmp_path / "a.csv")
    with pytest.raises(ShardError, match=r"no pose of clip .*run `ttflow pose"):
        evaluate(run.folder, shards)
    asked = ["fit", "--data", str(shards), "--out", str(tmp_path / "run"), "--recipe", "small"]
    with pytest.raises(ShardError, match=said):
        CliRunner().invoke(app, asked, catch_exceptions=False)


def test_other_landmarks_are_refused(
    run: Run, shards: Path, tmp_path: Path, poses_of: Callable[..., Path]
) -> None:
    other = tmp_path / "shards"
    shutil.copytree(shards, other)
    poses_of(other, config=PoseConfig(rate_hz=15))
    with pytest.raises(
        InputError,
        match=r"extracted with pose rate_hz 15\.0 instead of 30\.0, which .* learned from; remove "
        "its folder `pose` and run `ttflow pose` with the run's settings, or insist",
    ):
        evaluate(run.folder, other)
    result = evaluate(run.folder, other, allow_other_extraction=True)
    assert result["other_extraction"] == ["pose rate_hz 15.0 instead of 30.0"]


def test_another_flow_is_none_of_its_business(
    run: Run, shards_with_poses: Path, tmp_path: Path
) -> None:
    other = tmp_path / "shards"
    shutil.copytree(shards_with_poses, other)
    values = json.loads((other / "shards.json").read_text())
    values["config"]["estimator"] = "dis-medium"
    values["config_hash"] = "of the other configuration"
    (other / "shards.json").write_text(json.dumps(values))
    assert evaluate(run.folder, other)["other_extraction"] == []


def test_whole_videos_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"its network \(pose\) reads poses, which are stored of clips, not of whole videos"
    for module, command in (
        (detecting, detecting.fit_detector),
        (evaluating, evaluating.evaluate_detector),
    ):
        monkeypatch.setattr(module, "load_dataset", lambda _: None)
        with pytest.raises(InputError, match=said):
            command(run.folder, "dataset")
    with pytest.raises(InputError, match=said):
        VideoIndexer(run.folder)


def test_landmarks_of_a_video(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are estimated as those of training were; without weights nothing is begun."""
    video, strokes = tmp_path / "match.mp4", tmp_path / "match.xml"
    video.touch()
    asked = []

    @contextmanager
    def instead(*arguments: object) -> Iterator[Path]:
        asked.append(arguments[-1])
        raise InputError("far enough")
        yield tmp_path

    monkeypatch.setattr(predicting, "extracted", instead)
    with pytest.raises(InputError, match="far enough"):
        predict(run.folder, video, tmp_path / "a.json", strokes)
    assert asked == [PoseConfig()]
    monkeypatch.setenv("TTFLOW_POSE_DIR", str(tmp_path / "nothing"))
    config = run.info().extraction
    assert config is not None
    # Weights or what runs them, before the video is looked at.
    with pytest.raises(InputError, match=r"fetch-pose|ttflow\[pose\]"):
        extracted(video, strokes, config, ("a",), pose=PoseConfig()).__enter__()
