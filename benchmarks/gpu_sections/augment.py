"""Crop and augmentation against a CPU's, and what they cost on both sides."""

import time

import numpy as np
import torch
from torch import Tensor

from gpu_sections import pictures
from gpu_sections.context import Context, largest
from tttrain.config import AugmentConfig
from tttrain.data.spatial_augment import IDENTITY, Cut, Draw, draw, transform

ONE_ROUNDING = 2e-7
"""CUDA computes x / 255 as x * (1 / 255): half of the 256 values differ by one rounding."""
DRAWN = 1e-5
KERNEL = 1e-4
"""The kernel looks in float64 where the plain way rounds its grid to float32: of stored pictures
one pixel's place differs by 1e-5 px, its value by as much of the step between neighbours."""
BOTH = (("rgb", ""), ("flow", "px"))


def run(context: Context) -> None:
    """The section."""
    context.case("identity", against_cpu, "identity", [IDENTITY], ONE_ROUNDING)
    drawn = draws(3)
    context.case("drawn", against_cpu, "drawn", drawn, DRAWN)
    context.case("time", cost, "plain", transform)
    if context.cuda:
        context.case("kernel", kernel)


def draws(count: int) -> list[Draw]:
    """Draws of the default configuration."""
    rng = np.random.default_rng(0)
    return [draw(AugmentConfig(), (120, 120), rng) for _ in range(count)]


def stored(count: int, frames: int) -> list[list[Tensor]]:
    """Stored clips at full width on the CPU: rgb, flow."""
    made = pictures.patches(0, frames, 184)
    clips = [[torch.from_numpy(part).roll(k, 0) for part in made] for k in range(count)]
    return [list(parts) for parts in zip(*clips, strict=True)]


def kernel(context: Context) -> None:
    """The same checks and times of the crops that are one Triton kernel."""
    from tttrain.training.step import crops

    against_cpu(context, "kernel, identity", [IDENTITY], 0, crops.transform)
    against_cpu(context, "kernel, drawn", draws(3), KERNEL, crops.transform)
    cost(context, "kernel", crops.transform)


def against_cpu(
    context: Context, what: str, chosen: list[Draw], limit: float, cut: Cut = transform
) -> None:
    """The same crops on both devices."""
    clips = stored(len(chosen), 2 if context.tiny else 8)
    expected = transform(*clips, chosen, (120, 120))
    moved = [[clip.to(context.device) for clip in part] for part in clips]
    found = cut(*moved, chosen, (120, 120))
    for (name, unit), one, other in zip(BOTH, found, expected, strict=True):
        context.check(f"{what}: {name} to a CPU's, largest", largest(one, other), limit, unit)


def cost(context: Context, name: str, cut: Cut) -> None:
    """A batch that lies on the device: until the call returns, and until the device is done."""
    count, frames = (1, 8) if context.tiny else (10, 100)
    clips = [[clip.to(context.device) for clip in part] for part in stored(count, frames)]
    chosen = draws(count)
    taken = context.milliseconds(cut, [(*clips, chosen, (120, 120))])
    context.synchronise()
    start = time.perf_counter()
    cut(*clips, chosen, (120, 120))
    host = 1000 * (time.perf_counter() - start)
    what = f"{name}, batch {count} of {frames} frames"
    context.measure(f"{what}, until the call returns", host, "ms")
    context.measure(f"{what}, until the device is done", taken, "ms")
