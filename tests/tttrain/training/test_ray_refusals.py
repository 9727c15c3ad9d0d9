"""What training refuses before a Ray is started for it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ttdata.errors import InputError
from tttrain.config import TrainConfig


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
