"""`references.npz`: flows and logits as a CPU computes them, to compare other devices with.

Made by `python benchmarks/gpu.py --make-references`; flows are int16 in units of 1/4096 px.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gpu_sections import pictures
from gpu_sections.networks import NETWORKS, clips
from ttflow.flow.variational import BeyondPixels

PATH = Path(__file__).with_name("references.npz")
UNIT = 4096
PAIRS = {  # seed, height, width, channels
    "odd sizes": (1, 61, 97, 3),
    "gray": (2, 90, 160, 1),
    "first at 320 x 180": (3, 180, 320, 3),
    "second at 320 x 180": (4, 180, 320, 3),
}
LARGE = ("first at 320 x 180", "second at 320 x 180")
WARM = "odd sizes"
"""Of this pair there is also the flow that starts from its stored flow."""


def images(name: str) -> tuple[Tensor, Tensor]:
    """Both images of a pair, (1, C, H, W) uint8."""
    seed, height, width, channels = PAIRS[name]
    made = torch.from_numpy(pictures.pair(seed, height, width))[:, None, :channels].contiguous()
    return made[0], made[1]


def load() -> dict[str, Tensor]:
    """Flows (1, 2, H, W) px and logits (B, classes) by name."""
    with np.load(PATH) as stored:
        values = {name: torch.from_numpy(stored[name]) for name in stored}
    return {n: v.float() / UNIT if v.dtype == torch.int16 else v for n, v in values.items()}


def make() -> None:
    """Compute all on this machine's CPU by plain PyTorch, and write the file."""
    estimator = BeyondPixels(engine="torch")
    values: dict[str, np.ndarray] = {}
    for name in PAIRS:
        values[f"flow {name}"] = _stored(estimator(*images(name)))
    start = torch.from_numpy(values[f"flow {WARM}"]).float() / UNIT
    values["flow warm"] = _stored(estimator(*images(WARM), start))
    for name, build in NETWORKS.items():
        torch.manual_seed(0)
        model = build().eval()
        with torch.no_grad():
            values[f"logits {name}"] = model(*clips(model)).numpy()
    np.savez_compressed(PATH, **values)
    print(f"{PATH}: {PATH.stat().st_size / 1e6:.2f} MB")


def _stored(flow: Tensor) -> np.ndarray:
    assert flow.abs().max() * UNIT < 2**15, "flow of more than 8 px does not fit into the file"
    return (flow * UNIT).round().to(torch.int16).numpy()
