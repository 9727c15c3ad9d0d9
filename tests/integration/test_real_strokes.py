"""The page for a user's own clips, run command by command on a few real ones; fewer epochs."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "your_own_clips.md"
CLASSES = ("forehand", "serve", "smash")
INDICES = {1: "train", 2: "train", 17: "validation", 20: "test", 22: "test"}


def test_the_page_for_own_clips(run, commands, real_data: Path, tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "my_clips" / name).mkdir(parents=True)
        for index in INDICES:
            clip = f"{name}{index}.mp4"
            shutil.copy(real_data / "strokes" / name / clip, tmp_path / "my_clips" / name / clip)
    lines = ["video_id,split"]
    lines += [f"{c}/{c}{i},{split}" for c in CLASSES for i, split in INDICES.items()]
    (tmp_path / "assign.csv").write_text("\n".join(lines) + "\n")
    shorter = {"fit": ("--set", "schedule.epochs=2", "--set", "schedule.warmup_epochs=1")}
    done = [(line, run(*line, *shorter.get(line[1], ()), cwd=tmp_path)) for line in commands(PAGE)]

    assert [line[1] for line, _ in done] == [
        *("curate", "split", "extract", "verify", "fit", "evaluate")
    ]
    clips = pl.read_parquet(tmp_path / "my_shards" / "clips.parquet")
    assert clips.height == len(CLASSES) * len(INDICES)
    assert "background" in done[-1][1].stdout.lower()
    evaluation = json.loads(
        run("tttrain", "evaluate", "my_run", "--data", "my_shards", "--json", cwd=tmp_path).stdout
    )
    assert evaluation["methods"]["test"]["n"] == 2 * len(CLASSES)
