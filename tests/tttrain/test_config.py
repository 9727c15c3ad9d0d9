"""The configuration's sections, and what was written before it had any."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from ttdata.errors import InputError
from ttdata.settings import load_config, override
from tttrain import recipes
from tttrain.cli import app
from tttrain.commands import fit as fitting
from tttrain.config import Milestone, TrainConfig
from tttrain.data.dataset import ShardSource, open_data
from tttrain.flat_keys import FLAT_KEYS, flat_hash, into_sections, without_additions
from tttrain.recipes import resolve
from tttrain.run import Run, RunInfo
from tttrain.training.device import sized
from tttrain.training.worker import Trainer, Worker

BEFORE = Path(__file__).parent / "fixtures" / "run_before_sections"
"""A finished run of the commit before the sections, on shards of `conftest.make_shards`."""
HASH_BEFORE = "232ce9f73c47"
"""What that commit's `result_hash` says of the run's resolved configuration."""


def test_a_run_from_before_the_sections_is_read() -> None:
    run = Run(BEFORE)
    info, flat = run.info(), json.loads(run.info_path.read_text())
    assert (flat["schema_version"], info.schema_version, info.state) == (1, 2, "finished")
    assert (info.config.recipe, info.config.batch_size, info.config.seed) == ("rgb", 4, 3)
    assert (info.config.network.model, info.config.network.clip_shape) == ("rgb", None)
    assert info.resolved.network.clip_shape == (8, 16, 16)
    optimizer, schedule = info.config.optimizer, info.config.schedule
    assert (optimizer.name, optimizer.learning_rate) == ("sgd", 0.02)
    assert (optimizer.reference_batch_size, optimizer.momentum) == (8, 0.9)
    assert optimizer.momentum_milestones == (
        Milestone(epoch=1, value=0.5),
        Milestone(epoch=2, value=0.1),
    )
    assert (optimizer.weight_decay, optimizer.gradient_clip) == (0.0005, 1.0)
    assert (schedule.epochs, schedule.warmup_epochs, schedule.decay) == (3, 1, "cosine")
    assert (schedule.reference_epochs, schedule.patience_epochs) == (3, 5)
    assert info.config.augment.mirror
    assert (info.config.execution.device, info.config.execution.data_path) == ("cpu", "auto")
    assert info.resolved.execution.data_path == "resident"
    assert [entry["learning_rate"] for entry in run.metrics()] == [0.005, 0.01, 0.005]


def test_no_flat_value_is_lost() -> None:
    flat = json.loads((BEFORE / "run.json").read_text())["resolved"]
    sections = without_additions(Run(BEFORE).info().resolved.model_dump(mode="json"))
    assert FLAT_KEYS.keys() <= flat.keys()
    for key, value in flat.items():
        section, _, name = FLAT_KEYS.get(key, key).partition(".")
        assert (sections[section][name] if name else sections[section]) == value


def test_a_warm_up_that_was_as_long_as_its_run_is_read(tmp_path: Path) -> None:
    values = json.loads((BEFORE / "run.json").read_text())
    values["config"]["warmup_epochs"] = values["resolved"]["warmup_epochs"] = 3
    (tmp_path / "run.json").write_text(json.dumps(values))
    assert Run(tmp_path).info().resolved.schedule.warmup_epochs == 3


def test_hash_of_before() -> None:
    resolved = Run(BEFORE).info().resolved
    assert flat_hash(resolved.result_values()) == HASH_BEFORE
    other = resolved.with_changes(optimizer={"learning_rate": 0.03})
    assert flat_hash(other.result_values()) != HASH_BEFORE


def test_an_unfinished_run_of_before_goes_on(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same settings: from its checkpoint, to the same losses. Others: refused by the new name."""

    def here(run: Run, info: RunInfo) -> None:
        data, shape = open_data(Path(info.data)), info.resolved.network.clip_shape
        assert shape is not None
        # As a worker does; it keeps these few clips in memory.
        run.write_info(info.model_copy(update={"resolved": sized(info.resolved, 0.0, 1, None)}))
        Trainer(run, data.clips, ShardSource(data, shape[0]), Worker()).train(lambda _: None)

    real = Run.append_metrics

    def stop(self: Run, entry: dict[str, Any]) -> None:
        real(self, entry)
        if entry["epoch"] == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "_launch", here)
    config = Run(BEFORE).info().config
    whole = fitting.fit(config, shards, tmp_path / "whole")
    monkeypatch.setattr(Run, "append_metrics", stop)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(config, shards, tmp_path / "stopped")
    monkeypatch.setattr(Run, "append_metrics", real)
    stopped = Run(tmp_path / "stopped")
    write_as_before(stopped)
    shutil.copytree(stopped.folder, tmp_path / "other")
    other = config.with_changes(optimizer={"learning_rate": 0.5})
    with pytest.raises(InputError, match=r"optimizer\.learning_rate 0\.02, now 0\.5"):
        fitting.fit(other, shards, tmp_path / "other")
    trained = []
    monkeypatch.setattr(Run, "append_metrics", lambda *args: trained.append(args) or real(*args))
    fitting.fit(config, shards, stopped.folder)
    assert len(trained) == 2  # epoch 0 is in the checkpoint
    assert json.loads(stopped.info_path.read_text())["schema_version"] == 2
    for one, two in zip(whole.metrics(), stopped.metrics(), strict=True):
        assert one["train_loss"] == two["train_loss"]
        assert one["validation_loss"] == two["validation_loss"]


def write_as_before(run: Run) -> None:
    """Rewrite a run's files as the commit before the sections wrote them."""
    values = json.loads(run.info_path.read_text())
    flat = json.loads((BEFORE / "run.json").read_text())
    for name in ("config", "resolved"):
        assert into_sections(flat[name]) == without_additions(values[name])
        values[name] = flat[name]
    run.info_path.write_text(json.dumps(values | {"schema_version": 1}))
    checkpoint = torch.load(run.checkpoint_path, weights_only=True)
    checkpoint["result_hash"] = HASH_BEFORE + values["dataset_hash"][:12]
    torch.save(checkpoint, run.checkpoint_path)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("learning_rate=0.1", "learning_rate is now optimizer.learning_rate"),
        ("optimizer=adamw", "optimizer is now optimizer.name"),
        ("schedule_epochs=9", "schedule_epochs is now schedule.reference_epochs"),
        ("num_workers=2", "num_workers is now execution.num_workers"),
    ],
)
def test_flat_keys_are_refused_by_their_new_name(item: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        resolve("demo", None, [item])
    key, _, value = item.partition("=")
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({key: value, "epochs": 3}))
    with pytest.raises(InputError, match=rf"{message}; epochs is now schedule\.epochs") as found:
        load_config(TrainConfig, path)
    assert str(found.value).startswith(f"{path}: ")
    with pytest.raises(ValueError, match=message):
        TrainConfig.model_validate({key: value})


def test_every_flat_key_has_a_place() -> None:
    values = TrainConfig().model_dump()
    for key, place in FLAT_KEYS.items():
        section, _, name = place.partition(".")
        assert name in values[section], key


def test_what_does_not_fit_is_said_without_the_whole_section() -> None:
    with pytest.raises(InputError) as found:
        override(recipes.demo(), ["schedule.epochs=2"])
    assert str(found.value) == (
        "TrainConfig: schedule: warmup_epochs must be below epochs (2), found 2"
    )
    with pytest.raises(InputError, match=r"network\.dropout = 2: input should be less than 1"):
        override(recipes.demo(), ["network.dropout=2"])


def test_with_changes() -> None:
    config = recipes.siamese()
    changed = config.with_changes(seed=1, schedule={"epochs": 3}, augment={"mirror": True})
    assert (changed.seed, changed.schedule.epochs, changed.augment.mirror) == (1, 3, True)
    assert changed.optimizer == config.optimizer
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        config.with_changes(schedule={"epoch": 3})


def test_the_siamese_recipe_shows_its_momenta() -> None:
    printed = json.loads(CliRunner().invoke(app, ["recipes", "siamese"]).output)
    assert printed["optimizer"]["momentum"] == 0.5
    assert printed["optimizer"]["momentum_milestones"] == [
        {"epoch": 1000, "value": 0.1},
        {"epoch": 1500, "value": 0.05},
    ]


def test_every_field_says_what_it_does() -> None:
    def fields(model: Any) -> list[tuple[str, str | None]]:
        found = []
        for name, field in model.model_fields.items():
            found.append((name, field.description))
            if hasattr(field.annotation, "model_fields"):
                found += fields(field.annotation)
        return found

    for name, description in fields(TrainConfig):
        assert description, name
        assert description.endswith("."), name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema_version": 1, "config": null}', "state: field required"),
        ('{"schema_version": 1, "config": 3, "resolved": {}}', "state: field required"),
        ("[1, 2]", "holds no JSON object"),
    ],
)
def test_a_damaged_description_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Run(tmp_path).info()


def test_an_unknown_key_gets_a_hint_only_where_one_is_near() -> None:
    with pytest.raises(InputError, match=r"did you mean 'optimizer\.weight_decay'"):
        override(recipes.siamese(), ["weight_decey=0"])
    with pytest.raises(InputError, match=r"unknown key 'foo'; known: recipe"):
        override(recipes.siamese(), ["foo=3"])


def test_windows_under_their_public_name() -> None:
    import tttrain.windows
    from tttrain.data import windows

    for name in ("central_start", "draw_start", "sliding_starts", "temporal_sigma"):
        assert getattr(tttrain.windows, name) is getattr(windows, name)


def test_both_names_of_the_base_recipe_are_refused(tmp_path: Path) -> None:
    both = ["--base-recipe", "demo", "--like", "rgb"]
    result = CliRunner().invoke(
        app, ["compare", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *both]
    )
    assert result.exit_code == 2
    assert "former name" in result.output
    assert not (tmp_path / "out").exists()
