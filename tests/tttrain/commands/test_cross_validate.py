"""Cross-validation on tiny shards, trained in this process."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from ttdata.errors import InputError
from tttrain.cli import app
from tttrain.commands import fit as fitting
from tttrain.commands.compare import row_config
from tttrain.commands.cross_validate import FoldOptions, cross_validate
from tttrain.commands.evaluate import evaluate
from tttrain.data.dataset import ShardSource, open_data_of
from tttrain.run import Run, RunInfo
from tttrain.training.worker import Trainer, Worker

FAST = (
    "schedule.epochs=1",
    "schedule.warmup_epochs=0",
    "batch_size=9",
    "execution.torch_threads=1",
)
RECIPES = ("flow", "rgb")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trains in this process instead of on a cluster; tells what was trained."""
    folders: list[str] = []

    def here(run: Run, info: RunInfo) -> None:
        folders.append(f"{run.folder.parent.name}/{run.folder.name}")
        data, shape = open_data_of(run, Path(info.data)), info.resolved.network.clip_shape
        assert shape is not None
        Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)

    monkeypatch.setattr(fitting, "_launch", here)
    return folders


def run_folds(
    shards: Path, out: Path, *recipes: str, init: Path | None = None, **changes: Any
) -> dict[str, Any]:
    options = FoldOptions(**{"num_folds": 2, "group": "player", **changes})
    names = recipes or RECIPES
    asked = {"options": options, "base_recipe": "demo", "device": "cpu", "init": init}
    return cross_validate(shards, out, names, overrides=FAST, **asked)


def timeless(table: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {key: value for key, value in row.items() if key != "training_seconds"}
        for row in table["rows"]
    ]
    return {**table, "rows": rows}


def test_every_clip_is_named_once(
    shards_of: Callable[..., Path], tmp_path: Path, trained: list[str]
) -> None:
    shards = shards_of(tmp_path / "shards", {"train": 3, "test": 1})
    out = tmp_path / "out"
    table = run_folds(shards, out, learning_curve=(3,))
    assert trained[:4] == ["fold_1/flow", "fold_1/rgb", "fold_2/flow", "fold_2/rgb"]
    assert len(trained) == 8
    check_table(table, out)
    check_predictions(table, pl.read_parquet(out / "predictions.parquet"))
    check_pages(out)
    fold = evaluate(out / "fold_2" / "rgb", shards)
    assert fold["methods"]["test"] == table["rows"][1]["folds"][1]
    assert fold["split_info"]["leakage"] == 0
    del trained[:]
    assert timeless(run_folds(shards, out, learning_curve=(3,))) == timeless(table)
    assert trained == []
    refuse_others(shards, out)


def check_table(table: dict[str, Any], out: Path) -> None:
    assert json.loads((out / "cross_validation.json").read_text()) == json.loads(json.dumps(table))
    assert (table["num_clips"], table["num_groups"], table["leakage"]) == (12, 12, 0)
    assert [row["name"] for row in table["rows"]] == list(RECIPES)
    for row in table["rows"]:
        assert row["methods"]["test"]["n"] == 12
        assert sum(map(sum, row["confusion"])) == 12
        assert sum(fold["n"] for fold in row["folds"]) == 12
        assert set(row["against_baselines"]) == set(table["baselines"])
    assert table["rows"][0]["mcnemar"] is None
    assert table["rows"][1]["mcnemar"]["against"] == "flow"
    assert list(table["baselines"]) == ["largest class", "background", "duration", "start time"]
    assert table["baselines_left_out"]["pose + SVM"].endswith("run `ttflow pose`")
    sizes = [item["size"] for item in table["learning_curve"]]
    assert sizes == [3, None]
    assert table["learning_curve"][1]["rows"]["rgb"] == table["rows"][1]["methods"]["test"]


def check_predictions(table: dict[str, Any], found: pl.DataFrame) -> None:
    for row in table["rows"]:
        mine = found.filter(recipe=row["name"])
        assert mine["clip_id"].n_unique() == mine.height == 12
        right = (mine["label"] == mine["predicted"]).sum()
        assert right == row["methods"]["test"]["correct"]
        assert mine["probability"].to_list() == mine["scores"].list.max().to_list()


def check_pages(out: Path) -> None:
    page = (out / "index.html").read_text()
    assert "fold_2/rgb/report/index.html" in page
    assert "what is taken for what" in page
    assert "http" not in page
    text = (out / "table.md").read_text()
    assert "12 clips in 12 players, 2 folds, seed 0; leakage 0.0%" in text
    assert "| baseline: background |" in text
    assert "| clips to learn from | flow | rgb | largest class |" in text


def refuse_others(shards: Path, out: Path) -> None:
    with pytest.raises(InputError, match=r"holds a cross-validation in other folds \(seed, "):
        run_folds(shards, out, seed=1)
    with pytest.raises(InputError, match=r"fold_1/rgb: holds a run with other settings"):
        cross_validate(
            shards,
            out,
            ["rgb"],
            options=FoldOptions(num_folds=2, group="player"),
            base_recipe="demo",
            overrides=[*FAST, "seed=3"],
        )
    with pytest.raises(InputError, match=r"holds a run on division .*, expected the splits of its"):
        fitting.fit(row_config("rgb", "demo", FAST), shards, out / "fold_1" / "rgb")


def test_a_stop_after_the_first_fold(
    shards_of: Callable[..., Path], tmp_path: Path, trained: list[str], monkeypatch
) -> None:
    shards = shards_of(tmp_path / "shards", {"train": 2, "test": 1})
    whole = run_folds(shards, tmp_path / "whole", "flow", num_folds=3)
    launch, calls = fitting._launch, []

    def once(run: Run, info: RunInfo) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(run)
        launch(run, info)

    monkeypatch.setattr(fitting, "_launch", once)
    with pytest.raises(KeyboardInterrupt):
        run_folds(shards, tmp_path / "killed", "flow", num_folds=3)
    assert not (tmp_path / "killed" / "cross_validation.json").exists()
    monkeypatch.setattr(fitting, "_launch", launch)
    del trained[:]
    again = run_folds(shards, tmp_path / "killed", "flow", num_folds=3)
    assert trained == ["fold_2/flow", "fold_3/flow"]
    assert timeless(again) == timeless(whole)


def test_folds_begin_with_weights_of_a_run_on_other_films(
    shards_of: Callable[..., Path], tmp_path: Path, trained: list[str]
) -> None:
    other = shards_of(tmp_path / "other", {"train": 1, "validation": 1}, frames=9)
    source = fitting.fit(row_config("flow", "demo", FAST), other, tmp_path / "source")
    shards = shards_of(tmp_path / "shards", {"train": 2, "test": 1})
    still = ("optimizer.learning_rate=1e-30", "optimizer.weight_decay=0")
    options, out = FoldOptions(num_folds=2, group="player"), tmp_path / "out"
    asked = {"options": options, "base_recipe": "demo", "device": "cpu"}
    table = cross_validate(
        shards, out, ["flow"], init=source.folder, overrides=[*FAST, *still], **asked
    )
    assert table["init"] == str(source.folder)
    assert f"begun with the weights of {source.folder}" in (out / "table.md").read_text()
    assert f"begun with the weights of {source.folder}" in (out / "index.html").read_text()
    before = load_file(source.model_folder / "model.safetensors")
    for fold in (1, 2):
        run = Run(out / f"fold_{fold}" / "flow")
        begun = run.info().init
        assert begun is not None
        assert (begun.source, begun.fresh) == (str(source.model_folder), {})
        after = load_file(run.model_folder / "model.safetensors")
        assert all(torch.equal(before[name], after[name]) for name in before)
    del trained[:]
    with pytest.raises(InputError, match=r"fold_1/flow: holds a run that began with the weights"):
        cross_validate(shards, out, ["flow"], overrides=[*FAST, *still], **asked)
    assert trained == []


def test_weights_of_a_run_that_has_seen_the_films_are_refused(
    shards_of: Callable[..., Path], tmp_path: Path, trained: list[str], caplog
) -> None:
    config = row_config("flow", "demo", FAST)
    shards = shards_of(tmp_path / "shards", {"train": 2})
    seen = fitting.fit(config, shards, tmp_path / "seen")
    other = shards_of(tmp_path / "other", {"train": 1}, frames=9)
    child = fitting.fit(config, other, tmp_path / "child", seen.folder)
    copy = tmp_path / "copy"
    shutil.copytree(shards, copy)
    del trained[:]
    link = tmp_path / "latest"
    link.symlink_to(seen.model_folder)
    for init in (seen.folder, seen.model_folder, link, child.folder):
        with pytest.raises(
            InputError, match=r"seen has learned from.* 6 clips .*\(video 00@5-13\)"
        ):
            run_folds(copy, tmp_path / "out", "flow", init=init)
    shutil.rmtree(shards)  # its clips' ids are still in the run
    with pytest.raises(InputError, match=r"seen has learned from.* 6 clips"):
        run_folds(copy, tmp_path / "out", "flow", init=seen.folder)
    shards_of(shards, {"train": 2}, frames=9)  # other films under the same name
    with pytest.raises(InputError, match=r"seen has learned from.* 6 clips"):
        run_folds(copy, tmp_path / "out", "flow", init=seen.folder)
    assert "gone or hold other clips now, so the ids of 6 clips" in caplog.text
    assert not (tmp_path / "out").exists()
    assert trained == []
    model = tmp_path / "weights"
    shutil.copytree(seen.model_folder, model)
    run_folds(copy, tmp_path / "out", "flow", init=model)
    assert "a model folder without its run does not say what it has learned from" in caplog.text
    caplog.clear()
    seen.folder.rename(tmp_path / "moved")
    with pytest.raises(InputError):  # the folds there began with something else
        run_folds(copy, tmp_path / "out", "flow", init=child.folder)
    assert f"{seen.model_folder}: a model folder without its run" in caplog.text


def test_joined_rows(shards_of: Callable[..., Path], tmp_path: Path, trained: list[str]) -> None:
    shards = shards_of(tmp_path / "shards", {"train": 2})
    table = run_folds(shards, tmp_path / "out", "late")
    assert [row["name"] for row in table["rows"]] == ["late"]
    assert trained == ["fold_1/rgb", "fold_1/flow", "fold_2/rgb", "fold_2/flow"]


@pytest.mark.parametrize(
    ("recipes", "settings", "changes", "message"),
    [
        (["lstm"], [], {}, "recipe 'lstm' is unknown"),
        ([], [], {}, "no recipe is named"),
        (["rgb"], ["flow:seed=1"], {}, r"--set flow:...: not trained here; recipes: rgb"),
        (["rgb"], ["epoch=3"], {}, r"did you mean 'schedule\.epochs'"),
        (["rgb"], [], {"num_folds": 9}, r"--folds 9: the clips are of 3 groups"),
        (["rgb"], [], {"learning_curve": (0,)}, r"--learning-curve 0: expected at least 1"),
        (["rgb"], ["network.clip_shape=[9,16,16]"], {}, "expected at most 8 frames"),
    ],
)
def test_wrong_requests(
    recipes, settings, changes, message, shards_of, tmp_path: Path, trained: list[str]
) -> None:
    """All are seen before anything is trained or written."""
    shards = shards_of(tmp_path / "shards", {"train": 1})
    options = FoldOptions(**{"num_folds": 3, **changes})
    with pytest.raises(InputError, match=message):
        cross_validate(
            shards,
            tmp_path / "out",
            recipes,
            options=options,
            base_recipe="demo",
            overrides=settings,
        )
    assert not (tmp_path / "out").exists()
    assert trained == []


def test_folds_at_once_that_cannot_be(
    shards_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tttrain.commands.fold_tasks.available_cores", lambda: 2)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    shards = shards_of(tmp_path / "shards", {"train": 2})
    for parallel, device, settings, message in (
        (3, "auto", [], r"--parallel 3: this machine has 2 cores"),
        (2, "auto", ["execution.num_workers=2"], r"recipe rgb has execution.num_workers=2"),
    ):
        with pytest.raises(InputError, match=message):
            cross_validate(
                shards,
                tmp_path / "out",
                ["rgb"],
                options=FoldOptions(num_folds=2),
                base_recipe="demo",
                overrides=settings,
                parallel=parallel,
                device=device,
            )
    assert not (tmp_path / "out").exists()


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken: dict[str, Any] = {}

    def stand_in(data: Path, out: Path, rows: list[str], **found: Any) -> None:
        taken.update(found, rows=rows)
        raise InputError("enough")

    monkeypatch.setattr("tttrain.commands.cross_validate.cross_validate", stand_in)
    words = ["cross-validate", "--data", "x", "--out", str(tmp_path), "--recipes", "pose, rgb"]
    words += [
        "--init",
        "run",
        "--folds",
        "4",
        "--groups",
        "g.csv",
        "--learning-curve",
        "50,100",
        "--seed",
        "2",
    ]
    assert isinstance(CliRunner().invoke(app, words).exception, InputError)
    assert taken["rows"] == ["pose", "rgb"]
    assert taken["options"] == FoldOptions(4, None, Path("g.csv"), 2, 0.2, (50, 100))
    assert (taken["parallel"], taken["init"]) == (1, Path("run"))
    found = CliRunner().invoke(app, [*words, "--learning-curve", "few"]).exception
    assert "expected numbers as 50,100" in str(found)
