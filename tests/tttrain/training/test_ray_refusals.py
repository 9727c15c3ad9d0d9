"""What training refuses or does before a Ray is started for it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ttdata.errors import InputError
from tttrain import recipes
from tttrain.config import TrainConfig
from tttrain.data.dataset import open_data
from tttrain.data.sampling import central_request


def test_more_workers_than_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tttrain.training import ray_train

    def start(**_: object) -> None:
        raise AssertionError("a Ray was started")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_train, "available_cores", lambda: 2)
    monkeypatch.setattr(ray_train, "start_ray", start)
    config = TrainConfig().with_changes(execution={"num_workers": 99})
    run = SimpleNamespace(folder=tmp_path)
    with pytest.raises(InputError, match="num_workers: this machine has 2 cores, expected 99"):
        ray_train.launch(run, config)  # type: ignore[arg-type]


def test_landmarks_alone_need_no_task_of_ray(shards_with_poses: Path) -> None:
    import ray

    from tttrain.training import ray_train

    config = recipes.pose().with_changes(network={"clip_shape": (8, 16, 16)})
    data = open_data(shards_with_poses)
    source = ray_train._source(data, {}, config, "cpu")
    assert not ray.is_initialized()
    asked = [central_request(clip, 8) for clip in data.read_in_training({})]
    assert [tuple(window.pose.shape) for window in source.windows(asked)] == [(3, 8, 33)] * 18
