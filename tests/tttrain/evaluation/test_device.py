"""The device that scores are computed on: what is asked for, what is here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from ttdata.errors import InputError
from tttrain.cli import app
from tttrain.commands import compare as comparing
from tttrain.evaluation.device import choose_device


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    count: int = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    return count


@pytest.mark.parametrize(
    ("gpus", "asked", "configured", "expected"),
    [
        (0, "auto", "auto", "cpu"),
        (0, "auto", "cuda", "cpu"),  # trained on a cluster, tested on a laptop
        (0, "cpu", "cuda", "cpu"),
        (2, "auto", "auto", "cuda"),
        (2, "auto", "cuda", "cuda"),
        (2, "auto", "cpu", "cpu"),
        (2, "cpu", "auto", "cpu"),
        (2, "cuda", "cpu", "cuda"),
        (2, "cuda:1", "cpu", "cuda:1"),
    ],
    indirect=["gpus"],
)
def test_the_option_then_the_configuration(
    gpus: int, asked: str, configured: str, expected: str
) -> None:
    assert choose_device(asked, configured) == torch.device(expected)


@pytest.mark.parametrize(
    ("gpus", "asked", "message"),
    [
        (0, "cuda", "--device cuda: torch finds no GPU here; take cpu or auto"),
        (1, "cuda:1", "--device cuda:1: torch finds 1 GPU here; take cpu or auto"),
        (2, "cuda:2", "--device cuda:2: torch finds 2 GPUs here; take cpu or auto"),
        (2, "gpu", "--device gpu: expected auto, cpu, cuda or cuda:N"),
        (2, "cuda:", "--device cuda:: expected auto, cpu, cuda or cuda:N"),
        (2, "cuda:x", "--device cuda:x: expected auto, cpu, cuda or cuda:N"),
    ],
    indirect=["gpus"],
)
def test_what_is_not_here_is_refused(gpus: int, asked: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_device(asked, "auto")
    assert str(caught.value) == message


@pytest.mark.parametrize("gpus", [0], indirect=True)
def test_compare_refuses_it_before_anything_is_trained(
    gpus: int, few_shards: Path, tmp_path: Path
) -> None:
    words = ["compare", "--data", str(few_shards), "--out", str(tmp_path / "table")]
    result = CliRunner().invoke(app, [*words, "--device", "cuda"])
    assert "torch finds no GPU here" in str(result.exception)
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize("gpus", [2], indirect=True)
@pytest.mark.parametrize("settings", [[], ["execution.device=cpu"]])
def test_compare_trains_and_tests_on_it(
    gpus: int,
    settings: list[str],
    few_shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[Any] = []

    def row(config: Any, _: Path, __: Path, device: str) -> None:
        taken.append((config.execution.device, device))
        raise InputError("enough")

    monkeypatch.setattr(comparing, "trained_row", row)
    with pytest.raises(InputError, match="enough"):
        comparing.compare(
            few_shards,
            tmp_path / "table",
            ["rgb"],
            base_recipe="demo",
            overrides=settings,
            device="cuda:1",
        )
    assert taken == [("cpu" if settings else "cuda", "cuda:1")]
