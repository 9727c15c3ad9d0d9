"""A run in this process, without a cluster: folder, resuming, testing, report."""

import html
import io
import json
import resource
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from subprocess import PIPE
from typing import Any

import pytest
from safetensors.torch import load_file

import tttrain
from ttdata.errors import InputError, VersionError
from ttdata.settings import load_config
from tttrain.commands import fit as fitting
from tttrain.commands.evaluate import evaluate
from tttrain.config import (
    AugmentConfig,
    ExecutionConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from tttrain.data.dataset import ShardSource, open_data
from tttrain.recipes import RECIPES, describe, resolve
from tttrain.report.summary import summary
from tttrain.run import Run, RunInfo, differences
from tttrain.training import progress
from tttrain.training.worker import Trainer, Worker

CONFIG = TrainConfig(
    batch_size=5,
    optimizer=OptimizerConfig(
        learning_rate=0.02,
        momentum=0.9,
        momentum_milestones=(),
        weight_decay=0.0,
        gradient_clip=1.0,
    ),
    schedule=ScheduleConfig(epochs=4),
    execution=ExecutionConfig(torch_threads=1, checkpoint_minutes=0),
)


def train_here(run: Run, info: RunInfo) -> None:
    """Stands in for the cluster: one worker, in this process."""
    config = info.resolved if hasattr(info, "resolved") else info
    data = open_data(Path(run.info().data))
    shape = config.network.clip_shape
    assert shape is not None
    Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_launch", train_here)


@pytest.fixture
def run(shards: Path, tmp_path: Path, no_cluster: None) -> Run:
    return fitting.fit(CONFIG, shards, tmp_path / "run")


TIMING = {"seconds", "clips_per_second"}


def losses(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k not in TIMING} for entry in run.metrics()]


def test_run_folder(run: Run, shards: Path) -> None:
    info = run.info()
    assert info.state == "finished"
    assert info.config == CONFIG
    assert info.resolved.network.clip_shape == (8, 16, 16)
    assert info.resolved.execution == CONFIG.execution  # sized where it is computed
    assert info.num_clips == {"train": 12, "validation": 6, "test": 6}
    assert [entry["epoch"] for entry in run.metrics()] == [0, 1, 2, 3]
    assert {"torch", "ray", "tttrain", "python"} <= info.versions.keys()
    config = json.loads((run.model_folder / "config.json").read_text())
    assert "down" in json.dumps(config)


def test_same_seed_same_bytes_and_other_seed_other_losses(
    run: Run, shards: Path, tmp_path: Path
) -> None:
    again = fitting.fit(CONFIG, shards, tmp_path / "again")
    assert losses(again) == losses(run)
    for name in ("model.safetensors", "config.json"):
        assert (again.model_folder / name).read_bytes() == (run.model_folder / name).read_bytes()
    other = fitting.fit(CONFIG.with_changes(seed=1), shards, tmp_path / "other")
    assert losses(other) != losses(run)


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_interrupted_run_goes_on_as_if_never_stopped(
    run: Run, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    """Stops between a line of metrics and the checkpoint that belongs to it."""
    real = Run.append_metrics

    def stop(self: Run, entry: dict[str, Any]) -> None:
        real(self, entry)
        if entry["epoch"] == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "append_metrics", stop)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(CONFIG, shards, tmp_path / "killed")
    monkeypatch.setattr(Run, "append_metrics", real)
    killed = Run(tmp_path / "killed")
    assert killed.info().state == "training"
    with killed.metrics_path.open("a") as handle:
        handle.write('{"epoch": 7, "trai')
    fitting.fit(CONFIG, shards, killed.folder)
    assert losses(killed) == losses(run)
    assert killed.clips_path.read_bytes() == run.clips_path.read_bytes()
    expected = load_file(run.model_folder / "model.safetensors")
    found = load_file(killed.model_folder / "model.safetensors")
    assert all((found[name] == expected[name]).all() for name in expected)


@pytest.mark.parametrize(("model", "rate", "epochs"), [("i3d_flow", 0.02, 2), ("flow", 1e-12, 4)])
def test_dropout_and_reduced_rates_go_on_as_if_never_stopped(
    few_shards: Path,
    tmp_path: Path,
    no_cluster: None,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    rate: float,
    epochs: int,
) -> None:
    """I3D draws dropout; the other does not move, so that its rate is reduced every epoch."""
    config = CONFIG.with_changes(
        batch_size=3,
        network={"model": model},
        optimizer={"learning_rate": rate, "gradient_clip": None},
        schedule={"decay": "plateau", "plateau_epochs": 1, "epochs": epochs},
    )
    whole = fitting.fit(config, few_shards, tmp_path / "whole")
    if model == "flow":
        rates = [entry["learning_rate"] for entry in whole.metrics()]
        assert rates == pytest.approx([1e-12, 1e-12, 1e-13, 1e-14])
    real, writes = Run.append_metrics, []

    def stop(self: Run, entry: dict[str, Any]) -> None:
        real(self, entry)
        writes.append(entry)
        if len(writes) == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "append_metrics", stop)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(config, few_shards, tmp_path / "stopped")
    assert losses(fitting.fit(config, few_shards, tmp_path / "stopped")) == losses(whole)


def test_stops_when_nothing_improves(shards: Path, tmp_path: Path, no_cluster: None) -> None:
    config = CONFIG.with_changes(
        optimizer={"learning_rate": 1e-12, "gradient_clip": None},
        schedule={"epochs": 30, "patience_epochs": 2},
    )
    run = fitting.fit(config, shards, tmp_path / "run")
    entries = run.metrics()
    best = max(entry["epoch"] for entry in entries if entry["best"])
    assert entries[-1]["epoch"] == best + 2 < 29
    assert run.info().state == "finished"
    assert (run.model_folder / "config.json").is_file()


def test_tensorboard_holds_the_epochs(run: Run) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    (path,) = (run.folder / "tensorboard").iterdir()
    data, found = path.read_bytes(), {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body, (check,) = (
            data[12 : 12 + length],
            struct.unpack("<I", data[12 + length : 16 + length]),
        )
        assert check == masked_crc32c(body)
        data = data[16 + length :]
        event = Event.FromString(body)
        for value in event.summary.value:
            found[value.tag, event.step] = value.simple_value
    for entry in run.metrics():
        assert found["loss/train", entry["epoch"] + 1] == pytest.approx(entry["train_loss"])
        assert found["accuracy/validation", entry["epoch"] + 1] == pytest.approx(
            entry["validation_accuracy"]
        )


def test_the_first_workers_place_is_told(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.01)
    info, ended = run.info(), threading.Event()
    resolved = info.resolved.with_changes(execution={"torch_threads": 3, "data_path": "stream"})
    run.write_info(info.model_copy(update={"computed_on": "CPU, float32", "resolved": resolved}))
    ended.set()
    with caplog.at_level("INFO"):
        progress.follow(run, info, ended)
    told = "first worker: CPU, float32, 3 threads; pixels streamed every epoch"
    assert caplog.messages == [told]


@pytest.mark.parametrize("terminal", [True, False])
def test_epochs_are_shown(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """A bar on a terminal, a line for each epoch elsewhere."""
    shown, lines = io.StringIO(), run.metrics_path.read_text()
    run.metrics_path.write_text("")
    shown.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.05)
    ended = threading.Event()
    with caplog.at_level("INFO"):
        watcher = threading.Thread(target=progress.follow, args=(run, run.info(), ended))
        watcher.start()
        time.sleep(0.2)
        run.metrics_path.write_text(lines)
        ended.set()
        watcher.join()
    entry = run.metrics()[-1]
    if terminal:
        assert "4/4" in shown.getvalue()
        assert f"{entry['train_loss']:.3f}/{entry['validation_loss']:.3f}" in shown.getvalue()
        assert caplog.text == ""
    else:
        epochs = [message for message in caplog.messages if message.startswith("epoch ")]
        assert [message.split(":")[0] for message in epochs] == [
            f"epoch {n}/4" for n in range(1, 5)
        ]
        assert shown.getvalue() == ""


def test_finished_run_is_left_alone(
    run: Run, shards: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file()}
    with caplog.at_level("INFO"):
        fitting.fit(CONFIG, shards, run.folder)
    assert "finished; nothing to do" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # How it is computed may change, what is computed may not.
    fitting.fit(CONFIG.with_changes(execution={"num_workers": 2}), shards, run.folder)
    other = CONFIG.with_changes(optimizer={"learning_rate": 0.5})
    with pytest.raises(InputError, match=r"optimizer\.learning_rate 0\.02, now 0\.5"):
        fitting.fit(other, shards, run.folder)


def test_a_run_in_a_folder_of_something_else(run: Run, shards: Path, tmp_path: Path) -> None:
    """Older releases made such runs: their report would replace that of a dataset."""
    data = tmp_path / "data"
    shutil.copytree(shards, data)
    shutil.copytree(run.folder, data / "run")
    with pytest.raises(InputError, match=r"run: lies in .*data, which is read"):
        evaluate(data / "run", data)
    with pytest.raises(InputError, match=r"run: lies in .*data, which is read"):
        fitting.fit(CONFIG, data, data / "run")
    (run.folder / "dataset.json").write_text("{}")
    for again in (
        lambda: evaluate(run.folder, shards),
        lambda: fitting.fit(CONFIG, shards, run.folder),
    ):
        with pytest.raises(InputError, match="holds a dataset, expected a run or a new folder"):
            again()
    assert not run.report_path.exists()


def test_other_data_are_refused(run: Run, tmp_path: Path) -> None:
    from ttdata.storage.tables import read_table, write_table
    from ttflow.schema import ClipRecord

    shards = tmp_path / "relabelled"
    shutil.copytree(run.info().data, shards)
    clips = read_table(shards / "clips.parquet", ClipRecord)
    labels = clips["label"].to_list()
    labels[0] = next(name for name in run.info().classes if name != labels[0])
    write_table(
        clips.with_columns(clips["label"].scatter(0, labels[0])),
        shards / "clips.parquet",
        ClipRecord,
    )
    with pytest.raises(InputError, match="other data"):
        fitting.fit(CONFIG, shards, run.folder)


def test_two_fits_on_one_folder_do_not_meet(run: Run) -> None:
    other = Run(run.folder)
    with (
        run.lock("fit"),
        pytest.raises(InputError, match="another `tttrain fit`"),
        other.lock("fit"),
    ):
        pass


def test_evaluation_and_report(run: Run, shards: Path, capsys: Any) -> None:
    result = evaluate(run.folder, shards)
    assert {name: item["n"] for name, item in result["methods"].items()} == {
        "test": 6,
        "test_vote": 6,
        "test_avg": 6,
    }
    assert set(result["baselines"]) == {"largest class", "background", "duration", "start time"}
    no_poses = "these shards hold no poses; run `ttflow pose`"
    assert result["baselines_left_out"] == {"pose + SVM": no_poses}
    assert sorted(item["clip_id"] for item in result["clips"]) == [
        clip.clip_id for clip in open_data(shards).clips["test"]
    ]
    assert sum(map(sum, result["confusion"])) == 6
    assert all(sum(item["scores"]) == pytest.approx(1, abs=1e-5) for item in result["clips"])
    text = run.report_path.read_text()
    assert "http" not in text
    for word in ("background", "duration", "start time", "leakage", "data:image/jpeg"):
        assert word in text.lower()
    assert text.count('class="animation"') >= 2
    assert "Are its scores calibrated?" in text
    assert {name: item["n"] for name, item in result["calibration"].items()} == {
        "test": 6,
        "test_vote": 6,
        "test_avg": 6,
    }
    assert "Mean of all windows (TestAvg)" in text
    assert f"Baselines left out: pose + SVM ({no_poses})." in html.unescape(text)
    lines = summary(result, run.folder)
    assert f"baselines left out: pose + SVM ({no_poses})\n" in lines
    assert "TestVote" in lines
    assert "leakage 0.0%" in lines
    assert lines.count("n = 6, 95 % interval") == 7


def test_without_training_clips_baselines_are_left_out_and_said(
    run: Run, shards_of: Callable[..., Path], tmp_path: Path
) -> None:
    result = evaluate(run.folder, shards_of(tmp_path / "test only", {"test": 1}))
    assert result["methods"]["test"]["n"] == 3
    assert result["baselines"] == {}
    reason = "no clip of these shards has the split 'train'"
    names = ["largest class", "background", "duration", "start time", "pose + SVM"]
    assert result["baselines_left_out"] == dict.fromkeys(names, reason)
    stored = json.loads((run.folder / "evaluation" / "test.json").read_text())
    assert stored["baselines_left_out"] == result["baselines_left_out"]
    told = f"aselines left out: {', '.join(names)} ({reason})"
    assert told in summary(result, run.folder)
    assert told in html.unescape(run.report_path.read_text())


def test_evaluation_is_kept_until_something_changes(run: Run, shards: Path) -> None:
    first = evaluate(run.folder, shards)
    written = run.report_path.stat().st_mtime_ns
    assert evaluate(run.folder, shards) == first
    assert run.report_path.stat().st_mtime_ns == written
    evaluate(run.folder, shards, "validation")
    assert evaluate(run.folder, shards, "validation")["split"] == "validation"
    assert "tested on the\nvalidation clips" in run.report_path.read_text()
    assert evaluate(run.folder, shards) == first
    assert "tested on the\ntest clips" in run.report_path.read_text()


def test_learns_what_moves_where(
    shards: Path, shards_of: Callable[..., Path], tmp_path: Path, no_cluster: None
) -> None:
    """Squares that move left, right or down are told apart on clips not trained on."""
    plain = AugmentConfig(spatial=False)
    config = CONFIG.with_changes(network={"model": "flow"}, schedule={"epochs": 12}, augment=plain)
    run = fitting.fit(config, shards, tmp_path / "run")
    assert evaluate(run.folder, shards)["methods"]["test"]["correct"] == 6
    # What it learns of clips under each other's names is no use: 3 of 12 keep their own.
    other = shards_of(
        tmp_path / "shuffled", {"train": 4, "validation": 2, "test": 5}, shuffled=True
    )
    run = fitting.fit(config, other, tmp_path / "other")
    found = evaluate(run.folder, other)["methods"]["test"]
    assert (found["n"], found["correct"] <= 10) == (15, True)  # more: 1 in 500 by chance


def test_missing_and_foreign_files(tmp_path: Path, shards: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        evaluate(tmp_path, shards)
    (tmp_path / "run.json").write_text('{"schema_version": 9}')
    with pytest.raises(VersionError, match="schema version 9"):
        Run(tmp_path).info()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="not a readable JSON file"):
        Run(tmp_path).info()


def test_differences_name_nested_keys() -> None:
    old, new = {"a": 1, "b": {"c": [1], "d": 2}}, {"a": 1, "b": {"c": [2], "d": 2}, "e": None}
    assert differences(old, new) == ["b.c [1], now [2]"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_printed_recipe_can_be_read_again(name: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(describe(name))
    assert load_config(TrainConfig, tmp_path / "recipe.json") == RECIPES[name]()
    assert RECIPES[name]().recipe == name


def test_resolving_a_command_line(tmp_path: Path) -> None:
    changed = resolve("demo", None, ["network.clip_shape=[32,48,48]", "augment.mirror=true"])
    assert changed.network.clip_shape == (32, 48, 48)
    assert changed.augment.mirror
    assert resolve(None, None, []) == RECIPES["siamese"]()
    with pytest.raises(InputError, match=r"expected one of demo.*did you mean 'demo'"):
        resolve("dmo", None, [])
    with pytest.raises(InputError, match="'late' joins the networks of rgb and flow"):
        resolve("late", None, [])
    assert " joins the networks of i3d_rgb and i3d_flow" in describe(None)
    with pytest.raises(InputError, match="expected one of them"):
        resolve("demo", tmp_path, [])
    with pytest.raises(InputError, match=r"did you mean 'schedule\.epochs'"):
        resolve("demo", None, ["epoch=3"])


def test_exported_names() -> None:
    assert tttrain.__all__ == sorted(tttrain.__all__)
    assert set(tttrain.__all__) <= set(dir(tttrain))
    for name in tttrain.__all__:
        assert getattr(tttrain, name) is not None
    assert callable(tttrain.fit)
    assert callable(tttrain.evaluate)


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "tttrain", "--help"], stdout=PIPE, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time: what else the machine does is no concern of the command.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert median(seconds) < 1


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from tttrain.cli import app; "
        "result = CliRunner().invoke(app, ['--help']); assert result.exit_code == 0; "
        "assert 'evaluate' in result.output; "
        "print(sorted({'ray', 'torch', 'polars', 'cv2', 'ttflow'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
