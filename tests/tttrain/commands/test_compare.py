"""Table II on tiny shards, without a cluster; and the names that a network gives to strokes."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from ttdata.errors import InputError
from ttmodels import LateFusion, TwoStreamI3D, load
from tttrain import recipes
from tttrain.cli import app
from tttrain.commands import fit as fitting
from tttrain.commands.compare import ROWS, compare, row_config
from tttrain.commands.evaluate import evaluate
from tttrain.commands.predict import predict
from tttrain.data.dataset import ShardSource, open_data
from tttrain.evaluation.metrics import mcnemar
from tttrain.report.comparison_page import lines
from tttrain.run import Run, RunInfo
from tttrain.training.worker import Trainer, Worker

FAST = ("schedule.epochs=3", "batch_size=6", "execution.torch_threads=1")
CLASSES = ("down", "left", "right")
SMALL = ROWS[:6]
"""I3D takes seconds also on tiny clips; its rows have a test of their own."""


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trains in this process instead of on a cluster; tells what was trained."""
    names: list[str] = []

    def here(run: Run, info: RunInfo) -> None:
        names.append(info.config.recipe)
        data, shape = open_data(Path(info.data)), info.resolved.network.clip_shape
        assert shape is not None
        Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)

    monkeypatch.setattr(fitting, "_launch", here)
    return names


@pytest.fixture
def table(shards: Path, tmp_path: Path, trained: list[str]) -> dict[str, Any]:
    return compare(shards, tmp_path / "table", SMALL, base_recipe="demo", overrides=FAST)


def test_table(table: dict[str, Any], shards: Path, tmp_path: Path, trained: list[str]) -> None:
    out = tmp_path / "table"
    assert [row["name"] for row in table["rows"]] == list(SMALL)
    assert trained == list(SMALL[:-1])
    assert json.loads((out / "table.json").read_text()) == json.loads(json.dumps(table))
    rows = {row["name"]: row for row in table["rows"]}
    assert rows["siamese"]["mcnemar"] is None
    assert rows["late"]["parameters"] == rows["rgb"]["parameters"] + rows["flow"]["parameters"]
    assert rows["late"]["paper"] == (0.577, 0.595, 0.707)
    for row in table["rows"]:
        test = json.loads((out / row["name"] / "evaluation" / "test.json").read_text())
        assert row["methods"] == test["methods"]
        assert row["methods"]["test"]["n"] == 6
    check_late(out, shards)
    text = (out / "table.md").read_text()
    assert text.count("\n| ") == 1 + len(SMALL) + 4 - 1
    assert "leakage 0.0%" in text
    assert "| baseline: background |" in text
    page = (out / "index.html").read_text()
    assert "Late fusion" in page
    assert "http" not in page
    assert lines(table)[0].startswith("Siamese (SSTC)            ")


def check_late(out: Path, shards: Path) -> None:
    """The mean of the two networks' scores, clip by clip."""
    results = {name: read_clips(out / name) for name in ("rgb", "flow", "late")}
    for rgb, flow, late in zip(*results.values(), strict=True):
        mean = (np.array(rgb["scores"]) + np.array(flow["scores"])) / 2
        assert late["scores"] == pytest.approx(mean, abs=2e-6)
    assert isinstance(load(out / "late" / "model"), LateFusion)


def test_again_trains_nothing(
    table: dict[str, Any], shards: Path, tmp_path: Path, trained: list[str]
) -> None:
    del trained[:]
    assert compare(shards, tmp_path / "table", SMALL, base_recipe="demo", overrides=FAST) == table
    assert trained == []
    with pytest.raises(InputError, match="holds a run with other settings"):
        compare(
            shards, tmp_path / "table", ["rgb"], base_recipe="demo", overrides=["schedule.epochs=4"]
        )


def test_settings_of_one_row(shards: Path, tmp_path: Path, trained: list[str]) -> None:
    def epochs_of(*settings: str) -> dict[str, int]:
        rows, out = ["rgb", "flow"], tmp_path / "t"
        table = compare(shards, out, rows, base_recipe="demo", overrides=settings)
        return {row["name"]: row["epochs"] for row in table["rows"]}

    assert epochs_of(*FAST, "flow:schedule.epochs=1", "flow:schedule.warmup_epochs=0") == {
        "rgb": 3,
        "flow": 1,
    }
    with pytest.raises(
        InputError,
        match=r"row 'late', expected one of siamese, .*, i3d_flow, .*, small_turned, pose_svm$",
    ):
        epochs_of(*FAST, "late:schedule.epochs=1")
    with pytest.raises(InputError, match=r"--set early:...: this row is not asked for; rows: rgb,"):
        epochs_of(*FAST, "early:schedule.epochs=1")
    with pytest.raises(InputError, match=r"unknown key 'epoch'; did you mean 'schedule\.epochs'"):
        epochs_of(*FAST, "flow:epoch=1")


def test_late_alone_trains_what_it_needs(shards: Path, tmp_path: Path, trained: list[str]) -> None:
    table = compare(shards, tmp_path / "table", ["late"], base_recipe="demo", overrides=FAST)
    assert trained == ["rgb", "flow"]
    assert [row["name"] for row in table["rows"]] == ["late"]


def test_two_stream_i3d_adds_the_logits_of_its_parts(
    few_shards: Path, tmp_path: Path, trained: list[str]
) -> None:
    out = tmp_path / "table"
    settings = ["schedule.epochs=1", "schedule.warmup_epochs=0", "batch_size=3"]
    settings += ["execution.torch_threads=1"]
    table = compare(few_shards, out, ["i3d_two_stream"], base_recipe="demo", overrides=settings)
    assert trained == ["i3d_rgb", "i3d_flow"]
    (row,) = table["rows"]
    assert row["paper"] == (0.431, None, None)
    joined = load(out / "i3d_two_stream" / "model")
    assert isinstance(joined, TwoStreamI3D)
    assert row["parameters"] == sum(weight.numel() for weight in joined.parameters())
    scores = [
        [np.log(clip["scores"]) for clip in read_clips(out / name)]
        for name in ("i3d_rgb", "i3d_flow", "i3d_two_stream")
    ]
    for rgb, flow, both in zip(*scores, strict=True):
        total = np.exp(rgb + flow)
        assert np.exp(both) == pytest.approx(total / total.sum(), abs=1e-4)


def read_clips(run: Path) -> list[dict[str, Any]]:
    return json.loads((run / "evaluation" / "test.json").read_text())["clips"]


@pytest.mark.parametrize(
    ("rows", "base_recipe", "settings", "message"),
    [
        (["siamese", "lstm"], None, [], "row lstm: expected some of siamese"),
        ([], None, [], "row none"),
        (["rgb"], "fast", [], "recipe 'fast' is unknown"),
        (["rgb"], None, ["epoch=3"], r"did you mean 'schedule\.epochs'"),
        (["rgb", "flow"], "demo", ["flow:epoch=3"], r"did you mean 'schedule\.epochs'"),
        (
            ["rgb", "flow"],
            "demo",
            ["flow:network.clip_shape=[9,16,16]"],
            "expected at most 8 frames",
        ),
    ],
)
def test_wrong_requests(
    rows, base_recipe, settings, message, shards: Path, tmp_path: Path, trained: list[str]
) -> None:
    """Also a wrong last row: before the first one is trained."""
    with pytest.raises(InputError, match=message):
        compare(shards, tmp_path / "table", rows, base_recipe=base_recipe, overrides=settings)
    assert not (tmp_path / "table").exists()
    assert trained == []


def test_what_cannot_be_tested_or_joined(
    shards_of: Callable[..., Path], tmp_path: Path, trained: list[str]
) -> None:
    """Seen before anything is trained."""
    shards = shards_of(tmp_path / "a", {"train": 1, "validation": 1})
    with pytest.raises(InputError, match="no clip has the split 'test'"):
        compare(shards, tmp_path / "table", ["rgb"], base_recipe="demo")
    shards = shards_of(tmp_path / "b", {"train": 1, "validation": 1, "test": 1}, frames=10)
    settings = ["rgb:network.clip_shape=[8,16,16]"]
    with pytest.raises(InputError, match=r"late: clip_shape of rgb \[8, 16, 16\] and flow \[10,"):
        compare(shards, tmp_path / "table", ["late"], base_recipe="demo", overrides=settings)
    assert trained == []


def test_a_row_keeps_its_network_and_augmentation() -> None:
    demo = recipes.demo()
    for name in (name for name in ROWS if name not in recipes.JOINED):
        own, config = recipes.get(name), row_config(name, "demo", ["schedule.epochs=3"])
        assert (config.network.model, config.recipe) == (own.network.model, name)
        assert config.schedule.epochs == 3
        assert config.optimizer.learning_rate == demo.optimizer.learning_rate
        assert config.augment == (demo.augment if own.augment.spatial else own.augment)
    assert row_config("rgb", None, []) == recipes.rgb()


def test_the_former_name_of_base_recipe_is_taken_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken: list[Any] = []

    def stand_in(*_: Any, base_recipe: str | None, **__: Any) -> None:
        taken.append(base_recipe)
        raise InputError("enough")

    monkeypatch.setattr("tttrain.commands.compare.compare", stand_in)
    for option in ("--base-recipe", "--like"):
        words = ["compare", "--data", "x", "--out", str(tmp_path), option, "demo"]
        assert isinstance(CliRunner().invoke(app, words).exception, InputError)
    assert taken == ["demo", "demo"]
    shown = CliRunner().invoke(app, ["compare", "--help"], env={"COLUMNS": "200"}).output
    assert "base-recipe" in shown
    assert "--like" not in shown


def test_python_takes_one_name_of_the_base_recipe(
    shards: Path, tmp_path: Path, trained: list[str]
) -> None:
    with pytest.raises(InputError, match=r"base_recipe='demo', like='rgb': like is the former"):
        compare(shards, tmp_path / "table", ["rgb"], base_recipe="demo", like="rgb")
    assert not (tmp_path / "table").exists()


def test_mcnemar_by_hand() -> None:
    # 5 clips differ, one of them for the first: 2 (1 + 5) / 32.
    first = [True, True, False, False, False, False, False]
    second = [True, False, True, True, True, True, False]
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only) == (1, 4)
    assert found.p == 12 / 32
    assert mcnemar([True], [True]).p == 1
    # Fagerland et al. 2013, table I: 1 and 7 discordant pairs, exact conditional p = 0.070.
    assert mcnemar([True] + [False] * 7, [False] + [True] * 7).p == pytest.approx(0.0703, abs=1e-4)


def test_predictions(
    shards: Path, tmp_path: Path, trained: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    config = row_config("flow", "demo", [*FAST, "schedule.epochs=8"])
    fitting.fit(config, shards, run)
    assert predict(run, shards, tmp_path / "a.json").startswith("24 strokes named")
    found = json.loads((tmp_path / "a.json").read_text())
    assert tuple(found["classes"]) == CLASSES
    for stroke in found["strokes"]:
        assert stroke["score"] == max(stroke["scores"])
        assert stroke["label"] == CLASSES[stroke["scores"].index(stroke["score"])]
        assert stroke["probabilities"] == stroke["scores"]
    predict(run, shards, tmp_path / "a.csv")
    table = pl.read_csv(tmp_path / "a.csv")
    assert table["label"].to_list() == [stroke["label"] for stroke in found["strokes"]]
    predict(run, shards, tmp_path / "xml")
    (action,) = ElementTree.parse(tmp_path / "xml" / "video 00.xml").getroot()
    first = found["strokes"][0]
    assert action.attrib == {"begin": "5", "end": "13", "move": first["label"]}
    # Once validation clips have given a temperature, predictions use it.
    temperature = evaluate(run, shards)["calibration"]["test_avg"]["temperature"]
    assert temperature != 1
    predict(run, shards, tmp_path / "b.json")
    for before, after in zip(
        found["strokes"], json.loads((tmp_path / "b.json").read_text())["strokes"], strict=True
    ):
        assert after["scores"] == before["scores"]
        calibrated = np.array(before["scores"]) ** (1 / temperature)
        assert after["probabilities"] == pytest.approx(calibrated / calibrated.sum(), abs=1e-3)
    # An earlier release's temperature, of central windows, does not belong to means.
    path = run / "model" / "calibration.json"
    weights = json.loads(path.read_text())["weights_sha256"]
    earlier = {"schema_version": 1, "weights_sha256": weights, "temperature": 3.0, "n": 6}
    path.write_text(json.dumps(earlier))
    with caplog.at_level("WARNING"):
        predict(run, shards, tmp_path / "c.json")
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert "probability equals score until `tttrain evaluate` has run" in caplog.text
    assert evaluate(run, shards)["calibration"]["test_avg"]["temperature"] == temperature
    predict(run, shards, tmp_path / "c.json")
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    with pytest.raises(InputError, match=r"expected a \.json or \.csv file, or a folder"):
        predict(run, shards, tmp_path / "a.txt")
