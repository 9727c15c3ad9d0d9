"""The region of interest on rendered players, whose pixels and bat are known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ttdata.synth.config import SynthConfig
from ttdata.synth.plan import plan_video
from ttdata.synth.render import render
from ttflow.extraction.pipeline import extract_video
from ttflow.flow.estimators import create
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.patches import crop_left_top

pytestmark = [pytest.mark.slow]

CONFIG = FlowConfig(estimator="dis-fast")
SYNTH = SynthConfig(num_videos=2, num_players=2, seconds=10, width=320, height=180, seed=5)


class Rows(list):
    """A sink that keeps everything."""

    def write(self, row) -> None:
        self.append(row)

    def restart(self) -> None:
        self.clear()


def tracks(lib, synth: SynthConfig, index: int, path: Path) -> dict[int, tuple[float, float]]:
    """The centre of every frame of every stroke, by the pipeline."""
    plan = plan_video(synth, index)
    images = (frame.rgb for frame in render(plan, with_truth=False))
    lib.write_video(path, images, options={"crf": "20"})
    clips = [
        ClipSpec(f"{stroke.start_frame}", stroke.start_frame, stroke.end_frame)
        for stroke in plan.strokes
    ]
    sink = Rows()
    extract_video(path, clips, CONFIG, create(CONFIG.estimator), sink, plan.num_frames)
    found = {}
    for clip in clips:
        (row,) = [row for row in sink if row["clip_id"] == clip.clip_id]
        centers = np.reshape(row["roi_xy"], (-1, 2))
        for frame in range(clip.start_frame, clip.end_frame):
            found[frame] = tuple(centers[frame - row["stored_start_frame"]])
    return found


@pytest.fixture(scope="module")
def with_flicker(lib, tmp_path_factory) -> list[dict[int, tuple[float, float]]]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    folder = tmp_path_factory.mktemp("synthetic")
    return [tracks(lib, SYNTH, index, folder / f"{index}.mp4") for index in (0, 1)]


def test_the_crop_holds_bat_and_player(with_flicker) -> None:
    good, heights = [], []
    for index, found in enumerate(with_flicker):
        for number, frame in enumerate(render(plan_video(SYNTH, index))):
            if number not in found:
                continue
            left, top = crop_left_top(found[number], (120, 120), (180, 320))
            mask, (x, y) = frame.player_masks[0], frame.bat_xy[0]
            share = mask[top : top + 120, left : left + 120].sum() / mask.sum()
            good.append(share >= 0.9 and left <= x < left + 120 and top <= y < top + 120)
            heights.append(mask.any(1).sum())
    assert len(good) > 800
    assert np.median(heights) >= 70
    assert np.mean(good) >= 0.95


def test_flicker_hardly_moves_the_track(lib, with_flicker, tmp_path: Path) -> None:
    calm = SYNTH.model_copy(update={"flicker": 0.0})
    moved = []
    for index, flickering in enumerate(with_flicker):
        steady = tracks(lib, calm, index, tmp_path / f"{index}.mp4")
        assert steady.keys() == flickering.keys()
        moved += [
            max(abs(a - b) for a, b in zip(steady[frame], flickering[frame], strict=True))
            for frame in steady
        ]
    assert np.median(moved) <= 3
