"""Two checkouts side by side: curation, extraction and training, by their own commands.

    git worktree add ../before HEAD~1
    python benchmarks/compare_commits.py ../before [--repeats 5] [--markdown FILE]

Every command runs in a process of its own, with the packages of one checkout or of the other; the
two take turns, and who begins changes from round to round. Curation and extraction are whole
processes, their start included; of training the seconds of each epoch count, as the run writes
them. Prints medians, their ratio, and whether both checkouts wrote the same.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PACKAGES = ("ttdata", "ttflow", "ttmodels", "tttrain")
SYNTH = {"videos": 4, "players": 4, "seconds": 15, "fps": 60, "size": "640x360", "seed": 1}
STROKES = "Offensive Forehand Hit,Defensive Backhand Push,Serve Forehand Topspin"
SPLIT = {"strategy": "grouped", "group": "player", "shares": "0.5,0.25,0.25"}
SHAPE = ("window_frames=24", "crop_height=64", "crop_width=64", "patch_side=104")
EPOCHS = 4


def flags(values: dict[str, object]) -> list[str]:
    """Options of a command line."""
    return [f"--{name}={value}" for name, value in values.items()]


def environment(checkout: Path) -> dict[str, str]:
    """The environment in which Python finds the packages of a checkout."""
    sources = [str(checkout / "packages" / name / "src") for name in PACKAGES]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sources)}


def call(checkout: Path, package: str, *arguments: str | Path) -> float:
    """Run a command with the packages of a checkout; seconds it took."""
    command = [sys.executable, "-m", package, *map(str, arguments)]
    start = time.perf_counter()
    done = subprocess.run(
        command, env=environment(checkout), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def digest(paths: list[Path]) -> str:
    """Of the bytes of some files."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(path.read_bytes())
    return found.hexdigest()


def with_epochs(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a short run, wherever it keeps its number of epochs."""
    short = dict(values)
    for key, value in values.items():
        if isinstance(value, dict):
            short[key] = with_epochs(value)
        elif key in ("epochs", "warmup_epochs"):
            short[key] = {"epochs": EPOCHS, "warmup_epochs": 1}[key]
    return short


def training_config(checkout: Path, path: Path) -> None:
    """Write the `demo` recipe of a checkout, with fewer epochs."""
    printed = subprocess.run(
        [sys.executable, "-m", "tttrain", "recipes", "demo"],
        env=environment(checkout),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    path.write_text(json.dumps(with_epochs(json.loads(printed))), encoding="utf-8")


def one_round(checkout: Path, source: Path, work: Path) -> tuple[dict[str, list[float]], dict]:
    """Times of each command, and what was written."""
    dataset, shards, run = work / "dataset", work / "shards", work / "run"
    times = {"curate": [call(checkout, "ttdata", "curate", source, "--out", dataset)]}
    call(checkout, "ttdata", "split", dataset, *flags(SPLIT))
    extract = flags({"estimator": "dis-fast", "workers": 1})
    for setting in SHAPE:
        extract += ["--set", setting]
    times["extract"] = [call(checkout, "ttflow", "extract", dataset, "--out", shards, *extract)]
    config = work / "config.json"
    training_config(checkout, config)
    call(checkout, "tttrain", "fit", "--data", shards, "--out", run, "--config", config)
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    times["epoch of training"] = [entry["seconds"] for entry in entries[1:]]
    written = {
        "clips": digest([dataset / "clips.parquet", dataset / "actions.parquet"]),
        "parts": digest(list((shards / "parts").glob("*.parquet"))),
        "losses": [(entry["train_loss"], entry["validation_loss"]) for entry in entries],
    }
    return times, written


def table(before: dict[str, list[float]], after: dict[str, list[float]]) -> list[str]:
    """Medians of both and the ratio after / before of each command."""
    rows = ["| command | n | before s | after s | after / before |", "|---|---|---|---|---|"]
    for name in before:
        first, second = statistics.median(before[name]), statistics.median(after[name])
        rows.append(
            f"| {name} | {len(before[name])} | {first:.2f} | {second:.2f} | {second / first:.3f} |"
        )
    return rows


def main() -> None:
    """Measure both checkouts in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    options = parser.parse_args()
    checkouts = {"before": options.before.resolve(), "after": Path(__file__).resolve().parents[1]}
    times: dict[str, dict[str, list[float]]] = {"before": {}, "after": {}}
    written: dict[str, list[dict]] = {"before": [], "after": []}
    with tempfile.TemporaryDirectory(prefix="commits-") as name:
        source = Path(name) / "source"
        call(checkouts["before"], "ttdata", "synth", source, *flags({**SYNTH, "strokes": STROKES}))
        for turn in range(options.repeats):
            for side in ("before", "after") if turn % 2 == 0 else ("after", "before"):
                work = Path(name) / f"{side}{turn}"
                work.mkdir()
                found, results = one_round(checkouts[side], source, work)
                for command, seconds in found.items():
                    times[side].setdefault(command, []).extend(seconds)
                written[side].append(results)
                print(f"round {turn + 1}, {side}: {found}", file=sys.stderr)
    equal = {
        key: all(
            item[key] == written["before"][0][key] for items in written.values() for item in items
        )
        for key in written["before"][0]
    }
    lines = [*table(times["before"], times["after"]), "", f"equal: {json.dumps(equal)}"]
    lines.append(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
