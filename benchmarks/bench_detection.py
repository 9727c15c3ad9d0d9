"""Strokes of whole synthetic matches, found and named: decoder, joint head, baselines, ceiling.

    python benchmarks/bench_detection.py scratch --out benchmarks/results/detection_cpu2_DATE.md

All 20 strokes, 72 matches of a minute at 60 fps with rest, pick-ups and fake swings, a quarter of
them with two players in view; nobody plays in two of them. Networks and detectors learn from what
an erring crowd marked and are measured against the exact truth. Goes on after a stop, whose time
counts, too (but for that of a step during which this script itself is killed); prints a line per
step and writes the table.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.storage.dataset import load_dataset

SYNTH = (
    "--matches --videos 72 --players 144 --two-players --seconds 60 --fps 60 --size 320x180 "
    "--seed 15 --set match.two_players_share=0.25 --set crowd.start_at_zero_rate=0 "
    "--set crowd.end_past_rate=0"
)
CURATE = "--set window_frames=48 --set negative_min_actions=2 --set whole_video_negatives=true"
SPLIT = "--strategy grouped --group video --shares 0.6,0.15,0.25 --seed 0"
FIT = (
    "--recipe demo --set network.model=flow --set optimizer.name=adamw "
    "--set optimizer.learning_rate=0.0005 --set optimizer.weight_decay=0.01 "
    "--set schedule.epochs=20 --set augment.window_draw=uniform "
    "--set augment.straddling_share=0.2 --set augment.rest_share=0.3"
)
MEASURES = ("pxr", "map", "f1", "f1_class_blind", "global_iou")
NO_BARS = (None,) * len(MEASURES)
BARS = {"decoder": (0.45, 0.40, 0.85, None, 0.80), "joint head": (0.60, 0.55, 0.92, None, 0.85)}
ROOT = Path(__file__).parents[1]
FLOW = Path("examples") / "demo" / "flow.json"


def commands(folder: Path) -> list[tuple[str, str]]:
    """Name and command line of each step."""
    at = {name: folder / name for name in ("source", "dataset", "shards", "run", "truth")}
    return [
        ("render", f"ttdata synth {at['source']} {SYNTH}"),
        ("curate", f"ttdata curate {at['source']} --out {at['dataset']} {CURATE}"),
        ("split", f"ttdata split {at['dataset']} {SPLIT}"),
        ("extract", f"ttflow extract {at['dataset']} --out {at['shards']} --config {FLOW}"),
        ("fit", f"tttrain fit --data {at['shards']} --out {at['run']} {FIT}"),
        ("evaluate", f"tttrain evaluate {at['run']} --data {at['shards']}"),
        ("fit-detector", f"tttrain fit-detector {at['run']} --dataset {at['dataset']}"),
        ("evaluate-detector", f"tttrain evaluate-detector {at['run']} --dataset {at['truth']}"),
    ]


def write_truth(folder: Path) -> None:
    """A dataset of the exact truth, its videos divided as those of the curated one."""
    source, truth = folder / "truth_source", folder / "truth"
    source.mkdir(exist_ok=True)
    rows = pl.read_csv(folder / "source" / "truth.csv", infer_schema_length=None)
    rows = rows.with_row_index("annotation_id").with_columns(annotator_id=pl.lit("truth"))
    rows.write_csv(source / "annotations.csv")
    for name in ("videos.csv", "taxonomy.json"):
        shutil.copy(folder / "source" / name, source / name)
    if not (source / "videos").exists():
        (source / "videos").symlink_to((folder / "source" / "videos").absolute())
    clips = load_dataset(folder / "dataset").clips.filter(kind="stroke")
    assign = clips.select("video_id", "split").unique("video_id", maintain_order=True)
    assign.write_csv(folder / "assign.csv")
    step(f"ttdata curate {source} --out {truth} --set window_frames=48")
    step(f"ttdata split {truth} --strategy file --assign {folder / 'assign.csv'}")


def step(command: str) -> float:
    """Run a command of this environment; returns its seconds."""
    program, *arguments = command.split()
    start = time.monotonic()
    subprocess.run([str(Path(sys.executable).parent / program), *arguments], cwd=ROOT, check=True)
    return time.monotonic() - start


def counted_step(command: str, path: Path) -> float:
    """Run a command; returns the seconds of all attempts until it was finished for the first time.

    Args:
        command: as of `step`.
        path: of the JSON file of seconds by command line; is written also where the command fails.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    before = known.get(command, {"seconds": 0.0, "finished": False})
    start, finished = time.monotonic(), False
    try:
        step(command)
        finished = True
    finally:
        if not before["finished"]:
            took = before["seconds"] + time.monotonic() - start
            path.write_text(json.dumps(known | {command: {"seconds": took, "finished": finished}}))
    return float(json.loads(path.read_text())[command]["seconds"])


def run_all(folder: Path) -> dict[str, float]:
    """Seconds of each step, those of stopped attempts included."""
    seconds = {}
    for name, command in commands(folder):
        if name == "evaluate-detector":
            write_truth(folder)
        seconds[name] = counted_step(command, folder / "attempts.json")
        print(json.dumps({"step": name, "seconds": round(seconds[name], 1)}), flush=True)
    return seconds


def table(result: dict[str, Any]) -> list[str]:
    """Markdown lines: a row per way with the measures, then one with the kinds of errors."""
    head = [*(f"{name} (bar)" for name in MEASURES), "false alarms / min", "boundaries, frames"]
    lines = ["| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for name, row in result["rows"].items():
        kind = "" if name.endswith("shuffled") else name.split(" (")[0]
        bars = BARS.get(kind, NO_BARS)
        cells = []
        for measure, bar in zip(MEASURES, bars, strict=True):
            low, high = row["intervals"].get(measure, (None, None))
            asked = "" if bar is None else f" (>= {number(bar)})"
            cells.append(f"{number(row[measure])} [{number(low)}, {number(high)}]{asked}")
        cells += [number(row["false_alarms_per_minute"]), number(row["boundary_error_frames"])]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    kinds = list(next(iter(result["rows"].values()))["errors"])
    lines += ["", "| | " + " | ".join(kind.replace("_", " ") for kind in kinds) + " |"]
    lines.append("|---" * (len(kinds) + 1) + "|")
    for name, row in result["rows"].items():
        lines.append(f"| {name} | " + " | ".join(str(row["errors"][kind]) for kind in kinds) + " |")
    first = next(iter(result["rows"].values()))
    lines += ["", f"{first['num_truths']} strokes of {first['num_videos']} whole test videos."]
    return lines


def number(value: float | None) -> str:
    """Three digits after the point, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def main() -> None:
    """Run all steps, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="gets videos, shards, the run; 1.5 GB")
    parser.add_argument("--out", type=Path, help="Markdown file of the tables")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    seconds = run_all(folder)
    lines: list[str] = []
    for title, dataset in (("the exact truth", "truth"), ("what the crowd marked", "dataset")):
        command = f"tttrain evaluate-detector {folder / 'run'} --dataset {folder / dataset}"
        step(command)
        result = json.loads((folder / "run" / "detector" / "test.json").read_text())
        lines += [f"## Against {title}", "", *table(result), ""]
    steps = ", ".join(f"{name} {took:.0f}" for name, took in seconds.items())
    lines += ["## Seconds", "", f"{steps}; {sum(seconds.values()) / 60:.0f} min in all.", ""]
    lines += ["## Commands", "", *(f"    {line}" for _, line in commands(Path("scratch")))]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
