"""Landmarks alone are learned in this process: as on a cluster, and without one."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ttdata.errors import InputError, TTError
from tttrain import recipes
from tttrain.commands.fit import fit
from tttrain.config import TrainConfig
from tttrain.data.dataset import open_data
from tttrain.run import Run
from tttrain.training import in_process
from tttrain.training.collective import Worker
from tttrain.training.progress import place
from tttrain.training.worker import Trainer

POSE = recipes.small().with_changes(
    batch_size=5,
    schedule={"epochs": 3, "warmup_epochs": 1},
    execution={"torch_threads": 1, "device": "cpu", "checkpoint_minutes": 0},
)


class OneByOne:
    """Windows as they are read where nothing is shared between them."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def windows(self, requests: Any) -> Any:
        for item in requests:
            (pose,) = self.data.poses([item.clip_id])
            yield pose.window(item.start_frame, 8)


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has started a Ray, and none can be imported."""
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_the_losses_are_those_of_a_worker_elsewhere(
    shards_with_poses: Path, tmp_path: Path, no_cluster: None
) -> None:
    torch.manual_seed(7)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    run = fit(POSE, shards_with_poses, tmp_path / "run")
    assert torch.equal(torch.rand(3), drawn)  # the caller's random numbers are his own
    info = run.info()
    assert (info.state, info.computed_on) == ("finished", "CPU, float32")
    assert place(info) == "first worker: CPU, float32, 1 thread; pixels not read"
    other, data = Run(tmp_path / "other"), open_data(shards_with_poses)
    other.folder.mkdir()
    other.write_info(info)
    Trainer(other, data.clips, OneByOne(data), Worker()).train(lambda _: None)
    timing = {"seconds", "clips_per_second"}
    found, expected = (
        [{key: value for key, value in entry.items() if key not in timing} for entry in entries]
        for entries in (run.metrics(), other.metrics())
    )
    assert found == expected
    assert len(found) == 3
    assert run.clips_path.read_text() == other.clips_path.read_text()


def test_what_goes_wrong_is_a_line(
    shards_with_poses: Path, tmp_path: Path, no_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "append_metrics", broken)
    with pytest.raises(TTError, match=r"run: training failed: .*No space left on device"):
        fit(POSE, shards_with_poses, tmp_path / "run")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    on_gpu = POSE.with_changes(execution={"device": "cuda"})
    with pytest.raises(InputError, match=r"execution\.device=cuda: 0 GPUs, expected 1"):
        fit(on_gpu, shards_with_poses, tmp_path / "gpu")


@pytest.mark.parametrize(
    ("config", "enough"),
    [
        (recipes.small_turned(), True),
        (recipes.siamese_pose(), False),
        (recipes.flow(), False),
        (POSE.with_changes(execution={"num_workers": 2}), False),
    ],
)
def test_a_cluster_is_for_pixels_and_for_several(
    config: TrainConfig, enough: bool, no_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_process.suffices(config) == enough
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert not in_process.suffices(config)
    monkeypatch.delenv("RAY_ADDRESS")
    for connected in (False, True):
        ray = SimpleNamespace(is_initialized=lambda found=connected: found)
        monkeypatch.setitem(sys.modules, "ray", ray)
        assert in_process.suffices(config) == (enough and not connected)
