"""Runs with the settings for few clips: weights of another run, levels, mirrored labels."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from ttdata.errors import InputError
from ttmodels import FlowNet, ModelCard, load
from tttrain.cli import app
from tttrain.commands import fit as fitting
from tttrain.commands.compare import compare
from tttrain.config import (
    ExecutionConfig,
    NetworkConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from tttrain.data.dataset import ShardSource, open_data
from tttrain.run import Run, RunInfo
from tttrain.training.batches import Batches
from tttrain.training.collective import Worker
from tttrain.training.worker import Trainer

CONFIG = TrainConfig(
    batch_size=5,
    network=NetworkConfig(model="flow"),
    optimizer=OptimizerConfig(learning_rate=0.02, momentum_milestones=()),
    schedule=ScheduleConfig(epochs=3),
    execution=ExecutionConfig(torch_threads=1, checkpoint_minutes=0),
)
EVERYTHING = CONFIG.with_changes(
    network={"head_labels": "levels"},
    optimizer={"label_smoothing": 0.1},
    augment={"mirror": True},
)
TIMING = {"seconds", "clips_per_second"}


def train_here(run: Run, info: RunInfo) -> None:
    """Stands in for the cluster: one worker, in this process."""
    data, shape = open_data(Path(run.info().data)), info.resolved.network.clip_shape
    assert shape is not None
    Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_launch", train_here)


def losses(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k not in TIMING} for entry in run.metrics()]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of another flow network with the squares' classes."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("source") / "model"
    FlowNet(3, (8, 16, 16)).save_pretrained(path, ModelCard(("down", "left", "right")))
    return path


def test_defaults_leave_hash_and_description_as_they_were(shards: Path, tmp_path: Path) -> None:
    assert TrainConfig().result_hash() == "c79ccf148d6b"
    assert len({config.result_hash() for config in (CONFIG, EVERYTHING)}) == 2
    run = fitting.fit(CONFIG.with_changes(schedule={"epochs": 1}), shards, tmp_path / "run")
    info = run.info()
    assert (info.init, info.levels, info.mirrored) == (None, {}, {})
    assert "init_weights_sha256" not in load(run.model_folder).card.provenance


@pytest.mark.parametrize("stop_after", [0, 1])
def test_all_settings_go_on_as_if_never_stopped(
    shards_with_levels: Path,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int,
) -> None:
    """Also where nothing was kept yet, so that it begins again with the source's weights."""
    whole = fitting.fit(EVERYTHING, shards_with_levels, tmp_path / "whole", source)
    info = whole.info()
    assert info.levels == {"type": ("vertical", "sideways", "sideways")}
    assert info.mirrored == {"left": "right", "right": "left"}
    assert info.init is not None
    assert info.init.fresh == {}
    real = Run.append_metrics

    def stop(self: Run, entry: dict[str, Any]) -> None:
        real(self, entry)
        if entry["epoch"] == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "append_metrics", stop)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(EVERYTHING, shards_with_levels, tmp_path / "killed", source)
    monkeypatch.setattr(Run, "append_metrics", real)
    killed = Run(tmp_path / "killed")
    assert killed.checkpoint_path.exists() == (stop_after > 0)
    fitting.fit(EVERYTHING, shards_with_levels, killed.folder, source)
    assert losses(killed) == losses(whole)
    found = [load_file(run.model_folder / "model.safetensors") for run in (whole, killed)]
    assert found[0].keys() == FlowNet(3, (8, 16, 16)).state_dict().keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    model = load(whole.model_folder)
    assert model.card.provenance["init_weights_sha256"] == info.init.weights_sha256


def test_a_run_begins_with_the_sources_weights(shards: Path, source: Path, tmp_path: Path) -> None:
    still = CONFIG.with_changes(
        optimizer={"learning_rate": 1e-30, "weight_decay": 0.0}, schedule={"epochs": 1}
    )
    first = fitting.fit(still, shards, tmp_path / "first", source)
    second = fitting.fit(still, shards, tmp_path / "second", first.folder)  # a run will do, too
    weights = [
        load_file(folder / "model.safetensors")
        for folder in (source, first.model_folder, second.model_folder)
    ]
    for other in weights[1:]:
        assert all(torch.equal(weights[0][name], other[name]) for name in weights[0])
    init = second.info().init
    assert init is not None
    assert init.source == str(first.model_folder)


@pytest.mark.parametrize("kind", ["model folder", "run"])
def test_a_checkpoint_needs_the_source_no_more(
    shards: Path, source: Path, tmp_path: Path, kind: str
) -> None:
    own = tmp_path / "own"
    if kind == "run":
        shutil.copytree(fitting.fit(CONFIG, shards, tmp_path / "first").folder, own)
    else:
        shutil.copytree(source, own)
    run = fitting.fit(CONFIG, shards, tmp_path / "run", own)
    before = losses(run)
    run.write_info(run.info().model_copy(update={"state": "training"}))
    shutil.rmtree(own)
    fitting.fit(CONFIG, shards, run.folder, own)
    assert losses(run) == before
    assert run.info().state == "finished"


def test_another_beginning_is_refused(shards: Path, source: Path, tmp_path: Path) -> None:
    config = CONFIG.with_changes(schedule={"epochs": 1})
    run = fitting.fit(config, shards, tmp_path / "run", source)
    with pytest.raises(InputError, match=r"holds a run that began with the weights of .*model;"):
        fitting.fit(config, shards, run.folder)
    other = fitting.fit(config, shards, tmp_path / "other")
    with pytest.raises(InputError, match="holds a run that began with the weights of"):
        fitting.fit(config, shards, run.folder, other.folder)
    with pytest.raises(InputError, match="holds a run that began at random; take the same --init"):
        fitting.fit(config, shards, other.folder, source)
    with pytest.raises(InputError, match="is what is read"):
        fitting.fit(config, shards, source, source)


def test_the_command_says_what_begins_where(
    shards: Path, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ["fit", "--data", str(shards), "--out", str(tmp_path / "run"), "--init"]
    with caplog.at_level("INFO"):
        result = CliRunner().invoke(app, [*arguments, str(source), "--set", "network.model=flow"])
    # The recipe's window is longer than these shards': refused before anything begins.
    assert isinstance(result.exception, InputError)
    settings = ["--set", "network.model=flow", "--set", "schedule.epochs=1", "--recipe", "demo"]
    settings += ["--set", "schedule.warmup_epochs=0"]
    with caplog.at_level("INFO"):
        result = CliRunner().invoke(app, [*arguments, str(source), *settings])
    assert result.exit_code == 0, result.output
    assert f"init: weights of {source} for branch.conv1, branch.conv2" in caplog.text
    with pytest.raises(InputError, match="no layer of its network"):
        fitting.fit(
            CONFIG.with_changes(network={"model": "siamese"}), shards, tmp_path / "s", source
        )


def test_levels_need_levels(shards: Path, tmp_path: Path) -> None:
    config = CONFIG.with_changes(network={"head_labels": "levels"})
    message = r"head_labels=levels, and no level of the taxonomy 'inferred' .* taxonomy\.json, or"
    with pytest.raises(InputError, match=message):
        fitting.fit(config, shards, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=message):
        compare(
            shards,
            tmp_path / "table",
            ["flow"],
            base_recipe="demo",
            overrides=["network.head_labels=levels"],
        )


def test_levels_where_there_are_some(
    shards_with_levels: Path, shards: Path, tmp_path: Path
) -> None:
    for head, labels in (("auto", "auto"), ("named", "levels")):
        config = CONFIG.with_changes(network={"head_labels": labels}, schedule={"epochs": 1})
        fitting.fit(config, shards_with_levels, tmp_path / head)
    auto, named = (fitting.Run(tmp_path / name) for name in ("auto", "named"))
    assert auto.info().levels == named.info().levels != {}
    assert auto.metrics()[0]["train_loss"] == named.metrics()[0]["train_loss"]
    config = CONFIG.with_changes(network={"head_labels": "auto"}, schedule={"epochs": 1})
    assert fitting.fit(config, shards, tmp_path / "without").info().levels == {}


def test_levels_that_changed_are_another_run(
    shards_with_levels: Path, shards: Path, tmp_path: Path
) -> None:
    config = EVERYTHING.with_changes(schedule={"epochs": 1})
    run = fitting.fit(config, shards_with_levels, tmp_path / "run")
    changed = tmp_path / "changed"
    shutil.copytree(shards_with_levels, changed)
    info = json.loads((changed / "dataset.json").read_text())
    info["taxonomy"]["strokes"][1]["type"] = "vertical"
    info["taxonomy"]["mirrored"] = {"left": "left"}
    (changed / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(
        InputError, match=r'other settings \(levels\.type .*; mirrored\.left "right'
    ):
        fitting.fit(config, changed, run.folder)


def test_mirrored_clips_exchange_their_labels(shards: Path, tmp_path: Path) -> None:
    """A square that moves left is one that moves right in the mirror, and so is its label."""
    sides = {"spatial": True, "temporal": False, "mirror": True}
    still = {"rotation_degrees": 0.0, "translation": 0.0, "scale": 0.0}
    config = CONFIG.with_changes(augment=sides | still, schedule={"epochs": 1})
    info = fitting.fit(config, shards, tmp_path / "run").info()
    data = open_data(shards)
    batches, clips = Batches(info, ShardSource(data, 8), Worker()), data.clips["train"]
    plain = {clip.clip_id: clip.class_index for clip in clips}
    seen = set()
    for epoch in (0, 1):
        for batch in batches.training(clips, epoch):
            motion = batch.inputs["flow"].sum(dim=(2, 3, 4))
            for clip_id, (x, y), label in zip(batch.clip_ids, motion, batch.labels, strict=True):
                name = info.classes[int(label)]
                assert (int(x.sign()), int(y.sign())) == {
                    "down": (0, 1),
                    "left": (-1, 0),
                    "right": (1, 0),
                }[name]
                seen.add((name, int(label) != plain[clip_id]))
    assert seen == {
        ("down", False),
        ("left", False),
        ("left", True),
        ("right", False),
        ("right", True),
    }
    for batch in batches.validation(clips):
        assert batch.labels.tolist() == [plain[clip_id] for clip_id in batch.clip_ids]


@pytest.mark.parametrize("augment", [{}, {"mirror": True, "spatial": False}])
def test_without_mirrored_clips_nothing_is_exchanged(
    shards: Path, tmp_path: Path, augment: dict[str, bool]
) -> None:
    config = CONFIG.with_changes(augment=augment, schedule={"epochs": 1})
    assert fitting.fit(config, shards, tmp_path / "run").info().mirrored == {}
