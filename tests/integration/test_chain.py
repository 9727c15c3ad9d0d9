"""From synthetic videos to a tested model, with the real commands on a small scale.

What tttrain does are the commands of its README, with fewer epochs.
"""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

README = Path(__file__).parents[2] / "packages" / "tttrain" / "README.md"
STROKES = "Serve Forehand Topspin,Offensive Forehand Hit,Defensive Backhand Block"
SIZES = (
    *("--set", "frame_height=90", "--set", "frame_width=160"),
    *("--set", "crop_height=32", "--set", "crop_width=32", "--set", "patch_side=48"),
    *("--set", "window_frames=16", "--set", "estimator=dis-ultrafast"),
)
EPOCHS = 3
EPOCHS_SET = ("--set", f"schedule.epochs={EPOCHS}")
SHORTER = {
    **dict.fromkeys(("fit", "compare"), EPOCHS_SET),
    "cross-validate": ("--parallel", "2", *EPOCHS_SET),  # tasks are quicker than workers
}


@pytest.fixture(scope="module")
def readme_commands(commands) -> list[list[str]]:
    """The lines of the README's shell blocks that call tttrain itself."""
    return [line for line in commands(README) if line[0] == "tttrain"]


@pytest.fixture(scope="module")
def folder(run, ray_head, readme_commands, tmp_path_factory) -> Path:
    """A source, a dataset, its shards, a run, and what the README makes of it.

    Extraction and the first training start a Ray of their own.
    """
    at = tmp_path_factory.mktemp("chain with space")
    run(
        *("ttdata", "synth", at / "source", "--videos", "6", "--players", "6"),
        *("--seconds", "30", "--fps", "30", "--size", "320x180", "--seed", "7"),
        *("--strokes", STROKES, "--set", "num_annotators=2"),
    )
    run("ttdata", "curate", at / "source", "--out", at / "dataset", "--set", "window_frames=16")
    run("ttdata", "split", at / "dataset", "--group", "player", "--shares", "0.5,0.2,0.3")
    run("ttflow", "extract", at / "dataset", "--out", at / "shards", *SIZES)
    bring_a_match(at)
    env = None
    for command in readme_commands:
        run(*command, *SHORTER.get(command[1], ()), cwd=at, env=env)
        env = ray_head.joined
    return at


def bring_a_match(at: Path) -> None:
    """A video and a file that says where its strokes are, as the README names them."""
    shutil.copy(at / "source" / "videos" / "video_0000.mp4", at / "match.mp4")
    strokes = pl.read_csv(at / "source" / "truth.csv").filter(video_id="video_0000").head(3)
    actions = [
        f'<action begin="{row["start_frame"]}" end="{row["end_frame"]}" move="Unknown"/>'
        for row in strokes.to_dicts()
    ]
    (at / "match.xml").write_text(f"<video>{''.join(actions)}</video>\n")


def fit_command(at: Path) -> tuple[object, ...]:
    paths = ("--data", at / "shards", "--out", at / "run")
    return ("tttrain", "fit", *paths, "--recipe", "demo", *EPOCHS_SET)


def test_clips_carry_the_truth(folder: Path) -> None:
    """Every curated stroke lies on a true one, and carries its label."""
    clips = pl.read_parquet(folder / "dataset" / "clips.parquet").filter(kind="stroke")
    truth = pl.read_csv(folder / "source" / "truth.csv")
    pairs = clips.join(truth, on="video_id", suffix="_true")
    overlap = pl.min_horizontal("end_frame", "end_frame_true") - pl.max_horizontal(
        "start_frame", "start_frame_true"
    )
    matched = pairs.filter(overlap > 0.5 * (pl.col("end_frame") - pl.col("start_frame")))
    assert clips.height > 40
    assert matched["clip_id"].n_unique() >= 0.95 * clips.height
    # Single annotators make label errors that nobody contradicts.
    assert (matched["label"] == matched["label_true"]).mean() > 0.85


def test_split_leaks_no_player(folder: Path) -> None:
    info = json.loads((folder / "dataset" / "dataset.json").read_text())
    assert info["split"]["leakage"] == 0
    clips = pl.read_parquet(folder / "shards" / "clips.parquet").filter(
        pl.col("split").is_not_null()
    )
    assert clips.group_by("player_id").agg(pl.col("split").n_unique())["split"].max() == 1


def test_shards_are_whole(run, folder: Path) -> None:
    result = json.loads(run("ttflow", "verify", folder / "shards", "--json").stdout)
    clips = pl.read_parquet(folder / "shards" / "clips.parquet")
    assert result["clips"] == clips.height
    assert not result["problems"]


def test_labels_and_splits_recompute_no_pixel(run, folder: Path, tmp_path: Path) -> None:
    for name in ("dataset", "shards"):
        shutil.copytree(folder / name, tmp_path / name)
    parts = sorted((tmp_path / "shards").rglob("*.parquet"))
    before = {part: part.stat().st_mtime_ns for part in parts if part.name != "clips.parquet"}
    run(
        *("ttdata", "split", tmp_path / "dataset", "--group", "player", "--seed", "5", "--fresh"),
        *("--shares", "0.4,0.3,0.3"),
    )
    result = run("ttflow", "extract", tmp_path / "dataset", "--out", tmp_path / "shards", *SIZES)
    after = {part: part.stat().st_mtime_ns for part in before}
    assert after == before
    assert "nothing to compute" in result.stdout + result.stderr
    columns = ["clip_id", "split", "label"]
    stored = pl.read_parquet(tmp_path / "shards" / "clips.parquet").select(columns)
    wanted = pl.read_parquet(tmp_path / "dataset" / "clips.parquet").select(columns)
    assert stored.sort("clip_id").equals(wanted.sort("clip_id"))


def test_the_model_is_scaled_as_the_shards_say(run, folder: Path) -> None:
    stats = json.loads(run("ttflow", "stats", folder / "shards", "--json").stdout)
    info = json.loads((folder / "run" / "run.json").read_text())
    assert info["flow_scale_xy_px"] == pytest.approx(stats["scale_px"], rel=1e-9)


def test_run_is_complete(folder: Path) -> None:
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line) for line in lines]
    assert [entry["epoch"] for entry in epochs] == list(range(EPOCHS))
    assert (folder / "run" / "model" / "model.safetensors").is_file()
    report = (folder / "run" / "report" / "index.html").read_text()
    assert "http://" not in report.replace("http://www.w3.org", "")
    for word in ("background", "duration", "start time", "leakage"):
        assert word in report.lower()


def test_the_readme_goes_through_all_commands(readme_commands, folder: Path) -> None:
    names = [line[1] for line in readme_commands]
    compared = ["compare", "cross-validate"]
    assert names == ["fit", "evaluate", "predict", "predict", "fit", *compared, "audit"]
    tuned = json.loads((folder / "tuned" / "run.json").read_text())["init"]
    assert tuned["source"] == str(folder / "run" / "model")
    assert (len(tuned["taken"]), tuned["fresh"]) == (9, {})
    table = json.loads((folder / "table" / "table.json").read_text())
    rows = {row["name"]: row for row in table["rows"]}
    assert list(rows) == ["rgb", "flow", "late"]
    assert rows["late"]["methods"]["test"]["n"] == rows["rgb"]["methods"]["test"]["n"] > 5
    assert (folder / "table" / "index.html").is_file()
    whole = json.loads((folder / "folds" / "cross_validation.json").read_text())
    used = pl.read_parquet(folder / "shards" / "clips.parquet").filter(
        (pl.col("kind") == "stroke") | pl.col("split").is_not_null()
    )
    assert whole["rows"][0]["methods"]["test"]["n"] == used.height
    assert (whole["group"], whole["num_groups"], whole["leakage"]) == ("player", 6, 0)
    named = pl.read_csv(folder / "strokes.csv")
    clips = pl.read_parquet(folder / "shards" / "clips.parquet")
    assert named.height == clips.height
    assert len(json.loads((folder / "strokes.json").read_text())["strokes"]) == 3
    assert set(named["label"]) <= {*STROKES.split(","), "Negative"} | set(clips["label"])


def test_the_audit_reaches_the_review_queue(run, folder: Path) -> None:
    result = json.loads((folder / "run" / "audit" / "audit.json").read_text())
    assert result["folds"] == "folds"
    table = pl.read_parquet(folder / "run" / "audit" / "audit.parquet")
    assert table["margin"].null_count() == 0
    suspected = table.filter("suspected")
    assert suspected.height == sum(result["num_suspected"].values()) >= 2
    page = (folder / "run" / "audit" / "index.html").read_text()
    assert page.count('<div class="animation">') == suspected.height
    listed = run("ttdata", "review", folder / "dataset", "--limit", "999").stdout
    assert listed.count("is probably wrong") == suspected.height
    epochs = (folder / "run" / "clips.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in epochs[1:]] == list(range(EPOCHS))


def test_finished_steps_do_nothing_again(run, folder: Path) -> None:
    model = (folder / "run" / "model" / "model.safetensors").stat().st_mtime_ns
    metrics = (folder / "run" / "metrics.jsonl").stat().st_mtime_ns
    run(*fit_command(folder))
    assert (folder / "run" / "model" / "model.safetensors").stat().st_mtime_ns == model
    assert (folder / "run" / "metrics.jsonl").stat().st_mtime_ns == metrics


def test_other_configuration_is_refused(run, folder: Path) -> None:
    result = run(*fit_command(folder), "--set", "optimizer.learning_rate=0.5", code=2)
    assert "learning_rate" in result.stderr
    assert "0.5" in result.stderr


def test_pictures_are_drawn(run, folder: Path, tmp_path: Path) -> None:
    run("ttflow", "view", folder / "shards", "--out", tmp_path)
    assert list(tmp_path.glob("*.png"))
