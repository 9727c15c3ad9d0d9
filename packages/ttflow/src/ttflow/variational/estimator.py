"""`BeyondPixels`, the variational flow behind the estimator face."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ttflow.variational import torch_path
from ttflow.variational.settings import RobustSettings

Engine = Literal["auto", "torch", "numba"]


class BeyondPixels:
    """Coarse-to-fine variational optical flow, the method of the paper (section IV-B).

    `mode="reference"` is the published algorithm, to the sweep order of its solver. The default,
    `mode="robust"`, is a fifth of the work and does not take lamp flicker for motion. Differs from
    the reference: a median after each linearisation, 2 x 2 block red-black relaxation with fewer
    and stronger sweeps, and the second image is multiplied by the local gain between the images,
    measured after a first flow at a quarter of the size.

    Deterministic, and independent of the batch a pair comes in (to 1e-4 px).

    Source: Liu 2009, *Beyond Pixels*, appendix A.
    """

    def __init__(
        self,
        mode: Literal["robust", "reference"] = "robust",
        device: str = "cpu",
        *,
        engine: Engine = "auto",
        threads: int = 1,
        settings: RobustSettings | None = None,
    ) -> None:
        """Choose mode, device and path.

        Args:
            mode: "robust" or "reference".
            device: a torch device.
            engine: "numba" computes pair by pair on the CPU (robust mode only), "torch" whole
                batches anywhere; "auto" takes numba where it applies and is installed.
            threads: CPU threads over the pairs of a batch, numba only.
            settings: numbers of the robust mode.
        """
        if mode not in ("robust", "reference"):
            raise ValueError(f"mode is {mode!r}, expected 'robust' or 'reference'")
        applies = mode == "robust" and torch.device(device).type == "cpu"
        if engine == "numba" and not applies:
            raise ValueError(
                f"engine 'numba' runs mode 'robust' on 'cpu', not {mode!r} on {device!r}"
            )
        self.mode = mode
        # A GPU is kept busy by many pairs; on a CPU a pair fills its caches.
        self.batch_size = 1 if torch.device(device).type == "cpu" else 64
        self.device = torch.device(device)
        self.settings = settings or RobustSettings()
        self.threads = threads
        self._numba = applies and (engine == "numba" or (engine == "auto" and _has_numba()))

    @torch.no_grad()
    def __call__(
        self,
        first: UInt8[Tensor, "batch channels height width"],
        second: UInt8[Tensor, "batch channels height width"],
        initial_flow: Float[Tensor, "batch 2 height width"] | None = None,
    ) -> Float[Tensor, "batch 2 height width"]:
        """Displacement from first to second in px per frame; channel 0 is x (right), 1 is y (down).

        Args:
            first: (B, 3, H, W) RGB or (B, 1, H, W) gray, uint8.
            second: as first.
            initial_flow: (B, 2, H, W) px, a nearby flow; robust mode only, less than half the time.
        """
        _check(first, second, initial_flow)
        if self.mode == "reference":
            if initial_flow is not None:
                raise ValueError("mode 'reference' takes no initial_flow")
            return torch_path.reference(self._image(first), self._image(second))
        if self._numba:
            return self._pairs(first, second, initial_flow)
        start = None if initial_flow is None else initial_flow.to(self.device, torch.float32)
        return torch_path.robust(self._image(first), self._image(second), self.settings, start)

    def _image(self, image: Tensor) -> Tensor:
        return image.to(self.device).expand(-1, 3, -1, -1).to(torch.float32) / 255

    def _pairs(self, first: Tensor, second: Tensor, initial_flow: Tensor | None) -> Tensor:
        from ttflow.variational import cpu_path

        images = [self._image(image).numpy() for image in (first, second)]
        starts = [None] * len(first) if initial_flow is None else list(initial_flow.numpy())
        flow = np.empty((len(first), 2, *first.shape[-2:]), np.float32)

        def compute(index: int) -> None:
            one, two = (np.ascontiguousarray(image[index]) for image in images)
            flow[index] = cpu_path.robust(one, two, self.settings, starts[index])

        # Denormals in the solver's tails are slow. Flushing them is a flag of the thread, so it is
        # set in threads of our own and the caller's arithmetic stays as it was.
        workers = max(1, min(self.threads, len(first)))
        with ThreadPoolExecutor(
            workers, initializer=torch.set_flush_denormal, initargs=(True,)
        ) as pool:
            list(pool.map(compute, range(len(first))))
        return torch.from_numpy(flow)


def _has_numba() -> bool:
    from importlib.util import find_spec

    return find_spec("numba") is not None and "TTFLOW_NO_NUMBA" not in os.environ


def _check(first: Tensor, second: Tensor, initial_flow: Tensor | None) -> None:
    if first.dtype != torch.uint8 or second.dtype != torch.uint8:
        raise ValueError(f"images are {first.dtype} and {second.dtype}, expected torch.uint8")
    if first.shape != second.shape or first.ndim != 4 or first.shape[1] not in (1, 3):
        raise ValueError(
            f"images are {tuple(first.shape)} and {tuple(second.shape)}, "
            "expected (B, 3, H, W) or (B, 1, H, W) twice"
        )
    if initial_flow is not None:
        expected = (first.shape[0], 2, *first.shape[2:])
        if tuple(initial_flow.shape) != expected:
            raise ValueError(f"initial_flow is {tuple(initial_flow.shape)}, expected {expected}")
