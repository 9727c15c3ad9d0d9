"""Time and memory of every network beside its straightforward version, on a CPU.

    python benchmarks/bench_models.py [--markdown FILE] [--only NAME ...]

Straightforward: convolution - ReLU - pooling, contiguous, float32, eager, the same weights. Both
versions take turns in one process; each case has a process of its own. Prints one JSON line per
case. Memory is the peak above what stands before the step (weights, clips), with the weights of
fully connected layers frozen, so that it counts activations and not their gradients. `gpu.py` has
the networks on a GPU.
"""

import argparse
import ctypes
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import ttmodels
from ttmodels import blocks, c3d, i3d, ltc, sliding

FULL = (100, 120, 120)
SMALL_I3D = {"first_pool": False, "clip_shape": (64, 120, 120)}
NETWORKS: dict[str, Callable[[], ttmodels.StrokeModel]] = {
    "SSTC": ttmodels.SSTC,
    "SSTC bilinear": lambda: ttmodels.SSTC(fusion="bilinear"),
    "RGBNet": ttmodels.RGBNet,
    "FlowNet": ttmodels.FlowNet,
    "EarlyFusion": ttmodels.EarlyFusion,
    "LateFusion": ttmodels.LateFusion,
    "LTC rgb": ttmodels.LTC,
    "LTC flow": lambda: ttmodels.LTC(in_channels=2),
    "C3D": ttmodels.C3D,
    "I3D rgb 64x120x120": lambda: ttmodels.I3D(21, 3, **SMALL_I3D),
    "I3D rgb 64x224x224": lambda: ttmodels.I3D(21, 3),
    "TwoStreamI3D 64x120x120": lambda: ttmodels.TwoStreamI3D(21, **SMALL_I3D),
}
WINDOWS = {
    "windows: FlowNet, T 100, step 10, 400 frames": ttmodels.FlowNet,
    "windows: SSTC, T 100, step 10, 400 frames": ttmodels.SSTC,
}
CHANNELS = {"rgb": 3, "flow": 2}
Step = Callable[[], Any]


@contextmanager
def straightforward() -> Iterator[None]:
    """Replace the fast parts of the networks by the plain ones."""

    def relu_then_pool(
        conv: torch.nn.Conv3d,
        clip: Tensor,
        kernel: tuple[int, int, int] = (2, 2, 2),
        recompute: bool = False,
        fused: bool = False,
    ) -> Tensor:
        return functional.max_pool3d(functional.relu(conv(clip)), kernel)

    def pad_then_pool(pool: i3d.Pool, clip: Tensor) -> Tensor:
        pads = i3d.same_padding(clip.shape[2:], pool.kernel, pool.stride)
        padded = functional.pad(clip, [side for pad in reversed(pads) for side in pad])
        return functional.max_pool3d(padded, pool.kernel, pool.stride)

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(i3d.Pool, "forward", pad_then_pool))
        for module in (blocks, c3d, i3d, ltc, sliding):
            patches.enter_context(mock.patch.object(module, "fastest_layout", Tensor.contiguous))
        for module in (blocks, c3d, ltc):
            patches.enter_context(mock.patch.object(module, "conv_pool_relu", relu_then_pool))
        yield


def clips_for(model: ttmodels.StrokeModel, frames: int | None = None) -> list[Tensor]:
    """Noise of the shape the network takes, or of another length."""
    length, height, width = model.config.clip_shape
    generator = torch.Generator().manual_seed(0)
    return [
        torch.rand(1, CHANNELS[name], frames or length, height, width, generator=generator)
        for name in model.inputs
    ]


def seconds(step: Step) -> float:
    """Duration of one step."""
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def peak_mb(step: Step) -> float:
    """Peak memory of one step above what is there before, the median of three."""
    return statistics.median(_one_peak_mb(step) for _ in range(3))


def _one_peak_mb(step: Step) -> float:
    ctypes.CDLL(None).malloc_trim(0)  # freed memory that is kept would hide what a step takes
    before = _resident_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the old peak
    step()
    return _resident_mb("VmHWM") - before


def _resident_mb(key: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1e3 for line in lines if line.startswith(key))


def multiply_adds(build: Callable[[], ttmodels.StrokeModel]) -> float:
    """Multiply-adds of one clip, in billions."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = build().eval()
        shape = model.config.clip_shape
        model(*[torch.empty(1, CHANNELS[name], *shape) for name in model.inputs])
    return counter.get_total_flops() / 2e9


def in_turns(plain: Step, shipped: Step, repeats: int) -> dict[str, Any]:
    """Median seconds of both versions, measured in turns after a warm-up."""
    times: dict[str, list[float]] = {"plain": [], "shipped": []}
    for turn in range(repeats + 1):
        for name, step in (("plain", plain), ("shipped", shipped)):
            taken = seconds(step)
            if turn:
                times[name].append(taken)
    return {f"{name}_s": statistics.median(values) for name, values in times.items()}


def bench_network(name: str, repeats: int) -> dict[str, Any]:
    """Inference and training step of one network."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    clips = clips_for(model)

    def infer() -> Tensor:
        with torch.no_grad():
            return model(*clips)

    def train() -> None:
        model.zero_grad(set_to_none=True)
        functional.cross_entropy(model(*clips), torch.tensor([1])).backward()

    def plainly(step: Step) -> Step:
        def run() -> Any:
            with straightforward():
                return step()

        return run

    result: dict[str, Any] = {"multiply_adds_g": multiply_adds(NETWORKS[name])}
    result["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    model.eval()
    result["logit_difference"] = (plainly(infer)() - infer()).abs().max().item()
    for kind, step in (("inference", infer), ("training", train)):
        model.train(kind == "training")
        timed = in_turns(plainly(step), step, repeats)
        result |= {f"{kind}_{key}": value for key, value in timed.items()}
    result |= activation_memory(model, plainly, infer, train)
    return result


def activation_memory(
    model: ttmodels.StrokeModel,
    plainly: Callable[[Step], Step],
    infer: Step,
    train: Step,
) -> dict[str, float]:
    """Peak memory of both steps in both versions, and of training with recomputation."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Bilinear):
            module.weight.requires_grad_(False)
    result: dict[str, float] = {}
    for kind, step in (("inference", infer), ("training", train)):
        model.train(kind == "training")
        for version, run in (("plain", plainly(step)), ("shipped", step)):
            model.zero_grad(set_to_none=True)
            result[f"{kind}_{version}_mb"] = peak_mb(run)
    model.recompute_activations()
    model.zero_grad(set_to_none=True)
    result["training_recomputing_mb"] = peak_mb(train)
    model.recompute_activations(False)
    return result


def bench_windows(name: str) -> dict[str, Any]:
    """All windows of a clip: shared, and one window after the other."""
    torch.manual_seed(0)
    model = WINDOWS[name]().eval()
    clips = clips_for(model, frames=400)
    windows = ttmodels.SlidingWindows(model, step=10)
    starts = windows.starts(400)

    def one_by_one() -> Tensor:
        with torch.no_grad():
            scores = [model(*[clip[:, :, s : s + 100] for clip in clips]) for s in starts]
        return torch.stack(scores, dim=1)

    def shared() -> Tensor:
        return windows(*clips)

    result: dict[str, Any] = {"windows": len(starts)}
    result["logit_difference"] = (one_by_one() - shared()).abs().max().item()
    work = windows.convolution_work(400)
    result["convolution_work_ratio"] = work[0] / work[1]
    result["one_by_one_s"] = min(seconds(one_by_one) for _ in range(2))
    result["shared_s"] = min(seconds(shared) for _ in range(2))
    result["one_by_one_mb"] = peak_mb(one_by_one)
    result["shared_mb"] = peak_mb(shared)
    return result


def environment() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "device": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    return f"{names[0] if names else platform.machine()}, {len(names)} cores"


def markdown(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The results as two tables."""
    lines = [
        f"# Networks on {facts['device']}",
        "",
        "One clip per step, float32. Seconds are medians",
    ]
    lines += [f"of the straightforward and the shipped version, memory is peak MB. {facts}", ""]
    lines.append(
        "| network | G multiply-adds | inference s | ratio | training s | ratio | training MB "
        "| ratio | recomputing MB |"
    )
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in (row for row in rows if "multiply_adds_g" in row):
        cells = [row["case"], f"{row['multiply_adds_g']:.1f}"]
        for key, unit in (("inference", "s"), ("training", "s"), ("training", "mb")):
            plain, shipped = row[f"{key}_plain_{unit}"], row[f"{key}_shipped_{unit}"]
            digits = 3 if unit == "s" else 0
            cells += [f"{plain:.{digits}f} -> {shipped:.{digits}f}", f"{shipped / plain:.2f}"]
        cells.append(f"{row['training_recomputing_mb']:.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| windows | work | one by one s | shared s | ratio | MB | logits differ by |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in (row for row in rows if "windows" in row):
        cells = [row["case"], f"{row['convolution_work_ratio']:.3f}", f"{row['one_by_one_s']:.1f}"]
        cells += [f"{row['shared_s']:.1f}", f"{row['shared_s'] / row['one_by_one_s']:.2f}"]
        cells += [f"{row['one_by_one_mb']:.0f} -> {row['shared_mb']:.0f}"]
        lines.append("| " + " | ".join([*cells, f"{row['logit_difference']:.1e}"]) + " |")
    return "\n".join(lines) + "\n"


def run_case(name: str, repeats: int) -> dict[str, Any]:
    """Measure one case in a process of its own, so that no case inherits another's memory."""
    command = [sys.executable, __file__, "--case", name]
    result = subprocess.run(
        [*command, "--repeats", str(repeats)], check=True, stdout=subprocess.PIPE, text=True
    )
    values: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return values


def main() -> None:
    """Run all cases, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[*NETWORKS, *WINDOWS])
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        if options.case in WINDOWS:
            result = bench_windows(options.case)
        else:
            result = bench_network(options.case, options.repeats)
        print(json.dumps({"case": options.case, **result}))
        return
    facts = environment()  # first: nothing may fail after minutes of work
    print(json.dumps(facts), flush=True)
    rows = []
    for name in options.only:
        rows.append(run_case(name, options.repeats))
        print(json.dumps(rows[-1]), flush=True)
    if options.markdown:
        options.markdown.write_text(markdown(rows, facts), encoding="utf-8")


if __name__ == "__main__":
    main()
