"""Negatives of whole videos: which stretches training may use, which windows it draws from them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from squares import FRAMES, SIDE, extraction

from ttdata.curation.stretches import Obstacle, reach_frames, stretches_of
from ttdata.errors import InputError
from ttdata.schema import CurationConfig, DatasetInfo
from ttdata.taxonomy import Taxonomy
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.shards.writer import write_clips
from tttrain.commands import fit as fitting
from tttrain.config import TrainConfig
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import ShardSource, TrainingData, open_data
from tttrain.data.decode import decode_clip
from tttrain.data.sampling import (
    Stretch,
    epoch_batches,
    stretch_shares,
    training_request,
    with_stretches,
)
from tttrain.data.stretches import Strokes, windows_of
from tttrain.recipes import RECIPES
from tttrain.run import Run, RunInfo
from tttrain.training.worker import Trainer, Worker

STROKES = ((40, 60), (120, 140))
SPAN = (0, 170)
CLASSES = Taxonomy.infer(["down", "up"]).model_copy(update={"negative": "Rest"})
CONFIG = TrainConfig(batch_size=4).with_changes(
    schedule={"epochs": 3},
    augment={"straddling_share": 0.5, "rest_share": 1.0},
    execution={"checkpoint_minutes": 0},
)


def row(video: str, start: int, end: int, **changes: Any) -> dict[str, Any]:
    """A clip of a video of 200 frames; the flow of each frame is its number, in x, in 1/32 px."""
    frames = np.arange(start, end)
    flow = [np.zeros((2, SIDE, SIDE), np.int16) for _ in frames]
    for picture, frame in zip(flow, frames, strict=True):
        picture[0] = frame
    count = len(frames)
    values = {
        "clip_id": f"{video}@{start}-{end}",
        "video_id": video,
        "start_frame": start,
        "end_frame": end,
        "kind": "stroke",
        "label": "down",
        "split": "train",
        "fps": 30.0,
        "num_frames": 200,
        "stored_start_frame": start,
        "stored_end_frame": end,
        "roi_xy": [80.0, 45.0] * count,
        "patch_left_top": [68, 33] * count,
        "flags": [0] * count,
        "time_seconds": [frame / 30 for frame in frames],
        "flow_max_px": [1.0, 1.0] * count,
        "rgb": [encode_rgb(np.full((SIDE, SIDE, 3), frame, np.uint8), 95) for frame in frames],
        "flow": [encode_flow(picture) for picture in flow],
        "background_rgb": bytes(18 * 32 * 3),
    }
    return values | changes


def video_rows(video: str, splits: tuple[str, str], stretches: bool) -> Iterator[dict[str, Any]]:
    for (start, end), split, label in zip(STROKES, splits, ("down", "up"), strict=True):
        yield row(video, start, end, split=split, label=label)
    obstacles = [Obstacle(a, b, reach_frames(b - a, FRAMES)) for a, b in STROKES]
    for kind, start, end in stretches_of(SPAN, obstacles, FRAMES) if stretches else ():
        clip_id = f"{video}@{start}-{end}+{kind}"
        yield row(video, start, end, clip_id=clip_id, kind=kind, label="Rest", split=None)


def write(path: Path, *, stretches: bool = True) -> Path:
    """Two videos for training, one for validation, one of which a stroke is in test."""
    splits = {
        "a": ("train", "train"),
        "b": ("train", "train"),
        "c": ("validation", "validation"),
        "d": ("train", "test"),
    }
    rows = [item for video, both in splits.items() for item in video_rows(video, both, stretches)]
    info = DatasetInfo(source="numbers", taxonomy=CLASSES, config=CurationConfig(), counts={})
    write_clips(path, rows, extraction(), info)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return open_data(write(tmp_path_factory.mktemp("whole") / "shards"))


def test_stretches_are_of_videos_that_are_all_for_training(whole: TrainingData) -> None:
    found = whole.stretches(CONFIG)
    assert {kind: len(items) for kind, items in found.items()} == {"straddling": 8, "rest": 18}
    for items in found.values():
        assert {item.clip_id[0] for item in items} == {"a", "b"}
        assert {whole.classes[item.class_index] for item in items} == {"Rest"}
        assert all(item.windows == (item.start_frame, item.end_frame) for item in items)
    # Nobody else takes them for clips.
    assert {name: len(clips) for name, clips in whole.clips.items()} == {
        "train": 5,
        "validation": 2,
        "test": 1,
    }
    assert len(whole.everything()) == 8
    assert whole.stretches(TrainConfig()) == {}
    # Found once for all settings that ask for the same.
    assert whole.stretches(CONFIG.with_changes(seed=1)) is found


def test_shards_without_stretches_are_refused_in_one_line(tmp_path: Path) -> None:
    plain = open_data(write(tmp_path / "plain", stretches=False))
    with pytest.raises(InputError, match=r"no stretch of kind 'straddling'.*ttdata curate --set"):
        fitting.check(CONFIG, plain, Run(tmp_path / "run"))
    rests = CONFIG.with_changes(augment={"straddling_share": 0.0})
    with pytest.raises(InputError, match=r"'rest'.*--set augment.rest_share=0$"):
        fitting.check(rests, plain, Run(tmp_path / "run"))
    fitting.check(TrainConfig(), plain, Run(tmp_path / "run"))


def test_what_is_hashed(whole: TrainingData, tmp_path: Path) -> None:
    """Moved stretches are other data."""
    again = open_data(write(tmp_path / "again"))
    plain = open_data(write(tmp_path / "plain", stretches=False))
    assert again.hash == whole.hash
    assert plain.hash != whole.hash


def touched(start: int, strokes: list[tuple[int, int]], num_frames: int) -> list[int]:
    return [min(start + num_frames, b) - max(start, a) for a, b in strokes]


@settings(deadline=None)
@given(
    st.integers(8, 24),
    st.integers(1, 24),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=4),
)
def test_windows_shorter_than_curated_hold_no_more_of_a_stroke_than_may_be(
    curated: int, shorter: int, gaps_and_lengths: list[tuple[int, int]]
) -> None:
    strokes, at = [], 0
    for gap, length in gaps_and_lengths:
        strokes.append((at + gap, at + gap + length))
        at += gap + length
    obstacles = [Obstacle(a, b, reach_frames(b - a, curated)) for a, b in strokes]
    num_frames = min(shorter, curated)
    rows = Strokes(placed(a, b) for a, b in strokes)
    for kind, start, end in stretches_of((0, at + 60), obstacles, curated):
        stretch = placed(start, end) | {"kind": kind}
        low, high = windows_of(stretch, rows, num_frames)
        assert (low, high) == (start, end) or (kind == "straddling" and num_frames < curated)
        assert start <= low
        assert high <= end
        sides = {a < start for a, b in strokes if a < end and b > start}
        for first in range(low, high - num_frames + 1):
            common = touched(first, strokes, num_frames)
            for held, (a, b) in zip(common, strokes, strict=True):
                assert held <= 0 or 10 * held <= 3 * min(b - a, num_frames)
            if len(sides) == 1:
                assert max(common) > 0


def placed(
    start: int, end: int, box: tuple[float | None, ...] = (None,) * 4, player_id: str | None = None
) -> dict[str, Any]:
    corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True))
    return {"start_frame": start, "end_frame": end, "player_id": player_id} | corners


@pytest.mark.parametrize(
    ("box", "player_id", "is_bound"),
    [
        ((0.5, 0.0, 1.0, 1.0), None, False),
        ((0.5, 0.0, 1.0, 1.0), "bob", False),
        ((0.5, 0.0, 1.0, 1.0), "ann", True),
        ((0.1, 0.3, 0.2, 0.6), None, True),  # a tight box inside the wide one
        ((None,) * 4, "bob", True),
    ],
)
def test_only_the_same_players_strokes_are_bounds(
    box: tuple[float | None, ...], player_id: str | None, is_bound: bool
) -> None:
    left = (0.0, 0.0, 0.5, 1.0)
    stretch = placed(70, 199, left, "ann") | {"kind": "straddling"}
    own, other = placed(0, 100, left), placed(169, 260, box, player_id)
    assert windows_of(stretch, Strokes([own, other]), 100)[0] == 70
    # Shorter windows may touch the one or the other where both are bounds, else the one only.
    found = windows_of(stretch, Strokes([other, own]), 50)
    assert found == ((85, 184) if is_bound else (85, 149))


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40))),
    st.integers(0, 80),
    st.integers(1, 40),
)
def test_strokes_within_an_interval(
    strokes: list[tuple[int, int]], start: int, length: int
) -> None:
    bounds = [(first, first + frames) for first, frames in strokes]
    found = Strokes(placed(*stroke) for stroke in bounds).within(start, start + length)
    expected = [stroke for stroke in bounds if stroke[0] < start + length and stroke[1] > start]
    assert [(first, last) for first, last, _ in found] == sorted(expected)


def test_windows_are_drawn_from_all_of_a_stretch() -> None:
    stretch = Stretch("x", 10, 40, 100, 30.0, 2, windows=(12, 30))
    starts = [training_request(stretch, CONFIG, 8, epoch).start_frame for epoch in range(300)]
    assert set(starts) == set(range(12, 23))
    central = CONFIG.with_changes(augment={"temporal": False})
    assert starts[:9] == [training_request(stretch, central, 8, e).start_frame for e in range(9)]


def test_an_epoch_shows_stretches_beside_the_clips(whole: TrainingData) -> None:
    clips, stretches = whole.clips["train"], whole.stretches(CONFIG)
    assert with_stretches(clips, stretches, TrainConfig(), 0) == clips
    shown = with_stretches(clips, stretches, CONFIG, 0)
    assert shown[:5] == clips
    # 0.5 of 5, half up, and as many as there are clips.
    kinds = [item.clip_id.partition("+")[2] for item in shown[5:]]
    assert kinds == ["straddling"] * 3 + ["rest"] * 5
    assert len({item.clip_id for item in shown}) == len(shown)
    # By seed and epoch, whatever the order of what there is.
    turned = {kind: items[::-1] for kind, items in stretches.items()}
    assert with_stretches(clips, turned, CONFIG, 0) == shown
    assert with_stretches(clips, stretches, CONFIG, 1) != shown
    assert with_stretches(clips, stretches, CONFIG.with_changes(seed=1), 0) != shown
    everything = {
        item.clip_id
        for epoch in range(40)
        for item in with_stretches(clips, stretches, CONFIG, epoch)
    }
    assert len(everything) == 5 + 8 + 18
    # No more than there are.
    many = CONFIG.with_changes(augment={"rest_share": 9.0})
    assert len(with_stretches(clips, stretches, many, 0)) == 5 + 3 + 18
    assert stretch_shares(TrainConfig()) == {}


def test_both_data_paths_give_the_frames_asked_for(whole: TrainingData) -> None:
    stretches = [item for items in whole.stretches(CONFIG).values() for item in items]
    requests = [training_request(item, CONFIG, FRAMES, 3) for item in stretches]
    resident = ResidentSource((decode_clip(whole.read(item.clip_id)) for item in stretches), FRAMES)
    streamed = ShardSource(whole, FRAMES)
    for request, one, two in zip(
        requests, resident.windows(requests), streamed.windows(requests), strict=True
    ):
        frames = list(range(request.start_frame, request.start_frame + FRAMES))
        assert two.flow[:, 0, 0, 0].tolist() == frames
        assert one.flow[:, 0, 0, 0].tolist() == frames
        common = touched(request.start_frame, list(STROKES), FRAMES)
        assert max(common) <= reach_frames(20, FRAMES) == 2


def test_a_run_with_them_goes_on_as_if_never_stopped(
    whole: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(run: Run, info: RunInfo) -> None:
        data, shape = open_data(Path(info.data)), info.resolved.network.clip_shape
        assert shape is not None
        source, stretches = ShardSource(data, shape[0]), data.stretches(info.resolved)
        Trainer(run, data.clips, source, Worker(), stretches).train(lambda _: None)

    real = Run.append_metrics

    def stop(self: Run, entry: dict[str, Any]) -> None:
        real(self, entry)
        if entry["epoch"] == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "_launch", here)
    run = fitting.fit(CONFIG, whole.path, tmp_path / "whole")
    assert [entry["train_n"] for entry in run.metrics()] == [5 + 3 + 5] * 3
    monkeypatch.setattr(Run, "append_metrics", stop)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(CONFIG, whole.path, tmp_path / "killed")
    monkeypatch.setattr(Run, "append_metrics", real)
    killed = fitting.fit(CONFIG, whole.path, tmp_path / "killed")
    weights = [(item.model_folder / "model.safetensors").read_bytes() for item in (run, killed)]
    assert weights[0] == weights[1]
    assert [e["train_loss"] for e in run.metrics()] == [e["train_loss"] for e in killed.metrics()]


def test_memory_counts_what_an_epoch_may_read(whole: TrainingData) -> None:
    stretches = whole.stretches(CONFIG)
    further = sum(i.end_frame - i.start_frame for items in stretches.values() for i in items)
    more = whole.resident_gib(stretches) - whole.resident_gib()
    assert more == pytest.approx(further * SIDE * SIDE * 7 / 2**30)


def test_batches_hold_them_once(whole: TrainingData) -> None:
    shown = with_stretches(whole.clips["train"], whole.stretches(CONFIG), CONFIG, 2)
    batches = epoch_batches(shown, 4, 0, 2)
    assert sorted(c.clip_id for b in batches for c in b) == sorted(c.clip_id for c in shown)


def test_only_runs_that_ask_for_them_are_other_runs() -> None:
    """Without, the hash is that of before there were such settings."""
    assert TrainConfig().result_hash() == "c79ccf148d6b"
    for name in ("straddling_share", "rest_share"):
        assert TrainConfig().with_changes(augment={name: 0.0}).result_hash() == "c79ccf148d6b"
        assert TrainConfig().with_changes(augment={name: 0.1}).result_hash() != "c79ccf148d6b"
    for recipe in RECIPES.values():
        assert stretch_shares(recipe()) == {}
