"""`BeyondPixels`, the variational flow as an estimator."""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ttflow.flow.variational import torch_path
from ttflow.flow.variational.graphs import Graph
from ttflow.flow.variational.settings import RobustSettings
from ttflow.flow.variational.torch_path import Parts

Engine = Literal["auto", "torch", "numba", "triton", "kernels"]
_GRAPHS_KEPT = 4
_PIXELS_AT_ONCE = 128 * 320 * 180
"""Of larger batches parts are computed one after the other: on a GPU these take 2 GiB."""
_PAIRS_AT_ONCE = 13_000
"""Five planes of each are launched together, of which CUDA allows 65 535."""


class BeyondPixels:
    """Coarse-to-fine variational optical flow, the method of the paper (section IV-B).

    `mode="reference"` is the published algorithm, to the sweep order of its solver, in float64: on
    large motion its iterations magnify the rounding of float32 to hundredths of a pixel. The
    default, `mode="robust"`, is a sixth of the work, more exact, and does not take lamp flicker for
    motion.
    Differs from the reference: a sharper energy (`RobustSettings.energy`), a median after each
    linearisation, 2 x 2 block red-black relaxation with fewer and stronger sweeps, and the second
    image is multiplied by the local gain between the images, measured along first flows at a
    quarter and a third of the size.

    Deterministic, and independent of the batch a pair comes in (to 1e-4 px).

    Attributes:
        batch_size: pairs that a caller should give at a time.

    Source: Liu 2009, *Beyond Pixels*, appendix A.
    """

    def __init__(
        self,
        mode: Literal["robust", "reference"] = "robust",
        device: str = "cpu",
        *,
        engine: Engine = "auto",
        threads: int = 1,
        graphs: bool = False,
        settings: RobustSettings | None = None,
    ) -> None:
        """Choose mode, device and path.

        Args:
            mode: "robust" or "reference".
            device: a torch device.
            engine: "numba" computes pair by pair on the CPU, "torch" whole batches anywhere,
                "triton" as torch with a fused solver on a GPU, "kernels" with kernels of our own
                for nearly all of it; all but torch run the robust mode only. "auto" takes numba on
                a CPU and kernels on a GPU where they apply and are installed.
            threads: CPU threads over the pairs of a batch, numba only.
            graphs: launch each batch as one CUDA graph, recorded at the first batch of a shape;
                robust mode without initial_flow. Worth it where all batches have one shape.
            settings: numbers of the robust mode.
        """
        if mode not in ("robust", "reference"):
            raise ValueError(f"mode is {mode!r}, expected 'robust' or 'reference'")
        kind = torch.device(device).type
        _check_engine(mode, kind, engine)
        if graphs and (mode != "robust" or kind != "cuda"):
            raise ValueError(f"graphs need mode 'robust' on 'cuda', not {mode!r} on {device!r}")
        self.mode = mode
        # A GPU is kept busy by many pairs; on a CPU a pair fills its caches.
        self.batch_size = 1 if kind == "cpu" else 128
        self.device = torch.device(device)
        self.settings = settings or RobustSettings()
        self.threads = threads
        self.engine = _default_engine(mode, kind) if engine == "auto" else engine
        self._scratch: list[Any] = []
        self._graphs: dict[tuple[int, ...], Graph] | None = {} if graphs else None

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
            images = (self._image(image, torch.float64) for image in (first, second))
            return torch_path.reference(*images).float()
        if self.engine == "numba":
            return self._pairs(first, second, initial_flow)
        start = None if initial_flow is None else initial_flow.to(self.device, torch.float32)
        if self._graphs is None or start is not None:
            return self._batch(first, second, start)
        return self._replayed(self._graphs, first.to(self.device), second.to(self.device))

    def _batch(self, first: Tensor, second: Tensor, start: Tensor | None = None) -> Tensor:
        height, width = first.shape[-2:]
        at_once = max(1, min(_PIXELS_AT_ONCE // (height * width), _PAIRS_AT_ONCE))
        if len(first) <= at_once:
            return self._together(first, second, start)
        parts = [torch.split(images, at_once) for images in (first, second)]
        starts = [None] * len(parts[0]) if start is None else torch.split(start, at_once)
        return torch.cat([self._together(*part) for part in zip(*parts, starts, strict=True)])

    def _together(self, first: Tensor, second: Tensor, start: Tensor | None) -> Tensor:
        images = self._image(first), self._image(second)
        return torch_path.robust(*images, self.settings, start, _parts(self.engine))

    def _replayed(self, graphs: dict[tuple[int, ...], Graph], *images: Tensor) -> Tensor:
        shape = tuple(images[0].shape)
        if shape not in graphs:
            if len(graphs) == _GRAPHS_KEPT:  # each holds the memory of a whole batch
                graphs.pop(next(iter(graphs)))
            graphs[shape] = Graph(self._batch, *images)
        return graphs[shape](*images)

    def _image(self, image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        return image.to(self.device).expand(-1, 3, -1, -1).to(dtype) / 255

    def _pairs(self, first: Tensor, second: Tensor, initial_flow: Tensor | None) -> Tensor:
        from ttflow.flow.variational import cpu_path

        images = [self._image(image).numpy() for image in (first, second)]
        starts = [None] * len(first) if initial_flow is None else list(initial_flow.numpy())
        flow = np.empty((len(first), 2, *first.shape[-2:]), np.float32)

        def compute(index: int) -> None:
            one, two = (np.ascontiguousarray(image[index]) for image in images)
            try:
                scratch = self._scratch.pop()
            except IndexError:
                scratch = cpu_path.Scratch()
            flow[index] = cpu_path.robust(one, two, self.settings, starts[index], scratch)
            self._scratch.append(scratch)

        # Denormals in the solver's tails are slow. Flushing them is a flag of the thread, so it is
        # set in threads of our own and the caller's arithmetic stays as it was.
        workers = max(1, min(self.threads, len(first)))
        with ThreadPoolExecutor(
            workers, initializer=torch.set_flush_denormal, initargs=(True,)
        ) as pool:
            list(pool.map(compute, range(len(first))))
        return torch.from_numpy(flow)


def _check_engine(mode: str, kind: str, engine: str) -> None:
    needed = {"numba": "cpu", "triton": "cuda", "kernels": "cuda"}.get(engine)
    if needed and (mode != "robust" or kind != needed):
        raise ValueError(
            f"engine {engine!r} runs mode 'robust' on {needed!r}, not {mode!r} on {kind!r}"
        )
    if needed == "cuda" and not _has("triton"):
        raise ValueError(f"engine {engine!r} needs triton: pip install 'ttflow[gpu]'")


def _parts(engine: str) -> Parts:
    if engine not in ("triton", "kernels"):
        return torch_path.PLAIN
    from ttflow.flow.variational.gpu import fused

    if engine == "triton":
        return Parts(relax=torch_path.added(fused.red_black))
    from ttflow.flow.variational.gpu import (
        fused_median,
        fused_pyramid,
        fused_relax,
        fused_system,
    )

    return Parts(
        relax=fused_relax.relax,
        linearise=fused_system.linearise,
        median=fused_median.median,
        pyramid=fused_pyramid.pyramid,
        features=fused_pyramid.features,
        resize_flow=fused_pyramid.resize_flow,
        smooth=fused_system.smooth,
    )


def _default_engine(mode: str, kind: str) -> Engine:
    if mode == "robust" and kind == "cpu" and _has("numba") and "TTFLOW_NO_NUMBA" not in os.environ:
        return "numba"
    if mode == "robust" and kind == "cuda" and _has("triton"):
        return "torch" if "TTFLOW_NO_TRITON" in os.environ else "kernels"
    return "torch"


def _has(package: str) -> bool:
    return find_spec(package) is not None


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
