"""What training refuses or does before a Ray is started for it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ttdata.errors import InputError
from tttrain import recipes
from tttrain.config import TrainConfig
from tttrain.data.dataset import open_data
from tttrain.data.sampling import Window, central_request
from tttrain.data.spatial_augment import Augment
from tttrain.training.batches import Batches
from tttrain.training.worker import Worker


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


def test_threads_of_a_ray_begun_here_share_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training runs in one, and there alone would give its large blocks back at once."""
    from tttrain.training import ray_train

    variables: dict[str, str] = {}
    started: list[str] = []
    monkeypatch.setattr(ray_train, "os", SimpleNamespace(environ=variables))
    monkeypatch.setattr(
        ray_train, "start_ray", lambda **_: started.append(variables["MALLOC_ARENA_MAX"])
    )
    monkeypatch.setattr(ray_train.ray, "shutdown", lambda: None)
    with ray_train._cluster() as embedded:
        assert embedded
    assert "MALLOC_ARENA_MAX" not in variables
    variables["MALLOC_ARENA_MAX"] = "7"  # of the caller: stays
    with ray_train._cluster():
        assert started == ["1", "7"]


def test_training_reads_the_landmarks_that_are_asked_for(shards_with_poses: Path) -> None:
    from tttrain.training import ray_train

    config = recipes.small_turned().with_changes(network={"clip_shape": (8, 16, 16)})
    data = open_data(shards_with_poses)
    source = ray_train._source(data, {}, config, "cpu")
    clip = data.clips["train"][0]
    (stored,), asked = data.poses([clip.clip_id]), central_request(clip, 8)
    (window,) = source.windows([asked])
    assert torch.equal(window.pose, stored.reading("world").window(asked.start_frame, 8).pose)
    assert not torch.equal(window.pose, stored.window(asked.start_frame, 8).pose)


@pytest.mark.parametrize("recipe", ["small", "small_turned"])
def test_depth_is_scaled_in_training_and_visibility_is_not(recipe: str) -> None:
    config = recipes.get(recipe).with_changes(network={"clip_shape": (8, 16, 16)})
    info = SimpleNamespace(resolved=config, flow_scale_xy_px=(1, 1), classes=("a",), mirrored={})
    window = Window("one", pose=torch.ones(3, 8, 33))
    batches = Batches(info, None, Worker())  # type: ignore[arg-type]
    third = batches._inputs([window], ["one"], 0)["pose"][0, 2]
    (draw,) = Augment(config.augment, (16, 16), config.seed).draws(["one"], 0)
    assert draw.scale != 1
    assert (third == torch.tensor(draw.scale if recipe == "small_turned" else 1.0)).all()


def test_landmarks_alone_need_no_task_of_ray(shards_with_poses: Path) -> None:
    import ray

    from tttrain.training import ray_train

    config = recipes.pose().with_changes(network={"clip_shape": (8, 16, 16)})
    data = open_data(shards_with_poses)
    source = ray_train._source(data, {}, config, "cpu")
    assert not ray.is_initialized()
    asked = [central_request(clip, 8) for clip in data.read_in_training({})]
    assert [tuple(window.pose.shape) for window in source.windows(asked)] == [(3, 8, 33)] * 18
