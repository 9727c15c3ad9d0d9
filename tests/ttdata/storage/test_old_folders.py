"""A dataset folder written before the modules moved into rooms is read as it was.

`fixtures/dataset_before_rooms` was made by the commit before the move:
ttdata synth source --videos 3 --players 3 --seconds 5 --fps 15 --size 160x90 --seed 3 \
    --strokes "Offensive Forehand Hit,Defensive Backhand Push"
ttdata curate source --out dataset
ttdata split dataset --strategy grouped --group player --shares 0.4,0.3,0.3
"""

import shutil
from pathlib import Path

import ttdata
from ttdata.commands.split import split_dataset

OLD = Path(__file__).parents[1] / "fixtures" / "dataset_before_rooms"


def test_tables_and_description() -> None:
    dataset = ttdata.load_dataset(OLD)
    assert dataset.info.taxonomy.classes[-1] == "Negative"
    assert dataset.info.split is not None
    assert (dataset.info.split.strategy, dataset.info.split.group) == ("grouped", "player")
    assert dataset.videos.select("fps", "num_frames").unique().rows() == [(15.0, 75)]
    # The times of frames were added later; without them the rate is constant.
    assert dataset.videos["frame_seconds"].to_list() == [None, None, None]
    assert dataset.annotations.height == 23
    assert dataset.annotations["accepted"].sum() == 20
    assert dataset.actions.height == 9
    assert dataset.covered.is_empty()  # a table of a later release
    assert dataset.clips.select("clip_id", "split").rows() == [
        ("video_0000@6-21", "train"),
        ("video_0000@25-35", "train"),
        ("video_0000@38-51", "train"),
        ("video_0001@7-29", "validation"),
        ("video_0001@30-48", "validation"),
        ("video_0001@50-64", "validation"),
        ("video_0002@6-26", "test"),
        ("video_0002@28-49", "test"),
    ]


def test_the_same_division_again(tmp_path: Path) -> None:
    again = tmp_path / "dataset"
    shutil.copytree(OLD, again)
    old = ttdata.load_dataset(OLD).clips
    divided, _ = split_dataset(
        again, "grouped", group="player", seed=0, shares=(0.4, 0.3, 0.3), fresh=True
    )
    assert divided.clips.equals(old)
