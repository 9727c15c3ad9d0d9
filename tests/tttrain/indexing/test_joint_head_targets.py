"""Targets, losses of the joint head, with answers by hand; which rows are whose."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ttdata.errors import InputError
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.lessons import lessons_of, moments
from tttrain.indexing.joint_head.losses import focal_loss, interval_loss
from tttrain.indexing.joint_head.targets import NO_STROKE, CellTargets, cell_targets
from tttrain.indexing.joint_head.tracks import FeatureTrack

CLASSES = ("drive", "push", "serve")
SMALL = HeadConfig(hidden=8)
SPAN = ["video_id", "start_frame", "end_frame"]


def frame(columns: Sequence[str], *rows: tuple[Any, ...]) -> pl.DataFrame:
    types = {"start_frame": pl.Int64, "end_frame": pl.Int64, "num_frames": pl.Int64}
    schema = {column: types.get(column, pl.String) for column in columns}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def strokes_of(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return frame([*SPAN, "label"], *rows)


def targets_of(
    *strokes: tuple[int, int], spans: tuple[tuple[int, int], ...] = ((0, 80),), frames: int = 80
) -> CellTargets:
    """Targets of strokes, whose class is their number."""
    rows = np.array(strokes, dtype=np.int64).reshape(-1, 2)
    return cell_targets(rows, np.arange(len(rows)), np.array(spans), frames, HeadConfig())


def positives(targets: CellTargets) -> dict[int, int]:
    """Class by cell."""
    return {int(cell): int(targets.label[cell]) for cell in np.flatnonzero(targets.positive)}


def test_cells_at_the_centre_stand_for_a_stroke() -> None:
    """Frames [20, 60) are cells 2.5 to 7.5: the centre is the middle of no cell, 5.0."""
    targets = targets_of((20, 60))
    assert positives(targets) == {3: 0, 4: 0, 5: 0, 6: 0}, "4 middles, 1.5 cells away at most"
    assert targets.distances[[3, 6]].tolist() == [[1, 4], [4, 1]]
    assert targets.distances[[2, 7]].tolist() == [[0, 0], [0, 0]]
    # Half of cells 2, 7 is covered: neither stroke nor negative.
    assert np.flatnonzero(~targets.counts).tolist() == [2, 7]
    assert positives(targets_of((16, 56))) == {3: 0, 4: 0, 5: 0}, "centre 4.5 is a middle"


@pytest.mark.parametrize(("start", "ignored"), [(21, [2]), (22, []), (19, []), (16, [])])
def test_cells_covered_by_halves_are_ignored(start: int, ignored: list[int]) -> None:
    """Of the 8 frames of cell 2 are covered 3 (.375), 2 (.25), 5 (.625), 8."""
    assert np.flatnonzero(~targets_of((start, 64)).counts).tolist() == ignored


def test_a_cell_at_the_centre_is_never_ignored() -> None:
    """Frames [12, 20): half of cell 1, half of cell 2, whose middles are its ends."""
    targets = targets_of((12, 20))
    assert positives(targets) == {1: 0, 2: 0}
    assert targets.distances[[1, 2]].tolist() == [[0, 1], [1, 0]]
    assert targets.counts.all()


def test_of_overlapping_strokes_the_shorter_wins() -> None:
    """Both are at cell 5.0 or half a cell beside it; the second lies in cells 4.5 to 6.5."""
    targets = targets_of((8, 72), (36, 52))
    assert positives(targets) == {3: 0, 4: 1, 5: 1, 6: 1}
    assert positives(targets_of((36, 52), (8, 72))) == {3: 1, 4: 0, 5: 0, 6: 0}
    assert targets.distances[[3, 4]].tolist() == [[2.5, 5.5], [0, 2]]
    assert positives(targets_of((16, 56), (16, 56))) == {3: 0, 4: 0, 5: 0}, "equal: the first"


def test_only_cells_wholly_annotated_count() -> None:
    """Spans [0, 12) and [10, 36) together cover cells 0 to 3, of cell 4 one half."""
    targets = targets_of((16, 56), spans=((0, 12), (10, 36)))
    assert np.flatnonzero(targets.counts).tolist() == [0, 1, 2, 3]
    assert positives(targets) == {3: 0}, "cells 4, 5 are not annotated"
    assert not targets_of((16, 56), spans=((60, 60),)).counts.any()


def test_frames_after_the_last_whole_cell_belong_to_none() -> None:
    targets = targets_of((60, 79), spans=((0, 79),), frames=79)
    assert len(targets.label) == 9
    assert targets.distances[8].tolist() == [1, pytest.approx(11 / 8)]


def test_a_video_without_strokes_is_all_negative() -> None:
    targets = targets_of()
    assert targets.counts.all()
    assert set(targets.label) == {NO_STROKE}


def test_focal_loss_by_hand() -> None:
    """With p = .8: -.25 x .2^2 x log .8 for a one, -.75 x .8^2 x log .2 for a zero."""
    logits = torch.full((2,), math.log(4.0))
    losses = focal_loss(logits, torch.tensor([1.0, 0.0]), 0.25, 2.0)
    expected = [-0.25 * 0.04 * math.log(0.8), -0.75 * 0.64 * math.log(0.2)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    plain = focal_loss(logits, torch.tensor([1.0, 0.0]), 0.5, 0.0)
    assert plain.tolist() == pytest.approx([-0.5 * math.log(0.8), -0.5 * math.log(0.2)], rel=1e-5)
    assert focal_loss(torch.tensor([500.0]), torch.tensor([1.0]), 0.25, 2.0).tolist() == [0]


def test_interval_loss_by_hand() -> None:
    distances = torch.tensor([[2.0, 3.0], [2.0, 2.0], [4.0, 2.0], [0.0, 0.0]])
    targets = torch.tensor([[2.0, 3.0], [1.0, 1.0], [2.0, 6.0], [0.0, 0.0]])
    # IoU 1; 2 / 4 with one centre; 4 / 10 with centres 3 apart in 10; nothing at all.
    assert interval_loss(distances, targets).tolist() == pytest.approx([0, 0.5, 0.6 + 0.09, 1])


def test_empty_intervals_have_finite_gradients() -> None:
    distances = torch.zeros(1, 2, requires_grad=True)
    interval_loss(distances, torch.zeros(1, 2)).sum().backward()  # type: ignore[no-untyped-call]
    assert distances.grad is not None
    assert distances.grad.isfinite().all()


def test_features_are_standardised_over_cells_that_count() -> None:
    features = np.zeros((4, 3), np.float16)
    features[:, 0] = [1, 3, 1, 99]
    features[:, 1] = [10, 10.5, 10, 10]
    track = FeatureTrack("v", features, 32)
    spans, strokes = frame(SPAN, ("v", 0, 24)), strokes_of(("v", 8, 16, "push"))
    mean, deviation = moments(lessons_of([track], strokes, spans, CLASSES, SMALL))
    first, second = np.std([1, 3, 1]), np.std([0, 0.5, 0])
    assert mean == pytest.approx([5 / 3, 10 + 0.5 / 3, 0])
    assert deviation == pytest.approx([first, second, 0.1 * (first + second) / 2])


@pytest.mark.parametrize(
    ("features", "frames", "message"),
    [
        (np.zeros((0, 4)), 7, "v: has 7 frames, expected at least 8; leave"),
        (np.zeros((9, 4)), 80, r"shape \(9, 4\), expected floats \(10, values\) for 80"),
        (np.zeros((10, 4), int), 80, "features are int64"),
        (np.full((10, 4), np.inf), 80, r"v: features of frame 0 \(cell 0\) are not finite"),
    ],
)
def test_wrong_tracks_are_refused(features: np.ndarray, frames: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeatureTrack("v", features, frames)


def test_each_track_has_its_own_rows() -> None:
    near, far = (FeatureTrack(own, np.zeros((10, 4), np.float16), 80) for own in ("a", "b"))
    rows = strokes_of(("a", 16, 56, "push"), ("b", 0, 40, "serve"), ("c", 0, 40, "serve"))
    spans = frame(SPAN, ("b", 0, 80))
    lessons = lessons_of([near, far], rows, spans, CLASSES, SMALL)
    assert [int(lesson.targets.counts.sum()) for lesson in lessons] == [0, 10]
    assert positives(lessons[1].targets) == {1: 2, 2: 2, 3: 2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup_epochs": 35}, r"warmup_epochs must be below epochs \(35\), found 35"),
        ({"ignore_low": 0.7}, r"ignore_low must be at most ignore_high \(0.6\), found 0.7"),
    ],
)
def test_settings_that_contradict_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HeadConfig(**values)
