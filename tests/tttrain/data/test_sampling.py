"""Order, rank slices and pixels: the same whatever the number of workers and the data path."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ttdata.errors import InputError
from ttdata.storage.tables import read_table, write_table
from ttflow.schema import ClipRecord
from tttrain.config import TrainConfig
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import ShardSource, open_data
from tttrain.data.decode import clip, clip_row, decode_clip, window, window_row
from tttrain.data.sampling import (
    ClipInfo,
    Request,
    StoredClip,
    central_request,
    epoch_batches,
    rank_slice,
    training_request,
)


def test_when_a_clip_is_shown(shards_of, tmp_path: Path) -> None:
    """By the times of its video where the shards tell them, else by the rate."""
    folder = shards_of(tmp_path / "shards", {"train": 1})
    data = open_data(folder)
    first, second, *_ = data.clips["train"]
    table = read_table(folder / "clips.parquet", ClipRecord)
    chosen = pl.col("clip_id") == first.clip_id
    timed = table.with_columns(
        start_seconds=pl.when(chosen).then(2.0), end_seconds=pl.when(chosen).then(3.5)
    )
    write_table(timed, folder / "clips.parquet", ClipRecord)
    assert open_data(folder).timing(first) == (2.0, 1.5)
    length = second.end_frame - second.start_frame
    assert open_data(folder).timing(second) == (second.start_frame / 30, length / 30)
    # What windows are cut from is the same.
    assert open_data(folder).hash == data.hash


def clips(count: int) -> list[ClipInfo]:
    return [ClipInfo(f"clip {index:03d}", 0, 50, 100, 30.0, 0) for index in range(count)]


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_workers_together_take_each_clip_once(
    count: int, batch_size: int, workers: int, epoch: int
) -> None:
    batches = epoch_batches(clips(count), batch_size, 7, epoch)
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    for batch in batches:
        parts = [rank_slice(batch, rank, workers) for rank in range(workers)]
        assert sorted(c.clip_id for part in parts for c in part) == sorted(c.clip_id for c in batch)
    assert sorted(c.clip_id for batch in batches for c in batch) == [
        c.clip_id for c in clips(count)
    ]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(items: list[ClipInfo], seed: int, epoch: int) -> list[str]:
        return [clip.clip_id for batch in epoch_batches(items, 4, seed, epoch) for clip in batch]

    assert order(clips(20), 1, 2) == order(clips(20)[::-1], 1, 2)
    assert order(clips(20), 1, 2) != order(clips(20), 1, 3)
    assert order(clips(20), 1, 2) != order(clips(20), 2, 2)


def test_resident_and_streamed_windows_are_equal_bit_for_bit(shards: Path) -> None:
    data = open_data(shards)
    everything = [clip for split in data.clips.values() for clip in split]
    # Central windows, drawn ones, and windows that leave the stored frames on either side.
    requests = [central_request(clip, 8) for clip in everything]
    requests += [
        training_request(c, TrainConfig(), 8, epoch) for c in everything for epoch in (0, 1)
    ]
    requests += [Request(c.clip_id, start) for c in everything for start in (0, 39)]
    resident = ResidentSource((decode_clip(data.read(c.clip_id)) for c in everything), 8)
    pairs = zip(
        resident.windows(requests), ShardSource(data, 8).windows(requests), requests, strict=True
    )
    for kept, decoded, request in pairs:
        assert kept.clip_id == decoded.clip_id == request.clip_id
        assert decoded.rgb.dtype == np.uint8
        assert decoded.flow.dtype == np.int16
        assert torch.equal(kept.rgb, torch.from_numpy(decoded.rgb))
        assert torch.equal(kept.flow, torch.from_numpy(decoded.flow))


def test_the_draw_of_the_configuration_is_used() -> None:
    clip = ClipInfo("a", 0, 2000, 4000, 120.0, 0)
    uniform = TrainConfig().with_changes(augment={"window_draw": "uniform"})
    starts = [training_request(clip, uniform, 100, epoch).start_frame for epoch in range(50)]
    near = [training_request(clip, TrainConfig(), 100, epoch).start_frame for epoch in range(50)]
    assert min(starts) < 300 < 1600 < max(starts)
    assert 900 < min(near) < max(near) < 1000


def test_rows_of_tasks_carry_the_same_pixels(shards: Path) -> None:
    data = open_data(shards)
    row = data.read(data.clips["test"][0].clip_id)
    stored, travelled = decode_clip(row), clip(clip_row(row))
    assert (travelled.clip_id, travelled.interval) == (stored.clip_id, stored.interval)
    assert travelled.total_frames == stored.total_frames
    assert np.array_equal(travelled.rgb, stored.rgb)
    assert np.array_equal(travelled.flow, stored.flow)
    start = stored.interval[0]
    cut = window(window_row(row, {stored.clip_id: start}, 8))
    assert np.array_equal(cut.rgb, stored.rgb[:8])
    assert np.array_equal(cut.flow, stored.flow[:8])


def test_end_of_the_video_repeats_its_last_frame_without_flow() -> None:
    rgb = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1).repeat(3, axis=3)
    flow = np.ones((3, 2, 1, 1), np.int16)
    window = StoredClip("a", (0, 3), 3, rgb, flow).window(0, 5)
    assert window.rgb[:, 0, 0, 0].tolist() == [0, 1, 2, 2, 2]
    assert window.flow[:, 0, 0, 0].tolist() == [1, 1, 1, 0, 0]
    assert flow.sum() == 6


def test_data_describes_the_shards(shards: Path) -> None:
    data = open_data(shards)
    assert {name: len(found) for name, found in data.clips.items()} == {
        "train": 12,
        "validation": 6,
        "test": 6,
    }
    assert data.classes == ("down", "left", "right")
    assert data.clip_shape == (8, 16, 16)
    # x moves in two of three classes, y in one; clips are of 8 to 11 frames.
    x, y = data.flow_scale()
    counts = {"down": 0, "left": 0, "right": 0}
    for info in data.clips["train"]:
        counts[data.classes[info.class_index]] += info.end_frame - info.start_frame
    share_y = counts["down"] / sum(counts.values())
    spread = 3 * np.sqrt(share_y * (1 - share_y))
    assert (x, y) == pytest.approx((1 - share_y + spread, share_y + spread))
    ids = [clip.clip_id for clip in reversed(data.clips["test"])]
    stored = [data.read(clip_id)["background_rgb"] for clip_id in ids]
    assert [row.tobytes() for row in data.backgrounds(ids)] == stored


@pytest.mark.parametrize("shape", [(9, 16, 16), (8, 14, 16), (8, 16, 24)])
def test_unsuitable_clip_shape_is_refused(shards: Path, shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"expected at most 8 frames of 16 x 16"):
        open_data(shards).check_shape(shape)
    open_data(shards).check_shape((4, 16, 16))
