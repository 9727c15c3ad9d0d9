"""Where a training step on a CPU goes, beside its floors; and two checkouts in turns.

    python benchmarks/bench_step.py [--shape 48,40,40] [--batch 10] [--threads 2] [--steps 8]
    python benchmarks/bench_step.py --before ../before [--repeats 3]

The siamese network with the optimiser of the `demo` recipe, clips of texture; each measurement in a
process of its own. Floors: multiply-adds over the fastest of a large product and a convolution of
64 channels, measured here; bytes over the speed of adding two large arrays. With another checkout
its packages take turns with those of this one, and losses of both are printed. Prints Markdown.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from bench_data import make_shards
from compare_commits import environment
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ttflow.schema import FlowConfig
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import open_data
from tttrain.data.decode import decode_clip
from tttrain.data.normalise import normalise_flow
from tttrain.data.sampling import ClipInfo, epoch_batches, training_request
from tttrain.data.spatial_augment import Augment
from tttrain.recipes import get
from tttrain.training.checkpoint import Checkpoint, save
from tttrain.training.device import set_up
from tttrain.training.loop import Batch, copied, make_optimizer, validate, weights_of
from tttrain.training.networks import build
from tttrain.training.schedule import Plateau
from tttrain.training.step.train_step import forward

CLASSES, SCALE = 7, torch.tensor([5.0, 5.0])
DECODING, BATCH, FORWARD = "decoding, a clip, once", "cutting, varying", "forward"
BACKWARD, CLIP, UPDATE = "backward", "length of the gradient", "update"
PARTS = (BATCH, FORWARD, BACKWARD, CLIP, UPDATE)
KINDS = {
    "convolutions, forward": ("mkldnn_convolution", "convolution_overrideable", "slow_conv3d"),
    "convolutions, backward": ("convolution_backward",),
    "pooling, ReLU": ("max_pool3d", "index_select", "scatter", "threshold", "clamp_min", "sub_"),
    "fully connected": ("addmm", "mm"),
    "filling memory": ("fill_", "zero_"),
    "length of the gradient": ("linalg_vector_norm",),
    "update": ("_fused_sgd", "_fused_adamw"),
    "cutting, varying": ("grid_sampler",),
}
"""By kind, how the names of PyTorch's operations begin; of the rest, what the parts say."""


class Case:
    """One training, step by step, its parts timed."""

    def __init__(self, shards: Path, shape: tuple[int, int, int], batch: int, threads: int) -> None:
        execution = {"torch_threads": threads}
        self.config = get("demo").with_changes(
            batch_size=batch, network={"clip_shape": shape}, execution=execution
        )
        set_up(self.config)
        data = open_data(shards)
        self.clips = data.clips["train"]
        self.seconds: dict[str, list[float]] = defaultdict(list)
        stored = []
        for clip in self.clips:
            with self.timed(DECODING):
                stored.append(decode_clip(data.read(clip.clip_id)))
        self.source = ResidentSource(stored, shape[0])
        self.augment = Augment(self.config.augment, shape[1:], 0)
        torch.manual_seed(0)
        self.model = build(self.config, CLASSES)
        self.model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(self.model, self.config)
        self.losses: list[float] = []

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the seconds inside to a part."""
        start = time.perf_counter()
        yield
        self.seconds[part].append(time.perf_counter() - start)

    def batch(self, clips: list[ClipInfo], epoch: int | None) -> Batch:
        """As `Batches` makes it."""
        frames = (self.config.network.clip_shape or (0,))[0]
        wanted = [training_request(clip, self.config, frames, epoch or 0) for clip in clips]
        windows = list(self.source.windows(wanted))
        pixels = [[getattr(window, name) for window in windows] for name in ("rgb", "flow")]
        ids = [window.clip_id for window in windows]
        rgb, flow = self.augment(*pixels, ids, epoch)
        inputs = {"rgb": rgb, "flow": normalise_flow(flow, SCALE)}
        labels = torch.tensor([clip.class_index for clip in clips])
        return Batch(ids, inputs, labels, len(clips))

    def steps(self, count: int) -> None:
        """That many steps, as `TrainStep` does them."""
        batches = [
            (clips, epoch)
            for epoch in range(1 + count)
            for clips in epoch_batches(self.clips, self.config.batch_size, 0, epoch)
        ]
        for clips, epoch in batches[:count]:
            with self.timed("whole"):
                self._step(clips, epoch)

    def _step(self, clips: list[ClipInfo], epoch: int) -> None:
        with self.timed(BATCH):
            batch = self.batch(clips, epoch)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self.timed(FORWARD):
            answer = forward(self.model, batch, self.model.inputs, "float32")
        with self.timed(BACKWARD):
            (answer.loss / batch.total).backward()
        self.losses.append(float(answer.loss.detach()) / batch.total)
        with self.timed(CLIP):
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        with self.timed(UPDATE):
            self.optimizer.step()

    def beside(self) -> None:
        """Validation of a batch; a checkpoint."""
        with self.timed("validation, a batch"):
            batch = self.batch(self.clips[: self.config.batch_size], None)
            validate(self.model, [batch], self.model.inputs)
        with self.timed("checkpoint: copies"):
            state = copied(self.optimizer.state_dict())
            kept = Checkpoint("", 1, weights_of(self.model), state, None, Plateau())
        with tempfile.TemporaryDirectory() as folder, self.timed("checkpoint: written beside"):
            save(Path(folder) / "checkpoint.pt", kept)


def step_case(options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of every part, medians; page faults a step; losses."""
    case = Case(options.shards, options.shape, options.batch, options.threads)
    case.steps(2)
    for part in (*PARTS, "whole"):
        case.seconds[part].clear()
    before = resource.getrusage(resource.RUSAGE_SELF)
    case.steps(options.steps)
    after = resource.getrusage(resource.RUSAGE_SELF)
    case.beside()
    medians = {part: 1000 * statistics.median(found) for part, found in case.seconds.items()}
    return {
        "ms": medians,
        "page faults a step": (after.ru_minflt - before.ru_minflt) / options.steps,
        "peak MB": after.ru_maxrss / 1000,
        "losses": case.losses[-3:],
    }


def kinds_case(options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a step by kind of operation, as PyTorch's profiler sees them."""
    case = Case(options.shards, options.shape, options.batch, options.threads)
    case.steps(2)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        case.steps(options.steps)
    kinds: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        name = event.key.removeprefix("aten::")
        own = (kind for kind, starts in KINDS.items() if name.startswith(starts))
        kinds[next(own, "other")] += event.self_cpu_time_total / 1000 / options.steps
    return dict(kinds)


def peaks_case(options: argparse.Namespace) -> dict[str, float]:
    """Multiply-adds and bytes a second, in billions, the best of eight."""
    torch.set_num_threads(options.threads)
    one, other, into = (torch.rand(2048, 2048) for _ in range(3))
    conv = torch.nn.Conv3d(64, 64, 3, padding=1).to(memory_format=torch.channels_last_3d)
    maps = torch.rand(10, 64, 12, 20, 20).contiguous(memory_format=torch.channels_last_3d)
    long, longer, sums = (torch.rand(2**26) for _ in range(3))
    with torch.no_grad():
        return {
            "product": 2048**3 / best(lambda: torch.mm(one, other, out=into)) / 1e9,
            "convolution": maps.numel() * 27 * 64 / best(lambda: conv(maps)) / 1e9,
            "bytes": 12 * 2**26 / best(lambda: torch.add(long, longer, out=sums)) / 1e9,
        }


def best(work: Callable[[], object]) -> float:
    """The shortest of eight, in seconds."""
    return min(timeit.repeat(work, number=1, repeat=8))


def floors(options: argparse.Namespace, peaks: dict[str, float]) -> list[str]:
    """The least that multiply-adds and bytes take, in words."""
    config = get("demo").with_changes(network={"clip_shape": options.shape})
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = build(config, CLASSES).eval()
        model(*[torch.empty(1, channels, *options.shape) for channels in (3, 2)])
    first = sum(branch.conv1.weight.numel() for branch in model.branches())  # no input's gradient
    billions = 3 * counter.get_total_flops() / 2e9 - first * math.prod(options.shape) / 1e9
    billions *= options.batch
    fastest = max(peaks["product"], peaks["convolution"])
    numbers = sum(weight.numel() for weight in model.parameters())
    moved = (
        numbers * 4 * 9 / 1e9
    )  # gradient: written, read for its length, scaled, 2 passes; update 5
    return [
        f"- multiply-adds of a step: {billions:.1f} billion, at {fastest:.0f} a second (product "
        f"{peaks['product']:.0f}, convolution {peaks['convolution']:.0f}): "
        f"{1000 * billions / fastest:.0f} ms",
        f"- {numbers / 1e6:.1f} M weights and their gradient: {moved:.2f} GB at "
        f"{peaks['bytes']:.0f} GB/s: {1000 * moved / peaks['bytes']:.0f} ms",
    ]


def in_checkout(checkout: Path, case: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a case prints in a process with the packages of a checkout."""
    command = [sys.executable, __file__, f"--case={case}", f"--shards={options.shards}"]
    command += [f"--shape={','.join(map(str, options.shape))}", f"--steps={options.steps}"]
    command += [f"--batch={options.batch}", f"--threads={options.threads}"]
    variables = environment(checkout) | {"OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Medians of each side's runs, in milliseconds, their ratio, page faults, losses."""
    sides = list(runs)
    lines = ["| ms | " + " | ".join(sides) + " | ratio |", "|---" * (2 + len(sides)) + "|"]
    for part in runs[sides[0]][0]["ms"]:
        values = [statistics.median(run["ms"][part] for run in runs[side]) for side in sides]
        cells = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {part} | {cells} | {values[-1] / values[0]:.3f} |")
    for name in ("page faults a step", "peak MB"):
        cells = " | ".join(f"{statistics.median(r[name] for r in runs[s]):.0f}" for s in sides)
        lines.append(f"| {name} | {cells} | |")
    return [*lines, "", *[f"losses, {side}: {runs[side][0]['losses']}" for side in sides], ""]


def report(options: argparse.Namespace) -> str:
    """All of it, as Markdown."""
    here = Path(__file__).resolve().parents[1]
    checkouts = ({"before": options.before} if options.before else {}) | {"here": here}
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in checkouts}
    for turn in range(options.repeats):
        for side in list(checkouts)[:: 1 if turn % 2 == 0 else -1]:
            runs[side].append(in_checkout(checkouts[side], "step", options))
    lines = [f"{options.threads} threads, batch {options.batch} of {options.shape}", ""]
    lines += floors(options, in_checkout(here, "peaks", options))
    lines += ["", *table(runs)]
    kinds = {side: in_checkout(checkouts[side], "kinds", options) for side in checkouts}
    for kind in (*KINDS, "other"):
        cells = (f"{side} {found.get(kind, 0):.1f} ms" for side, found in kinds.items())
        lines.append(f"- {kind}: {', '.join(cells)}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=lambda t: tuple(map(int, t.split(","))), default="48,40,40")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--shards", type=Path, help="of the clips; by default made, of texture")
    cases = {"step": step_case, "kinds": kinds_case, "peaks": peaks_case}
    parser.add_argument("--case", choices=cases, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(cases[options.case](options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.shards is None:
            frames, height, width = options.shape
            side = max(height, width) * 3 // 2 // 2 * 2
            sizes = {"crop_height": height, "crop_width": width, "window_frames": frames}
            sizes |= {"frame_height": side, "frame_width": side, "patch_side": side}
            flow = FlowConfig(margin_frames=0, **sizes)
            options.shards = make_shards(Path(folder) / "shards", 40, frames + 10, flow)
        print(report(options))


if __name__ == "__main__":
    main()
