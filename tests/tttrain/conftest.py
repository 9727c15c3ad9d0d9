"""Tiny shards without a video: moving squares whose motion is their class."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ttdata.schema import CurationConfig, DatasetInfo, SplitInfo
from ttdata.taxonomy import Stroke, Taxonomy
from ttflow import ClipPose, open_shards
from ttflow.pose.config import PoseConfig
from ttflow.schema import FlowConfig
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.shards.poses import agreed_info, expected_files, write_info, write_poses
from ttflow.shards.writer import write_clips

SIDE, CROP, FRAMES = 24, 16, 8
CLASSES = ("down", "left", "right")
STEPS = {"down": (0, 1), "left": (-1, 0), "right": (1, 0)}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two cores serve everybody; and no test may leave determinism switched on or off."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


def clip_row(index: int, label: str, split: str, num_frames: int) -> dict[str, Any]:
    """A clip in a video of its own: a bright square that moves one pixel a frame."""
    rng = np.random.default_rng(index)
    first, last = 5, 5 + num_frames
    rgb, flow = [], []
    x, y = rng.integers(9, 13, 2)
    for frame in range(num_frames):
        image = rng.integers(0, 40, (SIDE, SIDE, 3)).astype(np.uint8)
        step = STEPS[label]
        left, top = x + step[0] * (frame % 6 - 3), y + step[1] * (frame % 6 - 3)
        image[top : top + 5, left : left + 5] = 220
        motion = np.zeros((2, SIDE, SIDE), np.int16)
        motion[:, top : top + 5, left : left + 5] = np.array(step)[:, None, None] * 32
        rgb.append(encode_rgb(image, 95))
        flow.append(encode_flow(motion))
    video = f"video {index:02d}"
    return {
        "clip_id": f"{video}@{first}-{last}",
        "video_id": video,
        "start_frame": first,
        "end_frame": last,
        "label": label,
        "kind": "stroke",
        "split": split,
        "player_id": f"player {index}",
        "fps": 30.0,
        "num_frames": 40,
        "stored_start_frame": first,
        "stored_end_frame": last,
        "roi_xy": [80.0, 45.0] * num_frames,
        "patch_left_top": [68, 33] * num_frames,
        "flags": [0] * num_frames,
        "time_seconds": [frame / 30 for frame in range(num_frames)],
        "flow_max_px": [float(abs(STEPS[label][0])), float(abs(STEPS[label][1]))] * num_frames,
        "rgb": rgb,
        "flow": flow,
        "background_rgb": rng.integers(0, 256, 18 * 32 * 3).astype(np.uint8).tobytes(),
    }


def make_shards(
    path: Path, counts: dict[str, int], frames: int = FRAMES, *, shuffled: bool = False
) -> Path:
    """Shards with this many clips of each class in each split, for windows of `frames`.

    With `shuffled`, training clips carry each other's labels.
    """
    rows, index = [], 0
    for split, count in counts.items():
        for _ in range(count):
            for label in CLASSES:
                rows.append(clip_row(index, label, split, frames + index % 4))
                index += 1
    if shuffled:
        train = [row for row in rows if row["split"] == "train"]
        labels = np.random.default_rng(0).permutation([row["label"] for row in train])
        for row, label in zip(train, labels, strict=True):
            row["label"] = str(label)
    config = FlowConfig(
        frame_height=90,
        frame_width=160,
        crop_height=CROP,
        crop_width=CROP,
        patch_side=SIDE,
        window_frames=frames,
        margin_frames=0,
    )
    dataset = DatasetInfo(
        source="squares",
        taxonomy=Taxonomy.infer(list(CLASSES)),
        config=CurationConfig(),
        counts={},
        split=SplitInfo(strategy="grouped", group="player", leakage=0.0),
    )
    write_clips(path, rows, config, dataset)
    return path


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
