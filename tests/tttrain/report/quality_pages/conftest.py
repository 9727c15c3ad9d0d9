"""A measurement of two players whose videos are numbered frame by frame, at two rates."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ttflow import ClipPose
from tttrain.quality.document import Quality
from tttrain.quality.judge import judge_class
from tttrain.quality.landmarks import stroke_signal
from tttrain.quality.strokes import Stroke
from tttrain.quality.table import all_progress
from tttrain.quality.teacher.marks import Marks
from tttrain.report.quality_pages.pages import write_quality_pages

LABEL = "Forehand Loop"
PUPIL = 'O\'Brien <b>&"x"</b>'
"""What a page must escape."""
RATES = {"anna monday": 60, "anna tuesday": 30, "pupil monday": 60, "pupil tuesday": 30}
SIZES = {
    "anna monday": (1.0, 1.06, 0.95), "anna tuesday": (0.97, 1.03, 1.0),
    "pupil monday": (0.5, 0.55, 0.52), "pupil tuesday": (0.8, 0.84, 0.76),
}  # fmt: skip
"""Of the swings of each video; anna's are the references."""


def swing(count: int, size: float) -> np.ndarray:
    """(T, 2): the wrist seen from the shoulder in torso lengths; back, through, to the start."""
    share = np.linspace(0, 3, count)
    low = np.minimum(share.astype(int), 2)
    ease = (1 - np.cos(np.pi * (share - low))) / 2
    places = np.array([0.0, -1.0, 1.0, 0.0])
    x = places[low] * (1 - ease) + places[low + 1] * ease
    return np.stack([0.6 + size * x, 0.2 - size * 0.4 * x], axis=1)


def pose_of(clip_id: str, start: int, end: int, fps: float, size: float, seed: int) -> ClipPose:
    """A body in the middle of a 320 x 80 picture, whose toes reach its left and right."""
    frames = np.arange(start, end)
    points = np.zeros((len(frames), 33, 2))
    for left, x, y in ((11, 0.3, -1.0), (13, 0.4, -0.6), (15, 0.4, -0.2), (23, 0.2, 0.0)):
        points[:, left], points[:, left + 1] = (-x, y), (x, y)
    for left, y in ((25, 0.5), (27, 1.0)):
        points[:, left], points[:, left + 1] = (-0.2, y), (0.2, y)
    points[:, 0] = (0, -1.3)
    points += np.random.default_rng(seed).normal(0, 0.01, points.shape)
    points[:, 16] = points[:, 12] + swing(len(frames), size)
    world = np.concatenate([points * 0.5, np.zeros((len(frames), 33, 1))], axis=2)
    pixels = points * 22 + [160, 45]
    pixels[:, 31:] = [[0, 70], [319, 70]]
    seen = np.ones((len(frames), 33), np.float32)
    return ClipPose(
        frames, pixels.astype(np.float32), world.astype(np.float32), seen, seen[:, 0], clip_id,
        fps, (80, 320),
    )  # fmt: skip


@dataclass(frozen=True)
class Measurement:
    """What was measured, and what its films are made of."""

    quality: Quality
    poses: dict[str, ClipPose]
    videos: dict[str, str]


def measured(videos: dict[str, str]) -> Measurement:
    """Three strokes of a second in each video of four; each begins 20 frames after another's end
    at 60 frames a second, 10 at 30."""
    strokes, marks, poses = [], {}, {}
    for video_id, sizes in SIZES.items():
        fps = RATES[video_id]
        for number, size in enumerate(sizes):
            start = fps // 3 + number * (fps + fps // 6)
            # The third of a video takes a tenth longer.
            end = start + fps + 1 + (fps // 10 if number == 2 else 0)
            clip_id = f"{video_id}@{start}-{end}"
            who, when = video_id.split()
            row = {
                "clip_id": clip_id, "video_id": video_id, "session_id": when, "label": LABEL,
                "player_id": "anna" if who == "anna" else PUPIL, "start_frame": start,
                "end_frame": end, "fps": float(fps), "video_path": videos.get(video_id),
            }  # fmt: skip
            pose = pose_of(clip_id, start, end, fps, size, seed=len(strokes))
            poses[clip_id] = pose
            strokes.append(Stroke(row, "right", stroke_signal(pose, start, end), None, 0.0))
            if who == "anna":
                marks[clip_id] = Marks(start, (start + end) // 2, end - 1, len(marks) + 2)
    results, told = judge_class(strokes, marks)
    quality = Quality(
        data="shards", references_file="refs.csv", coarse=False, by_player=False,
        references=(told,), strokes=tuple(results), progress=all_progress(results, [told]),
    )  # fmt: skip
    return Measurement(quality, poses, videos)


@pytest.fixture(scope="session")
def measurement() -> Measurement:
    """Without videos."""
    return measured({})


@pytest.fixture(scope="session")
def filmed(
    tmp_path_factory: pytest.TempPathFactory, write_numbered: Callable[..., Path]
) -> Measurement:
    """With its videos: 240 frames at 60 a second, 120 at 30 by times in milliseconds."""
    folder = tmp_path_factory.mktemp("videos")
    thirty = [round(1000 * number / 30) for number in range(130)]
    paths = {
        name: write_numbered(folder / f"{name}.mp4", milliseconds=thirty if rate == 30 else None)
        for name, rate in RATES.items()
    }
    return measured({name: str(path) for name, path in paths.items()})


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, filmed: Measurement) -> Path:
    """The folder that was written."""
    out = tmp_path_factory.mktemp("pages")
    assert write_quality_pages(out, filmed.quality, filmed.poses) == []
    return out
