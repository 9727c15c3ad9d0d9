"""On a real local cluster: landmarks with streamed and resident pixels, and with two workers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from tttrain import recipes
from tttrain.commands.evaluate import evaluate
from tttrain.commands.fit import fit
from tttrain.commands.predict import predict
from tttrain.run import Run
from tttrain.training import in_process

# Ray leaves sockets and files to the garbage collector, which pytest reports as warnings.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

FAST = {
    "batch_size": 11,  # two workers have one clip of the last batch
    "schedule": {"epochs": 2, "warmup_epochs": 1},
    "execution": {"torch_threads": 1, "device": "cpu", "checkpoint_minutes": 0},
}
POSE = recipes.pose().with_changes(**FAST)
TIMING = {"seconds", "clips_per_second"}


def losses(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k not in TIMING} for entry in run.metrics()]


@pytest.fixture(scope="module", autouse=True)
def cluster(quick_ray: None) -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def one(shards_with_poses: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Of a single worker."""
    return fit(POSE, shards_with_poses, tmp_path_factory.mktemp("runs") / "one")


def test_pose_is_fitted_tested_and_names_strokes(
    one: Run, shards_with_poses: Path, tmp_path: Path
) -> None:
    assert [entry["train_n"] for entry in one.metrics()] == [12] * 2
    two = fit(POSE.with_changes(execution={"num_workers": 2}), shards_with_poses, tmp_path / "two")
    for a, b in zip(losses(one), losses(two), strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-4)
    result = evaluate(one.folder, shards_with_poses)
    assert result["methods"]["test"]["n"] == 6
    predict(one.folder, shards_with_poses, tmp_path / "strokes.json")
    assert len(json.loads((tmp_path / "strokes.json").read_text())["strokes"]) == 24


def test_a_worker_of_ray_learns_what_this_process_does(
    one: Run, shards_with_poses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "suffices", lambda _: True)
    here = fit(POSE, shards_with_poses, tmp_path / "here")
    assert losses(here) == losses(one)
    assert here.clips_path.read_text() == one.clips_path.read_text()


def test_streamed_and_resident_pixels_beside_landmarks(
    shards_with_poses: Path, tmp_path: Path
) -> None:
    config = recipes.siamese_pose().with_changes(**FAST)
    runs = [
        fit(config.with_changes(execution={"data_path": path}), shards_with_poses, tmp_path / path)
        for path in ("resident", "stream")
    ]
    assert losses(runs[0]) == losses(runs[1])
