"""Tiny shards without a video: moving squares whose motion is their class."""

from pathlib import Path
from typing import Any

import numpy as np

from ttdata.schema import CurationConfig, DatasetInfo, SplitInfo
from ttdata.taxonomy import Taxonomy
from ttflow.schema import FlowConfig
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.shards.writer import write_clips

SIDE, CROP, FRAMES = 24, 16, 8
CLASSES = ("down", "left", "right")
STEPS = {"down": (0, 1), "left": (-1, 0), "right": (1, 0)}


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
    dataset = DatasetInfo(
        source="squares",
        taxonomy=Taxonomy.infer(list(CLASSES)),
        config=CurationConfig(),
        counts={},
        split=SplitInfo(strategy="grouped", group="player", leakage=0.0),
    )
    write_clips(path, rows, extraction(frames), dataset)
    return path


def extraction(frames: int = FRAMES) -> FlowConfig:
    """How such clips would have been extracted, for windows of so many frames."""
    return FlowConfig(
        frame_height=90,
        frame_width=160,
        crop_height=CROP,
        crop_width=CROP,
        patch_side=SIDE,
        window_frames=frames,
        margin_frames=0,
    )
