"""Many videos: failures, the choice between Ray and this process."""

import errno
import json
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ttdata.errors import InputError, TTError, VideoError
from tttrain.indexing.jobs.items import OnFrame, Parallel, VideoFunction, VideoItem
from tttrain.indexing.jobs.run import run_videos, uses_ray
from tttrain.indexing.jobs.tasks import row_events, shipped_task

ITEMS = [VideoItem(name, f"{name}.mp4", 1000) for name in "abc"]
HERE = Parallel(workers=1)


class NoWork:
    """No worker process asks for it."""

    def load(self, device: str) -> VideoFunction:
        raise AssertionError(device)


def run_here(function: VideoFunction, out: Path) -> dict[str, str]:
    return run_videos(ITEMS, NoWork(), lambda: function, out, parallel=HERE)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_failure_costs_its_own_video_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = []

    def function(item: VideoItem, on_frame: OnFrame) -> int:
        on_frame(500)
        if item.video_id == "a":
            raise VideoError("a.mp4: cannot be read")
        if item.video_id == "b":
            raise ZeroDivisionError("oh")
        done.append(item.video_id)
        return 1000

    with caplog.at_level("INFO"):
        found = run_here(function, tmp_path)
    assert found == {"a": "a.mp4: cannot be read", "b": "b.mp4: ZeroDivisionError: oh"}
    assert done == ["c"]
    assert "failed: a: a.mp4: cannot be read" in caplog.text
    assert "3/3 videos, " in caplog.text


def test_a_full_disk_stops_the_work(tmp_path: Path) -> None:
    def function(item: VideoItem, on_frame: OnFrame) -> int:
        if item.video_id == "b":
            raise OSError(errno.ENOSPC, "no space left")
        return 1000

    with pytest.raises(TTError, match=r"no space left on the disk of .* after 1 of 3 videos"):
        run_here(function, tmp_path)


def test_when_ray_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tttrain.indexing.jobs.run.available_cores", lambda: 2)
    assert uses_ray(2, Parallel(), "auto")
    assert not uses_ray(1, Parallel(), "auto")
    assert not uses_ray(2, Parallel(workers=1), "auto")
    assert not uses_ray(2, Parallel(), "cuda:1")
    monkeypatch.setenv("RAY_ADDRESS", "head-node:6379")
    assert uses_ray(1, Parallel(workers=1), "cuda")


def test_more_workers_than_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ttflow.jobs.job.available_cores", lambda: 2)
    with pytest.raises(InputError, match="--workers 3: this machine has 2 cores"):
        run_videos(ITEMS, NoWork(), lambda: None, tmp_path, parallel=Parallel(workers=3))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"workers": 0}, "--workers 0: expected at least 1"),
        ({"videos_per_gpu": 0}, "--videos-per-gpu 0: expected 1 to 100"),
        ({"videos_per_gpu": 101}, "--videos-per-gpu 101: expected 1 to 100"),
    ],
)
def test_numbers_that_cannot_be(numbers: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Parallel(**numbers)
    assert str(caught.value) == message


@dataclass(frozen=True)
class Counts:
    """Work whose function tells the device and all frames."""

    def load(self, device: str) -> VideoFunction:
        def function(item: VideoItem, on_frame: OnFrame) -> int:
            if item.video_id == "b":
                raise SystemExit(device)
            return item.expected_frames

        return function


def events(task, item: VideoItem, data: bytes | None = None) -> list[dict]:
    row = {"video_id": item.video_id, "item": data or pickle.dumps(item)}
    return [json.loads(each["event"]) for each in task(row, pickle.dumps(Counts()), "cpu")]


def test_the_events_of_a_task() -> None:
    for task in (row_events, shipped_task()):
        *progress, outcome = events(task, ITEMS[0])
        assert [event["num_frames"] for event in progress] == [500, 1000]
        assert (outcome["kind"], outcome["num_frames"], outcome["error"]) == ("outcome", 1000, None)
    assert events(row_events, ITEMS[1])[-1]["error"] == "b: SystemExit: cpu"


def test_what_cannot_be_unpickled_is_the_error_of_its_video() -> None:
    (outcome,) = events(row_events, ITEMS[0], b"no pickle")
    assert outcome["error"].startswith("a: UnpicklingError: ")


def test_a_worker_without_this_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray import cloudpickle

    sent = cloudpickle.dumps(shipped_task())
    for name in [name for name in sys.modules if name.split(".")[0] == "tttrain"]:
        monkeypatch.setitem(sys.modules, name, None)
    task = pickle.loads(sent)
    row = {"video_id": "a", "item": b""}
    (event,) = (json.loads(each["event"]) for each in task(row, b"", "cpu"))
    assert (event["kind"], event["video_id"]) == ("outcome", "a")
    assert event["error"].startswith("a: ModuleNotFoundError on ")
    assert event["error"].endswith("; all machines of a cluster need the same packages")
