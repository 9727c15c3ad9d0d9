"""The variational flow: its engines against stored flows of a CPU, graphs, and pairs a second."""

import importlib
import os
from pathlib import Path

import numpy as np
import public_pairs
import torch
from torch import Tensor

from gpu_sections import pictures, references
from gpu_sections.context import Context, largest
from ttflow.flow.variational import BeyondPixels, device_tables

MEAN_PX = 1e-3
"""The most that engines and devices may differ by, in the mean over a pair."""
BATCHES = {"kernels": (64, 128)}
"""Pairs at a time; 64 of other engines."""


def run(context: Context) -> None:
    """The section."""
    stored, engines = references.load(), list(engines_of(context))
    for engine in engines:
        context.case(f"{engine}: stored flows", against_stored, engine, stored)
    for engine in engines:
        context.case(f"{engine}: other ways to call it", variations, engine, stored)
    if context.cuda:
        for engine in engines:
            context.case(f"{engine}: graph", graph, engine)
    for engine in engines:
        for count in BATCHES.get(engine, (64,)):
            context.case(f"{engine}: speed", speed, engine, count)
    if "kernels" in engines:
        context.case("parts alone", parts_alone)
    if root := os.environ.get("TT_REAL_DATA"):
        context.case("public pairs", public, Path(root), engines[-1], optional=True)
    # On a CPU the other engine's work is one call of numba's.
    shown = engines[-1] if context.cuda else "torch"
    context.case(f"{shown}: profile of a batch", profile, shown, optional=True)


def engines_of(context: Context) -> list[str]:
    """Those of this device that import here, old before new."""
    fast = "triton" if context.cuda else "numba"
    try:
        importlib.import_module(fast)
    except Exception as error:  # an ImportError, or numba that refuses this NumPy
        context.note(f"engine {fast}", f"left out: {type(error).__name__}: {str(error)[:120]}")
        return ["torch"]
    return ["torch", fast, "kernels"] if context.cuda else ["torch", fast]


def estimator(context: Context, engine: str, graphs: bool = False) -> BeyondPixels:
    """As `ttflow extract` makes it, with the engine named."""
    return BeyondPixels(device=str(context.device), engine=engine, graphs=graphs)


def against_stored(context: Context, engine: str, stored: dict[str, Tensor]) -> None:
    """Pairs of all sizes, gray ones and a warm start, against what a CPU found."""
    compute = estimator(context, engine)
    for name in references.PAIRS:
        if context.tiny and name in references.LARGE:
            continue
        found = compute(*(image.to(context.device) for image in references.images(name)))
        mean_difference(context, f"{engine}: {name}", found, stored[f"flow {name}"])
    images = references.images(references.WARM)
    found = compute(*images, stored[f"flow {references.WARM}"])
    mean_difference(context, f"{engine}: warm start", found, stored["flow warm"])


def mean_difference(context: Context, what: str, found: Tensor, expected: Tensor) -> None:
    """Check the mean absolute difference."""
    difference = (found.cpu() - expected.cpu()).abs().mean().item()
    context.check(f"{what}, mean difference", difference, MEAN_PX, "px")


def variations(context: Context, engine: str, stored: dict[str, Tensor]) -> None:
    """Calls that must not change the flow: again, in a batch, channels last."""
    compute = estimator(context, engine)
    first, second = (image.to(context.device) for image in references.images("odd sizes"))
    once = compute(first, second)
    context.check(f"{engine}: two runs, largest", largest(compute(first, second), once), 0, "px")
    last = [image.contiguous(memory_format=torch.channels_last) for image in (first, second)]
    mean_difference(context, f"{engine}: channels last", compute(*last), once)
    batch = [torch.cat((image.flip(-1), image)) for image in (first, second)]
    mean_difference(context, f"{engine}: second of a batch", compute(*batch)[1:], once)


def graph(context: Context, engine: str) -> None:
    """Replayed on other inputs than recorded; also when the tables it reads are kept no more."""
    eager, replayed = estimator(context, engine), estimator(context, engine, graphs=True)
    recorded, other = (batch_of(context, seed, 2, 90, 160) for seed in (5, 6))
    expected = eager(*other)  # its tables are those that the graph meets
    replayed(*recorded)
    context.check(
        f"{engine}: graph to eager, other inputs, largest",
        largest(replayed(*other), expected),
        0,
        "px",
    )
    device_tables.forget()
    waste = [torch.full((2**k,), -1, device=context.device) for k in range(20) for _ in range(8)]
    context.check(
        f"{engine}: graph after its tables left the cache, largest",
        largest(replayed(*other), expected),
        0,
        "px",
    )
    del waste


def batch_of(context: Context, seed: int, count: int, height: int, width: int) -> list[Tensor]:
    """Two batches (B, 3, H, W) of different pairs."""
    one = torch.from_numpy(pictures.pair(seed, height, width)).to(context.device)
    return [torch.stack([image.roll(7 * k, -1) for k in range(count)]) for image in one]


def parts_alone(context: Context) -> None:
    """What a linearisation at full size takes of a whole batch: plain and as kernels."""
    from ttflow.flow.variational import equations
    from ttflow.flow.variational import torch_path as plain
    from ttflow.flow.variational.gpu import fused, fused_median, fused_relax, fused_system

    images = [image.float() / 255 for image in batch_of(context, 7, 64, 180, 320)]
    one, two = (equations.features(image) for image in images)
    settings = BeyondPixels().settings
    flow, energy = one[:, :2] - two[:, :2], settings.energy
    given = one, equations.smooth(one, energy), two, flow, energy
    system, sweeps = plain.linearise(*given), settings.sweeps_at(0)
    half_sweeps = plain.added(fused.red_black)
    for what, ways, arguments in (
        ("median of 3 x 3", (plain.median, fused_median.median), (flow, 3)),
        ("median of 5 x 5", (plain.median, fused_median.median), (flow, 5)),
        ("system", (plain.linearise, fused_system.linearise), given),
        ("smoothing", (plain.smooth, fused_system.smooth), (one, energy)),
        (f"{sweeps} sweeps", (plain.relax, half_sweeps), (system, flow, sweeps, settings.omega)),
        (f"{sweeps} sweeps, tiled", (fused_relax.relax,), (system, flow, sweeps, settings.omega)),
    ):
        for name, way in zip(("plain", "kernel")[-len(ways) :], ways, strict=True):
            taken = context.milliseconds(way, [arguments], repeats=3)
            context.measure(f"{what}, {name}", taken, "ms")


def speed(context: Context, engine: str, count: int) -> None:
    """Pairs a second of whole batches that lie on the device."""
    count, size = (2, (45, 80)) if context.tiny else (count, (180, 320))
    batches = [batch_of(context, seed, count, *size) for seed in (7, 8)]
    for graphs in (False, True) if context.cuda else (False,):
        compute = estimator(context, engine, graphs)
        taken = context.milliseconds(compute, batches, repeats=3, warm_ups=1 + graphs)
        kind = "CUDA graph" if graphs else "eager"
        what = f"{engine}, {kind}, batch {count} at {size[1]} x {size[0]}"
        context.measure(what, 1000 * count / taken, "pairs/s")
    if context.cuda:
        context.measure(f"{engine}: peak memory", torch.cuda.max_memory_allocated() / 2**30, "GiB")
        torch.cuda.reset_peak_memory_stats()


def profile(context: Context, engine: str) -> None:
    """Where the time of one batch goes: the dozen longest operations, all of them in a file."""
    count, size = (2, (45, 80)) if context.tiny else (64, (180, 320))
    compute, batch = estimator(context, engine), batch_of(context, 9, count, *size)
    if context.cuda:
        compute(*batch)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if context.cuda else []
    with torch.profiler.profile(activities=kinds) as found:
        compute(*batch)
        context.synchronise()
    key = "self_device_time_total" if context.cuda else "self_cpu_time_total"
    rows = sorted(found.key_averages(), key=lambda row: -getattr(row, key))
    for row in rows[:12]:
        name = f"profile: {row.key[:60]}, {row.count} calls"
        context.measure(name, getattr(row, key) / 1000, "ms")
    text = "\n".join(f"{getattr(r, key) / 1000:10.3f} ms {r.count:6} {r.key}" for r in rows)
    (context.out / "flow_profile.txt").write_text(text + "\n", encoding="utf-8")


def public(context: Context, root: Path, engine: str) -> None:
    """Public pairs: the mean error to the known flow, and the difference to a CPU.

    Both without a limit: on the strong edges of FlyingChairs the engines of one CPU differ by 2e-3.
    """
    pairs = list(public_pairs.public_pairs(root))
    pairs = pairs[:1] if context.tiny else pairs
    images = [
        torch.from_numpy(np.stack([pair[at].transpose(2, 0, 1) for pair in pairs])) for at in (1, 2)
    ]
    found = estimator(context, engine)(*(image.to(context.device) for image in images)).cpu()
    errors = [
        np.hypot(*(flow - pair.flow))[pair.known].mean()
        for flow, pair in zip(found.numpy(), pairs, strict=True)
    ]
    what = f"{len(pairs)} public pairs, mean end-point error"
    context.measure(what, float(np.mean(errors)), "px")
    few = [image[:4] for image in images]
    difference = (found[:4] - BeyondPixels(engine="torch")(*few)).abs().mean().item()
    context.measure(f"{len(few[0])} public pairs, mean difference to a CPU", difference, "px")
