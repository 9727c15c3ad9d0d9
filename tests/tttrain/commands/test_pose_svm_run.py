"""A support vector machine as a run: fitted, tested, asked, refused where it cannot serve."""

import json
from pathlib import Path

import polars as pl
import pytest

from ttdata.errors import InputError
from ttflow.errors import ShardError
from ttmodels import PoseSVM, load
from tttrain import recipes
from tttrain.commands.audit import audit
from tttrain.commands.cross_validate import FoldOptions, cross_validate
from tttrain.commands.evaluate import evaluate
from tttrain.commands.fit import fit
from tttrain.commands.predict import predict
from tttrain.commands.video_indexer import VideoIndexer
from tttrain.data.dataset import open_data
from tttrain.data.division import Division
from tttrain.evaluation.baselines import answers
from tttrain.run import Run


@pytest.fixture(scope="module")
def run(shards_with_poses: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tttrain.data.decode.decode_window", None)  # no pixel is decoded
        patch.setattr("tttrain.commands.fit._launch", None)  # no cluster is started
        out = tmp_path_factory.mktemp("runs") / "svm"
        return fit(recipes.pose_svm(), shards_with_poses, out)


def test_it_is_fitted_tested_and_names_strokes(
    run: Run, shards_with_poses: Path, tmp_path: Path
) -> None:
    info, model = run.info(), load(run.model_folder)
    assert isinstance(model, PoseSVM)
    assert (info.state, model.card.labels) == ("finished", info.classes)
    assert info.pose_estimation is not None
    assert fit(recipes.pose_svm(), shards_with_poses, run.folder).info() == info
    data = open_data(shards_with_poses)
    result = evaluate(run.folder, shards_with_poses)
    named = {clip["clip_id"]: clip["answers"]["test"] for clip in result["clips"]}
    row, _ = answers(data, "test")
    assert list(named.values()) == [data.classes[index] for index in row["pose + SVM"]]
    assert [item["accuracy"] for item in result["methods"].values()] == [1.0] * 3
    assert result["calibration"]["test_avg"]["n"] == 6
    assert evaluate(run.folder, shards_with_poses) == result
    assert "support vector" not in run.report_path.read_text()  # nothing of its own to learn
    predict(run.folder, shards_with_poses, tmp_path / "strokes.csv")
    table = dict(pl.read_csv(tmp_path / "strokes.csv").select("clip_id", "label").iter_rows())
    assert {clip_id: table[clip_id] for clip_id in named} == named
    assert len(table) == 24


def test_a_row_of_a_cross_validation(shards_with_poses: Path, tmp_path: Path) -> None:
    folds = cross_validate(
        shards_with_poses, tmp_path / "folds", ["pose_svm"], options=FoldOptions(num_folds=2)
    )
    (row,) = folds["rows"]
    assert (row["name"], row["methods"]["test"]["correct"], row["epochs"]) == ("pose_svm", 24, 0)
    assert folds["baselines"]["pose + SVM"]["correct"] == 24
    first = load(tmp_path / "folds" / "fold_1" / "pose_svm" / "model")
    assert row["parameters"] == sum(item.numel() for item in first.parameters())


def test_where_it_cannot_serve(run: Run, shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is fitted to the training clips and begins with no wei"):
        fit(recipes.pose_svm(), run.info().data, tmp_path / "a", run.folder)
    with pytest.raises(ShardError, match="run `ttflow pose"):
        fit(recipes.pose_svm(), shards, tmp_path / "b")
    with pytest.raises(InputError, match=r"its network \(pose_svm\) reads poses, which are stored"):
        VideoIndexer(run.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tttrain.commands.audit.load_dataset", lambda _: None)
        with pytest.raises(InputError, match="learns by no epochs, in which it could doubt a labe"):
            audit(run.folder, run.info().data, tmp_path / "dataset", tmp_path / "audit")


def test_without_validation_clips(shards_with_poses: Path, tmp_path: Path) -> None:
    """It chooses no epoch by them, and its scores are as they are."""
    splits = {
        clip.clip_id: "test" if split == "test" else "train"
        for split, clips in open_data(shards_with_poses).clips.items()
        for clip in clips
    }
    division = Division(splits=splits, groups={clip_id: clip_id for clip_id in splits})
    run = fit(recipes.pose_svm(), shards_with_poses, tmp_path / "run", division=division)
    assert run.info().num_clips == {"train": 18, "validation": 0, "test": 6}
    result = evaluate(run.folder, shards_with_poses)
    assert result["calibration"]["test"] == {"temperature": 1.0, "n": 0}
    stored = json.loads((run.model_folder / "config.json").read_text())
    assert stored["config"]["clip_shape"] == [32, 16, 16]
