"""Two real worker processes: gradients, statistics, and training as one worker does it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ttmodels import SSTC, ModelCard
from tttrain.clip_log import read_clip_log
from tttrain.commands import fit as fitting
from tttrain.config import (
    ExecutionConfig,
    NetworkConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from tttrain.data.dataset import open_data
from tttrain.run import Run
from tttrain.training.gradient_factors import (
    FactorLinear,
    factor_numbers,
    reduce_numbers,
    use_factors,
)
from tttrain.training.networks import build

SCRIPT = Path(__file__).with_name("two_workers.py")


def start(task: str, workers: int, rank: int, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, SCRIPT, task, str(workers), str(rank), str(folder)]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two workers have written of gradients and statistics."""
    folder = tmp_path_factory.mktemp("parts")
    finish(*[start("parts", 2, rank, folder) for rank in (0, 1)])
    return folder


@pytest.mark.slow
def test_gradients_equal_those_of_all_reduce(parts: Path) -> None:
    found = [torch.load(parts / f"gradients-{rank}.pt") for rank in (0, 1)]
    for worker in found:
        for by_reduce, by_factors in worker["gradients"]:
            for a, b in zip(by_reduce, by_factors, strict=True):
                assert (a - b).abs().max() <= 1e-6 * a.abs().max()
    for a, b in zip(*[worker["gradients"] for worker in found], strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a[1], b[1], strict=True))
    # Two steps of five rows of float32.
    layers = {"0": (40, 4000), "2": (4000, 50)}
    expected = {name: 2 * 4 * factor_numbers(*sizes, 5, 2) for name, sizes in layers.items()}
    assert found[0]["sent"] == found[1]["sent"] == expected


@pytest.mark.slow
def test_running_statistics_are_the_mean_of_all_workers(parts: Path) -> None:
    """Of a pair and a single clip: the worker without a clip keeps what it had."""
    first, second = (torch.load(parts / f"statistics-{rank}.pt") for rank in (0, 1))
    # Channel means 1 and 2, then 3; momentum 0.5: 0.5 * (0.5 * 1) + 0.5 * 3 = 1.75, and 0.5 * 2.
    # Variances start at 1; of values 1 apart, 0 and 2 round the mean, it is 8 / 7.
    variance = 8 / 7
    variances = 0.25 + 0.25 * variance + 0.5 * variance, 0.5 + 0.5 * variance
    for found in (first, second):
        assert found["running_mean"].tolist() == pytest.approx([(1.75 + 1) / 2], abs=1e-6)
        assert found["running_var"].tolist() == pytest.approx([sum(variances) / 2], abs=1e-6)
        assert int(found["num_batches_tracked"]) == 2
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_large_layers_only_and_the_bytes_at_full_size() -> None:
    """At 2 workers x batch 5, the two layers of the full siamese network and no other."""
    config = TrainConfig(network=NetworkConfig(clip_shape=(100, 120, 120)))
    with torch.device("meta"):
        model = build(config, 21)
    before = {name: weight.shape for name, weight in model.named_parameters()}
    names = use_factors(model, batch_size=10, num_workers=2)
    assert names == ["rgb_branch.fc.weight", "flow_branch.fc.weight"]
    assert {name: weight.shape for name, weight in model.named_parameters()} == before
    assert isinstance(model.rgb_branch.fc, FactorLinear)
    sizes = (216_000, 500)
    share = factor_numbers(*sizes, 5, 2) / reduce_numbers(*sizes, 2)
    assert share == pytest.approx(5 * 216_500 / 108e6)
    assert share < 0.05
    # Small layers go with the rest; and 600 x 300 is less than its factors at 200 clips a worker.
    assert use_factors(nn.Sequential(nn.Linear(1000, 21)), 10, 2) == []
    assert use_factors(nn.Sequential(nn.Linear(600, 300)), 400, 2) == []


def test_a_layer_alone_is_a_linear_layer() -> None:
    layer = nn.Linear(6, 4)
    other = FactorLinear.of(layer, 3)
    assert other.weight is layer.weight
    assert other.bias is layer.bias
    x = torch.rand((3, 6))
    with torch.no_grad():
        assert torch.equal(other(x), layer(x))


@pytest.mark.slow
def test_two_workers_lose_what_one_does(
    shards: Path, shards_with_levels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over 20 steps and more, from the shards and from memory; with all for few clips, too."""
    config = TrainConfig(
        batch_size=3,
        optimizer=OptimizerConfig(learning_rate=0.02, momentum_milestones=()),
        schedule=ScheduleConfig(epochs=5),
        execution=ExecutionConfig(torch_threads=1),
    )
    monkeypatch.setattr(fitting, "_launch", lambda run, info: None)
    init = tmp_path / "init"
    SSTC(3, (8, 16, 16)).save_pretrained(init, ModelCard(("down", "left", "right")))
    for workers in (1, 2):
        for path in ("stream", "resident"):
            fitting.fit(config, shards, tmp_path / str(workers) / path)
        few = fitting.fit(
            config.with_changes(
                network={"head_labels": "levels"},
                optimizer={"label_smoothing": 0.1},
                augment={"mirror": True},
            ),
            shards_with_levels,
            tmp_path / str(workers) / "few clips",
            init,
        )
        assert few.info().mirrored == {"left": "right", "right": "left"}
    assert len(open_data(shards).clips["train"]) * 5 / 3 == 20
    finish(
        start("train", 1, 0, tmp_path / "1"),
        *[start("train", 2, rank, tmp_path / "2") for rank in (0, 1)],
    )
    paths = ("stream", "resident", "few clips")
    one, two = (
        [Run(tmp_path / str(workers) / path).metrics() for path in paths] for workers in (1, 2)
    )
    assert one[2][0]["train_loss"] != one[0][0]["train_loss"]
    for entries, others in ((one[0], one[1]), (two[0], two[1]), *zip(one, two, strict=True)):
        assert len(entries) == len(others) == 5
        for a, b in zip(entries, others, strict=True):
            for key in ("train_loss", "validation_loss"):
                assert a[key] == pytest.approx(b[key], rel=1e-5)
    for path in paths:
        logs = [read_clip_log(Run(tmp_path / name / path).clips_path) for name in ("1", "2")]
        assert logs[0].clip_ids == logs[1].clip_ids
        assert logs[0].epochs == logs[1].epochs == (0, 1, 2, 3, 4)
        assert logs[0].given == pytest.approx(logs[1].given, abs=2e-3)
        assert logs[0].other == pytest.approx(logs[1].other, abs=2e-3)
