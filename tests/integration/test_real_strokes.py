"""The same commands on real clips, where the data are present."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(900)]

CLASSES = ("forehand", "serve", "smash")
INDICES = {1: "train", 2: "train", 17: "validation", 20: "test", 22: "test"}


def test_a_few_real_clips(run, real_data: Path, tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "my clips" / name).mkdir(parents=True)
        for index in INDICES:
            clip = f"{name}{index}.mp4"
            shutil.copy(real_data / "strokes" / name / clip, tmp_path / "my clips" / name / clip)
    run(
        *("ttdata", "curate", tmp_path / "my clips", "--out", tmp_path / "dataset"),
        *("--set", "window_frames=32", "--set", "clip_frames=57"),
    )
    clips = pl.read_parquet(tmp_path / "dataset" / "clips.parquet")
    assert clips.height == len(CLASSES) * len(INDICES)
    assert set(clips["end_frame"] - clips["start_frame"]) == {57}
    lines = ["video_id,split"]
    lines += [f"{c}/{c}{i},{split}" for c in CLASSES for i, split in INDICES.items()]
    (tmp_path / "assign.csv").write_text("\n".join(lines) + "\n")
    run(
        *("ttdata", "split", tmp_path / "dataset", "--strategy", "file"),
        *("--assign", tmp_path / "assign.csv"),
    )
    run(
        *("ttflow", "extract", tmp_path / "dataset", "--out", tmp_path / "shards"),
        *("--set", "frame_height=90", "--set", "frame_width=160", "--set", "patch_side=72"),
        *("--set", "crop_height=48", "--set", "crop_width=48", "--set", "window_frames=32"),
    )
    run(
        *("tttrain", "fit", "--data", tmp_path / "shards", "--out", tmp_path / "run"),
        *("--recipe", "demo", "--set", "clip_shape=[32,48,48]", "--set", "epochs=2"),
    )
    result = run("tttrain", "evaluate", tmp_path / "run", "--data", tmp_path / "shards")
    assert "background" in result.stdout
    evaluation = json.loads(
        run("tttrain", "evaluate", tmp_path / "run", "--data", tmp_path / "shards", "--json").stdout
    )
    assert evaluation["methods"]["test"]["n"] == 2 * len(CLASSES)
