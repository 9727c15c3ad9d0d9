"""Compiled loops change nothing that is stored: the same bytes with OpenCV and plain PyTorch."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ttflow import foreground, roi
from ttflow.extraction import assemble, tracking
from ttflow.extraction.pipeline import extract_video
from ttflow.flow.estimators import create
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.patches import quantize_flow

CLIPS = (
    ClipSpec("left", 6, 20, (0.0, 0.0, 0.5, 1.0)),
    ClipSpec("whole", 10, 24),
)
CONFIG = FlowConfig(estimator="dis-ultrafast", window_frames=8, margin_frames=2, smooth_taps=5)


class Rows(list[Any]):
    """A sink that keeps everything."""

    write = list.append
    restart = list.clear


def rows_of(path: Path) -> Rows:
    sink = Rows()
    extract_video(path, CLIPS, CONFIG, create(CONFIG.estimator), sink, 30)
    return sink


def opencv_model(config: FlowConfig) -> Any:
    model = cv2.createBackgroundSubtractorKNN(
        config.foreground_history, config.foreground_threshold, True
    )

    def found(image: np.ndarray, seed: int) -> np.ndarray:
        cv2.setRNGSeed(seed)
        return (model.apply(image) == 255).view(np.uint8)

    return found


def plain_square(flow: np.ndarray, left: int, top: int, side: int) -> np.ndarray:
    padded = np.pad(flow, ((0, 0), (side, side), (side, side)))
    return quantize_flow(padded[:, top + side : top + 2 * side, left + side : left + 2 * side])


def plain_center(
    flow: np.ndarray, allowed: np.ndarray | None, *settings: Any
) -> tuple[float, float] | None:
    mask = None if allowed is None else torch.from_numpy(allowed)
    found, moving = roi._centers(torch.from_numpy(flow)[None], mask, *settings)
    return (float(found[0, 0]), float(found[0, 1])) if moving[0] else None


def plain_thumb(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, assemble.BACKGROUND_HW[::-1], interpolation=cv2.INTER_AREA)


def test_every_stored_value(lib: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lib.write_video(tmp_path / "video.mp4", lib.moving_square(30, speed_px=3.0))
    compiled = rows_of(path)
    monkeypatch.setattr(foreground, "_model", opencv_model)
    monkeypatch.setattr(tracking, "frame_center", plain_center)
    monkeypatch.setattr(assemble, "cut_flow", plain_square)
    monkeypatch.setattr(assemble, "_thumb", plain_thumb)
    assert rows_of(path) == compiled
    assert {row["clip_id"] for row in compiled} == {"left", "whole"}
    assert min(max(row["flow_max_px"]) for row in compiled) > 1
