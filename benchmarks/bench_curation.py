"""Time and memory of curating crowd annotations, beside a row-by-row pandas version.

    python benchmarks/bench_curation.py [--markdown FILE] [--rows 1000000] [--repeats 3]

Each case runs in a process of its own. The pandas version is what one writes first: rows are
checked in a loop, and each annotation joins the action of its video whose median interval it
overlaps most. It gets a tenth of the rows, as it needs minutes for all of them. Both see the same
annotations, so the numbers of accepted ones must be equal and those of actions near each other.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ttdata.curation.curate import curate
from ttdata.schema import Video
from ttdata.storage.tables import conform
from ttdata.taxonomy import TTSTROKE21

FPS, NUM_FRAMES, PER_VIDEO = 120.0, 4000, 10
LABELS = [stroke.label for stroke in TTSTROKE21.strokes]


def crowd(rows: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ten annotations a video: two or three people a stroke, with the paper's kinds of errors."""
    rng = np.random.default_rng(0)
    videos = -(-rows // PER_VIDEO)
    number = np.arange(rows)
    stroke, person = (number % PER_VIDEO) // 3, number % 3
    truth = rng.integers(0, len(LABELS), (videos, 4))[number // PER_VIDEO, stroke]
    start = 200 + 900 * stroke + np.round(rng.normal(0, 8, rows)).astype(np.int64)
    end = start + 130 + np.round(rng.normal(0, 15, rows)).astype(np.int64)
    error = rng.random(rows)
    label = np.where(error < 0.04, rng.integers(0, len(LABELS), rows), truth)
    start = np.where((error > 0.5) & (error < 0.56), 0, start)
    end = np.where((error > 0.6) & (error < 0.63), NUM_FRAMES + 50, end)
    end = np.where((error > 0.7) & (error < 0.75), start + 30, end)
    names = pl.Series("name", LABELS)
    annotations = pl.DataFrame(
        {
            "video_id": [f"v{index:06}" for index in number // PER_VIDEO],
            "annotator_id": [f"p{index}" for index in (number // PER_VIDEO * 3 + person) % 50],
            "start_frame": start,
            "end_frame": end,
        }
    ).with_columns(label=names.gather(pl.Series(label)))
    known = pl.DataFrame({"video_id": [f"v{index:06}" for index in range(videos)]}).with_columns(
        fps=pl.lit(FPS), num_frames=pl.lit(NUM_FRAMES), width=pl.lit(640), height=pl.lit(360)
    )
    return annotations, conform(known, Video)


def shipped(annotations: pl.DataFrame, videos: pl.DataFrame) -> dict[str, int]:
    """`ttdata.curate`, all of it: filters, actions, labels, negatives, clips."""
    found = curate(annotations, videos).funnel
    return {"accepted": found["annotations_accepted"], "actions": found["actions"]}


def row_by_row(annotations: pl.DataFrame, videos: pl.DataFrame) -> dict[str, int]:
    """Filters and actions only, a row at a time in pandas."""
    facts = {row["video_id"]: row for row in videos.to_dicts()}
    accepted = []
    for _, row in annotations.to_pandas().iterrows():
        video = facts.get(row["video_id"])
        seconds = (row["end_frame"] - row["start_frame"]) / (video["fps"] if video else 1)
        reasons = []
        if video is None:
            reasons.append("unknown_video")
        if row["start_frame"] == 0:
            reasons.append("starts_at_first_frame")
        if video is not None and row["end_frame"] > video["num_frames"]:
            reasons.append("ends_after_video")
        if not 0.6 <= seconds <= 2.3:
            reasons.append("too_short" if seconds < 0.6 else "too_long")
        if TTSTROKE21.canonical(row["label"]) is None:
            reasons.append("unknown_label")
        if not reasons:
            accepted.append(row)
    import pandas as pd

    actions = 0
    for _, group in pd.DataFrame(accepted).groupby("video_id"):
        gathered: list[list[Any]] = []
        for _, row in group.sort_values("start_frame").iterrows():
            _join(gathered, row)
        actions += len(gathered)
    return {"accepted": len(accepted), "actions": actions}


def _join(gathered: list[list[Any]], row: Any) -> None:
    """Put an annotation to the action it overlaps most, if by more than 0.25; else begin one."""
    best, most = None, 0.25
    for members in gathered:
        start = statistics.median(member["start_frame"] for member in members)
        end = statistics.median(member["end_frame"] for member in members)
        common = min(end, row["end_frame"]) - max(start, row["start_frame"])
        overlap = common / min(end - start, row["end_frame"] - row["start_frame"])
        if overlap > most:
            best, most = members, overlap
    if best is None:
        gathered.append([row])
    else:
        best.append(row)


METHODS: dict[str, Callable[..., dict[str, int]]] = {"ttdata": shipped, "pandas": row_by_row}


def measure(method: str, rows: int) -> dict[str, Any]:
    """One run in this process: seconds, and the peak of the whole process in MB."""
    annotations, videos = crowd(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    start = time.perf_counter()
    counts = METHODS[method](annotations, videos)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"seconds": seconds, "peak_mb": peak, "before_mb": before, "counts": counts}


def run_case(method: str, rows: int, repeats: int) -> dict[str, Any]:
    """Medians of several processes."""
    command = [sys.executable, __file__, "--case", method, "--rows", str(rows)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(repeats)
    ]
    case = {name: statistics.median(run[name] for run in runs) for name in ("seconds", "peak_mb")}
    return {"method": method, "rows": rows, **case, "counts": runs[0]["counts"]}


def markdown(cases: list[dict[str, Any]], repeats: int) -> str:
    """The result file."""
    one = next(case for case in cases if case["method"] == "pandas")
    other = next(c for c in cases if c["method"] == "ttdata" and c["rows"] == one["rows"])
    lines = [
        f"# Curation on {platform.machine()}, {time.strftime('%Y-%m-%d')}",
        "",
        f"Python {platform.python_version()}, polars {pl.__version__}; `python "
        f"benchmarks/bench_curation.py`, medians of {repeats} processes. Annotations are made by a",
        "fixed seed, ten a video, with the paper's errors. Memory is the peak of the process.",
        "",
        "| version | annotations | s | peak MB | accepted | actions |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases:
        counts = case["counts"]
        lines.append(
            f"| {case['method']} | {case['rows']} | {case['seconds']:.2f} | {case['peak_mb']:.0f} "
            f"| {counts['accepted']} | {counts['actions']} |"
        )
    lines += [
        "",
        f"On {one['rows']} annotations ttdata takes {other['seconds'] / one['seconds']:.3f} of the",
        "time of the row-by-row pandas version, which filters and merges only: no negatives and no",
        "clips.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--case", choices=METHODS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.rows)))
        return
    plan = [("ttdata", 1387), ("ttdata", options.rows // 10), ("pandas", options.rows // 10)]
    cases = [run_case(*case, options.repeats) for case in [*plan, ("ttdata", options.rows)]]
    text = markdown(cases, options.repeats)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
