"""Accuracy and time of the flow estimators, side by side in one process, and the bars they clear.

python benchmarks/bench_flow.py [--player-pairs N] [--seed K] [--repeats N] [--out FILE]

Prints a table of all estimators: end-point error (px) and angular error (degrees) per set of pairs,
error under flicker over the clean error, time per pair as a multiple of DIS medium, one thread.
Then a table of the bars, each with its number and pass or short. The reference's flows are those of
the float64 loop version in `tests/ttflow/flow/flow_oracle.py`. With TT_REAL_DATA, public pairs too.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from flow_pairs import flicker, player_pairs
from public_pairs import Pair, public_pairs

from ttflow.flow.estimators import create
from ttflow.flow.variational import BeyondPixels

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "ttflow" / "flow"))
from flow_oracle import oracle_flow

Estimator = Callable[..., torch.Tensor]
SETS = ("player", "moving", "middlebury", "flyingchairs")
FLICKER = ("brighter", "darker", "local")
ROBUST, PLAIN, REFERENCE = (
    "beyond-pixels",
    "beyond-pixels, plain PyTorch",
    "beyond-pixels, reference",
)


class Bar(NamedTuple):
    """What is to be reached, and what was."""

    what: str
    value: float
    limit: float
    at_least: bool = False

    def line(self) -> str:
        """A row of the table."""
        passed = self.value >= self.limit if self.at_least else self.value <= self.limit
        sign = ">=" if self.at_least else "<="
        verdict = "pass" if passed else "short"
        return f"| {self.what} | {self.value:.3g} | {sign} {self.limit:g} | {verdict} |"


def estimators() -> dict[str, Estimator]:
    """All that run on a CPU without weights; the first is what time is measured in."""
    opencv = {n: create(n) for n in ("dis-medium", "dis-fast", "dis-ultrafast", "farneback")}
    return opencv | {
        ROBUST: BeyondPixels(),
        PLAIN: BeyondPixels(engine="torch"),
        REFERENCE: BeyondPixels("reference"),
    }


def tensor(frame: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))[None]


def flows_of(
    estimator: Estimator, frames: list[tuple[np.ndarray, np.ndarray]], batch: int = 1
) -> list[np.ndarray]:
    """Flow (2, H, W) of each pair of frames (H, W, 3)."""
    flows: list[np.ndarray] = []
    for start in range(0, len(frames), batch):
        images = zip(*frames[start : start + batch], strict=True)
        flows += list(estimator(*(torch.cat([tensor(f) for f in each]) for each in images)).numpy())
    return flows


def errors(flow: np.ndarray, pair: Pair) -> dict[str, tuple[float, float]]:
    """Mean end-point (px) and angular error (degrees) by the set they count for."""
    found, truth = flow.astype(float), pair.flow.astype(float)
    end_point = np.hypot(*(found - truth))
    dot = (found * truth).sum(0) + 1
    norms = np.sqrt(((found**2).sum(0) + 1) * ((truth**2).sum(0) + 1))
    angular = np.degrees(np.arccos(np.clip(dot / norms, -1, 1)))
    where = {pair.set_name: pair.known}
    if pair.set_name == "player":
        where["moving"] = np.abs(pair.flow).sum(0) > 0
    return {name: (end_point[mask].mean(), angular[mask].mean()) for name, mask in where.items()}


def mean_errors(flows: list[np.ndarray], pairs: list[Pair]) -> dict[str, np.ndarray]:
    """Mean errors over the pairs of each set: (end-point px, angular degrees)."""
    found = defaultdict(list)
    for flow, pair in zip(flows, pairs, strict=True):
        for name, values in errors(flow, pair).items():
            found[name].append(values)
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def flicker_ratios(
    estimator: Estimator, players: list[Pair], clean: float, batch: int
) -> dict[str, float]:
    """Mean end-point error under each kind of flicker over that without."""
    ratios = {}
    for kind in FLICKER:
        frames = [(p.first, flicker(p.second, kind)) for p in players]
        flows = flows_of(estimator, frames, batch)
        ratios[kind] = mean_errors(flows, players)["player"][0] / clean
    return ratios


def seconds(
    estimator: Estimator, pair: Pair, repeats: int, batch: int = 1, last: torch.Tensor | None = None
) -> float:
    """Median seconds per pair, after one call to warm up."""
    inputs = [tensor(f).repeat(batch, 1, 1, 1) for f in (pair.first, pair.second)]
    inputs += [] if last is None else [last.repeat(batch, 1, 1, 1)]
    estimator(*inputs)
    measured = []
    for _ in range(repeats):
        start = time.perf_counter()
        estimator(*inputs)
        measured.append((time.perf_counter() - start) / batch)
    return float(np.median(measured))


def times(candidates: dict[str, Estimator], pair: Pair, repeats: int) -> dict[str, float]:
    """Seconds per pair of each; taken in turns, so that all meet the same machine."""
    found = defaultdict(list)
    for _ in range(repeats):
        for name, estimator in candidates.items():
            if name != REFERENCE or not found[name]:
                found[name].append(seconds(estimator, pair, 3 if name != REFERENCE else 1))
    return {name: float(np.median(values)) for name, values in found.items()}


def difference_bars(
    what: str,
    flows: list[np.ndarray],
    others: list[np.ndarray],
    pairs: list[Pair],
    *,
    limits: tuple[float, float],
) -> list[Bar]:
    """Mean and 99th percentile of the difference of two flows, for each set of pairs."""
    bars = []
    for name in dict.fromkeys(pair.set_name for pair in pairs):
        chosen = [index for index, pair in enumerate(pairs) if pair.set_name == name]
        difference = np.abs([flows[index] - others[index] for index in chosen])
        percentile = np.percentile(difference, 99)
        bars.append(Bar(f"{what}, {name}: mean px", difference.mean(), limits[0]))
        bars.append(Bar(f"{what}, {name}: 99th percentile px", percentile, limits[1]))
    return bars


def accuracy_bars(
    flows: dict[str, list[np.ndarray]], oracle: list[np.ndarray], pairs: list[Pair]
) -> list[Bar]:
    """Reference against oracle, robust against reference."""
    robust, reference, expected = (
        mean_errors(f, pairs) for f in (flows[ROBUST], flows[REFERENCE], oracle)
    )
    bars = difference_bars(
        "1 reference to oracle", flows[REFERENCE], oracle, pairs, limits=(1e-3, 5e-3)
    )
    for name in dict.fromkeys(pair.set_name for pair in pairs):
        ratio = abs(reference[name][0] / expected[name][0] - 1)
        bars.append(Bar(f"1 reference to oracle, {name}: error, relative", ratio, 0.02))
    limits = dict(zip(SETS, (0.92, 0.92, 1.05, 0.97), strict=True))
    for name in robust:
        ratio = robust[name][0] / expected[name][0]
        bars.append(Bar(f"2 robust over reference, {name}", ratio, limits[name]))
    return bars


def time_bars(pair: Pair, base: float, single: float, repeats: int) -> list[Bar]:
    """CPU time in DIS medium, threads, compilation."""
    one, two = BeyondPixels(), BeyondPixels(threads=2)
    batch = seconds(one, pair, repeats, 4)
    gains = [seconds(one, pair, 3, 8) / seconds(two, pair, 3, 8) for _ in range(repeats)]
    cold, cached = compilation()
    return [
        Bar("4 robust in DIS medium, batch 1 (stretch 5)", single / base, 8),
        Bar("4 robust in DIS medium, batch 4 (stretch 5)", batch / base, 8),
        Bar(
            "4 two threads: pairs/s over one thread's", float(np.median(gains)), 1.6, at_least=True
        ),
        Bar("4 first call, nothing compiled yet: s", cold, 30),
        Bar("4 first call, compiled code on disk: s", cached, 2),
    ]


def compilation() -> tuple[float, float]:
    """Seconds of the first call in a fresh process, without and with numba's cache."""
    script = (
        "import time, torch; from ttflow.flow.variational import BeyondPixels\n"
        "x = torch.zeros(1, 3, 180, 320, dtype=torch.uint8); start = time.perf_counter()\n"
        "BeyondPixels()(x, x); print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", script]
        runs = [
            subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            for _ in range(2)
        ]
    return float(runs[0].stdout), float(runs[1].stdout)


def agreement_bars(flows: dict[str, list[np.ndarray]], pairs: list[Pair]) -> list[Bar]:
    """The two CPU paths, batches, still pairs."""
    bars = difference_bars(
        "4 numba to PyTorch", flows[ROBUST], flows[PLAIN], pairs, limits=(1e-4, 1e-3)
    )
    first, second = (torch.cat([tensor(p[at]) for p in pairs[:8]]) for at in (1, 2))
    together = BeyondPixels(engine="torch")(first, second).numpy()
    alone = np.array(flows[PLAIN][: len(together)])
    still = BeyondPixels()(first[:1], first[:1])
    return [
        *bars,
        Bar("5 batch 8 to batch 1, PyTorch: largest px", np.abs(together - alone).max(), 1e-4),
        Bar("5 identical pair: largest px", still.abs().max().item(), 1e-3),
    ]


def warm_bars(players: list[Pair], clean: float, repeats: int) -> list[Bar]:
    """From the previous pair's flow, as in a video."""
    estimator = BeyondPixels()
    lasts = [estimator(tensor(p.before), tensor(p.first)) for p in players]
    flows = [
        estimator(tensor(p.first), tensor(p.second), last)[0].numpy()
        for p, last in zip(players, lasts, strict=True)
    ]
    ratios = [
        seconds(estimator, players[0], 3, last=lasts[0]) / seconds(estimator, players[0], 3)
        for _ in range(repeats)
    ]
    error = mean_errors(flows, players)["player"][0]
    return [
        Bar("6 warm start: error over cold", error / clean, 1.03),
        Bar("6 warm start: time over cold", float(np.median(ratios)), 0.55),
    ]


def compare(pairs: list[Pair], repeats: int) -> list[str]:
    """Both tables."""
    candidates = estimators()
    players = [pair for pair in pairs if pair.set_name == "player"]
    took = times(candidates, pairs[0], repeats)
    base = took["dis-medium"]
    bars = time_bars(pairs[0], base, took[ROBUST], repeats)
    header = ("estimator", *SETS, *FLICKER, "time")
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    flows = {}
    for name, estimator in candidates.items():
        batch = 8 if name == REFERENCE else 1  # wavefronts are short: a batch costs little more
        flows[name] = flows_of(estimator, [(p.first, p.second) for p in pairs], batch)
        found = mean_errors(flows[name], pairs)
        cells = [f"{found[s][0]:.4f} / {found[s][1]:.2f}" if s in found else "-" for s in SETS]
        ratios = flicker_ratios(estimator, players, found["player"][0], batch)
        cells += [f"{ratios[kind]:.3f}" for kind in FLICKER]
        lines.append(f"| {' | '.join((name, *cells))} | {took[name] / base:.2f} |")
        sys.stderr.write(f"{lines[-1]}\n")
        if name == ROBUST:
            clean = found["player"][0]
            limits = zip(FLICKER, (1.05, 1.05, 1.15), strict=True)
            bars += [Bar(f"3 flicker over clean, {k}", ratios[k], limit) for k, limit in limits]
    oracle = [oracle_flow(pair.first, pair.second).astype(np.float32) for pair in pairs]
    bars += accuracy_bars(flows, oracle, pairs)
    bars += agreement_bars(flows, pairs) + warm_bars(players, clean, repeats)
    table = [bar.line() for bar in sorted(bars, key=lambda bar: bar.what[0])]
    lines += ["", f"DIS medium: {base * 1000:.1f} ms a pair.", ""]
    return [*lines, "| bar | measured | limit | |", "|---|---|---|---|", *table]


def main() -> None:
    """Measure, print, and write the result file where --out says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--player-pairs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the player pairs")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pairs = list(player_pairs(arguments.player_pairs, arguments.seed))
    if "TT_REAL_DATA" in os.environ:
        pairs += public_pairs(Path(os.environ["TT_REAL_DATA"]))
    lines = [
        f"torch {torch.__version__}, OpenCV {cv2.__version__}, "
        f"{platform.processor() or platform.machine()}, one thread; {len(pairs)} pairs at "
        f"320 x 180, players of seed {arguments.seed}.",
        "Cells: mean end-point error px / angular error degrees; flicker: error over the clean "
        "error; time: multiple of DIS medium.",
        "",
        *compare(pairs, arguments.repeats),
    ]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if arguments.out:
        arguments.out.write_text("# Optical flow estimators\n\n" + text)


if __name__ == "__main__":
    main()
