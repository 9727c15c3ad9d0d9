"""On real local clusters: from shards to a model, once more, and with two workers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import ray
from safetensors.torch import load_file

from ttdata.errors import InputError, TTError
from tttrain.commands.evaluate import evaluate
from tttrain.commands.fit import fit
from tttrain.commands.predict import predict
from tttrain.config import ExecutionConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from tttrain.run import Run

# Ray leaves sockets and files to the garbage collector, which pytest reports as warnings.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

CONFIG = TrainConfig(
    batch_size=5,
    optimizer=OptimizerConfig(learning_rate=0.02, momentum=0.9, momentum_milestones=()),
    schedule=ScheduleConfig(epochs=3),
    execution=ExecutionConfig(torch_threads=1, checkpoint_minutes=0, device="cpu"),
)
TIMING = {"seconds", "clips_per_second"}


def losses(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k not in TIMING} for entry in run.metrics()]


@pytest.fixture(scope="module")
def resident(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What every other way of training has to equal; on a cluster that `fit` starts and ends."""
    config = CONFIG.with_changes(execution={"data_path": "resident"})
    return fit(config, shards, tmp_path_factory.mktemp("runs") / "a b")


@pytest.fixture(scope="module")
def full_cluster(resident: Run, quick_ray: None) -> Iterator[None]:
    """Two cores, both of which two workers take; started once for all other runs."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def streamed(full_cluster: None, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = CONFIG.with_changes(execution={"data_path": "stream"})
    return fit(config, shards, tmp_path_factory.mktemp("runs") / "streamed")


def test_streamed_and_resident_runs_are_equal(resident: Run, streamed: Run, shards: Path) -> None:
    assert [entry["epoch"] for entry in resident.metrics()] == [0, 1, 2]
    assert losses(streamed) == losses(resident)
    assert_same_weights(resident, streamed)
    assert evaluate(streamed.folder, shards)["methods"]["test"]["n"] == 6


def assert_same_weights(*runs: Run) -> None:
    one, other = (load_file(run.model_folder / "model.safetensors") for run in runs)
    assert all((one[name] == other[name]).all() for name in one)


def test_resumed_and_undisturbed_runs_are_equal(resident: Run, streamed: Run, shards: Path) -> None:
    """As a kill before the first checkpoint leaves it: lines of metrics, no model."""
    (streamed.model_folder / "model.safetensors").unlink()
    streamed.keep_metrics(2)
    streamed.write_info(streamed.info().model_copy(update={"state": "training"}))
    streamed.checkpoint_path.unlink()
    fit(CONFIG, shards, streamed.folder)
    assert losses(streamed) == losses(resident)
    assert_same_weights(resident, streamed)


def assert_near(one: Run, other: Run) -> None:
    for a, b in zip(losses(one), losses(other), strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-5)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-5)
        assert (a["train_n"], a["validation_n"]) == (b["train_n"], b["validation_n"]) == (12, 6)


def test_two_workers_compute_what_one_does(
    resident: Run, shards: Path, tmp_path: Path, full_cluster: None
) -> None:
    """Also where workers hold all cores, and where there is room for fewer than asked for."""
    config = CONFIG.with_changes(execution={"num_workers": 2, "data_path": "stream"})
    two = fit(config, shards, tmp_path / "two")
    assert_near(resident, two)
    assert two.info().computed_on == "CPU, float32"
    execution = resident.info().resolved.execution
    assert (execution.torch_threads, execution.data_path) == (1, "resident")
    with pytest.raises(InputError, match="num_workers: the cluster has 2 CPUs, expected 3"):
        fit(config.with_changes(execution={"num_workers": 3}), shards, tmp_path / "three")
    elastic = config.with_changes(execution={"num_workers": 3, "min_workers": 1})
    assert_near(resident, fit(elastic, shards, tmp_path / "elastic"))


def test_strokes_of_a_video_are_named(resident: Run, tmp_path: Path) -> None:
    """Through the extraction that made the run's shards, from intervals without labels."""
    video = tmp_path / "two rallies.mp4"
    write_video(video, 60)
    strokes = tmp_path / "strokes.xml"
    intervals = [(4, 14), (30, 41)]
    actions = "".join(f'<action begin="{a}" end="{b}" move="Unknown"/>' for a, b in intervals)
    strokes.write_text(f"<video>{actions}</video>")
    predict(resident.folder, video, tmp_path / "a.json", strokes)
    found = json.loads((tmp_path / "a.json").read_text())["strokes"]
    assert [(item["start_frame"], item["end_frame"]) for item in found] == intervals
    assert {item["video_id"] for item in found} == {"two rallies"}
    assert all(sum(item["scores"]) == pytest.approx(1, abs=1e-4) for item in found)
    assert all(item["label"] in resident.info().classes for item in found)
    with pytest.raises(InputError, match=r"two rallies.mp4: is a video; --strokes FILE says"):
        predict(resident.folder, video, tmp_path / "b.json")
    strokes.write_text(strokes.read_text().replace("41", "61"))
    with pytest.raises(InputError, match=r"frames \[30, 61\), expected an interval inside \[0, 60"):
        predict(resident.folder, video, tmp_path / "b.json", strokes)


def write_video(path: Path, num_frames: int) -> None:
    """A bright square that moves right over noise."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for index in range(num_frames):
            image = rng.integers(0, 40, (90, 160, 3)).astype(np.uint8)
            image[40:50, 40 + index : 50 + index] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_a_cluster_that_others_fill_is_no_endless_wait(
    shards: Path, tmp_path: Path, full_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of its cluster: what waits there is ended with it."""
    while ray.available_resources().get("CPU", 0) < 2:  # workers of the tests before end
        time.sleep(0.05)
    group = ray.util.placement_group([{"CPU": 1}])
    assert group.wait(60)
    monkeypatch.setenv("TTFLOW_RAY_WAIT_SECONDS", "1")
    config = CONFIG.with_changes(execution={"num_workers": 2})
    with pytest.raises(InputError, match=r"the cluster is full: 1 of 2 CPUs free, expected 2"):
        fit(config, shards, tmp_path / "full")
    # Cores that are taken after the look: Ray Train's own wait ends, too.
    monkeypatch.setattr("tttrain.training.ray_train.wait_for_free", lambda *_: None)
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "1")
    with pytest.raises(TTError, match=r"2 workers found no free cores .* TTFLOW_RAY_WAIT_SECONDS"):
        fit(config, shards, tmp_path / "full")
