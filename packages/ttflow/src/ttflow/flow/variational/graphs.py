"""CUDA graphs: a whole batch's thousands of small kernels launched as one, for fixed shapes."""

from collections.abc import Callable

import torch
from torch import Tensor

from ttflow.flow.variational import device_tables

_WARM_UPS = 2


class Graph:
    """A function of CUDA tensors, recorded once and replayed, on the device of its examples.

    The function must not move data between host and device, nor depend on values; what it builds
    once and keeps (tables, compiled kernels) it builds while warming up. The recording holds
    addresses: the tables among them live as long as the graph.
    """

    def __init__(self, function: Callable[..., Tensor], *examples: Tensor) -> None:
        """Record the function on copies of the examples, whose shapes later inputs have."""
        self._inputs = [example.clone() for example in examples]
        self._device = self._inputs[0].device
        with torch.cuda.device(self._device), device_tables.held() as self._tables:
            self._record(function)

    def _record(self, function: Callable[..., Tensor]) -> None:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                function(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's value; a copy, which the next call leaves alone."""
        with torch.cuda.device(self._device):
            for own, given in zip(self._inputs, inputs, strict=True):
                own.copy_(given)
            self._graph.replay()
            return self._output.clone()
