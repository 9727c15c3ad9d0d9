"""The GPU's part of `bench_flow.py --device cuda`: agreement with the CPU, pairs per second."""

import time

import numpy as np
import torch

from ttflow.flow.variational import BeyondPixels

BATCH = 64
VARIANTS = {
    "eager": {"engine": "torch"},
    "eager, CUDA graph": {"engine": "torch", "graphs": True},
    "fused": {"engine": "triton"},
    "fused, CUDA graph": {"engine": "triton", "graphs": True},
}


def pairs_per_second(estimator: BeyondPixels, first: torch.Tensor, second: torch.Tensor) -> float:
    """Median of 5 batches after 2 to warm up; inputs are on the device."""
    measured = []
    for _ in range(7):
        torch.cuda.synchronize()
        start = time.perf_counter()
        estimator(first, second)
        torch.cuda.synchronize()
        measured.append(len(first) / (time.perf_counter() - start))
    return float(np.median(measured[2:]))


def measure(first: torch.Tensor, second: torch.Tensor) -> list[str]:
    """A table of the variants; the images (N, 3, H, W) are repeated to a batch of 64."""
    expected = BeyondPixels(engine="torch")(first, second)
    repeats = -(-BATCH // len(first))
    batch = [image.repeat(repeats, 1, 1, 1)[:BATCH].cuda() for image in (first, second)]
    lines = [
        f"{torch.cuda.get_device_name()}, batch {BATCH}, inputs resident.",
        "",
        "| variant | pairs/s | mean difference to the CPU, px | bars: 1e-3 px, 1000 pairs/s |",
        "|---|---|---|---|",
    ]
    for name, options in VARIANTS.items():
        estimator = BeyondPixels(device="cuda", **options)
        difference = (estimator(*batch)[: len(first)].cpu() - expected).abs().mean().item()
        rate = pairs_per_second(estimator, *batch)
        verdict = "pass" if difference <= 1e-3 and rate >= 1000 else "short"
        lines.append(f"| {name} | {rate:.0f} | {difference:.1e} | {verdict} |")
    return lines
