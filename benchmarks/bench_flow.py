"""Accuracy and time of the flow estimators, side by side in one process.

python benchmarks/bench_flow.py [--player-pairs N] [--repeats N] [--out FILE]

Prints a Markdown table: end-point error (px) and angular error (degrees) per set of pairs, error
under flicker over the clean error, and time per pair as a multiple of DIS medium, one thread. On a
CUDA device it also checks agreement with the CPU and measures pairs per second at batch 64.
"""

import argparse
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from flow_pairs import Pair, flicker, player_pairs, public_pairs

from ttflow.flow import create
from ttflow.variational import BeyondPixels

Estimator = Callable[..., torch.Tensor]
SETS = ("player", "player, moving pixels", "middlebury", "flyingchairs")


def estimators() -> dict[str, Estimator]:
    """All estimators of a CPU; the first is what the others' time is measured in."""
    opencv = {n: create(n) for n in ("dis-medium", "dis-fast", "dis-ultrafast", "farneback")}
    return opencv | {
        "beyond-pixels (robust)": BeyondPixels(),
        "beyond-pixels (robust, plain PyTorch)": BeyondPixels(engine="torch"),
        "beyond-pixels (reference)": BeyondPixels("reference"),
    }


def tensor(frame: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))[None]


def errors(flow: torch.Tensor, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """End-point error (px) and angular error (degrees) per pixel."""
    found, truth = flow[0].double().cpu().numpy(), pair.flow.astype(float)
    end_point = np.hypot(*(found - truth))
    dot = (found * truth).sum(0) + 1
    norms = np.sqrt(((found**2).sum(0) + 1) * ((truth**2).sum(0) + 1))
    return end_point, np.degrees(np.arccos(np.clip(dot / norms, -1, 1)))


def accuracy(estimator: Estimator, pairs: list[Pair]) -> dict[str, tuple[float, float]]:
    """Mean end-point and angular error per set, and error under flicker over the clean error."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for pair in pairs:
        ends, angles = errors(estimator(tensor(pair.first), tensor(pair.second)), pair)
        found[pair.set_name].append((ends[pair.known].mean(), angles[pair.known].mean()))
        if pair.set_name != "player":
            continue
        moving = np.abs(pair.flow).sum(0) > 0
        found[SETS[1]].append((ends[moving].mean(), angles[moving].mean()))
        for kind in ("global", "local"):
            flow = estimator(tensor(pair.first), tensor(flicker(pair.second, kind)))
            found[kind].append((errors(flow, pair)[0].mean() / ends.mean(), 0.0))
    return {name: tuple(np.mean(values, axis=0)) for name, values in found.items()}


def seconds(estimator: Estimator, pair: Pair, repeats: int, batch: int = 1) -> list[float]:
    """Seconds per pair, one measurement a repeat, after one call to warm up."""
    first, second = (tensor(f).repeat(batch, 1, 1, 1) for f in (pair.first, pair.second))
    estimator(first, second)
    measured = []
    for _ in range(repeats):
        start = time.perf_counter()
        estimator(first, second)
        measured.append((time.perf_counter() - start) / batch)
    return measured


def row(name: str, result: dict[str, tuple[float, float]], ratio: float) -> str:
    """One line of the table."""
    cells = [f"{result[s][0]:.3f} / {result[s][1]:.1f}" if s in result else "-" for s in SETS]
    cells += [f"{result[kind][0]:.2f}" for kind in ("global", "local")]
    return f"| {name} | " + " | ".join(cells) + f" | {ratio:.2f} |"


def compare(pairs: list[Pair], repeats: int) -> list[str]:
    """The table of all estimators; times are taken in turns, so that all meet the same machine."""
    candidates = estimators()
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for name, estimator in candidates.items():
            times[name] += seconds(estimator, pairs[0], 1 if "reference" in name else 3)
    base = np.median(times["dis-medium"])
    lines = [
        "| estimator | " + " | ".join(SETS) + " | flicker +10 % | flicker +-10 % local | time |",
        "|---" * 8 + "|",
    ]
    for name, estimator in candidates.items():
        lines.append(row(name, accuracy(estimator, pairs), np.median(times[name]) / base))
        sys.stderr.write(f"{lines[-1]}\n")
    return [*lines, "", *details(pairs, repeats, float(base))]


def details(pairs: list[Pair], repeats: int, base: float) -> list[str]:
    """Batch of 4, two threads, warm start, agreement of the two CPU paths."""
    pair = pairs[0]
    one, two = BeyondPixels(), BeyondPixels(threads=2)
    batch = np.median(seconds(one, pair, repeats, 4))
    threads = np.median(seconds(two, pair, repeats, 8))
    single = np.median(seconds(one, pair, repeats, 8))
    first, second = tensor(pair.first), tensor(pair.second)
    last = one(first, second)
    warm = [_time(lambda: one(first, second, last)) for _ in range(repeats)]
    cold = [_time(lambda: one(first, second)) for _ in range(repeats)]
    plain = BeyondPixels(engine="torch")
    difference = torch.stack(
        [
            (
                one(tensor(p.first), tensor(p.second)) - plain(tensor(p.first), tensor(p.second))
            ).abs()
            for p in pairs[:4]
        ]
    )
    return [
        f"DIS medium: {base * 1000:.1f} ms a pair (median).",
        f"Robust at batch 4: {batch / base:.1f} x DIS medium a pair.",
        f"Two threads over batch 8: {single / threads:.2f} x the pairs per second of one.",
        f"Warm start: {np.median(warm) / np.median(cold):.2f} of the cold start's time.",
        f"numba against PyTorch: mean {difference.mean():.1e} px, "
        f"99th percentile {np.percentile(difference.numpy(), 99):.1e} px.",
    ]


def _time(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def on_gpu(pairs: list[Pair]) -> list[str]:
    """Agreement with the CPU and pairs per second at batch 64, inputs resident."""
    estimator, cpu = BeyondPixels(device="cuda"), BeyondPixels(engine="torch")
    first, second = (tensor(f) for f in pairs[0][1:3])
    difference = (estimator(first.cuda(), second.cuda()).cpu() - cpu(first, second)).abs().mean()
    batch = [image.repeat(64, 1, 1, 1).cuda() for image in (first, second)]
    measured = []
    for _ in range(6):
        torch.cuda.synchronize()
        start = time.perf_counter()
        estimator(*batch)
        torch.cuda.synchronize()
        measured.append(64 / (time.perf_counter() - start))
    return [
        "",
        f"{torch.cuda.get_device_name()}: {np.median(measured[1:]):.0f} pairs/s at batch 64; "
        f"mean difference to the CPU {difference:.1e} px.",
    ]


def main() -> None:
    """Measure, print, and write the result file where --out says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--player-pairs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pairs = list(player_pairs(arguments.player_pairs))
    if "TT_REAL_DATA" in os.environ:
        pairs += public_pairs(Path(os.environ["TT_REAL_DATA"]))
    lines = [
        f"torch {torch.__version__}, OpenCV {cv2.__version__}, {platform.processor() or 'CPU'}, "
        f"one thread, {len(pairs)} pairs at 320 x 180.",
        "Cells: mean end-point error px / angular error degrees. Time: multiple of DIS medium.",
        "",
        *compare(pairs, arguments.repeats),
    ]
    if torch.cuda.is_available():
        lines += on_gpu(pairs)
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if arguments.out:
        arguments.out.write_text("# Optical flow estimators\n\n" + text)


if __name__ == "__main__":
    main()
