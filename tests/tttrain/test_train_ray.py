"""On a real local cluster: from shards to a model, once more, and with two workers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tttrain.config import TrainConfig
from tttrain.evaluation import evaluate
from tttrain.fitting import fit
from tttrain.run import Run

# Ray leaves sockets and files to the garbage collector, which pytest reports as warnings.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

CONFIG = TrainConfig(
    epochs=3,
    batch_size=5,
    learning_rate=0.02,
    momentum=0.9,
    momentum_milestones=(),
    torch_threads=1,
    checkpoint_minutes=0,
    device="cpu",
)
TIMING = {"seconds", "clips_per_second"}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One cluster for this module: starting one takes seconds."""
    import ray

    if ray.is_initialized():
        yield
        return
    ray.init(
        address="local",
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=128 * 2**20,
    )
    yield
    ray.shutdown()


def losses(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k not in TIMING} for entry in run.metrics()]


@pytest.fixture(scope="module")
def resident(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What every other way of training has to equal."""
    config = CONFIG.model_copy(update={"data_path": "resident"})
    return fit(config, shards, tmp_path_factory.mktemp("runs") / "a b")


def test_stream_resident_and_resumed_runs_are_equal(
    resident: Run, shards: Path, tmp_path: Path
) -> None:
    assert [entry["epoch"] for entry in resident.metrics()] == [0, 1, 2]
    streamed = fit(CONFIG.model_copy(update={"data_path": "stream"}), shards, tmp_path / "streamed")
    assert losses(streamed) == losses(resident)
    # As a kill leaves it: the checkpoint there, a line of metrics too few, no model.
    (streamed.model_folder / "model.safetensors").unlink()
    streamed.keep_metrics(2)
    streamed.write_info(streamed.info().model_copy(update={"state": "training"}))
    streamed.checkpoint_path.unlink()
    fit(CONFIG, shards, streamed.folder)
    assert losses(streamed) == losses(resident)
    weights = [load_file(run.model_folder / "model.safetensors") for run in (resident, streamed)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert evaluate(streamed.folder, shards)["methods"]["test"]["n"] == 6


def test_two_workers_compute_what_one_does(resident: Run, shards: Path, tmp_path: Path) -> None:
    two = fit(CONFIG.model_copy(update={"num_workers": 2}), shards, tmp_path / "two")
    for a, b in zip(losses(resident), losses(two), strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-5)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-5)
        assert (a["train_n"], a["validation_n"]) == (b["train_n"], b["validation_n"]) == (12, 6)
