"""What the benchmark of audits measures, with answers known by hand."""

import argparse
import importlib
import json
import math
import runpy
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import typer

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_audit.py"

pytestmark = pytest.mark.skipif(
    not SCRIPT.is_file(), reason="benchmarks/ is not beside these tests"
)


def measured(tmp_path: Path, wrong: list[str]) -> dict[str, float]:
    """Of eight clips, a most suspect, and a test clip more suspect than all."""
    names = list("abcdefgh")
    audit = pl.DataFrame(
        {
            "clip_id": [*names, "t"],
            "split": ["train"] * 8 + ["test"],
            "suspicion": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.99],
            "rank": [*range(1, 9), 1],
        }
    )
    audit.write_csv(tmp_path / "audit.csv")
    pl.DataFrame({"clip_id": wrong}, schema={"clip_id": pl.String}).write_csv(tmp_path / "planted")
    command = [sys.executable, SCRIPT, "--measure", tmp_path / "audit.csv", tmp_path / "planted"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_places_of_wrong_clips(tmp_path: Path) -> None:
    # a and d of the two first and the four first; of 12 pairs a wins 6 and d 4.
    found = measured(tmp_path, ["a", "d", "t"])
    scores = {"precision": 0.5, "recall": 1, "auc": 10 / 12}
    assert found == pytest.approx({"n": 8, "k": 2, "truth": 0.25, **scores})


def test_nothing_planted_has_no_precision(tmp_path: Path) -> None:
    found = measured(tmp_path, [])
    assert (found["n"], found["k"]) == (8, 0)
    assert math.isnan(found["auc"])


def test_the_table_goes_by_kind_whatever_came_first() -> None:
    rate = {"rate": 0.04, "interval": [0.0, 0.1]}
    nothing = dict.fromkeys(("precision", "recall", "auc"), math.nan)
    clean = {"kind": "clean", "seed": 0, "n": 9, "k": 0, "truth": 0.0, "rate": rate, **nothing}
    scores = {"precision": 0.5, "recall": 1.0, "auc": 0.75}
    first = {"kind": "flips", "seed": 0, "n": 9, "k": 2, "truth": 0.25, "rate": rate, **scores}
    second = first | {"seed": 1, "precision": 1.0}
    text = runpy.run_path(str(SCRIPT))["table"]([clean, second, first])
    assert text.splitlines()[2:] == [
        "| clean | 0 | 9 | 0 | – | – | – | 0.000 | 0.040, 0.000 to 0.100 |",
        "| flips | 0 | 9 | 2 | 0.50 | 1.00 | 0.75 | 0.250 | 0.040, 0.000 to 0.100 |",
        "| flips | 1 | 9 | 2 | 1.00 | 1.00 | 0.75 | 0.250 | 0.040, 0.000 to 0.100 |",
        "",
        "- clean (n = 1; mean, range): rate 0.040 (0.040 to 0.040), "
        "rate's error 0.040 (0.040 to 0.040)",
        "- flips (n = 2; mean, range): precision 0.750 (0.500 to 1.000), "
        "recall 1.000 (1.000 to 1.000), auc 0.750 (0.750 to 0.750), "
        "rate 0.040 (0.040 to 0.040), rate's error -0.210 (-0.210 to -0.210)",
    ]


def test_each_step_is_a_command(tmp_path: Path) -> None:
    asked = argparse.Namespace(
        dataset=tmp_path, shards=tmp_path, extract="--estimator dis", pose=True, recipe="small",
        set=["schedule.epochs=3"], folds=3, group="file", groups=tmp_path / "groups.csv", rate=0.05,
    )  # fmt: skip
    steps = runpy.run_path(str(SCRIPT))["steps"]
    for kind in ("clean", "flips"):
        lines = steps(asked, kind, 1, tmp_path)
        assert len(lines) == 6
        # An audit writes into its dataset: only the copy may be.
        assert not any(str(tmp_path) in words for words in lines[1:])
        for program, name, *words in lines:
            app = importlib.import_module(f"{program}.cli").app
            command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
            command.make_context(name, words)


def test_other_options_are_not_read_from_before(tmp_path: Path) -> None:
    """What was measured at one rate of errors is not the answer at another."""
    script = runpy.run_path(str(SCRIPT))
    asked = argparse.Namespace(folder=tmp_path, **dict.fromkeys(script["OPTIONS"], "x"))
    path = tmp_path / "flips_0" / "measured.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"n": 3, "asked": dict.fromkeys(script["OPTIONS"], "x")}))
    assert script["case"](asked, "flips", 0)["n"] == 3
    asked.rate = 0.1
    with pytest.raises(SystemExit, match="take another folder"):
        script["case"](asked, "flips", 0)


def test_pixels_are_linked(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    (shards / "parts").mkdir(parents=True)
    (shards / "parts" / "a.parquet").write_bytes(b"pixels")
    (shards / "shards.json").write_text("{}")
    link = runpy.run_path(str(SCRIPT))["link_pixels"]
    for _ in range(2):
        link(shards, tmp_path / "own")
    assert (tmp_path / "own" / "parts" / "a.parquet").is_symlink()
    assert not (tmp_path / "own" / "shards.json").is_symlink()
