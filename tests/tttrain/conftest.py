"""The tiny shards of `squares.py`, with levels of classes and with landmarks."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ttdata.schema import DatasetInfo
from ttdata.taxonomy import Stroke, Taxonomy
from ttflow import ClipPose, open_shards
from ttflow.pose.config import PoseConfig
from ttflow.shards.poses import agreed_info, expected_files, write_info, write_poses

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from squares import STEPS, make_shards


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two cores serve everybody; and no test may leave determinism switched on or off."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


@pytest.fixture(scope="session")
def quick_ray() -> Iterator[None]:
    """Ray Train looks at its workers more often than every 2 s, and has no watcher of machines.

    Ray starts no workers before they are needed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
        patch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        patch.setenv("RAY_prestart_worker_first_driver", "0")
        yield


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve training, six validation and six test clips of three classes."""
    path = tmp_path_factory.mktemp("squares") / "shards with space"
    return make_shards(path, {"train": 4, "validation": 2, "test": 2})


@pytest.fixture(scope="session")
def shards_with_levels(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clips, of which left and right are of the type sideways."""
    path = tmp_path_factory.mktemp("levels") / "shards"
    shutil.copytree(shards, path)
    info = DatasetInfo.model_validate_json((path / "dataset.json").read_text())
    types = {"down": "vertical", "left": "sideways", "right": "sideways"}
    strokes = tuple(Stroke(label=label, type=kind) for label, kind in types.items())
    info = info.model_copy(update={"taxonomy": Taxonomy(name="squares", strokes=strokes)})
    (path / "dataset.json").write_text(info.model_dump_json())
    return path


@pytest.fixture
def shards_of() -> Callable[..., Path]:
    """Makes shards of one's own: path, clips of each class by split, frames of a window."""
    return make_shards


def torso(num_frames: int) -> np.ndarray:
    """(n, 33, 2): shoulders at y 0, hips at y 10, all else between them; a torso is 10 px long."""
    points = np.zeros((num_frames, 33, 2), np.float32)
    points[:, :, 1] = 5
    points[:, [11, 12], 1], points[:, [23, 24], 1] = 0, 10
    return points


def clip_pose(clip_id: str, frames: np.ndarray, points: np.ndarray) -> ClipPose:
    """Landmarks that are all seen well."""
    seen = np.ones(points.shape[:2], np.float32)
    world = np.zeros((*points.shape[:2], 3), np.float32)
    world[..., :2] = points  # metres would be smaller; only ratios are read
    return ClipPose(frames, points, world, seen, seen[:, 0], clip_id, 30.0)


def give_poses(path: Path, *, config: PoseConfig | None = None) -> Path:
    """Landmarks for the clips of `make_shards`: the right wrist moves as the square does."""
    shards = open_shards(path)
    info = agreed_info(shards.path, config or PoseConfig())
    write_info(shards.path, info)
    for video_id, file in expected_files(shards, info).items():
        poses = []
        for row in shards.clips.filter(video_id=video_id).to_dicts():
            frames = np.arange(row["start_frame"], row["end_frame"])
            points = torso(len(frames))
            points[:, 16] += np.outer(frames % 6 - 3, STEPS[row["label"]])
            poses.append(clip_pose(row["clip_id"], frames, points))
        write_poses(file, poses)
    return path


@pytest.fixture
def poses_of() -> Callable[..., Path]:
    """Writes landmarks beside the clips of one's own shards."""
    return give_poses


@pytest.fixture(scope="session")
def shards_with_poses(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clips, and landmarks of an arm that moves as the square does."""
    path = tmp_path_factory.mktemp("poses") / "shards"
    shutil.copytree(shards, path)
    return give_poses(path)


@pytest.fixture(scope="session")
def few_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of each split, for networks that take their time."""
    return make_shards(tmp_path_factory.mktemp("few"), {"train": 1, "validation": 1, "test": 1})
