"""From outputs of the joint head to strokes, and the least score, by hand."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from ttdata.errors import InputError
from tttrain.indexing.joint_head import choice, decoding, outputs
from tttrain.indexing.joint_head.choice import choose_min_score
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.decoding import head_strokes
from tttrain.indexing.joint_head.outputs import cell_outputs, reach_of
from tttrain.indexing.joint_head.state import initial_head
from tttrain.indexing.joint_head.tracks import FeatureTrack

CLASSES = ("drive", "push", "serve")
SMALL = HeadConfig(hidden=8)
SPAN = ["video_id", "start_frame", "end_frame"]
TRACK = FeatureTrack("v", np.zeros((10, 4), np.float16), 80)


def frame(columns: Sequence[str], *rows: tuple[Any, ...]) -> pl.DataFrame:
    types = {"start_frame": pl.Int64, "end_frame": pl.Int64, "num_frames": pl.Int64}
    schema = {column: types.get(column, pl.String) for column in columns}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def strokes_of(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return frame([*SPAN, "label"], *rows)


def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    head = initial_head(3, 8, SMALL, torch.device("cpu"))
    with torch.no_grad():
        head.classify.weight.mul_(100)
    track = FeatureTrack("v", np.random.default_rng(0).random((200, 8)), 1600)
    whole = cell_outputs(head, track)
    assert reach_of(head) == 32
    monkeypatch.setattr(outputs, "BLOCK_CELLS", 37)
    for block, expected in zip(cell_outputs(head, track), whole, strict=True):
        assert torch.allclose(block, expected, atol=1e-5)
    with pytest.raises(InputError, match="v: has 4 values per cell, but the joint head takes 8"):
        cell_outputs(head, TRACK)


def saying(*cells: tuple[int, int, float, float, float]) -> tuple[Tensor, Tensor]:
    """What a head says of TRACK: cell, class, score, cells to start, to end."""
    logits, distances = torch.full((10, 3), -20.0), torch.ones(10, 2)
    for cell, label, score, start, end in cells:
        logits[cell, label] = math.log(score / (1 - score))
        distances[cell] = torch.tensor([start, end])
    return logits, distances


def strokes_said(
    monkeypatch: pytest.MonkeyPatch, said: Any, min_score: float = 0.05, **changes: Any
) -> list[tuple[Any, ...]]:
    """Rows without the video; scores to 6 digits."""
    monkeypatch.setattr(decoding, "cell_outputs", lambda *_: said)
    head = initial_head(3, 4, SMALL, torch.device("cpu"))
    found = head_strokes(head, TRACK, CLASSES, HeadConfig(**changes), min_score)
    types = {**dict.fromkeys(["video_id", "label"], pl.String), "score": pl.Float64}
    types |= dict.fromkeys(["start_frame", "end_frame"], pl.Int64)
    assert dict(found.schema) == types
    assert set(found["video_id"]) <= {"v"}
    return found.drop("video_id").with_columns(pl.col("score").round(6)).rows()


def test_cells_become_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Middles of cells 1, 5, 9 are 1.5, 5.5, 9.5 cells of 8 frames."""
    said = saying((1, 0, 0.5, 3.0, 0.56), (5, 2, 0.8, 1.0, 1.75), (9, 1, 0.25, 0.0, 0.01))
    assert strokes_said(monkeypatch, said) == [
        (0, 16, "drive", 0.5),
        (36, 58, "serve", 0.8),
        (76, 77, "push", 0.25),
    ], "kept inside the video, to the nearest frame, one at least"
    assert strokes_said(monkeypatch, saying()) == []


def test_a_stroke_without_length_at_the_end_keeps_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = decoding._frames(np.array([10.0, 0.0]), np.array([10.0, 0.0]), 80)
    assert (first.tolist(), last.tolist()) == ([79, 0], [80, 1])


def test_neighbours_of_a_class_lose_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """[3, 7) and [4, 8) cells: IoU 3 / 5."""
    said = saying((4, 0, 0.8, 1.5, 2.5), (5, 0, 0.5, 1.5, 2.5))
    left = 0.5 * math.exp(-(0.6**2) / 0.5)
    expected = [(24, 56, "drive", 0.8), (32, 64, "drive", round(left, 6))]
    assert strokes_said(monkeypatch, said, max_iou=1.0) == expected
    assert strokes_said(monkeypatch, said, max_iou=0.6) == expected
    assert strokes_said(monkeypatch, said) == expected[:1], "of one stroke one is left"
    assert strokes_said(monkeypatch, said, min_score=left + 0.001, max_iou=1.0) == expected[:1]


def test_of_classes_that_overlap_the_best_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    said = saying((4, 0, 0.6, 1.5, 2.5), (5, 1, 0.7, 1.5, 2.5), (9, 2, 0.4, 0.5, 0.5))
    rows = [(24, 56, "drive", 0.6), (32, 64, "push", 0.7), (72, 80, "serve", 0.4)]
    assert strokes_said(monkeypatch, said, max_iou=1.0) == rows
    assert strokes_said(monkeypatch, said) == rows[1:]


def test_a_larger_least_score_only_drops_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    said = torch.randn(10, 3, generator=generator), 4 * torch.rand(10, 2, generator=generator)
    rows = strokes_said(monkeypatch, said, max_iou=0.5)
    for least, count in ((0.3, 5), (0.6, 3), (0.8, 1)):
        kept = [row for row in rows if row[-1] >= least]
        assert strokes_said(monkeypatch, said, least, max_iou=0.5) == kept
        assert len(kept) == count


def test_classes_are_those_of_the_head() -> None:
    head = initial_head(2, 4, SMALL, torch.device("cpu"))
    with pytest.raises(InputError, match="v: 3 classes, but the joint head has 2"):
        head_strokes(head, TRACK, CLASSES, SMALL, 0.5)


VIDEOS = pl.DataFrame({"video_id": ["v"], "num_frames": [80]})
TRUTHS = strokes_of(("v", 0, 16, "push"), ("v", 32, 48, "push"))
SAID = [(0, 16, 0.8), (32, 48, 0.52), (60, 70, 0.3), (70, 80, 0.2)]


def chosen(monkeypatch: pytest.MonkeyPatch, truths: pl.DataFrame, **options: Any) -> float:
    rows = [("v", start, end, "push", score) for start, end, score in SAID]
    columns = [*SPAN, "label", "score"]
    found = pl.DataFrame(rows, schema=columns, orient="row")
    monkeypatch.setattr(choice, "head_strokes", lambda *_: found)
    head = initial_head(3, 4, SMALL, torch.device("cpu"))
    options = {"annotated": None, "classes": CLASSES, "config": SMALL} | options
    return choose_min_score(head, [TRACK], truths, VIDEOS, **options)


def test_the_least_score_is_the_middle_of_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both truths and nothing else: from .325 to .5, eight steps, the fifth of them."""
    assert chosen(monkeypatch, TRUTHS) == 0.425
    assert chosen(monkeypatch, TRUTHS, measure="f1") == 0.425
    # One truth: from .525 to .8, twelve steps.
    assert chosen(monkeypatch, TRUTHS[:1]) == 0.675
    # Where people did not look nothing is wrong: from .05 to .5, nineteen steps.
    assert chosen(monkeypatch, TRUTHS, annotated=frame(SPAN, ("v", 0, 48))) == 0.275


def test_validation_needs_strokes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no stroke in 1 validation tracks"):
        chosen(monkeypatch, TRUTHS.clear())
