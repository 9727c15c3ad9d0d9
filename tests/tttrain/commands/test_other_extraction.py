"""A network on shards that were extracted otherwise: refused, unless one insists."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ttdata.errors import InputError
from ttflow.schema import FlowConfig
from tttrain.cli import app
from tttrain.commands import fit as fitting
from tttrain.commands.evaluate import evaluate
from tttrain.commands.predict import predict
from tttrain.evaluation.extraction_check import other_settings
from tttrain.recipes import resolve
from tttrain.report.summary import summary
from tttrain.run import Run, RunInfo
from tttrain.training.networks import build


@pytest.fixture(scope="module")
def run(few_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose network was never trained."""

    def untrained(run: Run, info: RunInfo) -> None:
        model = build(info.resolved, len(info.classes))
        card = {"labels": info.classes, "flow_scale_px": info.flow_scale_xy_px}
        model.save_pretrained(run.model_folder, type(model.card)(**card))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_launch", untrained)
        out = tmp_path_factory.mktemp("untrained") / "run"
        return fitting.fit(resolve("demo", None, ["network.model=flow"]), few_shards, out)


def change(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    values = json.loads((folder / name).read_text())
    change(values)
    (folder / name).write_text(json.dumps(values))
    return folder


@pytest.fixture
def others(few_shards: Path, tmp_path: Path) -> Path:
    """The same clips, as another estimator in larger frames would have made them."""
    shutil.copytree(few_shards, tmp_path / "others")
    other = {"estimator": "dis-medium", "frame_height": 180}

    def extracted_otherwise(values: dict[str, Any]) -> None:
        values["config"] |= other
        values["config_hash"] = "of the other configuration"

    return change(tmp_path / "others", "shards.json", extracted_otherwise)


SAID = 'frame_height 180 instead of 90, estimator "dis-medium" instead of "beyond-pixels"'


def test_refused_in_one_line_that_names_both(run: Run, others: Path, tmp_path: Path) -> None:
    expected = rf"others: extracted with {SAID}, which .*run learned from; .*--allow-other-extr"
    with pytest.raises(InputError, match=expected) as caught:
        evaluate(run.folder, others)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=expected):
        predict(run.folder, others, tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()


def test_who_insists_gets_answers_that_say_so(
    run: Run, others: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["evaluate", str(run.folder), "--data", str(others), "--json"]
    shown = CliRunner().invoke(app, [*words, "--allow-other-extraction"])
    assert shown.exit_code == 0, shown.output
    result = json.loads(shown.stdout.splitlines()[-1])
    assert ", ".join(result["other_extraction"]) == SAID
    assert SAID in summary(result, run.folder)
    assert "extracted otherwise" in run.report_path.read_text()
    words = ["predict", str(run.folder), str(others), "--out", str(tmp_path / "a.json")]
    assert CliRunner().invoke(app, [*words, "--allow-other-extraction"]).exit_code == 0
    assert SAID in caplog.text


def test_what_is_stored_round_a_window_does_not_matter(run: Run, few_shards: Path) -> None:
    def wider(values: dict[str, Any]) -> None:
        values["extraction"] |= {"margin_frames": 3, "patch_side": 40, "window_frames": 5}

    change(run.folder, "run.json", wider)
    assert evaluate(run.folder, few_shards)["other_extraction"] == []


def test_a_run_that_did_not_record_its_extraction(
    run: Run, others: Path, few_shards: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(run.folder, "run.json", lambda values: values.update(extraction=None))
    evaluate(run.folder, few_shards)
    assert "extracted alike" not in caplog.text
    assert evaluate(run.folder, others)["other_extraction"] == []
    assert "others were extracted alike is not known" in caplog.text


def test_weights_that_were_not_recorded_are_no_other_extraction() -> None:
    earlier, now = FlowConfig(estimator="raft"), FlowConfig(estimator="raft", weights_sha256="ab")
    assert other_settings(now, earlier) == other_settings(earlier, now) == []
    other = FlowConfig(estimator="raft", weights_sha256="cd")
    assert other_settings(now, other) == ['weights_sha256 "ab" instead of "cd"']
