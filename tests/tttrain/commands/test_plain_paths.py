"""Paths may be texts and numbers NumPy's in all public functions of tttrain."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

import tttrain
from ttdata.errors import InputError
from tttrain.commands import fit as fitting
from tttrain.config import TrainConfig
from tttrain.data.dataset import ShardSource, open_data
from tttrain.run import Run, RunInfo
from tttrain.training.worker import Trainer, Worker


def train_here(run: Run, info: RunInfo) -> None:
    """Stands in for the cluster."""
    data, shape = open_data(info.data), info.resolved.network.clip_shape
    assert shape is not None
    Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)


def test_paths_as_texts(few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_launch", train_here)
    monkeypatch.chdir(tmp_path)
    config = tttrain.recipes.demo().with_changes(
        batch_size=np.int64(3),
        network={"model": "flow", "clip_shape": np.array([8, 16, 16])},
        optimizer={"learning_rate": np.float32(0.5)},
        schedule={"epochs": np.int32(1), "warmup_epochs": np.int64(0)},
    )
    data = str(few_shards)
    run = tttrain.fit(config, data, "run")
    assert run.folder == tmp_path / "run"
    assert tttrain.fit(config, data, "run").info().state == "finished"
    stored = json.loads((run.folder / "run.json").read_text())["resolved"]
    assert (stored["batch_size"], stored["network"]["clip_shape"]) == (3, [8, 16, 16])
    assert tttrain.evaluate("run", data)["methods"]["test"]["n"] == 3
    assert tttrain.predict("run", data, "strokes.csv") == "9 strokes named in strokes.csv"
    settings = ["schedule.epochs=1", "schedule.warmup_epochs=0"]
    table = tttrain.compare(data, "table", ["flow"], base_recipe="demo", overrides=settings)
    assert [row["name"] for row in table["rows"]] == ["flow"]
    with pytest.raises(InputError, match=r"marks\.csv: shards know their strokes"):
        tttrain.predict("run", data, "strokes.csv", "marks.csv")


def test_numbers_of_numpy() -> None:
    values: dict[str, Any] = {"batch_size": np.uint8(7), "seed": np.int64(3)}
    config = TrainConfig(**values, augment={"mirror": np.True_, "scale": np.float32(0.25)})
    plain = TrainConfig(batch_size=7, seed=3, augment={"mirror": True, "scale": 0.25})
    assert config.model_dump_json() == plain.model_dump_json()
    assert config.result_hash() == plain.result_hash()
    start, end, frames, total = np.array([50, 175, 100, 1000])
    assert tttrain.windows.central_start(start, end, frames, total) == 62
    assert tttrain.windows.sliding_starts(start, end, frames, total) == [50, 60, 70]
    assert tttrain.windows.temporal_sigma(np.float64(120)) == tttrain.windows.temporal_sigma(120)
    fps = np.float32(120)
    found = tttrain.windows.draw_start(start, end, frames, total, fps, default_rng(0))
    assert found == tttrain.windows.draw_start(50, 175, 100, 1000, 120.0, default_rng(0))
