"""Training of the joint head: what is learned, resuming, what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ttdata.errors import InputError
from ttmodels import DetectionHead
from tttrain import detection_scores
from tttrain.errors import TrainingError
from tttrain.indexing.joint_head.choice import choose_min_score
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.decoding import head_strokes
from tttrain.indexing.joint_head.lessons import crops_of_epoch, lessons_of
from tttrain.indexing.joint_head.tracks import FeatureTrack
from tttrain.indexing.joint_head.training import learning_rate_at, train_head

CLASSES = ("drive", "push", "serve")
SMALL = HeadConfig(epochs=4, warmup_epochs=1, hidden=8, crop_cells=32)
SPAN = ["video_id", "start_frame", "end_frame"]
TRACK = FeatureTrack("v", np.zeros((10, 4), np.float16), 80)


def frame(columns: Sequence[str], *rows: tuple[Any, ...]) -> pl.DataFrame:
    types = {"start_frame": pl.Int64, "end_frame": pl.Int64, "num_frames": pl.Int64}
    schema = {column: types.get(column, pl.String) for column in columns}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def strokes_of(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return frame([*SPAN, "label"], *rows)


def synthetic(videos: int, seed: int, cells: int = 150) -> tuple[list[FeatureTrack], pl.DataFrame]:
    """Tracks whose features say the class and where in the stroke a cell is, linearly."""
    rng = np.random.default_rng(seed)
    tracks, rows = [], []
    for number in range(videos):
        features = rng.normal(0, 0.05, (cells, 8))
        start = 8 * int(rng.integers(3, 8))
        while (end := start + int(rng.integers(70, 200))) < 8 * cells - 16:
            label = int(rng.integers(len(CLASSES)))
            middles = np.arange(cells) * 8 + 4
            inside = (middles > start) & (middles < end)
            features[inside, label] += 1
            features[inside, 3] += (middles[inside] - start) / 80
            features[inside, 4] += (end - middles[inside]) / 80
            rows.append((f"v{number}", start, end, CLASSES[label]))
            start = end + int(rng.integers(40, 200))
        tracks.append(FeatureTrack(f"v{number}", features.astype(np.float16), 8 * cells + 5))
    return tracks, strokes_of(*rows)


def videos_of(tracks: Sequence[FeatureTrack]) -> pl.DataFrame:
    return frame(["video_id", "num_frames"], *((own.video_id, own.num_frames) for own in tracks))


def trained(
    folder: Path,
    tracks: Sequence[FeatureTrack],
    strokes: pl.DataFrame,
    config: HeadConfig = SMALL,
    annotated: pl.DataFrame | None = None,
    key: str = "data",
    **options: Any,
) -> DetectionHead:
    path = folder / "head.pt"
    options = {"classes": CLASSES, "checkpoint": path, "key": key} | options
    return train_head(tracks, strokes, annotated, config=config, **options)


def test_what_features_say_is_learned(tmp_path: Path) -> None:
    tracks, strokes = synthetic(4, 0)
    config = HeadConfig(
        epochs=15,
        warmup_epochs=2,
        learning_rate=0.01,
        hidden=32,
        crop_cells=75,
        feature_dropout=0,
    )
    losses: list[float] = []
    head = trained(tmp_path, tracks, strokes, config, on_epoch=lambda _, loss: losses.append(loss))
    assert len(losses) == 15
    assert losses[-1] < losses[0] / 8
    assert head.card.labels == CLASSES
    assert not head.training
    seen, truths = synthetic(2, 1)
    least = choose_min_score(head, tracks, strokes, videos_of(tracks), None, CLASSES, config)
    found = pl.concat([head_strokes(head, own, CLASSES, config, least) for own in seen])
    scores = detection_scores(truths, found, videos_of(seen), resamples=0)
    assert scores.f1 == 1
    assert scores.boundary_error_frames < 8


class Stopped(Exception):
    """What ends a training as a kill would."""


def stopping_after(epochs: int) -> Any:
    def stop(epoch: int, loss: float) -> None:
        if epoch == epochs:
            raise Stopped

    return stop


def bytes_of(head: DetectionHead) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in head.state_dict().items()}


def test_a_training_that_was_stopped_ends_with_the_same_bytes(tmp_path: Path) -> None:
    tracks, strokes = synthetic(2, 0)
    whole = trained(tmp_path / "whole", tracks, strokes)
    for epochs in (2, 3):
        with pytest.raises(Stopped):
            trained(tmp_path, tracks, strokes, on_epoch=stopping_after(epochs))
    torch.rand(5)  # whatever a new process draws
    epochs_left: list[int] = []
    again = trained(tmp_path, tracks, strokes, on_epoch=lambda e, _: epochs_left.append(e))
    assert epochs_left == [4]
    assert bytes_of(again) == bytes_of(whole)
    finished = trained(tmp_path, tracks, strokes, on_epoch=stopping_after(4))
    assert bytes_of(finished) == bytes_of(whole), "nothing is left to do"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.pt", "whole"]


@pytest.mark.parametrize("change", ["key", "settings", "classes", "damaged"])
def test_a_checkpoint_of_something_else_is_replaced(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracks, strokes = synthetic(1, 0)
    with pytest.raises(Stopped):
        trained(tmp_path, tracks, strokes, on_epoch=stopping_after(1))
    options: dict[str, Any] = {
        "key": {"key": "other"},
        "settings": {"config": HeadConfig(**SMALL.model_dump() | {"seed": 1})},
        "classes": {"classes": CLASSES[::-1]},
        "damaged": {},
    }[change]
    if change == "damaged":
        path = tmp_path / "head.pt"
        path.write_bytes(path.read_bytes()[:1000])
    again = trained(tmp_path, tracks, strokes, **options)
    assert caplog.text.count("training starts again") == 1
    fresh = trained(tmp_path / "fresh", tracks, strokes, **options)
    assert bytes_of(again) == bytes_of(fresh)


def test_settings_of_decoding_leave_the_training_as_it_is(tmp_path: Path) -> None:
    tracks, strokes = synthetic(1, 0)
    trained(tmp_path, tracks, strokes)
    other = HeadConfig(**SMALL.model_dump() | {"max_iou": 1.0, "min_score": 0.5})
    trained(tmp_path, tracks, strokes, other, on_epoch=stopping_after(4))


def test_training_leaves_torch_as_it_was(tmp_path: Path) -> None:
    tracks, strokes = synthetic(1, 0)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = trained(tmp_path / "a", tracks, strokes)
    assert torch.equal(torch.rand(2), expected)
    assert bytes_of(trained(tmp_path / "b", tracks, strokes)) == bytes_of(first)


def test_cells_that_do_not_count_change_nothing_but_what_is_seen_beside(tmp_path: Path) -> None:
    """Strokes beyond the annotated spans may be there, elsewhere or missing."""
    tracks, strokes = synthetic(1, 0)
    spans = frame(SPAN, ("v0", 0, 600), ("another video", 0, 9))
    beyond = strokes.filter(pl.col("start_frame") < 600 - 8 * 3)
    heads = [
        trained(tmp_path / str(number), tracks, rows, annotated=spans)
        for number, rows in enumerate((strokes, beyond))
    ]
    assert len(beyond) < len(strokes)
    assert bytes_of(heads[0]) == bytes_of(heads[1])


def test_every_cell_that_counts_is_in_one_crop_an_epoch() -> None:
    tracks, strokes = synthetic(2, 0)
    spans = frame(SPAN, ("v0", 0, 1200), ("v1", 400, 800))
    lessons = lessons_of(tracks, strokes, spans, CLASSES, SMALL)
    first, again, later = (crops_of_epoch(lessons, SMALL, epoch) for epoch in (0, 0, 1))
    places = [
        [(c.lesson.track.video_id, c.first, c.last) for s in e for c in s]
        for e in (first, again, later)
    ]
    assert places[0] == places[1] != places[2]
    for own in places:
        seen = {"v0": np.zeros(150, int), "v1": np.zeros(150, int)}
        for video, start, end in own:
            assert 0 < end - start <= 32
            seen[video][start:end] += 1
        assert seen["v0"].tolist() == [1] * 150
        assert seen["v1"].max() == 1
        assert seen["v1"][50:100].min() == 1, "what is annotated"
        assert seen["v1"].sum() < 150, "crops without it are left out"
    assert {len(step) for step in first[:-1]} == {SMALL.batch}


def test_dropped_features_are_those_of_a_crop() -> None:
    lessons = lessons_of(*synthetic(1, 0), None, CLASSES, SMALL)
    config = HeadConfig(**SMALL.model_dump() | {"crop_cells": 1})
    factors = np.stack(
        [crop.factor for step in crops_of_epoch(lessons, config, 0) for crop in step]
    )
    assert set(np.unique(factors)) == {0, np.float32(1 / np.float32(0.8))}
    assert factors.mean() == pytest.approx(1, abs=0.05)


def test_the_learning_rate_rises_then_falls() -> None:
    config = HeadConfig(epochs=25, warmup_epochs=5, learning_rate=0.2)
    rates = [learning_rate_at(config, epoch) for epoch in (0, 2.5, 5, 10, 15, 25)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.1 * (1 + 0.5**0.5), 0.1, 0])


def test_a_loss_that_is_not_finite_names_its_videos(tmp_path: Path) -> None:
    tracks, strokes = synthetic(2, 0)
    config = HeadConfig(**SMALL.model_dump() | {"learning_rate": 1e30})
    with pytest.raises(
        TrainingError, match=r"^joint head: loss is nan in epoch \d, .*: v\d.*; look"
    ):
        trained(tmp_path, tracks, strokes, config)


@pytest.mark.parametrize(
    ("tracks", "strokes", "message"),
    [
        ([TRACK], strokes_of(), "no stroke in the annotated spans of 1 tracks"),
        ([TRACK], strokes_of(("w", 0, 40, "push")), "no stroke in the annotated spans"),
        ([TRACK], strokes_of(("v", 0, 40, "lob")), "v: label 'lob' is no class, expected one of"),
        ([TRACK], strokes_of(("v", 0, 81, "push")), r"v: frames \[0, 81\), expected .*\[0, 80\)"),
        ([TRACK], strokes_of(("v", 9, 9, "push")), r"v: frames \[9, 9\)"),
        ([TRACK], strokes_of().drop("end_frame"), "strokes: no column 'end_frame' among"),
        ([TRACK], strokes_of().drop("label"), "strokes: no column 'label' among"),
        ([TRACK, TRACK], strokes_of(), "v: 2 tracks of features have this name"),
        ([], strokes_of(), "no track of features"),
        (
            [TRACK, FeatureTrack("w", np.zeros((10, 5), np.float16), 80)],
            strokes_of(),
            "w: has 5 values per cell, but v has 4",
        ),
    ],
)
def test_what_does_not_suit_is_refused(
    tracks: list[FeatureTrack], strokes: pl.DataFrame, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as error:
        trained(tmp_path, tracks, strokes)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("classes", [(), ("push", "push")])
def test_classes_are_distinct(classes: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected each label once"):
        trained(tmp_path, [TRACK], strokes_of(), classes=classes)
