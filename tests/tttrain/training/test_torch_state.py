"""Settings of the process: scores do not depend on them, and they are as before afterwards."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ttdata.errors import TTError
from ttmodels import FlowNet, ModelCard
from tttrain.commands import fit as fitting
from tttrain.config import TrainConfig
from tttrain.data.dataset import open_data
from tttrain.evaluation import scoring
from tttrain.evaluation.scoring import score_clips
from tttrain.training.torch_state import WORKSPACE, exact, preserved


def state() -> dict[str, Any]:
    backends: Any = torch.backends
    found: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "determinism": torch.get_deterministic_debug_mode(),
        "benchmark": backends.cudnn.benchmark,
        "deterministic": backends.cudnn.deterministic,
        "workspace": os.environ.get(WORKSPACE),
    }
    for name in ("cudnn.conv", "cudnn.rnn", "cuda.matmul", "mkldnn.conv", "mkldnn.matmul"):
        owner, operation = name.split(".")
        if hasattr(backends.cudnn, "conv"):
            found[name] = getattr(getattr(backends, owner), operation).fp32_precision
    return found


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What a test switches is gone afterwards; and `preserved` itself is tested here."""
    before = state()
    # The older switches are remembered beside those per operation, and must not contradict them.
    tf32, precision = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with preserved():
        yield
        torch.backends.cudnn.allow_tf32 = tf32
        torch.set_float32_matmul_precision(precision)
    assert state() == before


def everything_another_way() -> None:
    torch.set_num_threads(2)
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("medium")


def the_switches_per_operation() -> None:
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", [everything_another_way, the_switches_per_operation])
def test_put_back_also_after_an_error(change: Callable[[], None]) -> None:
    change()
    before = state()
    inside: dict[str, Any] = {}

    def stop() -> None:
        inside.update(state())
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), exact(torch.device("cpu"), 1):
        stop()
    assert state() == before
    assert inside["determinism"] == 2
    assert (inside["benchmark"], inside["deterministic"], inside["threads"]) == (False, True, 1)
    assert {value for name, value in inside.items() if "." in name} == {"ieee"}


@pytest.fixture
def model() -> FlowNet:
    torch.manual_seed(0)
    model = FlowNet(3, (8, 16, 16))
    model.card = ModelCard(flow_scale_px=(1.0, 1.0))
    return model.eval()


def test_scores_do_not_depend_on_what_ran_before(few_shards: Path, model: FlowNet) -> None:
    data = open_data(few_shards)
    clips = data.clips["test"]

    def scores() -> np.ndarray:
        return np.concatenate([item.windows for item in score_clips(model, data, clips, "test")])

    expected = scores()
    torch.set_deterministic_debug_mode("error")  # as a training worker does on a CPU
    assert (scores() == expected).all()
    everything_another_way()
    before = state()
    with torch.autocast("cpu", torch.bfloat16):
        assert (scores() == expected).all()
    assert state() == before


def test_settings_are_put_back_where_scoring_fails(
    few_shards: Path, model: FlowNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        assert torch.get_deterministic_debug_mode() == 2
        raise RuntimeError("no memory")

    monkeypatch.setattr(scoring, "score_clip", fail)
    data, before = open_data(few_shards), state()
    with pytest.raises(RuntimeError, match="no memory"):
        score_clips(model, data, data.clips["test"], "test")
    assert state() == before


@pytest.mark.parametrize("error", [None, TTError("training failed")])
def test_fit_leaves_the_process_as_it_was(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: TTError | None
) -> None:
    """Training in the caller's process switches determinism to "error"."""

    def here(*_: Any) -> None:
        everything_another_way()
        torch.set_deterministic_debug_mode("error")
        os.environ[WORKSPACE] = ":4096:8"
        if error is not None:
            raise error

    monkeypatch.setattr(fitting, "_launch", here)
    before = state()
    if error is None:
        fitting.fit(TrainConfig(), few_shards, tmp_path / "run")
    else:
        with pytest.raises(TTError, match="training failed"):
            fitting.fit(TrainConfig(), few_shards, tmp_path / "run")
    assert state() == before
