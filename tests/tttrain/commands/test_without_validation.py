"""Shards without validation clips: what would need them is refused, and the last epoch counts."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ttdata.errors import InputError
from tttrain.commands import fit as fitting
from tttrain.commands.evaluate import evaluate
from tttrain.config import ExecutionConfig, ScheduleConfig, TrainConfig
from tttrain.data.dataset import ShardSource, open_data
from tttrain.report.summary import LAST_EPOCH, summary
from tttrain.run import Run, RunInfo
from tttrain.training import progress
from tttrain.training.worker import Trainer, Worker

CONFIG = TrainConfig(
    schedule=ScheduleConfig(epochs=2), execution=ExecutionConfig(torch_threads=1, device="cpu")
)


def train_here(run: Run, info: RunInfo) -> None:
    """Stands in for the cluster: one worker, in this process."""
    data, shape = open_data(Path(run.info().data)), info.resolved.network.clip_shape
    assert shape is not None
    Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)


@pytest.fixture
def unvalidated(tmp_path: Path, shards_of: Callable[..., Path]) -> Path:
    return shards_of(tmp_path / "shards", {"train": 1, "test": 1})


@pytest.mark.parametrize(
    ("schedule", "needs", "mends"),
    [
        (
            {"decay": "plateau"},
            "schedule.decay=plateau;",
            "or --set schedule.decay=constant$",
        ),
        (
            {"patience_epochs": 5},
            "schedule.patience_epochs=5;",
            "or --set schedule.patience_epochs=null$",
        ),
        (
            {"decay": "plateau", "patience_epochs": 5},
            "schedule.decay=plateau and schedule.patience_epochs=5;",
            "or --set schedule.decay=constant --set schedule.patience_epochs=null$",
        ),
    ],
)
def test_schedules_that_follow_validation(
    schedule: dict[str, object], needs: str, mends: str, unvalidated: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=f"no clip has the split 'validation', expected some for {needs}.*{mends}"
    ):
        fitting.fit(CONFIG.with_changes(schedule=schedule), unvalidated, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_last_epoch_counts_and_is_called_so(
    unvalidated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(fitting, "_launch", train_here)
    run = fitting.fit(CONFIG, unvalidated, tmp_path / "run")
    assert f"no validation clips: {LAST_EPOCH}" in caplog.text
    provenance = json.loads((run.model_folder / "config.json").read_text())["provenance"]
    assert (provenance["best_epoch"], provenance["validation_accuracy"]) == (1, None)
    entries = run.metrics()
    assert "; no validation clips; " in progress.line(entries[1], 2, entries)
    assert "/" not in progress.short(entries, 2)[0].partition(" clips/s")[0]
    lines = summary(evaluate(run.folder, unvalidated), run.folder).splitlines()
    assert f"trained without validation clips: {LAST_EPOCH}" in lines
    assert "the last one, as without validation clips" in run.report_path.read_text()
