"""The page for a user's own clips, run command by command on a few real ones; fewer epochs."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from ttflow.errors import PoseUnavailable
from ttflow.pose.weights import read_weights

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "your_own_clips.md"
CLASSES = ("forehand", "serve", "smash")
INDICES = {1: "train", 2: "train", 17: "validation", 20: "test"}


def skip_without_weights() -> None:
    """They are fetched by hand: tests use no network."""
    try:
        read_weights()
    except PoseUnavailable as error:
        pytest.skip(str(error))


def test_the_page_for_own_clips(run, ray_head, commands, real_data: Path, tmp_path: Path) -> None:
    skip_without_weights()
    for name in CLASSES:
        (tmp_path / "my_clips" / name).mkdir(parents=True)
        for index in INDICES:
            clip = f"{name}{index}.mp4"
            shutil.copy(real_data / "strokes" / name / clip, tmp_path / "my_clips" / name / clip)
    lines = ["video_id,split"]
    lines += [f"{c}/{c}{i},{split}" for c in CLASSES for i, split in INDICES.items()]
    (tmp_path / "assign.csv").write_text("\n".join(lines) + "\n")
    two_epochs = ("--set", "schedule.epochs=2", "--set", "schedule.warmup_epochs=1")
    shorter = {"fit": two_epochs, "cross-validate": ("--folds", "3", *two_epochs)}
    done = {}
    for line in (line for line in commands(PAGE) if line[1] != "fetch-pose"):
        if line[1] == "cross-validate":
            write_groups(tmp_path)
        # What learns from landmarks alone needs no cluster, and takes less time without one.
        env = ray_head.joined if line[0] == "ttflow" else None
        done[line[1]] = run(*line, *shorter.get(line[1], ()), cwd=tmp_path, env=env).stdout

    assert list(done) == [
        *("curate", "extract", "verify", "pose", "cross-validate", "split", "fit", "evaluate")
    ]
    n = len(CLASSES) * len(INDICES)
    table = json.loads((tmp_path / "my_folds" / "cross_validation.json").read_text())
    assert table["rows"][0]["methods"]["test"]["n"] == n
    assert table["num_groups"] == len(INDICES)
    assert {"background", "pose + SVM"} < set(table["baselines"])
    assert "pose + SVM" in done["evaluate"]
    assert f"n = {len(CLASSES)}, 95 % interval" in done["evaluate"]


def write_groups(folder: Path) -> None:
    """Clips of the same index are of one group."""
    ids = pl.read_parquet(folder / "my_shards" / "clips.parquet")["clip_id"]
    index = ids.str.extract(r"(\d+)@")
    pl.DataFrame({"clip_id": ids, "group": index}).write_csv(folder / "groups.csv")
