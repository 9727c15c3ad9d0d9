"""Shards written before the modules moved into rooms are read, down to the pixel, as they were.

`fixtures/shards_before_rooms` was made by the commit before the move, from the dataset that
tests/ttdata/storage/test_old_folders.py names:
ttflow extract dataset --out shards --estimator dis-fast --set frame_height=45 \
    --set frame_width=80 --set crop_height=16 --set crop_width=16 --set patch_side=24 \
    --set window_frames=8 --set margin_frames=2
"""

from pathlib import Path

import numpy as np
import pytest

from ttflow import decode_window, open_shards
from ttflow.shards.layout import config_hash
from ttflow.shards.verify import verify

OLD = Path(__file__).parents[1] / "fixtures" / "shards_before_rooms"


def test_every_file_and_pixel_is_verified() -> None:
    report = verify(OLD, deep=True)
    assert not report.problems


def test_the_hash_of_the_configuration_is_the_same() -> None:
    """So extraction finds nothing to compute again."""
    info = open_shards(OLD).info
    assert config_hash(info.config) == info.config_hash == "10e2e3741ed832e4"


@pytest.mark.parametrize(
    ("clip_id", "split", "stored_start", "rgb_sum", "flow_sum"),
    [
        ("video_0000@6-21", "train", 4, 1_891_125, 1442),
        ("video_0000@25-35", "train", 23, 1_930_182, 2618),
        ("video_0000@38-51", "train", 36, 1_969_892, 2684),
    ],
)
def test_pixels(clip_id: str, split: str, stored_start: int, rgb_sum: int, flow_sum: int) -> None:
    shards = open_shards(OLD)
    row = shards.read(clip_id)
    rgb, flow = decode_window(row, start_frame=row["start_frame"], num_frames=8)
    assert (row["split"], row["stored_start_frame"]) == (split, stored_start)
    assert rgb.shape == (8, 24, 24, 3)
    assert flow.shape == (8, 2, 24, 24)
    assert int(flow.astype(np.int64).sum()) == flow_sum
    # A JPEG decoder may round otherwise: a level in a thousand values.
    assert int(rgb.astype(np.int64).sum()) == pytest.approx(rgb_sum, abs=14)
